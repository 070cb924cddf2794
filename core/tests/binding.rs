//! Channel bindings: the protocol versions for which they are defined, and the tags of the two sides. Tests with certificates of
//! OpenSSL and with a PostgreSQL server are in `host-tests`.
#![cfg(test)]

use chanbind_core::{
    binding::{BindingError, ChannelBinding, Kind, Side},
    exporter::{Exporter, ExporterError, ExporterSecret, Protocol},
};

struct Tls12(bool);

impl Exporter for Tls12 {
    fn protocol(&self) -> Protocol {
        Protocol::Tls12 {
            extended_master_secret: self.0,
        }
    }

    fn export_keying_material(
        &self,
        _: &[u8],
        _: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ExporterError> {
        out.fill(0x12);
        Ok(())
    }
}

#[test]
fn tls_exporter_matches_rfc_9266() {
    let channel = ExporterSecret::sha256(&[7; 32]);
    let mut exported = [0; 32];
    channel
        .export_keying_material(b"EXPORTER-Channel-Binding", None, &mut exported)
        .unwrap();
    let binding = ChannelBinding::tls_exporter(&channel).unwrap();
    assert_eq!(binding.as_bytes(), exported);
    assert_eq!(binding.kind().unique_prefix(), "tls-exporter");
}

#[test]
fn tls_exporter_requires_unique_secrets() {
    assert!(ChannelBinding::tls_exporter(&Tls12(true)).is_ok());
    assert_eq!(
        ChannelBinding::tls_exporter(&Tls12(false)).err(),
        Some(BindingError::NotUnique)
    );
}

#[test]
fn tls_unique_requires_tls_1_2_with_extended_master_secret() {
    let tls12 = |extended_master_secret| Protocol::Tls12 {
        extended_master_secret,
    };
    let binding = ChannelBinding::tls_unique(tls12(true), &[9; 12]).unwrap();
    assert_eq!(
        (binding.kind(), binding.as_bytes()),
        (Kind::TlsUnique, &[9; 12][..])
    );
    assert_eq!(
        ChannelBinding::tls_unique(Protocol::Tls13, &[9; 32]).err(),
        Some(BindingError::Undefined)
    );
    assert_eq!(
        ChannelBinding::tls_unique(tls12(false), &[9; 12]).err(),
        Some(BindingError::NotUnique)
    );
    for len in [0, 11, 65] {
        assert_eq!(
            ChannelBinding::tls_unique(tls12(true), &vec![9; len]).err(),
            Some(BindingError::Finished { actual: len })
        );
    }
}

#[test]
fn tls_server_end_point_rejects_malformed_certificates() {
    for bytes in [
        &[][..],
        &[0x30],
        &[0x30, 0x80],
        &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
        &[0x30, 0x81, 0x01, 0x00],
        b"-----BEGIN",
    ] {
        assert_eq!(
            ChannelBinding::tls_server_end_point(bytes).err(),
            Some(BindingError::Certificate)
        );
    }
}

#[test]
fn direction_tags_differ_by_side_connection_and_binding_type() {
    let first = ChannelBinding::tls_exporter(&ExporterSecret::sha256(&[1; 32])).unwrap();
    let second = ChannelBinding::tls_exporter(&ExporterSecret::sha256(&[2; 32])).unwrap();
    let unique = ChannelBinding::tls_unique(
        Protocol::Tls12 {
            extended_master_secret: true,
        },
        first.as_bytes(),
    )
    .unwrap();
    let tags = [
        first.direction_tags().of(Side::Client).clone(),
        first.direction_tags().of(Side::Server).clone(),
        second.direction_tags().of(Side::Client).clone(),
        second.direction_tags().of(Side::Server).clone(),
        unique.direction_tags().of(Side::Client).clone(),
        unique.direction_tags().of(Side::Server).clone(),
    ];
    for (i, one) in tags.iter().enumerate() {
        for (j, other) in tags.iter().enumerate() {
            assert_eq!(one == other, i == j);
        }
    }
    assert_eq!(
        first,
        ChannelBinding::tls_exporter(&ExporterSecret::sha256(&[1; 32])).unwrap()
    );
    assert_ne!(first, second);
    assert_ne!(first, unique);
    assert_eq!(Side::Client.peer(), Side::Server);
}

#[test]
fn direction_tag_has_the_documented_format() {
    use sha2::{Digest, Sha256};
    let binding = ChannelBinding::tls_exporter(&ExporterSecret::sha256(&[1; 32])).unwrap();
    let mut input = b"chanbind direction tag\0server\0tls-exporter\0".to_vec();
    input.extend(binding.as_bytes());
    assert_eq!(
        binding
            .direction_tags()
            .of(Side::Server)
            .as_bytes()
            .as_slice(),
        Sha256::digest(&input).as_slice()
    );
    assert!(!format!("{binding:?} {:?}", binding.direction_tags()).contains("01"));
}
