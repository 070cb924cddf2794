//! Rejected authenticators and the reasons, each created as by a malicious sender that has the keys of the connection.

mod certificates;
mod contexts;
mod der;
mod framing;
mod handmade;
mod lengths;
mod maker;
mod requests;
mod selection;
mod signatures;
mod transcripts;

use super::*;
use chanbind_core::{
    authenticator::{AuthenticateError, MalformedMessage, OidFilter, RequestError, Unsuitable},
    binding::Side,
    x509::PathError,
};
use maker::{Maker, Place};

const CONTEXT: &[u8] = b"sixteen bytes or more";

/// Returns the encoded request of a server with these parameters. It is the same each time.
fn request_with(parameters: &RequestParameters<'_>) -> Vec<u8> {
    let mut server = Connection::new(1).server;
    create_request(&mut server, parameters).as_bytes().to_vec()
}

fn request() -> Vec<u8> {
    request_with(&parameters(CONTEXT))
}

/// Validates an authenticator as the server of connection 1 that has sent a request with these parameters.
fn verdict_with(
    parameters: &RequestParameters<'_>,
    authority: &Authority,
    authenticator: &[u8],
) -> Result<(), ValidateError> {
    let mut server = Connection::new(1).server;
    let pending = create_request(&mut server, parameters);
    validate(&mut server, pending, authenticator, authority).map(|_| ())
}

fn verdict(pki: &Pki, authenticator: &[u8]) -> Result<(), ValidateError> {
    verdict_with(&parameters(CONTEXT), &pki.authority, authenticator)
}

/// Returns a maker of an honest client's authenticator for `request`.
fn maker<'a>(pki: &'a Pki, request: &'a [u8]) -> Maker<'a> {
    Maker::new(Side::Client, request, CONTEXT, &pki.client)
}

