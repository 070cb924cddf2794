//! The explanation of requests.

use super::*;

#[test]
fn requests_of_a_server_are_explained() {
    let workspace = Workspace::without_tpm();
    workspace.authority("odd", "/C=DE/O=A, \"B\" \\+ C;/OU= x /CN=#odd", P256);
    let roots = chanbind::tls::roots_from_pem(workspace.read("odd.pem").as_bytes()).unwrap();
    let odd = roots.subjects().remove(0);
    let filters = [
        OidFilter {
            oid: &[6, 3, 0x55, 0x1d, 0x0f],
            values: &[3, 2, 7, 0x80],
        },
        OidFilter {
            oid: &[6, 3, 0x55, 0x1d, 0x25],
            values: &[0x30, 10, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 2],
        },
        OidFilter {
            oid: &[6, 3, 0x2a, 3, 4],
            values: &[],
        },
        OidFilter {
            oid: &[6, 3, 0x2a, 3, 5],
            values: &[5, 0],
        },
        OidFilter {
            oid: &[7, 7],
            values: &[],
        },
    ];
    let other = [Extension {
        extension_type: ExtensionType::STATUS_REQUEST,
        data: &[1, 0, 0, 0, 0],
    }];
    let authorities: [&[u8]; 2] = [odd.as_ref(), b"nonsense"];
    let mut parameters = RequestParameters::new(&[0xab; 16], &SCHEMES);
    parameters.certificate_authorities = &authorities;
    parameters.oid_filters = &filters;
    parameters.other = &other;
    let request = Endpoints::sha256().request(&parameters);
    let shown = workspace.explain("request", &request);
    // OpenSSL prints the name by RFC 2253, whose escapes RFC 4514 keeps.
    let subject = workspace.openssl(&[
        "x509", "-in", "odd.pem", "-noout", "-subject", "-nameopt", "RFC2253",
    ]);
    let subject = subject.trim().strip_prefix("subject=").unwrap().to_owned();
    assert_eq!(subject, r#"CN=\#odd,OU=\ x\ ,O=A\, \"B\" \+ C\;,C=DE"#);
    assert_contains_all(
        &shown,
        &[
            "request of a server to a client (CertificateRequest); not verified here\n",
            "  context      abababababababababababababababab (16 bytes)\n",
            "  schemes      ecdsa_secp256r1_sha256, mldsa65, 0xfe01\n",
            &format!("  authority    {subject}\n"),
            "  authority    not a distinguished name: 6e6f6e73656e7365\n",
            "  filter       keyUsage must have Digital Signature\n",
            "  filter       extendedKeyUsage must have clientAuth\n",
            "  filter       1.2.3.4 must be present\n",
            "  filter       1.2.3.5 must have 0500\n",
            "  filter       malformed, 0707 must be present\n",
            "  extension    status_request, 5 bytes\n",
            &format!("  size         {} bytes of at most 1024\n", request.len()),
        ],
    );
}

#[test]
fn requests_of_a_client_are_explained_even_if_too_long() {
    let workspace = Workspace::without_tpm();
    let endpoints = Endpoints::sha256();
    let mut parameters = RequestParameters::new(&[], &SCHEMES);
    parameters.server_name = Some("second.example");
    let in_certificates = [SignatureScheme::RSA_PKCS1_SHA256];
    parameters.signature_algorithms_cert = &in_certificates;
    let request = (endpoints.client.lock().unwrap()).request(&parameters, vec![0; 1024]);
    let request = request.unwrap().as_bytes().to_vec();
    assert_contains_all(
        &workspace.explain("request", &request),
        &[
            "request of a client to a server (ClientCertificateRequest)",
            "  context      empty\n",
            "  in its chain rsa_pkcs1_sha256\n",
            "  authority    any\n",
            "  server name  second.example\n",
        ],
    );
    // A request over the limit is explained too.
    let long = [0; 1100];
    let other = [Extension {
        extension_type: ExtensionType(0xfafa),
        data: &long,
    }];
    let mut parameters = RequestParameters::new(&[1], &SCHEMES);
    parameters.other = &other;
    let request = Endpoints::sha256().request(&parameters);
    assert_contains_all(
        &workspace.explain("request", &request),
        &[
            "  extension    0xfafa, 1100 bytes\n",
            "bytes: too long, a peer accepts at most 1024\n",
        ],
    );
}
