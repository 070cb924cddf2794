//! Tests of keying material exported from rustls connections, and of the configurations for rustls.
#![cfg(test)]

mod openssl;
mod resumption;

use chanbind::{
    protocol::{
        binding::{BindingError, ChannelBinding},
        exporter::{Exporter, ExporterError, Protocol},
    },
    tls::{
        RustlsExporter, SharedStream, Tls12, client_config, roots_from_pem, server_config_from_pem,
    },
};
use chanbind_host_tests::pki::Pki;
use rustls::{
    ClientConfig, ClientConnection, NamedGroup, ServerConfig, ServerConnection,
    pki_types::ServerName,
};
use std::sync::Arc;

fn configs() -> (ClientConfig, ServerConfig) {
    let pki = Pki::new().unwrap();
    (
        client_config(roots_from_pem(pki.ca.as_bytes()).unwrap()).unwrap(),
        server_config_from_pem(pki.certificate.as_bytes(), pki.key.as_bytes()).unwrap(),
    )
}

/// Configurations for TLS 1.2, which this project's own configurations do not support.
fn tls12(server: &ServerConfig) -> (ClientConfig, ServerConfig) {
    let provider = || Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let versions = &[&rustls::version::TLS12];
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap();
    let mut new_client = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AcceptAll))
        .with_no_client_auth();
    new_client.require_ems = true;
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap();
    let mut new_server = builder
        .with_no_client_auth()
        .with_cert_resolver(server.cert_resolver.clone());
    new_server.require_ems = true;
    (new_client, new_server)
}

#[derive(Debug)]
struct AcceptAll;

impl rustls::client::danger::ServerCertVerifier for AcceptAll {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        vec![rustls::SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

struct Pair {
    client: ClientConnection,
    server: ServerConnection,
}

impl Pair {
    fn new((client, server): (ClientConfig, ServerConfig)) -> Self {
        Self {
            client: ClientConnection::new(
                Arc::new(client),
                ServerName::try_from("localhost").unwrap(),
            )
            .unwrap(),
            server: ServerConnection::new(Arc::new(server)).unwrap(),
        }
    }

    /// Transfers one flight in each direction. Returns true if there was any data.
    fn step(&mut self) -> Result<bool, rustls::Error> {
        let mut moved = false;
        let mut wire = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut wire).unwrap();
        }
        moved |= !wire.is_empty();
        let mut read = wire.as_slice();
        while !read.is_empty() {
            self.server.read_tls(&mut read).unwrap();
            self.server.process_new_packets()?;
        }
        let mut wire = Vec::new();
        while self.server.wants_write() {
            self.server.write_tls(&mut wire).unwrap();
        }
        moved |= !wire.is_empty();
        let mut read = wire.as_slice();
        while !read.is_empty() {
            self.client.read_tls(&mut read).unwrap();
            self.client.process_new_packets()?;
        }
        Ok(moved)
    }

    fn finish(mut self) -> Result<Self, rustls::Error> {
        while self.step()? {}
        Ok(self)
    }
}

fn export(channel: &impl Exporter, context: Option<&[u8]>) -> Result<[u8; 32], ExporterError> {
    let mut out = [0xaa; 32];
    let result = channel.export_keying_material(b"EXPORTER-test", context, &mut out);
    assert!(
        result.is_ok() || out == [0; 32],
        "the output must be wiped after an error"
    );
    result.map(|()| out)
}

#[test]
fn both_ends_export_the_same() {
    let pair = Pair::new(configs()).finish().unwrap();
    let (client, server) = (
        RustlsExporter::new(&pair.client),
        RustlsExporter::new(&pair.server),
    );
    assert_eq!(client.protocol(), Protocol::Tls13);
    for context in [None, Some(&b""[..]), Some(b"client1"), Some(&[7; 65_535])] {
        assert_eq!(export(&client, context), export(&server, context));
    }
    assert_eq!(export(&client, None), export(&client, Some(b"")));
    assert_ne!(export(&client, None), export(&client, Some(b"x")));
    let binding = |channel: &dyn Fn() -> Result<ChannelBinding, BindingError>| channel().unwrap();
    assert_eq!(
        binding(&|| ChannelBinding::tls_exporter(&client)),
        binding(&|| ChannelBinding::tls_exporter(&server))
    );
    let another = Pair::new(configs()).finish().unwrap();
    assert_ne!(
        export(&client, None),
        export(&RustlsExporter::new(&another.client), None)
    );
}

#[test]
fn x25519mlkem768_is_negotiated() {
    let pair = Pair::new(configs()).finish().unwrap();
    assert_eq!(
        pair.client.negotiated_key_exchange_group().unwrap().name(),
        NamedGroup::X25519MLKEM768
    );
}

