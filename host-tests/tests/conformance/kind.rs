//! The properties of a kind of proof that the attacks need. The fixture of each kind implements [`Kind`].

use crate::{
    gateway::{Admitted, Gateway, Wire},
    hold::Hold,
};
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use bytes::Bytes;
use chanbind::{
    client::RequestBody,
    gateway::{Policy, Requirement},
    proof::{KeyHolder, Responder},
};
use chanbind_core::proof::{Prover, Step};
use chanbind_host_tests::client::{
    Fresh, Head, TestClient, Texts, answer_keys, begin, fields, insert,
};
use std::sync::Arc;

/// A kind of proof, or a form of one, as the attacks see it.
pub(crate) trait Kind: Send + Sync + Sized + 'static {
    /// The client's side.
    type Prover: Prover<Failure: Send + Sync + 'static> + Send + Sync + 'static;

    /// The properties in which kinds differ by design.
    const TRAITS: Traits;

    /// The header fields that carry a complete proof.
    const FIELDS: &'static [&'static str];

    /// The distance between the bits that are changed: more than 1 for kinds with long proofs, of which other tests change every bit.
    const BIT_STEP: usize = 1;

    /// Creates keys and identities. Those of another seed are others.
    fn new(seed: u8) -> Self;

    /// Returns a requirement that [`Who::Honest`] and [`Who::Other`] can satisfy. A verifier that looks clients up waits at `look_ups`.
    fn requirement(&self, look_ups: &Hold) -> Requirement;

    /// Returns the parts of the gateway that answer questions of the client.
    fn responders(&self) -> Vec<Arc<dyn Responder>> {
        Vec::new()
    }

    /// Creates a client.
    fn party(&self, who: Who) -> Party<Self::Prover>;

    /// Returns a field of a response with constants in place of random values that say nothing of the client.
    fn without_random_values(&self, _name: &str, value: &HeaderValue) -> HeaderValue {
        value.clone()
    }

    /// Returns fields by which a client makes the gateway prove something on this connection, given the headers of its challenge.
    fn questions(&self, _wire: &TestClient, _challenge: &HeaderMap) -> Vec<Texts> {
        Vec::new()
    }

    /// Returns true if the fields are a complete proof, and not a step towards one.
    fn is_complete(proof: &Texts) -> bool {
        let has = |name: &&str| proof.0.iter().any(|(other, _)| other == name);
        Self::FIELDS.iter().all(has)
    }

    /// Returns true if a letter at this place in the value of a proof's field means the same in the other case: in a scheme's name.
    fn is_caseless(value: &[u8], at: usize) -> bool {
        value.get(at..).is_some_and(|rest| rest.contains(&b' '))
    }

    /// Returns true if two values of a proof's field have the same meaning, so that both are the same proof.
    fn is_same(_name: &str, _one: &[u8], _other: &[u8]) -> bool {
        false
    }
}

/// The properties in which kinds differ by design. `docs/proofs` gives the reasons.
pub(crate) struct Traits {
    /// True if the gateway remembers a proof for the connection, so that later requests need none. The identity is then the connection's.
    pub(crate) is_per_connection: bool,
    /// True if a copy of a proof is accepted on the same connection.
    pub(crate) is_repeatable: bool,
    /// True if a changed copy that is refused uses the proof up.
    pub(crate) is_spent_by_failure: bool,
    /// True if a copy that another connection presents first uses the proof up, too.
    pub(crate) is_spent_by_relay: bool,
    /// True if the gateway looks the client up when it gets a complete proof, which may take long.
    pub(crate) is_looked_up: bool,
    /// True if the proof is made by a key, which may take long.
    pub(crate) has_key: bool,
}

/// The clients of a fixture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// A client that the gateway knows.
    Honest,
    /// Another client that the gateway knows.
    Other,
    /// A client that the gateway does not know.
    Unknown,
    /// The identity of `Honest` with another key.
    WrongKey,
}

/// A client: its prover and its key.
pub(crate) struct Party<P> {
    pub(crate) prover: P,
    pub(crate) key: Arc<dyn KeyHolder>,
    /// The name that the gateway gives it.
    pub(crate) subject: String,
}

impl<P: Prover<Failure: Send + Sync + 'static>> Party<P> {
    /// Returns the gateway's answer to a request that this client has proved.
    pub(crate) fn greeting(&self) -> String {
        format!("ok {} {}", self.prover.kind(), self.subject)
    }
}

/// A gateway whose path `/get` requires a proof of one kind.
pub(crate) struct Site<K> {
    pub(crate) kind: K,
    pub(crate) gateway: Gateway,
    pub(crate) look_ups: Hold,
}

impl<K: Kind> Site<K> {
    /// Starts a gateway that requires the kind for every path.
    pub(crate) async fn start() -> Self {
        Self::with(K::new(1), |policy| policy).await
    }

