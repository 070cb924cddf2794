//! Requests and authenticators (RFC 9261) as a peer sends them: parsed values are consistent, and an authenticator for a parsed
//! request can be parsed again.
#![no_main]

use chanbind_core::{
    authenticator::{
        Authenticator, CertificateChain, Client, Endpoint, Extension, ExtensionType, Request, Role,
        Server,
    },
    binding::Side,
    exporter::ExporterSecret,
    x509::SignatureScheme,
};
use libfuzzer_sys::fuzz_target;

/// A certificate with a key on P-256. Parsing does not need the private key.
const CERTIFICATE: &[u8] = include_bytes!("../seeds/certificate/requested_ecdsa_p256_sha256.der");

fuzz_target!(|bytes: &[u8]| {
    if let Ok(authenticator) = Authenticator::parse(bytes) {
        check_authenticator(bytes, &authenticator);
    }
    if let Ok(request) = Request::parse(bytes) {
        assert_eq!(request.as_bytes(), bytes);
        check_request(&request);
        match request.sender() {
            Side::Server => authenticate::<Client>(&request),
            Side::Client => authenticate::<Server>(&request),
        }
    }
});

fn check_authenticator(bytes: &[u8], authenticator: &Authenticator<'_>) {
    match authenticator {
        Authenticator::Empty(verify_data) => {
            assert_eq!(bytes.len(), verify_data.len() + 4);
            assert_eq!(authenticator.context(), None);
        }
        Authenticator::Certified(certified) => {
            assert_eq!(authenticator.context(), Some(certified.context()));
            assert!(certified.context().len() <= 255);
            let mut len = 4 + 1 + certified.context().len() + 3;
            for entry in certified.entries() {
                assert!(!entry.certificate.is_empty());
                len += 3 + entry.certificate.len() + 2;
                for extension in entry.extensions {
                    let found = entry.extensions.find(extension.extension_type);
                    assert_eq!(found, Some(extension.data));
                    len += 4 + extension.data.len();
                }
            }
            assert!(len > 4 + 1 + certified.context().len() + 3);
            len += 4 + 2 + 2 + certified.signature().len() + 4;
            // The remaining bytes are verify_data.
            assert!(len <= bytes.len());
            let _ = certified.scheme().is_for_messages();
        }
    }
}

fn check_request(request: &Request<'_>) {
    assert!(request.signature_algorithms().count() > 0);
    assert!(request.signature_algorithms_cert().count() > 0);
    if let Some(names) = request.certificate_authorities() {
        let mut count = 0;
        for name in names {
            assert!(!name.is_empty());
            count += 1;
        }
        assert!(count > 0);
    }
    for filter in request.oid_filters() {
        assert!(!filter.oid.is_empty());
    }
    if let Some(name) = request.server_name() {
        assert!(request.sender() == Side::Client && !name.is_empty() && name.is_ascii());
    }
    for extension in request.extensions() {
        let found = request.extensions().find(extension.extension_type);
        assert_eq!(found, Some(extension.data));
    }
}

/// Creates an authenticator for the request, with an invalid signature.
fn authenticate<R: Role>(request: &Request<'_>) {
    let endpoint =
        || Endpoint::<R>::new(&ExporterSecret::sha256(&[7; 32])).expect("an endpoint is created");
    let extensions = [
        Extension {
            extension_type: ExtensionType::STATUS_REQUEST,
            data: b"a response",
        },
        Extension {
            extension_type: ExtensionType::SIGNATURE_ALGORITHMS,
            data: b"of requests only",
        },
    ];
    let scheme = SignatureScheme::ECDSA_SECP256R1_SHA256;
    let mut chain = CertificateChain::new(&[CERTIFICATE], scheme);
    chain.extensions = &extensions;
    let mut out = [0; 1024];
    let satisfied = request.is_satisfied_by(&chain);
    match endpoint().authenticate(request, &chain, &mut out) {
        Ok(unsigned) => {
            assert_eq!(satisfied, Ok(()));
            let authenticator = unsigned
                .sign(&[0x30; 72])
                .expect("the signature fits the buffer");
            let authenticator =
                Authenticator::parse(authenticator).expect("the created authenticator is parsed");
            assert_eq!(authenticator.context(), Some(request.context()));
        }
        Err(error) => assert_eq!(satisfied.map_err(Into::into), Err(error)),
    }
    let empty = endpoint().decline(request, &mut out).map(<[u8]>::len);
    assert_eq!(empty, Ok(36));
}