#[test]
fn exports_nothing_before_the_handshake_is_complete() {
    let mut pair = Pair::new(configs());
    assert_eq!(
        export(&RustlsExporter::new(&pair.client), None),
        Err(ExporterError::HandshakeIncomplete)
    );
    assert_eq!(
        export(&RustlsExporter::new(&pair.server), None),
        Err(ExporterError::HandshakeIncomplete)
    );
    assert_eq!(
        ChannelBinding::tls_exporter(&RustlsExporter::new(&pair.client)).err(),
        Some(BindingError::Exporter(ExporterError::HandshakeIncomplete))
    );
    // The client has completed the handshake, the server has not received its Finished.
    assert!(pair.step().unwrap());
    assert!(export(&RustlsExporter::new(&pair.client), None).is_ok());
    assert_eq!(
        export(&RustlsExporter::new(&pair.server), None),
        Err(ExporterError::HandshakeIncomplete)
    );
    assert!(pair.step().unwrap());
    assert!(export(&RustlsExporter::new(&pair.server), None).is_ok());
}

#[test]
fn rejects_tls_1_2_peers() {
    let (client, server) = configs();
    let (old_client, old_server) = tls12(&server);
    assert!(
        Pair::new((client, old_server)).finish().is_err(),
        "the client must reject a TLS 1.2 server"
    );
    assert!(
        Pair::new((old_client, server)).finish().is_err(),
        "the server must reject a TLS 1.2 client"
    );
}

#[test]
fn tls_1_2_exports_only_if_the_caller_asserts_extended_master_secret() {
    let (_, server) = configs();
    let pair = Pair::new(tls12(&server)).finish().unwrap();
    let refused = RustlsExporter::new(&pair.client);
    assert_eq!(export(&refused, None), Err(ExporterError::NotUnique));
    assert_eq!(
        ChannelBinding::tls_exporter(&refused).err(),
        Some(BindingError::NotUnique)
    );
    let asserted = Tls12::ExtendedMasterSecretRequired;
    let (client, server) = (
        RustlsExporter::with_tls12(&pair.client, asserted),
        RustlsExporter::with_tls12(&pair.server, asserted),
    );
    assert_eq!(export(&client, Some(b"x")), export(&server, Some(b"x")));
    assert_ne!(
        export(&client, None),
        export(&client, Some(b"")),
        "RFC 5705: no context differs from an empty context"
    );
}

#[test]
fn enforces_limits_of_output_label_and_context() {
    let pair = Pair::new(configs()).finish().unwrap();
    let channel = RustlsExporter::new(&pair.client);
    let mut out = vec![0; 12_241];
    let max = 255 * 48;
    assert_eq!(
        channel.export_keying_material(b"l", None, &mut out),
        Err(ExporterError::OutputLength {
            actual: 12_241,
            max
        })
    );
    channel
        .export_keying_material(&[b'l'; 249], None, &mut out[..max])
        .unwrap();
    assert!(matches!(
        channel.export_keying_material(b"l", None, &mut []),
        Err(ExporterError::OutputLength { actual: 0, .. })
    ));
    assert_eq!(
        channel.export_keying_material(&[b'l'; 250], None, &mut out[..32]),
        Err(ExporterError::LabelTooLong { actual: 250 })
    );
    assert_eq!(
        channel.export_keying_material(b"l", Some(&[0; 65_536]), &mut out[..32]),
        Err(ExporterError::ContextTooLong { actual: 65_536 })
    );
}

#[tokio::test]
async fn shared_stream_reads_writes_and_exports() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (client, server) = configs();
    let (near, far) = tokio::io::duplex(4096);
    let accept = tokio_rustls::TlsAcceptor::from(Arc::new(server)).accept(far);
    let connect = tokio_rustls::TlsConnector::from(Arc::new(client))
        .connect(ServerName::try_from("localhost").unwrap(), near);
    let (client, server) = tokio::try_join!(connect, accept).unwrap();
    let (mut client, mut server) = (SharedStream::new(client), SharedStream::new(server));
    let (other_client, other_server) = (client.clone(), server.clone());
    let data = vec![0x5a; 100_000];
    let (_, received) = tokio::join!(
        async {
            client.write_all(&data).await.unwrap();
            client.shutdown().await.unwrap();
        },
        async {
            let mut received = Vec::new();
            server.read_to_end(&mut received).await.unwrap();
            received
        }
    );
    assert_eq!(received, data);
    assert_eq!(
        export(&other_client, Some(b"x")),
        export(&other_server, Some(b"x"))
    );
}

#[test]
fn reports_invalid_pem() {
    let pki = Pki::new().unwrap();
    for (error, message) in [
        (
            roots_from_pem(b"").unwrap_err().to_string(),
            "BEGIN CERTIFICATE",
        ),
        (
            roots_from_pem(pki.key.as_bytes()).unwrap_err().to_string(),
            "BEGIN CERTIFICATE",
        ),
        (
            server_config_from_pem(pki.certificate.as_bytes(), b"x")
                .unwrap_err()
                .to_string(),
            "BEGIN PRIVATE KEY",
        ),
        (
            server_config_from_pem(
                pki.certificate.as_bytes(),
                Pki::new().unwrap().key.as_bytes(),
            )
            .unwrap_err()
            .to_string(),
            "certificate and key",
        ),
    ] {
        assert!(error.contains(message), "{error}");
    }
}
