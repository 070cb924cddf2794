//! The explanation of authenticators.

use super::*;

#[tokio::test]
async fn certificates_signature_and_size_are_explained() {
    let workspace = Workspace::without_tpm();
    let authority = Authority::new("devices").unwrap();
    let device = authority.issue(|params| {
        for_device(params, "urn:device:1");
        params
            .subject_alt_names
            .push(SanType::IpAddress([10, 0, 0, 1].into()));
    });
    let device = device.unwrap();
    workspace.write("device.pem", device.pem());
    let expired = authority.issue(|params| {
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let expired = expired.unwrap();
    let endpoints = Endpoints::sha256();
    let request = endpoints.request(&RequestParameters::new(&[0xcd; 4], &SCHEMES));
    let authenticator = endpoints.answer(&request, &[&device, &expired]);

    // OpenSSL computes the same pin.
    workspace.openssl(&[
        "x509",
        "-in",
        "device.pem",
        "-noout",
        "-pubkey",
        "-out",
        "spki.pem",
    ]);
    workspace.openssl(&[
        "pkey", "-pubin", "-in", "spki.pem", "-outform", "der", "-out", "spki.der",
    ]);
    let pin = hex::encode(sha256(&std::fs::read(workspace.path("spki.der")).unwrap()));
    let shown = workspace.explain("authenticator", &authenticator);
    assert_contains_all(
        &shown,
        &[
            "authenticator with a certificate; not verified here\n",
            "  context      cdcdcdcd (4 bytes)\n",
            "  certificate  1 of 2, the sender's, ",
            "    subject    CN=chanbind test server\n",
            "    issuer     CN=devices\n",
            "    alt name   URI:urn:device:1\n",
            "    alt name   IP:10.0.0.1\n",
            "    for        clients\n",
            "    key        EC on P-256\n",
            &format!("    pin        {pin} (SHA-256 of SubjectPublicKeyInfo)\n"),
            "  certificate  2 of 2, ",
            "Jan  1 00:00:00 2021 +00:00; expired\n",
            "  signature    ecdsa_secp256r1_sha256, 7",
            "  finished     32 bytes: of a connection with SHA-256\n",
            &format!(
                "  size         {} bytes of at most 8192\n",
                authenticator.len()
            ),
        ],
    );

    let endpoints = Endpoints::new(&ExporterSecret::sha384(&[7; 48]));
    let request = endpoints.request(&RequestParameters::new(&[1], &SCHEMES));
    let parsed = Request::parse(&request).unwrap();
    let mut out = [0; 64];
    let empty = (endpoints.client.lock().unwrap())
        .decline(&parsed, &mut out)
        .unwrap()
        .to_vec();
    assert_contains_all(
        &workspace.explain("authenticator", &empty),
        &[
            "empty authenticator: the sender declines; not verified here\n",
            "  finished     48 bytes: of a connection with SHA-384\n",
            "  size         52 bytes of at most 8192\n",
        ],
    );
}

#[test]
fn authenticators_of_another_implementation_are_explained() {
    let workspace = Workspace::without_tpm();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/rfc9261-cocos.json");
    let vectors: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut count = 0;
    for session in vectors["sessions"].as_array().unwrap() {
        let hash = session["hash"].as_str().unwrap();
        for vector in session["authenticators"].as_array().unwrap() {
            let bytes = |name: &str| vector[name].as_str().map(|text| hex::decode(text).unwrap());
            let context = format!("  context      {} (", vector["context"].as_str().unwrap());
            let shown = workspace.explain("authenticator", &bytes("authenticator").unwrap());
            assert_contains_all(&shown, &[&format!("of a connection with {hash}\n")]);
            if let Some(certificate) = bytes("certificate") {
                let pin = chanbind_core::x509::spki_sha256(&certificate).unwrap();
                assert_contains_all(&shown, &[&context, &hex::encode(pin), "DNS:"]);
            } else {
                assert!(shown.starts_with("empty authenticator"), "{shown}");
            }
            if let Some(request) = bytes("request") {
                assert_contains_all(&workspace.explain("request", &request), &[&context]);
            }
            count += 1;
        }
    }
    assert!(count >= 4, "the file has {count} authenticators");
}

/// A peer could put commands for the terminal into the names of its certificate.
#[tokio::test]
async fn control_characters_in_names_are_escaped() {
    let workspace = Workspace::without_tpm();
    let authority = Authority::new("devices").unwrap();
    let device = authority.issue(|params| {
        for_device(params, "urn:x:\u{7}\r\n  signature    fine");
        params.distinguished_name = DistinguishedName::new();
        let name = "K\u{f6}nig\u{202e}\u{1b}[2J\n  issuer     CN=root";
        params.distinguished_name.push(DnType::CommonName, name);
    });
    let endpoints = Endpoints::sha256();
    let request = endpoints.request(&RequestParameters::new(&[1], &SCHEMES));
    let device = device.unwrap();
    // There are more certificates than a peer considers.
    let authenticator = endpoints.answer(&request, &[&device; 10]);
    let shown = workspace.explain("authenticator", &authenticator);
    assert_contains_all(
        &shown,
        &[
            "subject    CN=K\u{f6}nig\\E2\\80\\AE\\1B[2J\\0A  issuer     CN=root\n",
            "alt name   URI:urn:x:\\07\\0D\\0A  signature    fine\n",
            "  certificate  10 of 10, more than the 9 that a peer may consider",
        ],
    );
    assert!(
        shown.chars().all(|c| !c.is_control() || c == '\n'),
        "{shown:?}"
    );
}
