//! Files that `provision --device-config` writes, read as firmware reads them.

use super::*;
use chanbind::tpm::KeyFile;
use chanbind_device_config::{
    Config, build,
    proof::{authenticator, otp},
};

const HEAD: &str = "host = \"gateway.example\"\nport = 8443\nname = \"client1\"\nauthorities = [\"ca.pem\"]\ntime = \"build\"\n";

/// Returns the configuration of a firmware image whose `chanbind.toml` ends with what was written to `key.toml`.
fn encoded(workspace: &Workspace) -> Vec<u8> {
    let toml = HEAD.to_owned() + &workspace.read("key.toml");
    workspace.write("chanbind.toml", toml);
    build::from_file(&workspace.path("chanbind.toml")).unwrap()
}

#[test]
fn a_one_time_password_key_is_read_by_firmware() {
    let workspace = Workspace::new();
    workspace.provision("client1", &["--device-config", "key.toml"]);
    let bytes = encoded(&workspace);
    let config = Config::parse(&bytes).unwrap();
    assert_eq!(config.proof.tag, otp::TAG);
    let section = otp::Section::parse(config.proof.value).unwrap();
    let file = KeyFile::from_pem(&workspace.read("client1.pem")).unwrap();
    assert_eq!(section.client_id.as_str(), "client1");
    assert_eq!(section.key.private, file.private);
    assert_eq!(section.key.public, file.public);
}

#[test]
fn a_certified_key_is_read_by_firmware() {
    let workspace = Workspace::new();
    workspace.authority("devices", "/CN=devices", P256);
    workspace.issue("client1", "devices", &["--device-config", "key.toml"]);
    let bytes = encoded(&workspace);
    let config = Config::parse(&bytes).unwrap();
    assert_eq!(config.proof.tag, authenticator::TAG);
    let section = authenticator::Section::parse(config.proof.value).unwrap();
    let file = KeyFile::from_pem(&workspace.read("client1.pem")).unwrap();
    assert_eq!(section.key.public, file.public);
    let der = "x509 -in client1.crt -outform der -out client1.der";
    workspace.openssl(&der.split(' ').collect::<Vec<_>>());
    let der = std::fs::read(workspace.path("client1.der")).unwrap();
    assert_eq!(section.certificates, [der]);
}
