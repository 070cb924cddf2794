//! The explanation of captured authenticators and requests.

mod authenticators;
mod requests;

use super::*;
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use chanbind::proof::authenticator::header_fields::{self, AUTHENTICATOR_HEADER, REQUEST_HEADER};
use chanbind_core::{
    authenticator::{
        CertificateChain, Client, Endpoint, Extension, ExtensionType, OidFilter, Request,
        RequestParameters, Server,
    },
    crypto::{ecdsa::Signature, sha256},
    exporter::ExporterSecret,
    x509::SignatureScheme,
};
use chanbind_host_tests::pki::Issued;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use rcgen::{DistinguishedName, DnType, SanType};
use std::sync::Mutex;

const SCHEMES: [SignatureScheme; 3] = [
    SignatureScheme::ECDSA_SECP256R1_SHA256,
    SignatureScheme(0x0905),
    SignatureScheme(0xfe01),
];

/// The endpoints of both sides of one connection.
struct Endpoints {
    client: Mutex<Endpoint<Client>>,
    server: Mutex<Endpoint<Server>>,
}

impl Endpoints {
    fn new(secret: &ExporterSecret) -> Self {
        Self {
            client: Mutex::new(Endpoint::new(secret).unwrap()),
            server: Mutex::new(Endpoint::new(secret).unwrap()),
        }
    }

    fn sha256() -> Self {
        Self::new(&ExporterSecret::sha256(&[7; 32]))
    }

    /// Returns a request of the server to the client.
    fn request(&self, parameters: &RequestParameters<'_>) -> Vec<u8> {
        let mut server = self.server.lock().unwrap();
        let request = server.request(parameters, vec![0; parameters.encoded_len()]);
        request.unwrap().as_bytes().to_vec()
    }

    /// Returns an authenticator of the client. Unlike a client's credentials, it can have any number of certificates.
    fn answer(&self, request: &[u8], issued: &[&Issued]) -> Vec<u8> {
        let request = Request::parse(request).unwrap();
        let certificates: Vec<_> = issued
            .iter()
            .map(|one| one.certificate.as_slice())
            .collect();
        let chain = CertificateChain::new(&certificates, SCHEMES[0]);
        let mut out = vec![0; chain.max_authenticator_len()];
        let mut client = self.client.lock().unwrap();
        let unsigned = client.authenticate(&request, &chain, &mut out).unwrap();
        let signature: p256::ecdsa::Signature =
            issued[0].key.sign_prehash(&unsigned.sha256()).unwrap();
        let (r, s) = signature.split_bytes();
        let signature = Signature {
            r: r.into(),
            s: s.into(),
        };
        unsigned.sign_ecdsa(&signature).unwrap().to_vec()
    }
}

impl Workspace {
    /// Runs `chanbind inspect SUBJECT -` with `input` on standard input.
    fn inspect(&self, subject: &str, input: &[u8]) -> Output {
        self.run_on(&["inspect", subject, "-"], input)
    }

