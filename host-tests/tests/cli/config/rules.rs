//! The proofs that rules require.

use super::*;
use chanbind::{
    client::{ConnectOptions, Connection},
    proof::{
        authenticator::Credentials,
        otp::{Form, Settings},
    },
    tls,
};
use chanbind_core::{kdf::HmacSha256, x509::spki_sha256};
use chanbind_host_tests::{
    client::{TestClient, one_time_password},
    pki::Authority,
};
use rcgen::CertificateParams;

const SECRET: &[u8] = b"a key with more than 16 bytes";

const RULES: &str = r#"
[proof.otp]
registry = "registry.toml"

[proof.authenticator]
client_ca = "devices.pem"

[proof.authenticator.authorities]
staff = "staffs.pem"

[[rule]]
path = "/"
any = ["otp", "authenticator"]

[[rule]]
path = "/passwords"
any = ["otp"]

[[rule]]
path = "/both"
all = ["otp", "authenticator"]

[[rule]]
path = "/health"
exempt = true

[[rule]]
path = "/maybe"
any = ["otp"]
optional = true

[[rule]]
path = "/staff"
any = ["authenticator:staff"]

[[rule]]
host = "Admin.example"
path = "/"
any = ["authenticator:staff"]
"#;

/// Creates a workspace with the client `client1`, a device `device` and a person `staff`, and the gateway of [`RULES`].
fn gateway() -> (Workspace, Gateway) {
    let workspace = Workspace::new();
    workspace.write("hmac.key", SECRET);
    workspace.provision("client1", &["--secret-file", "hmac.key"]);
    workspace.software_device("device", "devices");
    workspace.software_device("staff", "staffs");
    let gateway = workspace.configured_gateway(RULES);
    (workspace, gateway)
}

#[test]
fn each_path_requires_its_proofs() {
    let (workspace, gateway) = gateway();
    let otp = |path: &str| {
        let url = gateway.url_of(path);
        let output = workspace.run(&connect_otp(&url, "client1.pem"));
        (output.status.code().unwrap(), text(&output.stdout))
    };
    let certificate = |name: &str, path: &str| {
        let (url, file) = (gateway.url_of(path), format!("{name}.pem"));
        let key = format!("{name}.key");
        let output = workspace.run(&connect_authenticator(&url, &file, &key));
        (output.status.code().unwrap(), text(&output.stdout))
    };
    let admitted = |name: &str| (0, format!("ok {name}\n"));
    let device = "urn:example:device";
    assert_eq!(otp("/get"), admitted("client1"));
    assert_eq!(certificate("device", "/get"), admitted(device));
    assert_eq!(certificate("staff", "/get").0, 3);

    assert_eq!(otp("/passwords/a"), admitted("client1"));
    assert_eq!(certificate("device", "/passwords/a").0, 3);

    assert_eq!(otp("/both").0, 3);
    assert_eq!(certificate("device", "/both").0, 3);

    assert_eq!(certificate("device", "/health"), (4, "ok\n".to_owned()));

    assert_eq!(otp("/maybe"), admitted("client1"));
    assert_eq!(certificate("device", "/maybe"), (4, "ok\n".to_owned()));

    assert_eq!(
        certificate("staff", "/staff"),
        admitted("urn:example:staff")
    );
    assert_eq!(certificate("device", "/staff").0, 3);
    assert_eq!(otp("/staff").0, 3);
}

#[test]
fn a_host_has_rules_of_its_own() {
    let (workspace, gateway) = gateway();
    let url = format!("https://admin.example:{}/", gateway.port);
    let more = ["--server-name", "localhost", "--resolve", "127.0.0.1"];
    for (name, code) in [("staff", 0), ("device", 3)] {
        let (certificate, key) = (format!("{name}.pem"), format!("{name}.key"));
        let connect = connect_authenticator(&url, &certificate, &key);
        let output = workspace.run(&[&connect[..], &more].concat());
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{name}: {error}");
    }
    let otp = connect_otp(&url, "client1.pem");
    let (code, error) = workspace.fail(&[&otp[..], &more].concat());
    assert_eq!(code, 3, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_all_required_proofs_is_admitted() {
    let (workspace, gateway) = gateway();
    let roots = tls::roots_from_pem(workspace.read("ca.pem").as_bytes()).unwrap();
    let config = tls::client_config(roots).unwrap();
    let options = ConnectOptions::default();
    let connection = Connection::open("localhost", gateway.port, config, &options)
        .await
        .unwrap();
    let mut client = TestClient::new(connection);
    let url = gateway.url_of("/both").parse().unwrap();
    let mut request = Connection::get(&url).unwrap();
    one_time_password(
        &Settings::default(),
        "client1",
        Form::ApiKey,
        &client,
        &HmacSha256::new(SECRET),
        &mut request,
    )
    .await
    .unwrap();
    let credentials = Credentials::from_pem(
        workspace.read("device.pem").as_bytes(),
        workspace.read("device.key").as_bytes(),
    );
    let credentials = credentials.unwrap();
    let response = client.send_with(request, Some(&credentials)).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(text(response.body()), "ok client1\n");
    let log = gateway.stop();
    assert_contains_all(
        &log,
        &["subject=\"client1\"", "subject=\"urn:example:device\""],
    );
}

#[test]
fn revoked_keys_are_refused() {
    let workspace = Workspace::without_tpm();
    let device = workspace.software_device("device", "devices");
    let key = hex::encode(spki_sha256(&device.certificate).unwrap());
    let configuration = |revoked: &str| {
        format!(
            "[proof.authenticator]\nclient_ca = \"devices.pem\"\nrevoked = [\"{revoked}\"]\n\
             [[rule]]\npath = \"/\"\nany = [\"authenticator\"]\n"
        )
    };
    for (revoked, code) in [(key, 3), ("00".repeat(32), 0)] {
        let gateway = workspace.configured_gateway(&configuration(&revoked));
        let url = gateway.url();
        let output = workspace.run(&connect_authenticator(&url, "device.pem", "device.key"));
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{error}");
    }
}

#[test]
fn further_identities_are_proved_to_clients_that_ask() {
    let workspace = Workspace::without_tpm();
    workspace.software_device("device", "devices");
    let seconds = Authority::new("seconds").unwrap();
    workspace.write("seconds.pem", seconds.pem());
    for name in ["one", "two"] {
        let identity = seconds.issue(|params| {
            let names = vec![format!("{name}.example")];
            *params = CertificateParams::new(names).unwrap();
        });
        workspace.write_issued(name, &identity.unwrap());
    }
    let gateway = workspace.configured_gateway(
        "[proof.authenticator]\nclient_ca = \"devices.pem\"\n\
         [[proof.authenticator.identity]]\ncertificate = \"one.pem\"\nkey = \"one.key\"\n\
         [[proof.authenticator.identity]]\ncertificate = \"two.pem\"\nkey = \"two.key\"\n\
         [[rule]]\npath = \"/\"\nany = [\"authenticator\"]\n",
    );
    let url = gateway.url();
    for name in ["one.example", "two.example"] {
        let connect = connect_authenticator(&url, "device.pem", "device.key");
        let second = ["--second-ca", "seconds.pem", "--second-name", name];
        let (_, error) = workspace.succeed(&[&connect[..], &second].concat());
        assert!(
            error.contains(&format!("the server also proved to be {name}\n")),
            "{error}"
        );
    }
}
