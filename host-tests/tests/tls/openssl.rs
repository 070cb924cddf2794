//! Tests against OpenSSL as the peer, and with certificates of OpenSSL.

use super::*;
use chanbind_host_tests::openssl::OpenSsl;
use std::{
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

const LABEL: &str = "EXPORTER-my_label";

fn ekm(channel: &impl Exporter) -> String {
    let mut out = [0; 32];
    channel
        .export_keying_material(LABEL.as_bytes(), None, &mut out)
        .unwrap();
    hex::encode(out)
}

#[tokio::test]
async fn openssl_server_exports_the_same() {
    let pki = Pki::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("c.pem"), folder.path().join("k.pem"));
    std::fs::write(&certificate, &pki.certificate).unwrap();
    std::fs::write(&key, &pki.key).unwrap();
    for suite in [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    ] {
        let port = chanbind_host_tests::port::neighbours().unwrap();
        let openssl = OpenSsl::start(&[
            "s_server",
            "-accept",
            &format!("127.0.0.1:{port}"),
            "-cert",
            certificate.to_str().unwrap(),
            "-key",
            key.to_str().unwrap(),
            "-ciphersuites",
            suite,
            "-keymatexport",
            LABEL,
            "-keymatexportlen",
            "32",
        ]);
        let config = client_config(roots_from_pem(pki.ca.as_bytes()).unwrap()).unwrap();
        let mut tries = 0;
        let stream = loop {
            match tokio::net::TcpStream::connect(("127.0.0.1", port)).await {
                Ok(stream) => break stream,
                Err(error) => {
                    tries += 1;
                    assert!(tries < 400, "{error}");
                    tokio::time::sleep(Duration::from_millis(25)).await;
                }
            }
        };
        let connector = TlsConnector::from(Arc::new(config));
        let stream = connector
            .connect(ServerName::try_from("localhost").unwrap(), stream)
            .await
            .unwrap();
        let ours = ekm(&RustlsExporter::new(stream.get_ref().1));
        assert_eq!(openssl.keying_material(), ours, "{suite}");
    }
}

#[tokio::test]
async fn openssl_client_exports_the_same() {
    let pki = Pki::new().unwrap();
    let config = server_config_from_pem(pki.certificate.as_bytes(), pki.key.as_bytes()).unwrap();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let openssl = OpenSsl::start(&[
        "s_client",
        "-connect",
        &listener.local_addr().unwrap().to_string(),
        "-keymatexport",
        LABEL,
        "-keymatexportlen",
        "32",
    ]);
    let (stream, _) = listener.accept().await.unwrap();
    let stream = TlsAcceptor::from(Arc::new(config))
        .accept(stream)
        .await
        .unwrap();
    let ours = ekm(&RustlsExporter::new(stream.get_ref().1));
    assert_eq!(openssl.keying_material(), ours);
}

/// Creates a self-signed certificate with OpenSSL, and returns it as DER.
fn certificate(key: &[&str], signature: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let run = |arguments: &[&[&str]]| {
        let output = Command::new("openssl")
            .args(arguments.concat())
            .output()
            .expect("openssl");
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    run(&[&["genpkey"], key, &["-out", &file("k.pem")]]);
    run(&[
        &[
            "req",
            "-x509",
            "-key",
            &file("k.pem"),
            "-subj",
            "/CN=x",
            "-outform",
            "DER",
            "-out",
            &file("c.der"),
        ],
        signature,
    ]);
    std::fs::read(file("c.der")).unwrap()
}

/// Returns the hash of `bytes` as computed by OpenSSL.
fn digest(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(["dgst", &format!("-{name}"), "-binary"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl");
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    child.wait_with_output().unwrap().stdout
}

#[test]
fn tls_server_end_point_uses_the_hash_of_the_signature_algorithm() {
    let rsa = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"][..];
    let ec = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..];
    let pss = |hash: &'static str, mgf1: &'static str| {
        vec![
            hash,
            "-sigopt",
            "rsa_padding_mode:pss",
            "-sigopt",
            "rsa_pss_saltlen:20",
            "-sigopt",
            mgf1,
        ]
    };
    for (key, signature, hash) in [
        (rsa, vec!["-md5"], Some("sha256")),
        (rsa, vec!["-sha1"], Some("sha256")),
        (rsa, vec!["-sha224"], Some("sha224")),
        (rsa, vec!["-sha256"], Some("sha256")),
        (rsa, vec!["-sha384"], Some("sha384")),
        (rsa, vec!["-sha512"], Some("sha512")),
        (rsa, vec!["-sha512-256"], Some("sha512-256")),
        (ec, vec!["-sha1"], Some("sha256")),
        (ec, vec!["-sha224"], Some("sha224")),
        (ec, vec!["-sha256"], Some("sha256")),
        (ec, vec!["-sha384"], Some("sha384")),
        (ec, vec!["-sha512"], Some("sha512")),
        (rsa, pss("-sha1", "rsa_mgf1_md:sha1"), Some("sha256")),
        (rsa, pss("-sha384", "rsa_mgf1_md:sha384"), Some("sha384")),
        (rsa, pss("-sha256", "rsa_mgf1_md:sha512"), None),
        (&["-algorithm", "ED25519"][..], vec![], None),
        (ec, vec!["-sha3-256"], None),
    ] {
        let certificate = certificate(key, &signature);
        let binding = ChannelBinding::tls_server_end_point(&certificate);
        match hash {
            Some(hash) => assert_eq!(
                binding.unwrap().as_bytes(),
                digest(hash, &certificate),
                "{signature:?}"
            ),
            None => assert_eq!(
                binding.err(),
                Some(BindingError::Undefined),
                "{signature:?}"
            ),
        }
        for len in 0..certificate.len() {
            assert_eq!(
                ChannelBinding::tls_server_end_point(&certificate[..len]).err(),
                Some(BindingError::Certificate)
            );
        }
        let more = [&certificate[..], &[0]].concat();
        assert_eq!(
            ChannelBinding::tls_server_end_point(&more).err(),
            Some(BindingError::Certificate)
        );
    }
}
