//! Keys for authenticators, requests and certificates; OpenSSL is the judge.

mod refused;

use super::*;

impl Workspace {
    /// Provisions `NAME.pem` with a certificate `NAME.crt` of an authority here.
    pub(crate) fn issue(&self, name: &str, authority: &str, more: &[&str]) -> String {
        let (ca, ca_key) = (format!("{authority}.pem"), format!("{authority}.key"));
        let certificate = format!("{name}.crt");
        let issue = [
            "--ca",
            &ca,
            "--ca-key",
            &ca_key,
            "--certificate",
            &certificate,
        ];
        let (out, err) =
            self.succeed(&[&provision(name, &format!("{name}.pem"))[..], &issue, more].concat());
        assert_eq!(out, "", "nothing for a registry");
        err
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn provision<'a>(client: &'a str, out: &'a str) -> Vec<&'a str> {
    vec![
        "provision",
        "--authenticator",
        "--client-id",
        client,
        "--out",
        out,
    ]
}

#[test]
fn certificates_are_what_openssl_takes() {
    let workspace = Workspace::new();
    workspace.authority("devices", "/C=DE/O=Works/CN=devices", P256);
    let names = [
        "--uri",
        "urn:example:1",
        "--dns",
        "one.example",
        "--days",
        "2",
    ];
    let said = workspace.issue("client1", "devices", &names);
    for part in [
        "wrote client1.pem, a key that was created in this TPM and never leaves it\n",
        "wrote client1.crt, its certificate for 2 days\n",
        "chanbind gateway --authenticator-ca devices.pem",
        "--parent-name 000b",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    workspace.openssl(&[
        "verify",
        "-x509_strict",
        "-purpose",
        "sslclient",
        "-CAfile",
        "devices.pem",
        "client1.crt",
    ]);
    let shown = workspace.openssl(&["x509", "-in", "client1.crt", "-noout", "-text"]);
    for part in [
        "Subject: CN = client1\n",
        "Issuer: C = DE, O = Works, CN = devices\n",
        "URI:urn:example:1, DNS:one.example\n",
        "CA:FALSE\n",
        "X509v3 Key Usage: critical\n                Digital Signature\n",
        "TLS Web Client Authentication\n",
        "ASN1 OID: prime256v1\n",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    // The authority's key identifier is its own.
    let identifier = |name, extension| {
        let shown = workspace.openssl(&["x509", "-in", name, "-noout", "-ext", extension]);
        shown.lines().nth(1).unwrap().trim().to_owned()
    };
    assert_eq!(
        identifier("client1.crt", "authorityKeyIdentifier"),
        identifier("devices.pem", "subjectKeyIdentifier")
    );
    // It has begun, and ends in two days.
    let check = |seconds: &str| {
        let arguments = ["x509", "-in", "client1.crt", "-noout", "-checkend", seconds];
        let mut command = Command::new("openssl");
        let run = command.args(arguments).current_dir(workspace.folder.path());
        run.output().unwrap().status.success()
    };
    assert!(check("172700") && !check("172900"));

    // Another one has another serial number.
    workspace.issue("client2", "devices", &[]);
    let serial = |name| workspace.openssl(&["x509", "-in", name, "-noout", "-serial"]);
    assert_ne!(serial("client1.crt"), serial("client2.crt"));
}

#[test]
fn authorities_of_other_kinds() {
    let workspace = Workspace::new();
    for (name, algorithm) in [
        ("p384", "ec -pkeyopt ec_paramgen_curve:P-384"),
        ("rsa", "rsa:2048"),
        ("ed25519", "ed25519"),
    ] {
        workspace.authority(name, &format!("/CN={name}"), algorithm);
        let client = format!("of-{name}");
        workspace.issue(&client, name, &[]);
        let (ca, certificate) = (format!("{name}.pem"), format!("{client}.crt"));
        workspace.openssl(&["verify", "-CAfile", &ca, &certificate]);
    }
    // An intermediate one's certificates are verified by way of it.
    workspace.openssl(&[
        "req",
        "-x509",
        "-nodes",
        "-newkey",
        "rsa:2048",
        "-subj",
        "/CN=between",
        "-CA",
        "rsa.pem",
        "-CAkey",
        "rsa.key",
        "-keyout",
        "between.key",
        "-out",
        "between.pem",
    ]);
    workspace.issue("below", "between", &[]);
    workspace.openssl(&[
        "verify",
        "-CAfile",
        "rsa.pem",
        "-untrusted",
        "between.pem",
        "below.crt",
    ]);
}

#[test]
fn requests_are_for_authorities_elsewhere() {
    let workspace = Workspace::new();
    workspace.authority("devices", "/CN=devices", P256);
    let names = ["--uri", "urn:example:1", "--dns", "one.example"];
    let more = ["--csr", "client1.csr", "--device-config", "device.toml"];
    let arguments = [&provision("client1", "client1.pem")[..], &more, &names].concat();
    let (out, said) = workspace.succeed(&arguments);
    assert_eq!(out, "");
    assert!(
        said.contains("have an authority sign the request"),
        "{said}"
    );
    let toml = workspace.read("device.toml");
    assert!(
        toml.starts_with("proof = \"authenticator\"\n# certificates = [\"...\"]  # put here")
            && toml.contains("\"client1.csr\"\n\n[key]\n"),
        "{toml}"
    );
    let shown = workspace.openssl(&["req", "-in", "client1.csr", "-noout", "-verify", "-text"]);
    for part in [
        "verify OK",
        "Subject: CN = client1\n",
        "URI:urn:example:1, DNS:one.example\n",
        "TLS Web Client Authentication",
        "CA:FALSE",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    workspace.openssl(&[
        "x509",
        "-req",
        "-in",
        "client1.csr",
        "-CA",
        "devices.pem",
        "-CAkey",
        "devices.key",
        "-copy_extensions",
        "copy",
        "-days",
        "3",
        "-out",
        "client1.crt",
    ]);
    let gateway = workspace.certified_gateway("devices.pem", &[]);
    let (out, _) = workspace.succeed(&[
        "connect",
        &gateway.url(),
        "--ca",
        "ca.pem",
        "--authenticator",
        "--certificate",
        "client1.crt",
        "--key",
        "client1.pem",
    ]);
    assert_eq!(out, "ok urn:example:1\n");
}

/// The table for firmware is what its configuration takes.
#[test]
fn firmware_takes_what_is_written_for_it() {
    let workspace = Workspace::new();
    workspace.authority("devices", "/CN=devices", P256);
    workspace.issue("client1", "devices", &["--device-config", "key.toml"]);
    let head = "host = \"gateway.example\"\nport = 8443\nclient_id = \"client1\"\nauthorities = [\"ca.pem\"]\ntime = \"build\"\n";
    workspace.write(
        "chanbind.toml",
        head.to_owned() + &workspace.read("key.toml"),
    );
    let config =
        chanbind_device_config::build::from_file(&workspace.path("chanbind.toml")).unwrap();
    let config = chanbind_device_config::Config::parse(&config).unwrap();
    let file = chanbind::tpm::KeyFile::from_pem(&workspace.read("client1.pem")).unwrap();
    assert_eq!(config.key.public, file.public);
    assert_eq!(config.proof, chanbind_device_config::Proof::Authenticator);
    workspace.openssl(&[
        "x509",
        "-in",
        "client1.crt",
        "-outform",
        "der",
        "-out",
        "client1.der",
    ]);
    let der = std::fs::read(workspace.path("client1.der")).unwrap();
    assert_eq!(config.certificates(), [der]);
}

#[test]
fn passwords_and_registers() {
    let workspace = Workspace::new();
    workspace.authority("devices", "/CN=devices", P256);
    workspace.write("password", "secret\n");
    let locks = ["--password-file", "password", "--pcrs", "sha256:0,16"];
    workspace.issue(
        "client1",
        "devices",
        &[&["--csr", "client1.csr"], &locks[..]].concat(),
    );
    workspace.openssl(&["req", "-in", "client1.csr", "-noout", "-verify"]);
    let gateway = workspace.certified_gateway("devices.pem", &[]);
    let url = gateway.url();
    let connect = [
        "connect",
        &url,
        "--ca",
        "ca.pem",
        "--authenticator",
        "--certificate",
        "client1.crt",
        "--key",
        "client1.pem",
    ];
    let with_password = [&connect[..], &["--password-file", "password"]].concat();
    workspace.succeed(&with_password);
    let (_, error) = workspace.fail(&connect);
    assert!(error.contains("password is wrong or missing"), "{error}");
    let value = format!("16:sha256={}", "22".repeat(32));
    workspace.swtpm.tool("tpm2_pcrextend", &[&value]);
    let (_, error) = workspace.fail(&with_password);
    assert!(
        error.contains("another value than when the key was provisioned"),
        "{error}"
    );
}
