//! What is refused, and why: each as its sender would make it who has the keys of the connection, and wants to be believed.

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

/// A server's request with this context; it is the same each time.
fn request_with(parameters: &RequestParameters<'_>) -> Vec<u8> {
    let mut server = Connection::new(1).server;
    ask(&mut server, parameters).as_bytes().to_vec()
}

fn request() -> Vec<u8> {
    request_with(&parameters(CONTEXT))
}

/// What a server that has asked so, on connection 1, says to an authenticator.
fn verdict_with(
    parameters: &RequestParameters<'_>,
    authority: &Authority,
    authenticator: &[u8],
) -> Result<(), ValidateError> {
    let mut server = Connection::new(1).server;
    let pending = ask(&mut server, parameters);
    judge(&mut server, pending, authenticator, authority).map(|_| ())
}

fn verdict(pki: &Pki, authenticator: &[u8]) -> Result<(), ValidateError> {
    verdict_with(&parameters(CONTEXT), &pki.authority, authenticator)
}

/// An honest client's answer, by hand.
fn maker<'a>(pki: &'a Pki, request: &'a [u8]) -> Maker<'a> {
    Maker::new(Side::Client, request, CONTEXT, &pki.client)
}

/// What all the refusals are worth nothing without.
#[test]
fn the_maker_can_be_honest() {
    let pki = Pki::new();
    let request = request();
    assert_eq!(verdict(&pki, &maker(&pki, &request).make()), Ok(()));
    let empty = maker(&pki, &request).empty();
    assert_eq!(verdict(&pki, &empty), Err(ValidateError::Empty));
    // The empty one is the same, whoever made it; the other has a signature that is never the same.
    let by_core = decline(&mut Connection::new(1).client, &request);
    assert_eq!(empty, by_core);
    let by_core = answer(&mut Connection::new(1).client, &request, &pki.client);
    let certificate = maker(&pki, &request).certificate();
    assert!(by_core.starts_with(&certificate));

    let made = Maker::new(Side::Server, &[], CONTEXT, &pki.server).make();
    let mut client = Connection::new(1).client;
    judge_spontaneous(&mut client, &made, &pki.authority).unwrap();

    let mut client = Connection::new(1).client;
    let pending = ask(&mut client, &parameters(CONTEXT));
    let request = pending.as_bytes().to_vec();
    let made = Maker::new(Side::Server, &request, CONTEXT, &pki.server).make();
    judge(&mut client, pending, &made, &pki.authority).unwrap();
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

/// Whether Finished, or what comes before it, has refused an authenticator.
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
fn every_bit_counts() {
    let pki = Pki::new();
    let request = request();
    let genuine = answer(&mut Connection::new(1).client, &request, &pki.client);
    assert_eq!(verdict(&pki, &genuine), Ok(()));
    for bit in 0..genuine.len() * 8 {
        let error = verdict(&pki, &flipped(&genuine, bit)).unwrap_err();
        assert!(is_before_the_path(&error), "bit {bit}: {error}");
    }
}

#[test]
fn every_bit_of_an_empty_one_counts() {
    let pki = Pki::new();
    let genuine = decline(&mut Connection::new(1).client, &request());
    assert_eq!(verdict(&pki, &genuine), Err(ValidateError::Empty));
    for bit in 0..genuine.len() * 8 {
        let error = verdict(&pki, &flipped(&genuine, bit)).unwrap_err();
        assert!(is_before_the_path(&error), "bit {bit}: {error}");
    }
}

#[test]
fn every_bit_of_one_that_nobody_asked_for_counts() {
    let pki = Pki::new();
    let genuine = spontaneous(&mut Connection::new(1).server, CONTEXT, &pki.server);
    let mut client = Connection::new(1).client;
    for bit in 0..genuine.len() * 8 {
        let changed = flipped(&genuine, bit);
        let error = judge_spontaneous(&mut client, &changed, &pki.authority).unwrap_err();
        assert!(is_before_the_path(&error), "bit {bit}: {error}");
    }
    // None of these has used up the context.
    judge_spontaneous(&mut client, &genuine, &pki.authority).unwrap();
}

/// As the peer itself can change it: with a Finished, and a signature, over what it has changed.
#[test]
fn every_byte_of_the_certificate_counts_with_a_right_finished() {
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
fn every_byte_of_the_signature_counts_with_a_right_finished() {
    let pki = Pki::new();
    let request = request();
    // Its length differs from one to the next.
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
fn every_truncation() {
    let pki = Pki::new();
    let request = request();
    let genuine = answer(&mut Connection::new(1).client, &request, &pki.client);
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
fn a_byte_more() {
    let pki = Pki::new();
    let request = request();
    let genuine = answer(&mut Connection::new(1).client, &request, &pki.client);
    let empty = decline(&mut Connection::new(1).client, &request);
    let expected = Err(ValidateError::Malformed(MalformedMessage::TrailingBytes));
    for whole in [genuine, empty] {
        for byte in [0, maker::FINISHED] {
            assert_eq!(verdict(&pki, &[&*whole, &[byte]].concat()), expected);
        }
        assert_eq!(verdict(&pki, &[&*whole, &whole].concat()), expected);
    }
}

/// From nothing to what is no message at all.
#[test]
fn what_is_no_authenticator() {
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
