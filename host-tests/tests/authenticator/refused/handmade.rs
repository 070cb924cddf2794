//! Certificates encoded by hand and signed with an authority's key: a test can set each field to any bytes.

use super::*;
use rand_core::OsRng;

pub(super) const INTEGER: u8 = 2;
pub(super) const BIT_STRING: u8 = 3;
pub(super) const OCTET_STRING: u8 = 4;
pub(super) const UTF8_STRING: u8 = 0x0c;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
pub(super) const ECDSA_WITH_SHA256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];

pub(super) const EC_PUBLIC_KEY: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
pub(super) const PRIME256V1: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];

/// Encodes a DER element with this tag.
pub(super) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let contents = parts.concat();
    let len = contents.len().to_be_bytes();
    let zeroes = len.iter().take_while(|byte| **byte == 0).count();
    let len = match contents.len() {
        0..0x80 => len[7..].to_vec(),
        _ => [&[0x80 + u8::try_from(8 - zeroes).unwrap()], &len[zeroes..]].concat(),
    };
    [&[tag], &*len, &contents].concat()
}

/// Encodes a DER element with a length that is longer than necessary. `contents` has at most 255 bytes.
pub(super) fn long(tag: u8, contents: &[u8]) -> Vec<u8> {
    let len = u8::try_from(contents.len()).unwrap();
    [&[tag, 0x82, 0, len], contents].concat()
}

pub(super) fn name(common: &[u8]) -> Vec<u8> {
    let attribute = tlv(
        SEQUENCE,
        &[&[6, 3, 0x55, 4, 3], &tlv(UTF8_STRING, &[common])],
    );
    tlv(SEQUENCE, &[&tlv(SET, &[&attribute])])
}

pub(super) fn spki(algorithm: &[&[u8]], point: &[u8]) -> Vec<u8> {
    let algorithm = tlv(SEQUENCE, algorithm);
    tlv(SEQUENCE, &[&algorithm, &tlv(BIT_STRING, &[point])])
}

/// Encodes the non-critical extension 2.5.29.`id`.
pub(super) fn extension(id: u8, value: &[u8]) -> Vec<u8> {
    tlv(
        SEQUENCE,
        &[&[6, 3, 0x55, 0x1d, id], &tlv(OCTET_STRING, &[value])],
    )
}

pub(super) fn extensions(all: &[&[u8]]) -> Vec<u8> {
    tlv(0xa3, &[&tlv(SEQUENCE, all)])
}

pub(super) const KEY_USAGE: u8 = 15;
pub(super) const SUBJECT_ALT_NAME: u8 = 17;
pub(super) const BASIC_CONSTRAINTS: u8 = 19;
pub(super) const EXTENDED_KEY_USAGE: u8 = 37;
pub(super) const DIGITAL_SIGNATURE: &[u8] = &[3, 2, 7, 0x80];

pub(super) fn subject_alt_name() -> Vec<u8> {
    let names = tlv(
        SEQUENCE,
        &[
            &tlv(0x82, &[b"device.example"]),
            &tlv(0x87, &[&[192, 0, 2, 1]]),
            &tlv(0x86, &[b"urn:device:1"]),
        ],
    );
    extension(SUBJECT_ALT_NAME, &names)
}

/// The encoded fields of a certificate. `behind` follows the certificate.
#[derive(Clone)]
pub(super) struct Fields {
    pub(super) version: Vec<u8>,
    pub(super) serial: Vec<u8>,
    pub(super) algorithm: Vec<u8>,
    pub(super) issuer: Vec<u8>,
    pub(super) validity: Vec<u8>,
    pub(super) subject: Vec<u8>,
    pub(super) spki: Vec<u8>,
    pub(super) extensions: Vec<u8>,
    pub(super) outer_algorithm: Vec<u8>,
    pub(super) behind: Vec<u8>,
}

