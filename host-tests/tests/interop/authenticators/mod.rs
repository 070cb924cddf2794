//! Tests of Exported Authenticators (RFC 9261) with the Go program, which was written from the RFC and
//! `docs/proofs/AUTHENTICATOR.md`.

mod go_client;
mod go_server;
mod header_fields;
mod parsing;
mod vectors;

use axum::{
    Router,
    http::{Request, Response},
    routing::get,
};
use bytes::Bytes;
use chanbind::{
    client::{ConnectOptions, Connection, RequestBody},
    gateway::{Policy, ProofLayer, serve},
    proof::authenticator::{
        AuthenticatorVerifier, CertifiedIdentity, Credentials, ServerIdentities, Trust,
    },
    protocol::exporter::{Exporter, HashAlgorithm},
    tls,
    tpm::{KeyFile, KeyOptions, OpenOptions, Tpm},
};
use chanbind_host_tests::{client::TestClient, go, pki::Pki, swtpm::Swtpm};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256,
    PublicKeyData, SanType, SignatureAlgorithm,
};
use rustls::{
    ClientConfig, ServerConfig, SupportedCipherSuite,
    crypto::{CryptoProvider, aws_lc_rs::cipher_suite},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::TLS13,
};
use std::{future::pending, path::Path, sync::Arc};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tower::Layer;

/// The hash algorithms of TLS 1.3, each with a cipher suite that forces Go to use it.
const SUITES: [(HashAlgorithm, SupportedCipherSuite); 2] = [
    (
        HashAlgorithm::SHA256,
        cipher_suite::TLS13_AES_128_GCM_SHA256,
    ),
    (
        HashAlgorithm::SHA384,
        cipher_suite::TLS13_AES_256_GCM_SHA384,
    ),
];

/// The kinds of software keys that both programs support.
const KINDS: [(&str, &SignatureAlgorithm); 3] = [
    ("ecdsa", &PKCS_ECDSA_P256_SHA256),
    ("ed25519", &PKCS_ED25519),
    ("rsa", &PKCS_RSA_SHA256),
];

/// The DNS name of the second identities.
const SECOND: &str = "second.example";

