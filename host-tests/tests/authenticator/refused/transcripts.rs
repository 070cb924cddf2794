//! What is signed and authenticated for something else: the other side, another request, another connection, another protocol.

use super::*;

fn refused_by_finished(pki: &Pki, maker: &Maker<'_>) {
    assert_eq!(verdict(pki, &maker.make()), Err(ValidateError::Finished));
    assert_eq!(verdict(pki, &maker.empty()), Err(ValidateError::Finished));
}

/// What the server itself could have made comes back to it as the client's.
#[test]
fn reflected_to_the_server() {
    let pki = Pki::new();
    let request = request();
    refused_by_finished(
        &pki,
        &Maker::new(Side::Server, &request, CONTEXT, &pki.client),
    );
    // Neither is half of it enough.
    let mut half = maker(&pki, &request);
    half.finished_by = Side::Server;
    refused_by_finished(&pki, &half);
    let mut half = maker(&pki, &request);
    half.sender = Side::Server;
    refused_by_finished(&pki, &half);
}

#[test]
fn reflected_to_the_client() {
    let pki = Pki::new();
    for (sender, finished_by) in [
        (Side::Client, Side::Client),
        (Side::Client, Side::Server),
        (Side::Server, Side::Client),
    ] {
        let mut client = Connection::new(1).client;
        let pending = ask(&mut client, &parameters(CONTEXT));
        let request = pending.as_bytes().to_vec();
        let mut maker = Maker::new(sender, &request, CONTEXT, &pki.server);
        maker.finished_by = finished_by;
        let made = maker.make();
        let said = judge(&mut client, pending, &made, &pki.authority);
        assert_eq!(said.unwrap_err(), ValidateError::Finished);

        let mut maker = Maker::new(sender, &[], CONTEXT, &pki.server);
        maker.finished_by = finished_by;
        let made = maker.make();
        let mut client = Connection::new(1).client;
        let said = judge_spontaneous(&mut client, &made, &pki.authority);
        assert_eq!(said.unwrap_err(), ValidateError::Finished);
    }
}

/// The client's certificate is good for both usages, and it is the server that answers with it.
#[test]
fn the_servers_own_answer_is_no_clients() {
    let authority = Authority::new("authority").unwrap();
    let both = authority
        .issue(|params| params.extended_key_usages.clear())
        .unwrap();
    let mut connection = Connection::new(1);
    let asked = ask(&mut connection.client, &parameters(b"of the client"));
    let made = answer(&mut connection.server, asked.as_bytes(), &both);
    let pending = ask(&mut connection.server, &parameters(b"of the server"));
    let said = judge(&mut connection.server, pending, &made, &authority);
    assert_eq!(said.unwrap_err(), ValidateError::Context);
    judge(&mut connection.client, asked, &made, &authority).unwrap();
}

#[test]
fn for_another_request() {
    let pki = Pki::new();
    let mut other = parameters(CONTEXT);
    other.signature_algorithms = &[P256, SignatureScheme::ED25519];
    let other = request_with(&other);
    refused_by_finished(&pki, &maker(&pki, &other));
    // For none.
    refused_by_finished(&pki, &maker(&pki, &[]));
    // For one of the client.
    let mut client = Connection::new(1).client;
    let other = ask(&mut client, &parameters(CONTEXT)).as_bytes().to_vec();
    refused_by_finished(&pki, &maker(&pki, &other));
    // For the right one twice over.
    refused_by_finished(&pki, &maker(&pki, &[request(), request()].concat()));
}