    /// Returns the explanation of `input`.
    fn explain(&self, subject: &str, input: &[u8]) -> String {
        let output = self.inspect(subject, input);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Returns the error for `input`.
    fn reject(&self, subject: &str, input: &[u8]) -> String {
        let output = self.inspect(subject, input);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
        assert_eq!(output.stdout, b"");
        text(&output.stderr)
    }
}

#[tokio::test]
async fn bytes_base64url_and_header_fields_are_explained_alike() {
    let workspace = Workspace::without_tpm();
    let device = Authority::new("devices").unwrap().issue(|_| {}).unwrap();
    let endpoints = Endpoints::sha256();
    let request = endpoints.request(&RequestParameters::new(&[1; 16], &SCHEMES));
    let authenticator = endpoints.answer(&request, &[&device]);
    let credentials = header_fields::credentials(&authenticator);
    let credentials = credentials.to_str().unwrap();
    let challenge = header_fields::challenge(&request);
    let challenge = challenge.to_str().unwrap();
    let both = format!(
        "HTTP/1.1 401 Unauthorized\r\ndate: Tue, 24 Nov 2026 19:26:17 GMT\r\nwww-authenticate: Basic realm=\"a, b\", {challenge}\r\n{AUTHENTICATOR_HEADER}: {}\r\n\r\nprove who you are\n",
        BASE64_URL_SAFE_NO_PAD.encode(&authenticator)
    );
    let encoded = BASE64_URL_SAFE_NO_PAD.encode(&authenticator);
    let (first, second) = encoded.split_at(64);
    let shown = workspace.explain("authenticator", &authenticator);
    for form in [
        encoded.clone(),
        format!("{first}\n{second}\n"),
        credentials.to_owned(),
        format!("Authorization: {credentials}"),
        format!("> authorization: {credentials}\r\n"),
        both.clone(),
        format!(
            "{}: {encoded}",
            AUTHENTICATOR_HEADER.as_str().to_uppercase()
        ),
    ] {
        assert_eq!(
            workspace.explain("authenticator", form.as_bytes()),
            shown,
            "{form}"
        );
    }
    let requested = workspace.explain("request", &request);
    let encoded = BASE64_URL_SAFE_NO_PAD.encode(&request);
    for form in [
        encoded.clone(),
        challenge.to_owned(),
        format!("WWW-Authenticate: {challenge}"),
        format!("< www-authenticate: Negotiate YWJj==, {challenge}\r\n"),
        both,
        format!("{REQUEST_HEADER}: {encoded}"),
    ] {
        assert_eq!(
            workspace.explain("request", form.as_bytes()),
            requested,
            "{form}"
        );
    }
    // Other encodings in base64 are read too, with a remark.
    let padded = format!(
        "{}=",
        BASE64_STANDARD.encode(&request).trim_end_matches('=')
    );
    assert_contains_all(
        &workspace.explain("request", padded.as_bytes()),
        &[
            requested.trim_end(),
            "  text         not base64url without padding",
        ],
    );

    // One kind of message is not mistaken for the other.
    assert_contains_all(
        &workspace.reject("authenticator", &request),
        &["this is a request", "`chanbind inspect request`"],
    );
    assert_contains_all(
        &workspace.reject(
            "request",
            format!("Authorization: {credentials}").as_bytes(),
        ),
        &[
            "this is an authenticator",
            "`chanbind inspect authenticator`",
        ],
    );
}

#[tokio::test]
async fn malformed_input_is_an_error_in_one_line() {
    let workspace = Workspace::without_tpm();
    for subject in ["authenticator", "request"] {
        for (input, says) in [
            (&b""[..], "the input is empty"),
            (b"\n", "the input is empty"),
            (b"hello, world", "give a"),
            (b"AAAA", "the handshake message has type 0"),
            (b"A", "not base64url"),
            (b"\x00\xff\x00", "the handshake message has type 0"),
            (b"Authorization: Bearer abc", "give a"),
            (
                b"WWW-Authenticate: Exported-Authenticator realm=\"x\"",
                "give a",
            ),
            ("Authorization: \u{fc}".as_bytes(), "give a"),
        ] {
            let error = workspace.reject(subject, input);
            assert!(
                error.starts_with("chanbind: -: ") && error.contains(says),
                "{subject} {input:?}: {error}"
            );
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
    let (_, error) = workspace.fail(&["inspect", "request", "missing"]);
    assert!(error.contains("missing: No such file"), "{error}");
}

/// A program that panics exits with 101.
#[tokio::test]
async fn changed_messages_are_explained_or_rejected_without_a_panic() {
    let workspace = Workspace::without_tpm();
    let device = Authority::new("devices")
        .unwrap()
        .issue(|params| for_device(params, "urn:x:1"));
    let endpoints = Endpoints::sha256();
    let request = endpoints.request(&RequestParameters::new(&[1; 16], &SCHEMES));
    let authenticator = endpoints.answer(&request, &[&device.unwrap()]);
    for (subject, message) in [("request", &request), ("authenticator", &authenticator)] {
        for at in 0..message.len() {
            let mut changed = message.clone();
            changed[at] = match at % 3 {
                0 => 0xff,
                1 => changed[at] ^ 1,
                _ => changed[at].wrapping_add(0x20),
            };
            let output = workspace.inspect(subject, &changed);
            let (out, err) = (text(&output.stdout), text(&output.stderr));
            match output.status.code() {
                Some(0) => assert!(out.contains("not verified here") && err.is_empty(), "{err}"),
                Some(1) => assert!(out.is_empty() && err.starts_with("chanbind: -: "), "{err}"),
                other => panic!("{subject} {at}: {other:?} {err}"),
            }
        }
        for len in [2, 4, 5, message.len() / 2, message.len() - 1] {
            assert_contains_all(
                &workspace.reject(subject, &message[..len]),
                &["a length field does not match"],
            );
        }
    }
}
