//! What is used twice: contexts, requests, authenticators.

use super::*;
use chanbind_core::{
    authenticator::ChannelError,
    exporter::{Exporter, ExporterError, HashAlgorithm, Protocol},
};

fn ask_error<R: Role, const N: usize>(end: &mut Endpoint<R, N>, context: &[u8]) -> RequestError {
    end.request(&parameters(context), [0; 64]).unwrap_err()
}

/// The error of one that signs.
fn answer_error<R: Role, const N: usize>(
    end: &mut Endpoint<R, N>,
    request: &[u8],
    who: &Issued,
) -> AuthenticateError {
    let certificates = [who.certificate.as_slice()];
    let chain = CertificateChain::new(&certificates, P256);
    let request = Request::parse(request).unwrap();
    end.authenticate(&request, &chain, &mut [0; 4096])
        .unwrap_err()
}

fn decline_error<R: Role, const N: usize>(
    end: &mut Endpoint<R, N>,
    request: &[u8],
) -> AuthenticateError {
    let request = Request::parse(request).unwrap();
    end.decline(&request, &mut [0; 52]).unwrap_err()
}

fn spontaneous_error<const N: usize>(
    server: &mut Endpoint<Server, N>,
    context: &[u8],
    who: &Issued,
) -> AuthenticateError {
    let certificates = [who.certificate.as_slice()];
    let chain = CertificateChain::new(&certificates, P256);
    server
        .authenticate_spontaneously(context, &OFFERED, &chain, &mut [0; 4096])
        .unwrap_err()
}

#[test]
fn requested_twice() {
    let mut connection = Connection::new(1);
    let _ = ask(&mut connection.server, &parameters(CONTEXT));
    let used = RequestError::ContextUsed;
    assert_eq!(ask_error(&mut connection.server, CONTEXT), used);
    let _ = ask(&mut connection.server, &parameters(b""));
    assert_eq!(ask_error(&mut connection.server, b""), used);
    assert_eq!(connection.server.contexts_left(), 14);
}

/// Not even when the first is answered, or refused.
#[test]
fn requested_again_after_the_answer() {
    let pki = Pki::new();
    let mut connection = Connection::new(1);
    let pending = ask(&mut connection.server, &parameters(CONTEXT));
    let made = answer(&mut connection.client, pending.as_bytes(), &pki.client);
    judge(&mut connection.server, pending, &made, &pki.authority).unwrap();
    let used = RequestError::ContextUsed;
    assert_eq!(ask_error(&mut connection.server, CONTEXT), used);

    let pending = ask(&mut connection.server, &parameters(b"two"));
    judge(&mut connection.server, pending, &[], &pki.authority).unwrap_err();
    assert_eq!(ask_error(&mut connection.server, b"two"), used);
}

#[test]
fn answered_twice() {
    let pki = Pki::new();
    let used = AuthenticateError::ContextUsed;
    let mut connection = Connection::new(1);
    let request = ask(&mut connection.server, &parameters(CONTEXT));
    let request = request.as_bytes();
    answer(&mut connection.client, request, &pki.client);
    let client = &mut connection.client;
    assert_eq!(answer_error(client, request, &pki.client), used);
    assert_eq!(decline_error(client, request), used);
    // The same context in another request.
    let mut other = parameters(CONTEXT);
    other.signature_algorithms = &[P256, P256];
    let other = request_with(&other);
    assert_eq!(answer_error(client, &other, &pki.client), used);

    let mut connection = Connection::new(1);
    decline(&mut connection.client, request);
    let client = &mut connection.client;
    assert_eq!(answer_error(client, request, &pki.client), used);
    assert_eq!(decline_error(client, request), used);
}

#[test]
fn asked_by_one_side_and_then_by_the_other() {
    let pki = Pki::new();
    let mut connection = Connection::new(1);
    let by_server = ask(&mut connection.server, &parameters(CONTEXT));
    answer(&mut connection.client, by_server.as_bytes(), &pki.client);
    let used = RequestError::ContextUsed;
    assert_eq!(ask_error(&mut connection.client, CONTEXT), used);

    // Both ask at once: neither answers.
    let mut connection = Connection::new(1);
    let by_server = ask(&mut connection.server, &parameters(CONTEXT));
    let by_client = ask(&mut connection.client, &parameters(CONTEXT));
    let used = AuthenticateError::ContextUsed;
    let Connection { client, server } = &mut connection;
    assert_eq!(
        answer_error(client, by_server.as_bytes(), &pki.client),
        used
    );
    assert_eq!(
        answer_error(server, by_client.as_bytes(), &pki.server),
        used
    );
    assert_eq!(decline_error(server, by_client.as_bytes()), used);
    assert_eq!(spontaneous_error(server, CONTEXT, &pki.server), used);
}