/// A certificate authority with an ECDSA P-256 key that issues certificates for keys of any kind.
struct Ca(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its software key, both PEM.
struct Identity {
    certificate: String,
    key: String,
}

impl Ca {
    fn new(name: &str) -> Self {
        Self(CertifiedIssuer::self_signed(ca_params(name), KeyPair::generate().unwrap()).unwrap())
    }

    fn subordinate(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::signed_by(ca_params(name), key, &self.0).unwrap())
    }

    fn trust(&self) -> Trust {
        Trust::from_pem(self.0.pem().as_bytes()).unwrap()
    }

    /// Issues a client certificate as PEM. The common name is its only name.
    fn client(&self, key: &dyn PublicKeyData, name: &str) -> String {
        let mut params = params(name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.signed_by(&key, &self.0).unwrap().pem()
    }

    /// Issues a server certificate for [`SECOND`] as PEM.
    fn server(&self, key: &dyn PublicKeyData, name: &str) -> String {
        let mut params = params(name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.subject_alt_names = vec![SanType::DnsName(SECOND.try_into().unwrap())];
        params.signed_by(&key, &self.0).unwrap().pem()
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

impl Identity {
    /// Creates a key of this kind and a certificate for it with `issue`.
    fn new(
        algorithm: &'static SignatureAlgorithm,
        issue: impl FnOnce(&dyn PublicKeyData) -> String,
    ) -> Self {
        let key = KeyPair::generate_for(algorithm).unwrap();
        Self {
            certificate: issue(&key),
            key: key.serialize_pem(),
        }
    }

    fn credentials(&self) -> Credentials {
        Credentials::from_pem(self.certificate.as_bytes(), self.key.as_bytes()).unwrap()
    }
}

/// A key that exists only in a TPM.
struct TpmKey {
    swtpm: Swtpm,
    tpm: Tpm,
    file: KeyFile,
    point: Vec<u8>,
}

impl TpmKey {
    async fn new() -> Self {
        let swtpm = Swtpm::start().unwrap();
        let options = OpenOptions::default();
        let tpm = Tpm::open(&swtpm.tcti(), options).await.unwrap();
        let file = tpm.create_signing_key(KeyOptions::default()).await.unwrap();
        let key = tpm.load_signing_key(file.clone(), None).await.unwrap();
        let point = key.public_key().to_vec();
        Self {
            swtpm,
            tpm,
            file,
            point,
        }
    }

    async fn credentials(&self, certificate: &str) -> Credentials {
        let key = self.tpm.load_signing_key(self.file.clone(), None).await;
        Credentials::tpm(certificate.as_bytes(), key.unwrap()).unwrap()
    }

    /// Closes the TPM for use by others, and checks that no objects are left in it.
    async fn close(&self) {
        self.tpm.close().await;
        assert_eq!(self.swtpm.orphans(), [""; 0]);
    }
}

impl PublicKeyData for TpmKey {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// A temporary folder for files that the Go program reads.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, contents: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, contents).unwrap();
        path.display().to_string()
    }
}

/// The Go program as a server that requires client certificates of an authority.
struct GoServer {
    server: go::Server,
    pki: Pki,
    _files: Files,
}

impl GoServer {
    fn start(program: &Path, clients: &Ca, second: Option<&Identity>) -> Self {
        let (pki, files) = (Pki::new().unwrap(), Files::new());
        let mut arguments = vec![
            "-cert".to_owned(),
            files.put("certificate", &pki.certificate),
            "-key".to_owned(),
            files.put("key", &pki.key),
            "-ca".to_owned(),
            files.put("ca", &clients.0.pem()),
        ];
        if let Some(second) = second {
            arguments.extend([
                "-second-cert".to_owned(),
                files.put("second", &second.certificate),
                "-second-key".to_owned(),
                files.put("second-key", &second.key),
            ]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Self {
            server: go::Server::start(program, "ea-server", &arguments),
            pki,
            _files: files,
        }
    }

    async fn connect(&self, suite: (HashAlgorithm, SupportedCipherSuite)) -> TestClient {
        connect(self.server.port, &self.pki, suite).await
    }

    fn get(&self) -> Request<RequestBody> {
        get_request(self.server.port)
    }
}

/// A Rust gateway with one cipher suite. GET /get returns the name of the authenticated client and the hash algorithm.
struct Gateway {
    port: u16,
    pki: Pki,
    task: JoinHandle<()>,
}

impl Gateway {
    async fn start(
        suite: (HashAlgorithm, SupportedCipherSuite),
        clients: &Ca,
        seconds: Vec<Credentials>,
    ) -> Self {
        let identify =
            async |identity: CertifiedIdentity,
                   channel: axum::Extension<chanbind::gateway::Channel>| {
                let hash = channel.exporter().hash().unwrap();
                format!("ok {} {hash}", identity.name())
            };
        let policy = Policy::new().require("/", AuthenticatorVerifier::new(clients.trust()));
        let app = Router::new().route("/get", get(identify));
        let app =
            ProofLayer::with_responders(policy, vec![ServerIdentities::new(seconds)]).layer(app);
        let pki = Pki::new().unwrap();
        let tls = ServerConfig::builder_with_provider(provider(suite.1))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(pki.certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(pki.key.as_bytes()).unwrap(),
            );
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(serve(listener, tls.unwrap(), app, pending()));
        Self { port, pki, task }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Opens a client's connection with one cipher suite.
async fn connect(
    port: u16,
    pki: &Pki,
    (hash, suite): (HashAlgorithm, SupportedCipherSuite),
) -> TestClient {
    let config = ClientConfig::builder_with_provider(provider(suite))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(tls::roots_from_pem(pki.ca.as_bytes()).unwrap())
        .with_no_client_auth();
    let options = ConnectOptions::default();
    let connection = Connection::open("localhost", port, config, &options).await;
    let connection = TestClient::new(connection.unwrap());
    assert_eq!(connection.channel().hash(), Some(hash));
    connection
}

fn provider(suite: SupportedCipherSuite) -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![suite],
        ..tls::crypto_provider().as_ref().clone()
    })
}

fn get_request(port: u16) -> Request<RequestBody> {
    let uri = format!("https://localhost:{port}/get");
    Connection::get(&uri.parse().unwrap()).unwrap()
}

/// Returns the status and the body of a response.
fn status_and_body(response: &Response<Bytes>) -> (u16, String) {
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    (response.status().as_u16(), body.trim().to_owned())
}

fn expected(status: u16, body: &str) -> (u16, String) {
    (status, body.to_owned())
}
