//! Provisioning of signing keys, with certificate requests and certificates, which OpenSSL verifies.

mod refused;

use super::*;

use chanbind::tpm::KeyFile;

impl Workspace {
    /// Provisions `NAME.pem` with a certificate `NAME.crt` of an authority in the workspace. Returns the standard error.
    pub(crate) fn issue(&self, name: &str, authority: &str, more: &[&str]) -> String {
        let (ca, ca_key) = (format!("{authority}.pem"), format!("{authority}.key"));
        let (key, certificate) = (format!("{name}.pem"), format!("{name}.crt"));
        let mut arguments = provision(name, &key);
        arguments.extend(["--ca", &ca, "--ca-key", &ca_key]);
        arguments.extend(["--certificate", &certificate]);
        arguments.extend(more);
        let (out, err) = self.succeed(&arguments);
        assert_eq!(out, "", "there is no registry entry");
        err
    }
}

fn provision<'a>(client: &'a str, out: &'a str) -> Vec<&'a str> {
    let verb = ["provision", "authenticator"];
    [&verb[..], &["--client-id", client, "--out", out]].concat()
}

#[test]
fn openssl_verifies_issued_certificates() {
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
    let err = workspace.issue("client1", "devices", &names);
    for part in [
        "wrote client1.pem, a key that was created in this TPM and never leaves it\n",
        "wrote client1.crt, its certificate for 2 days\n",
        "chanbind gateway authenticator --client-ca devices.pem",
        "--parent-name 000b",
    ] {
        assert!(err.contains(part), "{part}: {err}");
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
    // The certificate names the authority's key as the authority itself does.
    let identifier = |name, extension| {
        let shown = workspace.openssl(&["x509", "-in", name, "-noout", "-ext", extension]);
        shown.lines().nth(1).unwrap().trim().to_owned()
    };
    assert_eq!(
        identifier("client1.crt", "authorityKeyIdentifier"),
        identifier("devices.pem", "subjectKeyIdentifier")
    );
    // The certificate is valid now, and for two days.
    let check = |seconds: &str| {
        let arguments = ["x509", "-in", "client1.crt", "-noout", "-checkend", seconds];
        workspace.try_openssl(&arguments).status.success()
    };
    assert!(check("172700") && !check("172900"));

    // Serial numbers differ.
    workspace.issue("client2", "devices", &[]);
    let serial = |name| workspace.openssl(&["x509", "-in", name, "-noout", "-serial"]);
    assert_ne!(serial("client1.crt"), serial("client2.crt"));
}

#[test]
fn authorities_can_have_other_algorithms_and_be_intermediate() {
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
    // Certificates of an intermediate authority are verified through it.
    workspace.openssl(&[
        "req",
        "-x509",
        "-nodes",
        "-newkey",
        "rsa:2048",
        "-subj",
        "/CN=intermediate",
        "-CA",
        "rsa.pem",
        "-CAkey",
        "rsa.key",
        "-keyout",
        "intermediate.key",
        "-out",
        "intermediate.pem",
    ]);
    workspace.issue("client", "intermediate", &[]);
    workspace.openssl(&[
        "verify",
        "-CAfile",
        "rsa.pem",
        "-untrusted",
        "intermediate.pem",
        "client.crt",
    ]);
}

#[test]
fn openssl_issues_certificates_for_requests() {
    let workspace = Workspace::new();
    workspace.authority("devices", "/CN=devices", P256);
    let names = ["--uri", "urn:example:1", "--dns", "one.example"];
    let more = ["--csr", "client1.csr", "--device-config", "device.toml"];
    let arguments = [&provision("client1", "client1.pem")[..], &more, &names].concat();
    let (out, err) = workspace.succeed(&arguments);
    assert_eq!(out, "");
    assert!(err.contains("have an authority sign the request"), "{err}");
    let toml = workspace.read("device.toml");
    assert!(
        toml.starts_with("[proof.authenticator]\n# certificates = [\"...\"]  # put here")
            && toml.contains("\"client1.csr\"\n\n[proof.authenticator.key]\n"),
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
    let gateway = workspace.authenticator_gateway("devices.pem", &[]);
    let url = gateway.url();
    let (out, _) = workspace.succeed(&connect_authenticator(&url, "client1.crt", "client1.pem"));
    assert_eq!(out, "ok urn:example:1\n");
}

#[test]
fn the_key_and_the_certificate_are_written_for_firmware() {
    let workspace = Workspace::new();
    workspace.authority("devices", "/CN=devices", P256);
    workspace.issue("client1", "devices", &["--device-config", "key.toml"]);
    let file = KeyFile::from_pem(&workspace.read("client1.pem")).unwrap();
    let toml = workspace.read("key.toml");
    let (head, table) = toml.split_once("\n\n").unwrap();
    assert_eq!(
        head,
        "[proof.authenticator]\ncertificates = [\"client1.crt\"]"
    );
    let (first, keys) = table.split_at(table.find("private").unwrap());
    assert!(
        first.starts_with("[proof.authenticator.key]\nparent_name = \"000b"),
        "{toml}"
    );
    assert_eq!(
        keys,
        format!(
            "private = \"{}\"\npublic = \"{}\"\n",
            hex::encode(&file.private),
            hex::encode(&file.public)
        )
    );
}

#[test]
fn keys_with_password_and_pcrs_are_used_only_if_both_match() {
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
    let gateway = workspace.authenticator_gateway("devices.pem", &[]);
    let url = gateway.url();
    let connect = connect_authenticator(&url, "client1.crt", "client1.pem");
    let with_password = [&connect[..], &["--password-file", "password"]].concat();
    workspace.succeed(&with_password);
    let (code, error) = workspace.fail(&connect);
    assert_eq!(code, 7);
    assert!(error.contains("password is wrong or missing"), "{error}");
    let value = format!("16:sha256={}", "22".repeat(32));
    workspace.tpm().tool("tpm2_pcrextend", &[&value]);
    let (code, error) = workspace.fail(&with_password);
    assert_eq!(code, 7);
    assert!(
        error.contains("another value than when the key was provisioned"),
        "{error}"
    );
}
