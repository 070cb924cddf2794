//! Contexts, requests and authenticators that are used twice.

use super::*;
use chanbind_core::{
    authenticator::ChannelError,
    exporter::{Exporter, ExporterError, HashAlgorithm, Protocol},
};

fn request_error<R: Role, const N: usize>(
    end: &mut Endpoint<R, N>,
    context: &[u8],
) -> RequestError {
    end.request(&parameters(context), [0; 64]).unwrap_err()
}

/// Returns the error of an endpoint that tries to authenticate.
fn authenticate_error<R: Role, const N: usize>(
    end: &mut Endpoint<R, N>,
    request: &[u8],
    identity: &Issued,
) -> AuthenticateError {
    let certificates = [identity.certificate.as_slice()];
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
    identity: &Issued,
) -> AuthenticateError {
    let certificates = [identity.certificate.as_slice()];
    let chain = CertificateChain::new(&certificates, P256);
    server
        .authenticate_spontaneously(context, &OFFERED, &chain, &mut [0; 4096])
        .unwrap_err()
}

#[test]
fn rejects_request_with_used_context() {
    let mut connection = Connection::new(1);
    let _ = create_request(&mut connection.server, &parameters(CONTEXT));
    let used = RequestError::ContextUsed;
    assert_eq!(request_error(&mut connection.server, CONTEXT), used);
    let _ = create_request(&mut connection.server, &parameters(b""));
    assert_eq!(request_error(&mut connection.server, b""), used);
    assert_eq!(connection.server.contexts_left(), 14);
}

/// The context cannot be used again, even after the first authenticator was validated or rejected.
#[test]
fn rejects_request_with_context_of_finished_request() {
    let pki = Pki::new();
    let mut connection = Connection::new(1);
    let pending = create_request(&mut connection.server, &parameters(CONTEXT));
    let authenticator = authenticate(&mut connection.client, pending.as_bytes(), &pki.client);
    validate(
        &mut connection.server,
        pending,
        &authenticator,
        &pki.authority,
    )
    .unwrap();
    let used = RequestError::ContextUsed;
    assert_eq!(request_error(&mut connection.server, CONTEXT), used);

    let pending = create_request(&mut connection.server, &parameters(b"two"));
    validate(&mut connection.server, pending, &[], &pki.authority).unwrap_err();
    assert_eq!(request_error(&mut connection.server, b"two"), used);
}

#[test]
fn rejects_second_response_to_a_request() {
    let pki = Pki::new();
    let used = AuthenticateError::ContextUsed;
    let mut connection = Connection::new(1);
    let request = create_request(&mut connection.server, &parameters(CONTEXT));
    let request = request.as_bytes();
    authenticate(&mut connection.client, request, &pki.client);
    let client = &mut connection.client;
    assert_eq!(authenticate_error(client, request, &pki.client), used);
    assert_eq!(decline_error(client, request), used);
    // The same context in another request.
    let mut other = parameters(CONTEXT);
    other.signature_algorithms = &[P256, P256];
    let other = request_with(&other);
    assert_eq!(authenticate_error(client, &other, &pki.client), used);

    let mut connection = Connection::new(1);
    decline(&mut connection.client, request);
    let client = &mut connection.client;
    assert_eq!(authenticate_error(client, request, &pki.client), used);
    assert_eq!(decline_error(client, request), used);
}

#[test]
fn rejects_context_used_by_the_other_side() {
    let pki = Pki::new();
    let mut connection = Connection::new(1);
    let by_server = create_request(&mut connection.server, &parameters(CONTEXT));
    authenticate(&mut connection.client, by_server.as_bytes(), &pki.client);
    let used = RequestError::ContextUsed;
    assert_eq!(request_error(&mut connection.client, CONTEXT), used);

    // Both sides send a request at once: neither responds.
    let mut connection = Connection::new(1);
    let by_server = create_request(&mut connection.server, &parameters(CONTEXT));
    let by_client = create_request(&mut connection.client, &parameters(CONTEXT));
    let used = AuthenticateError::ContextUsed;
    let Connection { client, server } = &mut connection;
    assert_eq!(
        authenticate_error(client, by_server.as_bytes(), &pki.client),
        used
    );
    assert_eq!(
        authenticate_error(server, by_client.as_bytes(), &pki.server),
        used
    );
    assert_eq!(decline_error(server, by_client.as_bytes()), used);
    assert_eq!(spontaneous_error(server, CONTEXT, &pki.server), used);
}