#[test]
fn for_a_request_with_another_context() {
    let pki = Pki::new();
    let other = request_with(&parameters(b"another"));
    let made = Maker::new(Side::Client, &other, b"another", &pki.client);
    assert_eq!(verdict(&pki, &made.make()), Err(ValidateError::Context));
    assert_eq!(verdict(&pki, &made.empty()), Err(ValidateError::Finished));
    // It says the right context, and answers the other request.
    refused_by_finished(&pki, &maker(&pki, &other));
    // It answers the right request, and says another context.
    let request = request();
    let made = Maker::new(Side::Client, &request, b"another", &pki.client);
    assert_eq!(verdict(&pki, &made.make()), Err(ValidateError::Context));
    assert_eq!(verdict(&pki, &made.empty()), Err(ValidateError::Finished));
    for context in [&CONTEXT[1..], &[CONTEXT, &[0]].concat(), &[]] {
        let made = Maker::new(Side::Client, &request, context, &pki.client);
        assert_eq!(verdict(&pki, &made.make()), Err(ValidateError::Context));
        assert_eq!(verdict(&pki, &made.empty()), Err(ValidateError::Finished));
    }
}

#[test]
fn for_another_connection() {
    let pki = Pki::new();
    let request = request();
    let mut other = maker(&pki, &request);
    other.connection = 2;
    refused_by_finished(&pki, &other);

    let mut other = Maker::new(Side::Server, &[], CONTEXT, &pki.server);
    other.connection = 2;
    let made = other.make();
    let said = judge_spontaneous(&mut Connection::new(1).client, &made, &pki.authority);
    assert_eq!(said.unwrap_err(), ValidateError::Finished);
}

/// The same exporter secret, and another hash: nothing is the same.
#[test]
fn for_a_connection_with_another_hash() {
    let pki = Pki::new();
    let request = request();
    for made in [
        answer(&mut Connection::sha384(1).client, &request, &pki.client),
        decline(&mut Connection::sha384(1).client, &request),
    ] {
        assert_eq!(verdict(&pki, &made), Err(ValidateError::Finished));
    }
}

/// Who sits between two connections has the keys of both, and makes a Finished of its own; the signature it has not.
#[test]
fn relayed_with_a_new_finished() {
    let pki = Pki::new();
    let request = request();
    let mut there = maker(&pki, &request);
    there.connection = 2;
    let mut here = maker(&pki, &request);
    here.signer = Box::new(|_| there.signature());
    assert_eq!(
        verdict(&pki, &here.make()),
        Err(ValidateError::CertificateVerify)
    );
}

/// As [`relayed_with_a_new_finished`], of a signature that the same connection has seen for something else.
#[test]
fn a_signature_for_another_request_or_certificate() {
    let pki = Pki::new();
    let request = request();
    let other_request = request_with(&parameters(b"another"));
    let other_certificate = client_of(&pki.authority).certificate;
    let signed = |change: &dyn Fn(&mut Maker<'_>)| {
        let mut there = maker(&pki, &request);
        change(&mut there);
        there.signature()
    };
    assert_eq!(verify_with(&pki, &request, signed(&|_| {})), Ok(()));
    for signature in [
        maker(&pki, &other_request).signature(),
        signed(&|there| there.request = &[]),
        signed(&|there| there.connection = 2),
        signed(&|there| there.context = b"another"),
        signed(&|there| there.sender = Side::Server),
        signed(&|there| there.entries[0].0 = other_certificate.clone()),
        signed(&|there| there.entries[0].1 = maker::extension(5, &[])),
        signed(&|there| there.entries.push((b"more".to_vec(), Vec::new()))),
    ] {
        let said = verify_with(&pki, &request, signature);
        assert_eq!(said, Err(ValidateError::CertificateVerify));
    }
}

/// What is said of an honest authenticator with this signature in it.
fn verify_with(pki: &Pki, request: &[u8], signature: Vec<u8>) -> Result<(), ValidateError> {
    let mut maker = maker(pki, request);
    maker.signer = Box::new(move |_| signature.clone());
    verdict(pki, &maker.make())
}

/// What the key has signed in a handshake of TLS 1.3, or may have signed elsewhere.
#[test]
fn signed_with_another_context_string() {
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
        let said = verdict(&pki, &maker.make());
        assert_eq!(said, Err(ValidateError::CertificateVerify));
    }
}

/// The transcript alone; the digest of what should have been signed; the content without its spaces.
#[test]
fn signed_over_less_or_more() {
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
        let said = verdict(&pki, &maker.make());
        assert_eq!(said, Err(ValidateError::CertificateVerify));
    }
}