#[test]
fn own_requests_are_not_answered() {
    let pki = Pki::new();
    let mut connection = Connection::new(1);
    let own = AuthenticateError::OwnRequest;
    // Also one that another server has made: it is the side that counts.
    for request in [
        ask(&mut connection.server, &parameters(CONTEXT)),
        ask(&mut Connection::new(2).server, &parameters(b"another")),
    ] {
        let request = request.as_bytes();
        assert_eq!(
            answer_error(&mut connection.server, request, &pki.server),
            own
        );
        assert_eq!(decline_error(&mut connection.server, request), own);
    }
    let request = ask(&mut connection.client, &parameters(CONTEXT));
    let request = request.as_bytes();
    assert_eq!(
        answer_error(&mut connection.client, request, &pki.client),
        own
    );
    assert_eq!(decline_error(&mut connection.client, request), own);
}

#[test]
fn spontaneous_twice() {
    let pki = Pki::new();
    let mut connection = Connection::new(1);
    let made = spontaneous(&mut connection.server, CONTEXT, &pki.server);
    let used = AuthenticateError::ContextUsed;
    assert_eq!(
        spontaneous_error(&mut connection.server, CONTEXT, &pki.server),
        used
    );
    let client = &mut connection.client;
    judge_spontaneous(client, &made, &pki.authority).unwrap();
    let again = judge_spontaneous(client, &made, &pki.authority);
    assert_eq!(again.unwrap_err(), ValidateError::ContextUsed);
    let other = Maker::new(Side::Server, &[], CONTEXT, &pki.server).make();
    let again = judge_spontaneous(client, &other, &pki.authority);
    assert_eq!(again.unwrap_err(), ValidateError::ContextUsed);
    assert_eq!(ask_error(client, CONTEXT), RequestError::ContextUsed);
    let request = request();
    assert_eq!(
        answer_error(client, &request, &pki.client),
        AuthenticateError::ContextUsed
    );
}

#[test]
fn spontaneous_with_the_context_of_a_request() {
    let pki = Pki::new();
    let mut connection = Connection::new(1);
    let pending = ask(&mut connection.client, &parameters(CONTEXT));
    let made = Maker::new(Side::Server, &[], CONTEXT, &pki.server).make();
    let said = judge_spontaneous(&mut connection.client, &made, &pki.authority);
    assert_eq!(said.unwrap_err(), ValidateError::ContextUsed);
    // And of one that the client has answered.
    let request = request_with(&parameters(b"of the server"));
    decline(&mut connection.client, &request);
    let made = Maker::new(Side::Server, &[], b"of the server", &pki.server).make();
    let said = judge_spontaneous(&mut connection.client, &made, &pki.authority);
    assert_eq!(said.unwrap_err(), ValidateError::ContextUsed);
    // That has not disturbed the request.
    let made = answer(&mut connection.server, pending.as_bytes(), &pki.server);
    judge(&mut connection.client, pending, &made, &pki.authority).unwrap();
}

#[test]
fn a_request_of_another_connection() {
    let pki = Pki::new();
    let (mut here, mut there) = (Connection::new(1), Connection::new(2));
    // An authenticator for a request that is pending there.
    let pending = ask(&mut there.server, &parameters(CONTEXT));
    let made = answer(&mut here.client, pending.as_bytes(), &pki.client);
    let said = judge(&mut there.server, pending, &made, &pki.authority);
    assert_eq!(said.unwrap_err(), ValidateError::Finished);
    // The request is taken to where the authenticator is from.
    let pending = ask(&mut there.server, &parameters(b"two"));
    let made = answer(&mut here.client, pending.as_bytes(), &pki.client);
    let said = judge(&mut here.server, pending, &made, &pki.authority);
    assert_eq!(said.unwrap_err(), ValidateError::Context);
    // An empty one likewise.
    let pending = ask(&mut there.server, &parameters(b"three"));
    let made = decline(&mut here.client, pending.as_bytes());
    let said = judge(&mut here.server, pending, &made, &pki.authority);
    assert_eq!(said.unwrap_err(), ValidateError::Context);
    // What is pending there with a context that was used here, too, and answered there.
    let pending = ask(&mut there.server, &parameters(b"four"));
    let _ = ask(&mut here.server, &parameters(b"four"));
    let made = answer(&mut there.client, pending.as_bytes(), &pki.client);
    let said = judge(&mut here.server, pending, &made, &pki.authority);
    assert_eq!(said.unwrap_err(), ValidateError::Finished);
}

