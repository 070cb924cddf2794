//! Signatures and MACs that were created for another purpose: the other side, another request, another connection, another
//! protocol.

use super::*;

fn refused_by_finished(pki: &Pki, maker: &Maker<'_>) {
    assert_eq!(verdict(pki, &maker.make()), Err(ValidateError::Finished));
    assert_eq!(verdict(pki, &maker.empty()), Err(ValidateError::Finished));
}

/// An authenticator with the server's own exporter labels is sent back to the server as the client's.
#[test]
fn server_rejects_reflected_authenticator() {
    let pki = Pki::new();
    let request = request();
    refused_by_finished(
        &pki,
        &Maker::new(Side::Server, &request, CONTEXT, &pki.client),
    );
    // Only one of the two labels is the server's.
    let mut half = maker(&pki, &request);
    half.finished_by = Side::Server;
    refused_by_finished(&pki, &half);
    let mut half = maker(&pki, &request);
    half.sender = Side::Server;
    refused_by_finished(&pki, &half);
}

#[test]
fn client_rejects_reflected_authenticator() {
    let pki = Pki::new();
    for (sender, finished_by) in [
        (Side::Client, Side::Client),
        (Side::Client, Side::Server),
        (Side::Server, Side::Client),
    ] {
        let mut client = Connection::new(1).client;
        let pending = create_request(&mut client, &parameters(CONTEXT));
        let request = pending.as_bytes().to_vec();
        let mut maker = Maker::new(sender, &request, CONTEXT, &pki.server);
        maker.finished_by = finished_by;
        let authenticator = maker.make();
        let result = validate(&mut client, pending, &authenticator, &pki.authority);
        assert_eq!(result.unwrap_err(), ValidateError::Finished);

        let mut maker = Maker::new(sender, &[], CONTEXT, &pki.server);
        maker.finished_by = finished_by;
        let authenticator = maker.make();
        let mut client = Connection::new(1).client;
        let result = validate_spontaneous(&mut client, &authenticator, &pki.authority);
        assert_eq!(result.unwrap_err(), ValidateError::Finished);
    }
}

/// The certificate allows both usages, and the server's authenticator is sent back to the server.
#[test]
fn server_rejects_its_own_authenticator() {
    let authority = Authority::new("authority").unwrap();
    let both = authority
        .issue(|params| params.extended_key_usages.clear())
        .unwrap();
    let mut connection = Connection::new(1);
    let client_request = create_request(&mut connection.client, &parameters(b"of the client"));
    let authenticator = authenticate(&mut connection.server, client_request.as_bytes(), &both);
    let pending = create_request(&mut connection.server, &parameters(b"of the server"));
    let result = validate(&mut connection.server, pending, &authenticator, &authority);
    assert_eq!(result.unwrap_err(), ValidateError::Context);
    validate(
        &mut connection.client,
        client_request,
        &authenticator,
        &authority,
    )
    .unwrap();
}

#[test]
fn rejects_authenticator_for_other_request() {
    let pki = Pki::new();
    let mut other = parameters(CONTEXT);
    other.signature_algorithms = &[P256, SignatureScheme::ED25519];
    let other = request_with(&other);
    refused_by_finished(&pki, &maker(&pki, &other));
    // For no request.
    refused_by_finished(&pki, &maker(&pki, &[]));
    // For a request of the client.
    let mut client = Connection::new(1).client;
    let other = create_request(&mut client, &parameters(CONTEXT))
        .as_bytes()
        .to_vec();
    refused_by_finished(&pki, &maker(&pki, &other));
    // For the right request twice in a row.
    refused_by_finished(&pki, &maker(&pki, &[request(), request()].concat()));
}

#[test]
fn rejects_authenticator_with_other_context() {
    let pki = Pki::new();
    let other = request_with(&parameters(b"another"));
    let forged = Maker::new(Side::Client, &other, b"another", &pki.client);
    assert_eq!(verdict(&pki, &forged.make()), Err(ValidateError::Context));
    assert_eq!(verdict(&pki, &forged.empty()), Err(ValidateError::Finished));
    // The right context, but for the other request.
    refused_by_finished(&pki, &maker(&pki, &other));
    // Another context, but for the right request.
    let request = request();
    let forged = Maker::new(Side::Client, &request, b"another", &pki.client);
    assert_eq!(verdict(&pki, &forged.make()), Err(ValidateError::Context));
    assert_eq!(verdict(&pki, &forged.empty()), Err(ValidateError::Finished));
    for context in [&CONTEXT[1..], &[CONTEXT, &[0]].concat(), &[]] {
        let forged = Maker::new(Side::Client, &request, context, &pki.client);
        assert_eq!(verdict(&pki, &forged.make()), Err(ValidateError::Context));
        assert_eq!(verdict(&pki, &forged.empty()), Err(ValidateError::Finished));
    }
}