    /// Starts a gateway whose policy is extended by `extend`.
    pub(crate) async fn with(kind: K, extend: impl FnOnce(Policy) -> Policy) -> Self {
        let look_ups = Hold::open();
        let policy = Policy::new().require("/", kind.requirement(&look_ups));
        Self {
            gateway: Gateway::start(extend(policy), kind.responders()).await,
            kind,
            look_ups,
        }
    }

    /// Creates a request with these fields.
    pub(crate) fn request(&self, fields: &Texts) -> Request<RequestBody> {
        let mut request = self.gateway.request("/get");
        insert(&mut request, fields).unwrap();
        request
    }

    /// Returns the fields of a complete proof for the next request, which has not been sent yet. Sends the requests that the kind needs
    /// before it.
    pub(crate) async fn prove(&self, wire: &mut impl Wire, party: &mut Party<K::Prover>) -> Texts {
        prove::<K>(wire, party, || self.gateway.request("/get")).await
    }

    /// Sends a request that must be refused with a status of 4xx, and returns the response.
    pub(crate) async fn refused(
        &self,
        wire: &mut impl Wire,
        request: Request<RequestBody>,
        attack: &str,
    ) -> Response<Bytes> {
        let before = self.gateway.admitted().len();
        let response = wire.send(request).await;
        let status = response.status();
        assert!(status.is_client_error(), "{attack}: {status}");
        assert_eq!(self.gateway.admitted().len(), before, "{attack}");
        response
    }

    /// Sends a request that must be admitted with the identity of `party`.
    pub(crate) async fn admitted<P>(
        &self,
        wire: &mut impl Wire,
        request: Request<RequestBody>,
        party: &Party<P>,
        what: &str,
    ) where
        P: Prover<Failure: Send + Sync + 'static>,
    {
        let response = wire.send(request).await;
        assert_eq!(seen(&response), (200, party.greeting()), "{what}");
        // The application does not see the proof.
        let admitted = self.gateway.admitted();
        let passed = &admitted.last().unwrap().passed;
        for name in K::FIELDS {
            assert!(!passed.contains_key(*name), "{what}: {name}");
        }
    }

    /// Asserts that an honest client is admitted on this connection, whatever was sent on it before.
    pub(crate) async fn is_usable(&self, wire: &mut impl Wire, what: &str) {
        let mut party = self.kind.party(Who::Honest);
        let proof = self.prove(wire, &mut party).await;
        self.admitted(wire, self.request(&proof), &party, what)
            .await;
    }
}

/// Runs an exchange until the prover has written a complete proof, and returns the fields.
pub(crate) async fn prove<K: Kind>(
    wire: &mut impl Wire,
    party: &mut Party<K::Prover>,
    request: impl Fn() -> Request<RequestBody>,
) -> Texts {
    begin(&mut party.prover, wire.channel(), &party.key)
        .await
        .unwrap();
    loop {
        let mut request = request();
        let proof = fields(&mut party.prover, &request).unwrap();
        if K::is_complete(&proof) {
            return proof;
        }
        insert(&mut request, &proof).unwrap();
        let response = wire.send(request).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let fresh = Fresh::new();
        let answer = match party.prover.response(&Head(&response), &fresh.inputs()) {
            Step::Key(request) => party.key.answer(request).await.unwrap().to_vec(),
            Step::Send => continue,
            step => panic!("unexpected step: {step:?}"),
        };
        answer_keys(&mut party.prover, &party.key, answer)
            .await
            .unwrap();
    }
}

/// Returns the fields that carry the proof of an admitted request.
pub(crate) fn proof_of<K: Kind>(admitted: &Admitted) -> Texts {
    let text = |name: &&str| {
        let value = admitted.headers.get(*name)?.to_str().unwrap();
        Some(((*name).to_owned(), value.to_owned()))
    };
    Texts(K::FIELDS.iter().filter_map(text).collect())
}

/// Returns status and content.
pub(crate) fn seen(response: &Response<Bytes>) -> (u16, String) {
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    (response.status().as_u16(), body)
}

/// Replaces the value of one field.
pub(crate) fn replaced(proof: &Texts, name: &str, value: &str) -> Texts {
    let mut changed = proof.clone();
    for field in &mut changed.0 {
        if field.0 == name {
            value.clone_into(&mut field.1);
        }
    }
    changed
}

/// Returns the value of a field with one symbol near its end exchanged for another that hexadecimal and base64 both have.
pub(crate) fn damaged(proof: &Texts, name: &str) -> Texts {
    let (_, value) = proof.0.iter().find(|field| field.0 == name).unwrap();
    let mut value = value.clone().into_bytes();
    let at = value.len() - 10;
    value[at] = if value[at] == b'a' { b'b' } else { b'a' };
    replaced(proof, name, str::from_utf8(&value).unwrap())
}

/// Sets the path of a request.
pub(crate) fn at(mut request: Request<RequestBody>, uri: &Uri) -> Request<RequestBody> {
    *request.uri_mut() = uri.clone();
    request
}