#[test]
fn rejects_response_to_own_request() {
    let pki = Pki::new();
    let mut connection = Connection::new(1);
    let own = AuthenticateError::OwnRequest;
    // Also a request of another server: the side decides.
    for request in [
        create_request(&mut connection.server, &parameters(CONTEXT)),
        create_request(&mut Connection::new(2).server, &parameters(b"another")),
    ] {
        let request = request.as_bytes();
        assert_eq!(
            authenticate_error(&mut connection.server, request, &pki.server),
            own
        );
        assert_eq!(decline_error(&mut connection.server, request), own);
    }
    let request = create_request(&mut connection.client, &parameters(CONTEXT));
    let request = request.as_bytes();
    assert_eq!(
        authenticate_error(&mut connection.client, request, &pki.client),
        own
    );
    assert_eq!(decline_error(&mut connection.client, request), own);
}

#[test]
fn rejects_spontaneous_authenticator_with_used_context() {
    let pki = Pki::new();
    let mut connection = Connection::new(1);
    let authenticator = authenticate_spontaneously(&mut connection.server, CONTEXT, &pki.server);
    let used = AuthenticateError::ContextUsed;
    assert_eq!(
        spontaneous_error(&mut connection.server, CONTEXT, &pki.server),
        used
    );
    let client = &mut connection.client;
    validate_spontaneous(client, &authenticator, &pki.authority).unwrap();
    let again = validate_spontaneous(client, &authenticator, &pki.authority);
    assert_eq!(again.unwrap_err(), ValidateError::ContextUsed);
    let other = Maker::new(Side::Server, &[], CONTEXT, &pki.server).make();
    let again = validate_spontaneous(client, &other, &pki.authority);
    assert_eq!(again.unwrap_err(), ValidateError::ContextUsed);
    assert_eq!(request_error(client, CONTEXT), RequestError::ContextUsed);
    let request = request();
    assert_eq!(
        authenticate_error(client, &request, &pki.client),
        AuthenticateError::ContextUsed
    );
}

#[test]
fn rejects_spontaneous_authenticator_with_context_of_request() {
    let pki = Pki::new();
    let mut connection = Connection::new(1);
    let pending = create_request(&mut connection.client, &parameters(CONTEXT));
    let authenticator = Maker::new(Side::Server, &[], CONTEXT, &pki.server).make();
    let result = validate_spontaneous(&mut connection.client, &authenticator, &pki.authority);
    assert_eq!(result.unwrap_err(), ValidateError::ContextUsed);
    // The context of a request that the client has declined.
    let request = request_with(&parameters(b"of the server"));
    decline(&mut connection.client, &request);
    let authenticator = Maker::new(Side::Server, &[], b"of the server", &pki.server).make();
    let result = validate_spontaneous(&mut connection.client, &authenticator, &pki.authority);
    assert_eq!(result.unwrap_err(), ValidateError::ContextUsed);
    // The pending request is still usable.
    let authenticator = authenticate(&mut connection.server, pending.as_bytes(), &pki.server);
    validate(
        &mut connection.client,
        pending,
        &authenticator,
        &pki.authority,
    )
    .unwrap();
}

#[test]
fn rejects_authenticator_for_request_of_other_connection() {
    let pki = Pki::new();
    let (mut first, mut second) = (Connection::new(1), Connection::new(2));
    // An authenticator of the first connection for a request of the second.
    let pending = create_request(&mut second.server, &parameters(CONTEXT));
    let authenticator = authenticate(&mut first.client, pending.as_bytes(), &pki.client);
    let result = validate(&mut second.server, pending, &authenticator, &pki.authority);
    assert_eq!(result.unwrap_err(), ValidateError::Finished);
    // The request of the second connection is validated on the first.
    let pending = create_request(&mut second.server, &parameters(b"two"));
    let authenticator = authenticate(&mut first.client, pending.as_bytes(), &pki.client);
    let result = validate(&mut first.server, pending, &authenticator, &pki.authority);
    assert_eq!(result.unwrap_err(), ValidateError::Context);
    // The same with an empty authenticator.
    let pending = create_request(&mut second.server, &parameters(b"three"));
    let authenticator = decline(&mut first.client, pending.as_bytes());
    let result = validate(&mut first.server, pending, &authenticator, &pki.authority);
    assert_eq!(result.unwrap_err(), ValidateError::Context);
    // Both connections have a request with the same context, and the authenticator is of the second connection.
    let pending = create_request(&mut second.server, &parameters(b"four"));
    let _ = create_request(&mut first.server, &parameters(b"four"));
    let authenticator = authenticate(&mut second.client, pending.as_bytes(), &pki.client);
    let result = validate(&mut first.server, pending, &authenticator, &pki.authority);
    assert_eq!(result.unwrap_err(), ValidateError::Finished);
}

