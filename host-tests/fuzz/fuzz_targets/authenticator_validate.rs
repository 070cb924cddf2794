//! Authenticators for a recorded connection with a pending request: only the recorded one is valid, even if the others have a
//! valid Finished.
#![no_main]

use chanbind_core::{
    authenticator::{
        Client, Endpoint, ExtensionType, Offered, PendingRequest, Request, RequestParameters,
        Server, ValidateError,
    },
    exporter::{Exporter, ExporterError, HashAlgorithm, Protocol},
    x509::{Anchors, PathRules, SignatureScheme, Time, Usage},
};
use hmac::{Hmac, Mac};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// The first recorded session with its first authenticator, which was requested, and its second, which is spontaneous.
struct Recorded {
    client: Keys,
    server: Keys,
    request: Vec<u8>,
    certificate: Vec<u8>,
    genuine: Vec<u8>,
    spontaneous: Vec<u8>,
    spontaneous_certificate: Vec<u8>,
}

struct Keys {
    handshake_context: Vec<u8>,
    finished: Vec<u8>,
}

static RECORDED: LazyLock<Recorded> = LazyLock::new(|| {
    let json = include_str!("../../vectors/rfc9261-cocos.json");
    let nth = |name: &str, n: usize| -> Vec<u8> {
        let start = format!("\"{name}\": \"");
        let value = json
            .split(&start)
            .nth(n + 1)
            .expect("the file has this field");
        let value = value.split('"').next().expect("the field has an end");
        let digit =
            |at| u8::from_str_radix(&value[at..at + 2], 16).expect("the field is hexadecimal");
        (0..value.len()).step_by(2).map(digit).collect()
    };
    let keys = |side| Keys {
        handshake_context: nth(&format!("{side}_handshake_context"), 0),
        finished: nth(&format!("{side}_finished_key"), 0),
    };
    Recorded {
        client: keys("client"),
        server: keys("server"),
        request: nth("request", 0),
        certificate: nth("certificate", 0),
        genuine: nth("authenticator", 0),
        spontaneous: nth("authenticator", 1),
        spontaneous_certificate: nth("certificate", 1),
    }
});

impl Exporter for Recorded {
    fn protocol(&self) -> Protocol {
        Protocol::Tls13
    }

    fn hash(&self) -> Option<HashAlgorithm> {
        Some(HashAlgorithm::SHA256)
    }

    fn export_keying_material(
        &self,
        label: &[u8],
        _context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ExporterError> {
        out.copy_from_slice(match label {
            b"EXPORTER-client authenticator handshake context" => &self.client.handshake_context,
            b"EXPORTER-server authenticator handshake context" => &self.server.handshake_context,
            b"EXPORTER-client authenticator finished key" => &self.client.finished,
            b"EXPORTER-server authenticator finished key" => &self.server.finished,
            _ => return Err(ExporterError::Stack),
        });
        Ok(())
    }
}

/// Appends a valid Finished to `messages`, which are usually Certificate and CertificateVerify.
fn finish(keys: &Keys, request: &[u8], messages: &[u8]) -> Vec<u8> {
    let transcript = [&*keys.handshake_context, request, messages].concat();
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&keys.finished).expect("HMAC accepts any key length");
    mac.update(&Sha256::digest(transcript));
    [messages, &[20, 0, 0, 32], &mac.finalize().into_bytes()].concat()
}

/// Returns the message Certificate of an authenticator.
fn certificate_of(authenticator: &[u8]) -> &[u8] {
    let [_, high, middle, low, ..] = *authenticator else {
        return &[];
    };
    let len = u32::from_be_bytes([0, high, middle, low]) as usize;
    &authenticator[..4 + len]
}

const OFFERED: Offered<'_> = Offered {
    signature_algorithms: &[SignatureScheme::ECDSA_SECP256R1_SHA256],
    signature_algorithms_cert: &[],
    extensions: &[ExtensionType::STATUS_REQUEST],
};

fn pending(server: &mut Endpoint<Server>) -> PendingRequest<Server, [u8; 64]> {
    let request = Request::parse(&RECORDED.request).expect("the recorded request is valid");
    let schemes: Vec<_> = request.signature_algorithms().collect();
    let parameters = RequestParameters::new(request.context(), &schemes);
    let pending = server
        .request(&parameters, [0; 64])
        .expect("the request is created");
    assert_eq!(pending.as_bytes(), RECORDED.request);
    pending
}

fuzz_target!(|input: &[u8]| {
    let Some((mode, bytes)) = input.split_first() else {
        return;
    };
    let recorded = &*RECORDED;
    let anchors: [&[u8]; 2] = [&recorded.certificate, &recorded.spontaneous_certificate];
    let anchors = Anchors::new(&anchors).expect("the anchors are valid");
    let rules = PathRules::new(&anchors, Usage::ClientAuth, Time::At(1_800_000_000));

    let (requested, spontaneous) = match mode {
        0 => (bytes.to_vec(), bytes.to_vec()),
        _ => (
            finish(&recorded.client, &recorded.request, bytes),
            finish(&recorded.server, &[], bytes),
        ),
    };
    let mut server = Endpoint::<Server>::new(recorded).expect("an endpoint is created");
    let pending = pending(&mut server);
    match server.validate(pending, &requested, &rules) {
        Ok(_) if *mode == 0 => assert_eq!(requested, recorded.genuine),
        // An ECDSA signature (r, s) has the twin (r, -s), and the creator of Finished can send either of them.
        Ok(_) => assert_eq!(
            certificate_of(&requested),
            certificate_of(&recorded.genuine)
        ),
        Err(ValidateError::Empty) => {
            let request = Request::parse(&recorded.request).expect("the recorded request is valid");
            let mut client = Endpoint::<Client>::new(recorded).expect("an endpoint is created");
            let mut out = [0; 36];
            let empty = client
                .decline(&request, &mut out)
                .expect("the client can decline");
            assert_eq!(requested, empty);
        }
        // Finished covers the input, so that it only fails if the input does not have the genuine Certificate.
        Err(ValidateError::Finished) if *mode != 0 => {
            assert_ne!(
                certificate_of(&requested),
                certificate_of(&recorded.genuine)
            );
        }
        Err(_) => assert_ne!(requested, recorded.genuine),
    }
    let mut client = Endpoint::<Client>::new(recorded).expect("an endpoint is created");
    match client.validate_spontaneous(&OFFERED, &spontaneous, &rules) {
        Ok(_) if *mode == 0 => assert_eq!(spontaneous, recorded.spontaneous),
        Ok(_) => assert_eq!(
            certificate_of(&spontaneous),
            certificate_of(&recorded.spontaneous)
        ),
        Err(_) => assert_ne!(spontaneous, recorded.spontaneous),
    }
});