#[test]
fn rejects_authenticator_of_other_connection() {
    let pki = Pki::new();
    let request = request();
    let mut other = maker(&pki, &request);
    other.connection = 2;
    refused_by_finished(&pki, &other);

    let mut other = Maker::new(Side::Server, &[], CONTEXT, &pki.server);
    other.connection = 2;
    let authenticator = other.make();
    let result = validate_spontaneous(
        &mut Connection::new(1).client,
        &authenticator,
        &pki.authority,
    );
    assert_eq!(result.unwrap_err(), ValidateError::Finished);
}

/// The exporter secret is the same, but the hash of the connection differs.
#[test]
fn rejects_authenticator_of_connection_with_other_hash() {
    let pki = Pki::new();
    let request = request();
    for authenticator in [
        authenticate(&mut Connection::sha384(1).client, &request, &pki.client),
        decline(&mut Connection::sha384(1).client, &request),
    ] {
        assert_eq!(verdict(&pki, &authenticator), Err(ValidateError::Finished));
    }
}

/// An attacker between two connections has the keys of both and can create a Finished, but not the signature.
#[test]
fn rejects_relayed_signature_with_new_finished() {
    let pki = Pki::new();
    let request = request();
    let mut other = maker(&pki, &request);
    other.connection = 2;
    let mut relayed = maker(&pki, &request);
    relayed.signer = Box::new(|_| other.signature());
    assert_eq!(
        verdict(&pki, &relayed.make()),
        Err(ValidateError::CertificateVerify)
    );
}

/// Like [`rejects_relayed_signature_with_new_finished`], with signatures over other contents.
#[test]
fn rejects_signature_over_other_transcript() {
    let pki = Pki::new();
    let request = request();
    let other_request = request_with(&parameters(b"another"));
    let other_certificate = client_of(&pki.authority).certificate;
    let signed = |change: &dyn Fn(&mut Maker<'_>)| {
        let mut maker = maker(&pki, &request);
        change(&mut maker);
        maker.signature()
    };
    assert_eq!(verify_with(&pki, &request, signed(&|_| {})), Ok(()));
    for signature in [
        maker(&pki, &other_request).signature(),
        signed(&|maker| maker.request = &[]),
        signed(&|maker| maker.connection = 2),
        signed(&|maker| maker.context = b"another"),
        signed(&|maker| maker.sender = Side::Server),
        signed(&|maker| maker.entries[0].0 = other_certificate.clone()),
        signed(&|maker| maker.entries[0].1 = maker::extension(5, &[])),
        signed(&|maker| maker.entries.push((b"more".to_vec(), Vec::new()))),
    ] {
        let result = verify_with(&pki, &request, signature);
        assert_eq!(result, Err(ValidateError::CertificateVerify));
    }
}

/// Returns the verdict on an otherwise honest authenticator with this signature.
fn verify_with(pki: &Pki, request: &[u8], signature: Vec<u8>) -> Result<(), ValidateError> {
    let mut maker = maker(pki, request);
    maker.signer = Box::new(move |_| signature.clone());
    verdict(pki, &maker.make())
}

/// Signatures that the key has created in a handshake of TLS 1.3, or may have created elsewhere.
#[test]
fn rejects_signature_with_other_context_string() {
    let pki = Pki::new();
    let request = request();
    for context_string in [
        &b"TLS 1.3, client CertificateVerify"[..],
        b"TLS 1.3, server CertificateVerify",
        b"Exported Authenticator\0",
        b" Exported Authenticator",
        b"exported authenticator",
        b"",
    ] {
        let mut maker = maker(&pki, &request);
        maker.context_string = context_string;
        let result = verdict(&pki, &maker.make());
        assert_eq!(result, Err(ValidateError::CertificateVerify));
    }
}

/// The signature covers the transcript alone, the digest of the right content, the content without its spaces or its first byte,
/// or one byte more.
#[test]
fn rejects_signature_over_other_content() {
    use sha2::{Digest, Sha256};
    let pki = Pki::new();
    let request = request();
    let changes: [maker::Change; 5] = [
        |content| content[content.len() - 32..].to_vec(),
        |content| Sha256::digest(content).to_vec(),
        |content| content[64..].to_vec(),
        |content| content[1..].to_vec(),
        |content| [content, &[0]].concat(),
    ];
    for change in changes {
        let mut maker = maker(&pki, &request);
        let key = &pki.client.key;
        maker.signer = Box::new(move |content| maker::by_p256(key, &change(content)));
        let result = verdict(&pki, &maker.make());
        assert_eq!(result, Err(ValidateError::CertificateVerify));
    }
}