#[test]
fn reports_exhausted_contexts() {
    let pki = Pki::new();
    let secret = ExporterSecret::sha256(&[1; 32]);
    let mut server = Endpoint::<Server, 2>::with_contexts(&secret).unwrap();
    let mut client = Endpoint::<Client, 2>::with_contexts(&secret).unwrap();
    assert_eq!((server.contexts_left(), client.contexts_left()), (2, 2));

    let one = server.request(&parameters(b"one"), vec![0; 64]).unwrap();
    let request = Request::parse(one.as_bytes()).unwrap();
    client.decline(&request, &mut [0; 36]).unwrap();
    let authenticator = Maker::new(Side::Server, &[], b"two", &pki.server).make();
    let anchors = Anchors::new(&[pki.authority.certificate()]).unwrap();
    let rules = PathRules::new(&anchors, Usage::ServerAuth, now());
    (client.validate_spontaneous(&OFFERED, &authenticator, &rules)).unwrap();
    let two = server.request(&parameters(b"two"), vec![0; 64]).unwrap();
    assert_eq!((server.contexts_left(), client.contexts_left()), (0, 0));

    let exhausted = RequestError::ContextsExhausted;
    assert_eq!(request_error(&mut server, b"three"), exhausted);
    assert_eq!(request_error(&mut client, b"three"), exhausted);
    let exhausted = AuthenticateError::ContextsExhausted;
    let request = request_with(&parameters(b"three"));
    assert_eq!(
        authenticate_error(&mut client, &request, &pki.client),
        exhausted
    );
    assert_eq!(decline_error(&mut client, &request), exhausted);
    assert_eq!(
        spontaneous_error(&mut server, b"three", &pki.server),
        exhausted
    );
    let authenticator = Maker::new(Side::Server, &[], b"three", &pki.server).make();
    let result = client.validate_spontaneous(&OFFERED, &authenticator, &rules);
    assert_eq!(result.unwrap_err(), ValidateError::ContextsExhausted);
    // Used contexts are still known.
    assert_eq!(
        request_error(&mut server, b"one"),
        RequestError::ContextUsed
    );
    assert_eq!(
        request_error(&mut client, b"two"),
        RequestError::ContextUsed
    );
    // Authenticators for pending requests are still validated.
    for (pending, context) in [(one, &b"one"[..]), (two, b"two")] {
        let request = pending.as_bytes().to_vec();
        let authenticator = Maker::new(Side::Client, &request, context, &pki.client).make();
        validate_with(&mut server, pending, &authenticator, &rules).unwrap();
    }
}

fn validate_with<const N: usize>(
    server: &mut Endpoint<Server, N>,
    pending: PendingRequest<Server, Vec<u8>>,
    authenticator: &[u8],
    rules: &PathRules<'_>,
) -> Result<(), ValidateError> {
    server.validate(pending, authenticator, rules).map(|_| ())
}

#[test]
fn endpoint_without_contexts_rejects_request() {
    let secret = ExporterSecret::sha256(&[1; 32]);
    let mut server = Endpoint::<Server, 0>::with_contexts(&secret).unwrap();
    assert_eq!(server.contexts_left(), 0);
    let exhausted = RequestError::ContextsExhausted;
    assert_eq!(request_error(&mut server, b"one"), exhausted);
}

/// A channel with the given protocol, hash and export result.
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
        // In TLS 1.2, no context differs from an empty one, and RFC 9261 section 5.1 demands a zero-length context.
        assert_eq!(context, Some(&[][..]));
        let len = self.1.map_or(0, HashAlgorithm::output_len);
        assert_eq!(out.len(), len);
        out.fill(label[9]);
        self.2
    }
}

#[test]
fn rejects_channels_unsuitable_for_endpoints() {
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