impl Fields {
    pub(super) fn new(key: &SigningKey, subject: &[u8], extensions: Vec<u8>) -> Self {
        let algorithm = tlv(SEQUENCE, &[ECDSA_WITH_SHA256]);
        let from = tlv(UTC_TIME, &[b"200101000000Z"]);
        let until = tlv(UTC_TIME, &[b"491231235959Z"]);
        Self {
            version: tlv(0xa0, &[&tlv(INTEGER, &[&[2]])]),
            serial: tlv(INTEGER, &[&[1]]),
            algorithm: algorithm.clone(),
            issuer: name(b"authority"),
            validity: tlv(SEQUENCE, &[&from, &until]),
            subject: name(subject),
            spki: spki(
                &[EC_PUBLIC_KEY, PRIME256V1],
                &[&[0], key.verifying_key().to_encoded_point(false).as_bytes()].concat(),
            ),
            extensions,
            outer_algorithm: algorithm,
            behind: Vec::new(),
        }
    }

    pub(super) fn to_be_signed(&self) -> Vec<u8> {
        let parts = [
            &self.version,
            &self.serial,
            &self.algorithm,
            &self.issuer,
            &self.validity,
            &self.subject,
            &self.spki,
            &self.extensions,
        ];
        tlv(SEQUENCE, &parts.map(Vec::as_slice))
    }

    pub(super) fn signed_by(&self, authority: &SigningKey) -> Vec<u8> {
        self.sign(&self.to_be_signed(), authority)
    }

    /// Signs `to_be_signed` and returns the whole certificate.
    pub(super) fn sign(&self, to_be_signed: &[u8], authority: &SigningKey) -> Vec<u8> {
        let signature = maker::by_p256(authority, to_be_signed);
        let signature = tlv(BIT_STRING, &[&[0], &signature]);
        let parts = [to_be_signed, &self.outer_algorithm, &signature];
        [tlv(SEQUENCE, &parts), self.behind.clone()].concat()
    }
}

/// An authority and a client whose certificates are encoded by hand.
pub(super) struct HandmadePki {
    pub(super) authority_key: SigningKey,
    pub(super) authority: Vec<u8>,
    pub(super) key: SigningKey,
    pub(super) client: Fields,
}

impl HandmadePki {
    pub(super) fn new() -> Self {
        let authority_key = SigningKey::random(&mut OsRng);
        let is_ca = extension(BASIC_CONSTRAINTS, &tlv(SEQUENCE, &[&[1, 1, 0xff]]));
        let authority = Fields::new(&authority_key, b"authority", extensions(&[&is_ca]));
        let key = SigningKey::random(&mut OsRng);
        let usage = extension(KEY_USAGE, DIGITAL_SIGNATURE);
        let client_extensions = extensions(&[&subject_alt_name(), &usage]);
        Self {
            authority: authority.signed_by(&authority_key),
            authority_key,
            client: Fields::new(&key, b"client", client_extensions),
            key,
        }
    }

    /// Validates an honest authenticator with this certificate as a server. If the server accepts it, passes it to `then`.
    pub(super) fn verdict_of(
        &self,
        certificate: &[u8],
        then: impl FnOnce(&Validated<'_>),
    ) -> Result<(), ValidateError> {
        let request = request();
        let pki = Pki::new();
        let mut maker = Maker::new(Side::Client, &request, CONTEXT, &pki.client);
        maker.entries[0].0 = certificate.to_vec();
        maker.signer = Box::new(|message| maker::by_p256(&self.key, message));
        let authenticator = maker.make();
        let anchors = Anchors::new(&[&self.authority]).unwrap();
        let rules = PathRules::new(&anchors, Usage::ClientAuth, now());
        let mut server = Connection::new(1).server;
        let pending = create_request(&mut server, &parameters(CONTEXT));
        let validated = server.validate(pending, &authenticator, &rules)?;
        then(&validated);
        Ok(())
    }

    /// Validates the client's certificate after `change`, which the authority signs.
    pub(super) fn verdict(&self, change: impl FnOnce(&mut Fields)) -> Result<(), ValidateError> {
        let mut client = self.client.clone();
        change(&mut client);
        let certificate = client.signed_by(&self.authority_key);
        self.verdict_of(&certificate, |validated| {
            let leaf = validated.leaf();
            assert_eq!(leaf.as_der(), certificate);
            assert_eq!(leaf.subject_public_key_info(), client.spki);
            assert_eq!(leaf.subject(), client.subject);
        })
    }
}
