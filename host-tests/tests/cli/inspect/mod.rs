//! Captured authenticators and requests, and what is none.

mod authenticators;
mod requests;

use super::*;
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use chanbind::authenticator::header_fields::{self, AUTHENTICATOR_HEADER, REQUEST_HEADER};
use chanbind_core::{
    authenticator::{
        CertificateChain, Client, Endpoint, Extension, ExtensionType, OidFilter, Request,
        RequestParameters, Server,
    },
    crypto::{ecdsa::Signature, sha256},
    exporter::ExporterSecret,
    x509::SignatureScheme,
};
use chanbind_host_tests::pki::{Authority, Issued, for_device};
use p256::ecdsa::signature::hazmat::PrehashSigner;
use rcgen::{DistinguishedName, DnType, SanType};
use std::{io::Write, sync::Mutex};

const SCHEMES: [SignatureScheme; 3] = [
    SignatureScheme::ECDSA_SECP256R1_SHA256,
    SignatureScheme(0x0905),
    SignatureScheme(0xfe01),
];

/// Both ends of a connection.
struct Ends {
    client: Mutex<Endpoint<Client>>,
    server: Mutex<Endpoint<Server>>,
}

impl Ends {
    fn new(secret: &ExporterSecret) -> Self {
        Self {
            client: Mutex::new(Endpoint::new(secret).unwrap()),
            server: Mutex::new(Endpoint::new(secret).unwrap()),
        }
    }

    fn sha256() -> Self {
        Self::new(&ExporterSecret::sha256(&[7; 32]))
    }

    /// What the server asks the client.
    fn request(&self, parameters: &RequestParameters<'_>) -> Vec<u8> {
        let mut server = self.server.lock().unwrap();
        let made = server.request(parameters, vec![0; parameters.encoded_len()]);
        made.unwrap().as_bytes().to_vec()
    }

    /// By hand: more certificates than credentials can have, too.
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
    /// Runs `chanbind inspect WHAT -` on bytes.
    fn inspect(&self, what: &str, input: &[u8]) -> Output {
        let mut child = self
            .command(&["inspect", what, "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap()
    }

    fn explain(&self, what: &str, input: &[u8]) -> String {
        let output = self.inspect(what, input);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    }

    fn refuse(&self, what: &str, input: &[u8]) -> String {
        let output = self.inspect(what, input);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
        assert_eq!(output.stdout, b"");
        text(&output.stderr)
    }
}

fn contains_all(shown: &str, parts: &[&str]) {
    for part in parts {
        assert!(shown.contains(part), "{part:?}: {shown}");
    }
}

/// As people have them at hand.
#[tokio::test]
async fn every_form_says_the_same() {
    let workspace = Workspace::new();
    let device = Authority::new("devices").unwrap().issue(|_| {}).unwrap();
    let ends = Ends::sha256();
    let request = ends.request(&RequestParameters::new(&[1; 16], &SCHEMES));
    let authenticator = ends.answer(&request, &[&device]);
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
    // Another base64 is read, and remarked on.
    let padded = format!(
        "{}=",
        BASE64_STANDARD.encode(&request).trim_end_matches('=')
    );
    contains_all(
        &workspace.explain("request", padded.as_bytes()),
        &[
            requested.trim_end(),
            "  text         not base64url without padding",
        ],
    );

    // One taken for the other.
    contains_all(
        &workspace.refuse("authenticator", &request),
        &["this is a request", "`chanbind inspect request`"],
    );
    contains_all(
        &workspace.refuse(
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
async fn garbage_is_a_clear_error() {
    let workspace = Workspace::new();
    for what in ["authenticator", "request"] {
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
            let error = workspace.refuse(what, input);
            assert!(
                error.starts_with("chanbind: -: ") && error.contains(says),
                "{what} {input:?}: {error}"
            );
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
    let (_, error) = workspace.fail(&["inspect", "request", "missing"]);
    assert!(error.contains("missing: No such file"), "{error}");

    // Whatever is done to a good one, there is an answer.
    let device = Authority::new("devices")
        .unwrap()
        .issue(|params| for_device(params, "urn:x:1"));
    let ends = Ends::sha256();
    let request = ends.request(&RequestParameters::new(&[1; 16], &SCHEMES));
    let authenticator = ends.answer(&request, &[&device.unwrap()]);
    for (what, good) in [("request", &request), ("authenticator", &authenticator)] {
        for at in 0..good.len() {
            let mut changed = good.clone();
            changed[at] = match at % 3 {
                0 => 0xff,
                1 => changed[at] ^ 1,
                _ => changed[at].wrapping_add(0x20),
            };
            let output = workspace.inspect(what, &changed);
            let code = output.status.code();
            assert!(
                matches!(code, Some(0 | 1)),
                "{what} {at}: {code:?} {}",
                text(&output.stderr)
            );
        }
        for len in [2, 4, 5, good.len() / 2, good.len() - 1] {
            contains_all(
                &workspace.refuse(what, &good[..len]),
                &["a length field does not match"],
            );
        }
    }
}

#[test]
fn keys_are_told_apart() {
    let workspace = Workspace::new();
    workspace.authority("devices", "/CN=devices", P256);
    workspace.provision("hmac", &[]);
    workspace.issue("signing", "devices", &[]);
    let (shown, _) = workspace.succeed(&["inspect", "key", "hmac.pem"]);
    contains_all(
        &shown,
        &[
            "keyed hash (HMAC with SHA-256)",
            "chanbind connect --client-id",
        ],
    );
    let (shown, _) = workspace.succeed(&["inspect", "key", "signing.pem"]);
    workspace.openssl(&[
        "x509",
        "-in",
        "signing.crt",
        "-noout",
        "-pubkey",
        "-out",
        "spki.pem",
    ]);
    workspace.openssl(&[
        "pkey", "-pubin", "-in", "spki.pem", "-outform", "der", "-out", "spki.der",
    ]);
    let pin = hex::encode(sha256(&std::fs::read(workspace.path("spki.der")).unwrap()));
    contains_all(
        &shown,
        &[
            "ECC on P-256, signs (ECDSA with SHA-256)",
            "chanbind connect --authenticator",
            &format!("  pin          {pin} "),
            "\"signing\"",
        ],
    );
}
