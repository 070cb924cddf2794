//! The small clients in Go and in Python that follow `docs/proofs/OTP.md`, with the command `chanbind gateway otp`.

use base64::{Engine, prelude::BASE64_STANDARD};
use chanbind::{
    gateway::{Channel, ClientTable, MemoryRegistry},
    proof::{
        Verifier,
        otp::{OtpVerifier, Settings},
    },
    protocol::exporter::ExporterSecret,
};
use chanbind_host_tests::{go, pki::Pki, program, python};
use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output, Stdio},
};
use tempfile::TempDir;

const SECRET: [u8; 32] = [0x5a; 32];

/// The command `chanbind gateway otp` with one client, `client1`. The process is killed on drop.
struct Gateway {
    folder: TempDir,
    child: Child,
    /// Held open, so that the command can print.
    _stdout: BufReader<ChildStdout>,
    port: u16,
}

impl Gateway {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::new().unwrap();
        let registry = format!(
            "[clients.client1]\nhmac_sha256 = \"{}\"\n",
            BASE64_STANDARD.encode(SECRET)
        );
        for (name, contents) in [
            ("ca.pem", &pki.ca),
            ("chain.pem", &pki.certificate),
            ("key.pem", &pki.key),
            ("registry.toml", &registry),
        ] {
            std::fs::write(folder.path().join(name), contents).unwrap();
        }
        let mut child = Command::new(program::path("chanbind"))
            .args(["gateway", "otp", "--registry", "registry.toml"])
            .args(["--cert", "chain.pem", "--key", "key.pem"])
            .args(["--listen", "127.0.0.1:0"])
            .current_dir(folder.path())
            .env_remove("RUST_LOG")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let port = line
            .strip_prefix("listening on 127.0.0.1:")
            .and_then(|rest| rest.split(' ').next()?.parse().ok());
        let Some(port) = port else {
            let _ = child.kill();
            let _ = child.wait();
            panic!("the gateway printed {line:?} instead of its address");
        };
        Self {
            folder,
            child,
            _stdout: stdout,
            port,
        }
    }

    fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a client: a program, or an interpreter and its script.
fn run(client: &[&Path], gateway: &Gateway, client_id: &str, key: &[u8], path: &str) -> Output {
    let (program, script) = client.split_first().unwrap();
    Command::new(program)
        .args(script)
        .arg(format!("localhost:{}", gateway.port))
        .arg(gateway.ca())
        .args([client_id, &BASE64_STANDARD.encode(key), path])
        .output()
        .unwrap()
}

/// Checks that the gateway admits a client with the right key, and neither one with a wrong key nor one that it does not know.
fn check_admission(client: &[&Path]) {
    let gateway = Gateway::start();
    let wrong = [0xa5; 32];
    for (client_id, key, path, status) in [
        ("client1", SECRET, "/", "200"),
        ("client1", SECRET, "/readings?unit=C", "200"),
        ("client1", wrong, "/", "401"),
        ("client2", SECRET, "/", "401"),
    ] {
        let output = run(client, &gateway, client_id, &key, path);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(out.trim(), status, "{client_id} {path}: {err}");
        assert_eq!(output.status.success(), status == "200", "{err}");
    }
}

/// Checks that a client ends with an error, and without a response, if an unknown authority issued the gateway's certificate.
fn check_trust(client: &[&Path]) {
    let gateway = Gateway::start();
    std::fs::write(gateway.ca(), Pki::new().unwrap().ca).unwrap();
    let output = run(client, &gateway, "client1", &SECRET, "/");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(!output.status.success());
    assert_eq!(out, "");
    assert!(err.contains("certificate"), "{err}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn go_otp_client_is_admitted_with_the_right_key_only() {
    if let Some(client) = go::otp_client() {
        check_admission(&[client]);
    }
}

#[test]
fn go_otp_client_refuses_an_untrusted_gateway() {
    if let Some(client) = go::otp_client() {
        check_trust(&[client]);
    }
}

#[test]
fn python_otp_client_is_admitted_with_the_right_key_only() {
    if let Some(python) = python::with_openssl() {
        check_admission(&[python, &python::script("otp_client.py")]);
    }
}

#[test]
fn python_otp_client_refuses_an_untrusted_gateway() {
    if let Some(python) = python::with_openssl() {
        check_trust(&[python, &python::script("otp_client.py")]);
    }
}

/// The file of vectors is what its generator prints.
#[test]
fn python_generator_prints_the_vectors_of_the_document() {
    let Some(python) = python::with_openssl() else {
        return;
    };
    let output = Command::new(python)
        .arg(python::script("otp_vectors.py"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/otp.json");
    assert_eq!(text(&output.stdout), std::fs::read_to_string(path).unwrap());
}

#[test]
fn document_shows_the_challenge() {
    let registry = MemoryRegistry::new(ClientTable::new([]).unwrap());
    let verifier = OtpVerifier::new(registry, Settings::default());
    let channel = Channel::new(ExporterSecret::sha256(&[7; 32]));
    let [challenge] = verifier.challenges(&channel).unwrap().try_into().unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/proofs/OTP.md");
    let document = std::fs::read_to_string(path).unwrap();
    assert!(
        document.contains(challenge.to_str().unwrap()),
        "{challenge:?}"
    );
}