/// The rejections of this module prove nothing unless the honest authenticators of [`Maker`] are accepted.
#[test]
fn accepts_honest_authenticators_of_the_maker() {
    let pki = Pki::new();
    let request = request();
    assert_eq!(verdict(&pki, &maker(&pki, &request).make()), Ok(()));
    let empty = maker(&pki, &request).empty();
    assert_eq!(verdict(&pki, &empty), Err(ValidateError::Empty));
    // The empty authenticator is deterministic; the other one has a signature that differs each time.
    let by_core = decline(&mut Connection::new(1).client, &request);
    assert_eq!(empty, by_core);
    let by_core = authenticate(&mut Connection::new(1).client, &request, &pki.client);
    let certificate = maker(&pki, &request).certificate();
    assert!(by_core.starts_with(&certificate));

    let authenticator = Maker::new(Side::Server, &[], CONTEXT, &pki.server).make();
    let mut client = Connection::new(1).client;
    validate_spontaneous(&mut client, &authenticator, &pki.authority).unwrap();

    let mut client = Connection::new(1).client;
    let pending = create_request(&mut client, &parameters(CONTEXT));
    let request = pending.as_bytes().to_vec();
    let authenticator = Maker::new(Side::Server, &request, CONTEXT, &pki.server).make();
    validate(&mut client, pending, &authenticator, &pki.authority).unwrap();
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

/// Returns true for the errors of Finished and of the checks before it.
fn is_before_the_path(error: &ValidateError) -> bool {
    matches!(
        error,
        ValidateError::Malformed(_)
            | ValidateError::Context
            | ValidateError::Scheme(_)
            | ValidateError::UnsolicitedExtension(_)
            | ValidateError::Finished
    )
}

#[test]
fn rejects_authenticator_with_any_flipped_bit() {
    let pki = Pki::new();
    let request = request();
    let genuine = authenticate(&mut Connection::new(1).client, &request, &pki.client);
    assert_eq!(verdict(&pki, &genuine), Ok(()));
    for bit in 0..genuine.len() * 8 {
        let error = verdict(&pki, &flipped(&genuine, bit)).unwrap_err();
        assert!(is_before_the_path(&error), "bit {bit}: {error}");
    }
}

#[test]
fn rejects_empty_authenticator_with_any_flipped_bit() {
    let pki = Pki::new();
    let genuine = decline(&mut Connection::new(1).client, &request());
    assert_eq!(verdict(&pki, &genuine), Err(ValidateError::Empty));
    for bit in 0..genuine.len() * 8 {
        let error = verdict(&pki, &flipped(&genuine, bit)).unwrap_err();
        assert!(is_before_the_path(&error), "bit {bit}: {error}");
    }
}

#[test]
fn rejects_spontaneous_authenticator_with_any_flipped_bit() {
    let pki = Pki::new();
    let genuine = authenticate_spontaneously(&mut Connection::new(1).server, CONTEXT, &pki.server);
    let mut client = Connection::new(1).client;
    for bit in 0..genuine.len() * 8 {
        let changed = flipped(&genuine, bit);
        let error = validate_spontaneous(&mut client, &changed, &pki.authority).unwrap_err();
        assert!(is_before_the_path(&error), "bit {bit}: {error}");
    }
    // No rejected authenticator has used the context.
    validate_spontaneous(&mut client, &genuine, &pki.authority).unwrap();
}

/// The peer itself can change the certificate, and create a Finished and a signature over the change.
#[test]
fn rejects_changed_certificate_with_valid_finished() {
    let pki = Pki::new();
    let request = request();
    for byte in 0..pki.client.certificate.len() {
        let mut maker = maker(&pki, &request);
        maker.entries[0].0 = flipped(&pki.client.certificate, byte * 8 + byte % 8);
        let error = verdict(&pki, &maker.make()).unwrap_err();
        assert!(matches!(error, ValidateError::Path(_)), "{byte}: {error}");
    }
}

#[test]
fn rejects_changed_signature_with_valid_finished() {
    let pki = Pki::new();
    let request = request();
    // The length differs between signatures.
    for byte in 0..70 {
        let mut maker = maker(&pki, &request);
        maker.signer = Box::new(|message| {
            let signature = maker::by_p256(&pki.client.key, message);
            let byte = byte % signature.len();
            flipped(&signature, byte * 8 + byte % 8)
        });
        let refused = verdict(&pki, &maker.make());
        assert_eq!(refused, Err(ValidateError::CertificateVerify), "{byte}");
    }
}

#[test]
fn rejects_truncated_authenticators() {
    let pki = Pki::new();
    let request = request();
    let genuine = authenticate(&mut Connection::new(1).client, &request, &pki.client);
    let empty = decline(&mut Connection::new(1).client, &request);
    for whole in [genuine, empty] {
        for len in 0..whole.len() {
            let error = verdict(&pki, &whole[..len]).unwrap_err();
            let expected = ValidateError::Malformed(MalformedMessage::Length);
            assert_eq!(error, expected, "{len}");
        }
    }
}

#[test]
fn rejects_authenticators_with_trailing_bytes() {
    let pki = Pki::new();
    let request = request();
    let genuine = authenticate(&mut Connection::new(1).client, &request, &pki.client);
    let empty = decline(&mut Connection::new(1).client, &request);
    let expected = Err(ValidateError::Malformed(MalformedMessage::TrailingBytes));
    for whole in [genuine, empty] {
        for byte in [0, maker::FINISHED] {
            assert_eq!(verdict(&pki, &[&*whole, &[byte]].concat()), expected);
        }
        assert_eq!(verdict(&pki, &[&*whole, &whole].concat()), expected);
    }
}

#[test]
fn rejects_bytes_that_are_not_an_authenticator() {
    let pki = Pki::new();
    let request = request();
    let refused = |bytes: &[u8]| verdict(&pki, bytes).unwrap_err();
    let length = ValidateError::Malformed(MalformedMessage::Length);
    assert_eq!(refused(&[]), length);
    assert_eq!(refused(&[0; 4096]), wrong_message(maker::CERTIFICATE, 0));
    assert_eq!(refused(&request), wrong_message(maker::CERTIFICATE, 13));
    assert_eq!(refused(b"\x0b\xff\xff\xff"), length);
    assert_eq!(refused(b"\x14\0\0\0"), length);
}

fn wrong_message(expected: u8, actual: u8) -> ValidateError {
    ValidateError::Malformed(MalformedMessage::Message { expected, actual })
}