/// Finished of the right key, over the wrong hash: without CertificateVerify, as the empty authenticator's is.
#[test]
fn a_finished_that_leaves_out_certificate_verify() {
    let pki = Pki::new();
    let request = request();
    let maker = maker(&pki, &request);
    let whole = maker.make();
    let without = &whole[..whole.len() - 36];
    let made = [without, &maker.empty()].concat();
    assert_eq!(verdict(&pki, &made), Err(ValidateError::Finished));
    let cut = maker::message(maker::FINISHED, &whole[whole.len() - 32..whole.len() - 16]);
    let made = [without, &cut].concat();
    let length = ValidateError::Malformed(MalformedMessage::Length);
    assert_eq!(verdict(&pki, &made), Err(length));
}

/// Another certificate is sent than the one that was signed and authenticated.
#[test]
fn a_certificate_message_put_in_place_of_another() {
    let pki = Pki::new();
    let request = request();
    let other = client_of(&pki.authority);
    let mut maker = maker(&pki, &request);
    maker.sent_certificate =
        Some(Maker::new(Side::Client, &request, CONTEXT, &other).certificate());
    assert_eq!(verdict(&pki, &maker.make()), Err(ValidateError::Finished));
}

/// A requested authenticator and a spontaneous one are not the same, though the keys are.
#[test]
fn requested_and_spontaneous_are_not_taken_for_each_other() {
    let pki = Pki::new();
    let mut connection = Connection::new(1);
    let pending = ask(&mut connection.client, &parameters(CONTEXT));
    let requested = answer(&mut connection.server, pending.as_bytes(), &pki.server);
    let said = judge_spontaneous(&mut connection.client, &requested, &pki.authority);
    assert_eq!(said.unwrap_err(), ValidateError::ContextUsed);
    // One that does not remember having asked.
    let mut forgetful = Connection::new(1).client;
    let said = judge_spontaneous(&mut forgetful, &requested, &pki.authority);
    assert_eq!(said.unwrap_err(), ValidateError::Finished);

    let unasked = spontaneous(&mut Connection::new(1).server, CONTEXT, &pki.server);
    let said = judge(&mut connection.client, pending, &unasked, &pki.authority);
    assert_eq!(said.unwrap_err(), ValidateError::Finished);
}

/// Only a server can speak without being asked: a server's endpoint has no function for it, and no request takes it for an answer.
#[test]
fn spontaneous_from_a_client() {
    let pki = Pki::new();
    let made = Maker::new(Side::Client, &[], CONTEXT, &pki.client).make();
    assert_eq!(verdict(&pki, &made), Err(ValidateError::Finished));
    for context in [&b"another"[..], b"", &CONTEXT[1..]] {
        let said = verdict_with(&parameters(context), &pki.authority, &made);
        assert_eq!(said, Err(ValidateError::Context));
    }
}

#[test]
fn an_empty_one_where_nothing_was_requested() {
    let pki = Pki::new();
    let made = Maker::new(Side::Server, &[], CONTEXT, &pki.server).empty();
    let said = judge_spontaneous(&mut Connection::new(1).client, &made, &pki.authority);
    let expected = ValidateError::Malformed(MalformedMessage::NoCertificate);
    assert_eq!(said.unwrap_err(), expected);
}

/// The question whether a request is declined uses nothing up, and only the peer's empty authenticator for this request says yes.
#[test]
fn declined_is_what_the_peer_has_declined() {
    let pki = Pki::new();
    let mut connection = Connection::new(1);
    let pending = ask(&mut connection.server, &parameters(CONTEXT));
    let other = ask(&mut connection.server, &parameters(b"another"));
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
    let mut elsewhere = maker(&pki, &request);
    elsewhere.connection = 2;
    assert!(!server.is_declined(&pending, &elsewhere.empty()));
    let server = &mut connection.server;
    judge(server, pending, &honest.make(), &pki.authority).unwrap();
    assert_eq!(server.contexts_left(), 14);
}