/// Finished has the right key, but its transcript lacks CertificateVerify, as in the empty authenticator.
#[test]
fn rejects_finished_without_certificate_verify() {
    let pki = Pki::new();
    let request = request();
    let maker = maker(&pki, &request);
    let whole = maker.make();
    let without = &whole[..whole.len() - 36];
    let authenticator = [without, &maker.empty()].concat();
    assert_eq!(verdict(&pki, &authenticator), Err(ValidateError::Finished));
    let cut = maker::message(maker::FINISHED, &whole[whole.len() - 32..whole.len() - 16]);
    let authenticator = [without, &cut].concat();
    let length = ValidateError::Malformed(MalformedMessage::Length);
    assert_eq!(verdict(&pki, &authenticator), Err(length));
}

/// The sent certificate is not the one that the signature and Finished cover.
#[test]
fn rejects_replaced_certificate_message() {
    let pki = Pki::new();
    let request = request();
    let other = client_of(&pki.authority);
    let mut maker = maker(&pki, &request);
    maker.sent_certificate =
        Some(Maker::new(Side::Client, &request, CONTEXT, &other).certificate());
    assert_eq!(verdict(&pki, &maker.make()), Err(ValidateError::Finished));
}

/// A requested authenticator is not accepted as a spontaneous one and vice versa, although their keys are the same.
#[test]
fn rejects_requested_as_spontaneous_and_vice_versa() {
    let pki = Pki::new();
    let mut connection = Connection::new(1);
    let pending = create_request(&mut connection.client, &parameters(CONTEXT));
    let requested = authenticate(&mut connection.server, pending.as_bytes(), &pki.server);
    let result = validate_spontaneous(&mut connection.client, &requested, &pki.authority);
    assert_eq!(result.unwrap_err(), ValidateError::ContextUsed);
    // A client that does not remember its request.
    let mut other_client = Connection::new(1).client;
    let result = validate_spontaneous(&mut other_client, &requested, &pki.authority);
    assert_eq!(result.unwrap_err(), ValidateError::Finished);

    let spontaneous =
        authenticate_spontaneously(&mut Connection::new(1).server, CONTEXT, &pki.server);
    let result = validate(
        &mut connection.client,
        pending,
        &spontaneous,
        &pki.authority,
    );
    assert_eq!(result.unwrap_err(), ValidateError::Finished);
}

/// Only a server can send a spontaneous authenticator: a server's endpoint has no function to validate one, and does not accept
/// it for a request.
#[test]
fn rejects_spontaneous_authenticator_of_client() {
    let pki = Pki::new();
    let authenticator = Maker::new(Side::Client, &[], CONTEXT, &pki.client).make();
    assert_eq!(verdict(&pki, &authenticator), Err(ValidateError::Finished));
    for context in [&b"another"[..], b"", &CONTEXT[1..]] {
        let result = verdict_with(&parameters(context), &pki.authority, &authenticator);
        assert_eq!(result, Err(ValidateError::Context));
    }
}

#[test]
fn rejects_spontaneous_empty_authenticator() {
    let pki = Pki::new();
    let authenticator = Maker::new(Side::Server, &[], CONTEXT, &pki.server).empty();
    let result = validate_spontaneous(
        &mut Connection::new(1).client,
        &authenticator,
        &pki.authority,
    );
    let expected = ValidateError::Malformed(MalformedMessage::NoCertificate);
    assert_eq!(result.unwrap_err(), expected);
}

/// `is_declined` uses no context and returns true only for the peer's empty authenticator for this request.
#[test]
fn is_declined_accepts_only_matching_empty_authenticator() {
    let pki = Pki::new();
    let mut connection = Connection::new(1);
    let pending = create_request(&mut connection.server, &parameters(CONTEXT));
    let other = create_request(&mut connection.server, &parameters(b"another"));
    let request = pending.as_bytes().to_vec();
    let server = &connection.server;
    let honest = maker(&pki, &request);
    let empty = honest.empty();
    assert!(server.is_declined(&pending, &empty));
    assert!(!server.is_declined(&other, &empty));
    for bit in 0..empty.len() * 8 {
        assert!(!server.is_declined(&pending, &flipped(&empty, bit)));
    }
    for len in 0..empty.len() {
        assert!(!server.is_declined(&pending, &empty[..len]));
    }
    assert!(!server.is_declined(&pending, &[&*empty, &[0]].concat()));
    assert!(!server.is_declined(&pending, &honest.make()));
    let reflected = Maker::new(Side::Server, &request, CONTEXT, &pki.client);
    assert!(!server.is_declined(&pending, &reflected.empty()));
    let mut other_connection = maker(&pki, &request);
    other_connection.connection = 2;
    assert!(!server.is_declined(&pending, &other_connection.empty()));
    let server = &mut connection.server;
    validate(server, pending, &honest.make(), &pki.authority).unwrap();
    assert_eq!(server.contexts_left(), 14);
}