#[test]
fn contexts_are_exhausted() {
    let pki = Pki::new();
    let secret = ExporterSecret::sha256(&[1; 32]);
    let mut server = Endpoint::<Server, 2>::with_contexts(&secret).unwrap();
    let mut client = Endpoint::<Client, 2>::with_contexts(&secret).unwrap();
    assert_eq!((server.contexts_left(), client.contexts_left()), (2, 2));

    let one = server.request(&parameters(b"one"), vec![0; 64]).unwrap();
    let request = Request::parse(one.as_bytes()).unwrap();
    client.decline(&request, &mut [0; 36]).unwrap();
    let made = Maker::new(Side::Server, &[], b"two", &pki.server).make();
    let anchors = Anchors::new(&[pki.authority.certificate()]).unwrap();
    let rules = PathRules::new(&anchors, Usage::ServerAuth, now());
    (client.validate_spontaneous(&OFFERED, &made, &rules)).unwrap();
    let two = server.request(&parameters(b"two"), vec![0; 64]).unwrap();
    assert_eq!((server.contexts_left(), client.contexts_left()), (0, 0));

    let exhausted = RequestError::ContextsExhausted;
    assert_eq!(ask_error(&mut server, b"three"), exhausted);
    assert_eq!(ask_error(&mut client, b"three"), exhausted);
    let exhausted = AuthenticateError::ContextsExhausted;
    let request = request_with(&parameters(b"three"));
    assert_eq!(answer_error(&mut client, &request, &pki.client), exhausted);
    assert_eq!(decline_error(&mut client, &request), exhausted);
    assert_eq!(
        spontaneous_error(&mut server, b"three", &pki.server),
        exhausted
    );
    let made = Maker::new(Side::Server, &[], b"three", &pki.server).make();
    let said = client.validate_spontaneous(&OFFERED, &made, &rules);
    assert_eq!(said.unwrap_err(), ValidateError::ContextsExhausted);
    // Those that were used are still known as such.
    assert_eq!(ask_error(&mut server, b"one"), RequestError::ContextUsed);
    assert_eq!(ask_error(&mut client, b"two"), RequestError::ContextUsed);
    // What is pending can be answered.
    for (pending, context) in [(one, &b"one"[..]), (two, b"two")] {
        let request = pending.as_bytes().to_vec();
        let made = Maker::new(Side::Client, &request, context, &pki.client).make();
        judge_with(&mut server, pending, &made, &rules).unwrap();
    }
}

fn judge_with<const N: usize>(
    server: &mut Endpoint<Server, N>,
    pending: PendingRequest<Server, Vec<u8>>,
    authenticator: &[u8],
    rules: &PathRules<'_>,
) -> Result<(), ValidateError> {
    server.validate(pending, authenticator, rules).map(|_| ())
}

#[test]
fn no_room_for_any_context() {
    let secret = ExporterSecret::sha256(&[1; 32]);
    let mut server = Endpoint::<Server, 0>::with_contexts(&secret).unwrap();
    assert_eq!(server.contexts_left(), 0);
    let exhausted = RequestError::ContextsExhausted;
    assert_eq!(ask_error(&mut server, b"one"), exhausted);
}

/// A channel that is what it is told to be.
struct Channel(Protocol, Option<HashAlgorithm>, Result<(), ExporterError>);

impl Exporter for Channel {
    fn protocol(&self) -> Protocol {
        self.0
    }

    fn hash(&self) -> Option<HashAlgorithm> {
        self.1
    }

    fn export_keying_material(
        &self,
        label: &[u8],
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ExporterError> {
        // In TLS 1.2 no context is another than an empty one (RFC 9261 section 5.1: zero-length).
        assert_eq!(context, Some(&[][..]));
        let len = self.1.map_or(0, HashAlgorithm::output_len);
        assert_eq!(out.len(), len);
        out.fill(label[9]);
        self.2
    }
}

#[test]
fn channels_that_give_no_endpoint() {
    let tls12 = |extended_master_secret| Protocol::Tls12 {
        extended_master_secret,
    };
    let sha256 = Some(HashAlgorithm::SHA256);
    let not_unique = Err(ChannelError::Exporter(ExporterError::NotUnique));
    let incomplete = Err(ExporterError::HandshakeIncomplete);
    for (channel, expected) in [
        (Channel(Protocol::Tls13, sha256, Ok(())), Ok(())),
        (Channel(tls12(true), sha256, Ok(())), Ok(())),
        (
            Channel(tls12(true), Some(HashAlgorithm::SHA384), Ok(())),
            Ok(()),
        ),
        (Channel(tls12(false), sha256, Ok(())), not_unique),
        (Channel(tls12(false), None, Ok(())), not_unique),
        (
            Channel(Protocol::Tls13, None, Ok(())),
            Err(ChannelError::UnknownHash),
        ),
        (
            Channel(tls12(true), None, Ok(())),
            Err(ChannelError::UnknownHash),
        ),
        (
            Channel(Protocol::Tls13, sha256, incomplete),
            Err(ChannelError::Exporter(ExporterError::HandshakeIncomplete)),
        ),
    ] {
        assert_eq!(Endpoint::<Client>::new(&channel).map(|_| ()), expected);
        assert_eq!(Endpoint::<Server>::new(&channel).map(|_| ()), expected);
    }
}
