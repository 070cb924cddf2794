//! The toy together with another kind, and in the clients that run any kind.

use super::{CLIENT, SERVER_PROOF, Toy, prover::ToyProver, verifier::ToyDetails};
use crate::{
    gateway::{Gateway, Wire},
    hold::Hold,
    kind::{Kind, Party, Who, prove, seen},
    otp::ApiKey,
};
use axum::{Router, http::StatusCode, routing::get};
use chanbind::{
    client::{Pool, Session, SessionError},
    gateway::{Policy, all_of, any_of},
    proof::{KeyAnswer, KeyHolder, otp::OtpProver},
};
use chanbind_core::{
    exporter::Exporter,
    proof::{FieldSink, Inputs, KeyRequest, Outcome, Prover, RequestTarget, ResponseHead, Step},
};
use chanbind_host_tests::{client::insert, gateway::TestGateway};
use std::sync::Arc;
use tower::ServiceExt;

async fn gateway_for_both() -> (Gateway, ApiKey, Toy) {
    let (otp, toy) = (ApiKey::new(1), Toy::new(1));
    let open = Hold::open();
    let [otp_proof, toy_proof] = [otp.requirement(&open), toy.requirement(&open)];
    let both = all_of([otp_proof.clone(), toy_proof.clone()]);
    let policy = Policy::new()
        .require("/", both)
        .require("/otp", otp_proof)
        .require("/toy", toy_proof);
    (Gateway::start(policy, Vec::new()).await, otp, toy)
}

#[tokio::test]
async fn a_path_that_needs_both_is_not_opened_by_one() {
    let (gateway, otp, toy) = gateway_for_both().await;
    for (otp_client, toy_client, expected) in [
        (Some(Who::Honest), Some(Who::Honest), 200),
        (Some(Who::Other), Some(Who::Honest), 200),
        (Some(Who::Honest), None, 401),
        (None, Some(Who::Honest), 401),
        (Some(Who::WrongKey), Some(Who::Honest), 401),
        (Some(Who::Honest), Some(Who::Unknown), 401),
        (None, None, 401),
    ] {
        let mut wire = gateway.connect().await;
        let mut request = gateway.request("/get");
        let mut greeting = "ok".to_owned();
        if let Some(who) = otp_client {
            let mut party = otp.party(who);
            let get = || gateway.request("/get");
            let proof = prove::<ApiKey>(&mut wire, &mut party, get).await;
            insert(&mut request, &proof).unwrap();
            greeting += &format!(" otp {}", party.subject);
        }
        if let Some(who) = toy_client {
            let mut party = toy.party(who);
            let get = || gateway.request("/get");
            let proof = prove::<Toy>(&mut wire, &mut party, get).await;
            insert(&mut request, &proof).unwrap();
            greeting += &format!(" toy {}", party.subject);
        }
        let before = gateway.admitted().len();
        let response = Wire::send(&mut wire, request).await;
        assert_eq!(response.status().as_u16(), expected);
        let is_admitted = expected == 200;
        assert_eq!(gateway.admitted().len() - before, usize::from(is_admitted));
        assert_eq!(response.headers().contains_key(SERVER_PROOF), is_admitted);
        if is_admitted {
            assert_eq!(seen(&response).1, greeting);
            continue;
        }
        let challenges: Vec<_> = response
            .headers()
            .get_all("www-authenticate")
            .iter()
            .collect();
        let is_asked = |scheme: &str| {
            let mut all = challenges.iter();
            all.any(|value| value.to_str().unwrap().starts_with(scheme))
        };
        assert_eq!(is_asked("Chanbind"), otp_client != Some(Who::Honest));
        assert_eq!(is_asked("Toy"), toy_client != Some(Who::Honest));
    }
}

/// A wrong password does not end the exchange of the other kind, which has only begun with this request.
#[tokio::test]
async fn an_exchange_goes_on_beside_a_wrong_proof_of_another_kind() {
    let (otp, toy) = (ApiKey::new(1), Toy::new(1));
    let open = Hold::open();
    let either = any_of([otp.requirement(&open), toy.requirement(&open)]);
    let policy = Policy::new().require("/", either);
    let gateway = Gateway::start(policy, Vec::new()).await;
    let mut wire = gateway.connect().await;
    let mut party = otp.party(Who::WrongKey);
    let get = || gateway.request("/get");
    let wrong = prove::<ApiKey>(&mut wire, &mut party, get).await;
    let mut request = gateway.request("/get");
    insert(&mut request, &wrong).unwrap();
    request
        .headers_mut()
        .insert(CLIENT, "client1".parse().unwrap());
    let response = Wire::send(&mut wire, request).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let challenges = response.headers().get_all("www-authenticate").iter();
    let schemes: Vec<_> = challenges
        .map(|value| value.to_str().unwrap().split(' ').next().unwrap())
        .collect();
    assert_eq!(schemes, ["Chanbind", "Toy"]);
}

#[tokio::test]
async fn its_details_are_found_behind_the_identity() {
    let toy = Toy::new(1);
    let policy = Policy::new().require("/", toy.requirement(&Hold::open()));
    let gateway = Gateway::start(policy, Vec::new()).await;
    let mut wire = gateway.connect().await;
    let mut party = toy.party(Who::Honest);
    let get = || gateway.request("/get");
    let proof = prove::<Toy>(&mut wire, &mut party, get).await;
    let mut request = get();
    insert(&mut request, &proof).unwrap();
    assert_eq!(Wire::send(&mut wire, request).await.status(), 200);
    let admitted = gateway.admitted();
    let found = admitted[0].identities.find::<ToyDetails>();
    let (identity, details) = found.unwrap();
    assert_eq!((identity.kind(), identity.subject()), ("toy", "toy1"));
    assert_ne!(details.nonce, [0; 16]);
    assert!(
        identity
            .details::<chanbind::proof::otp::Details>()
            .is_none()
    );
}

/// A prover of both kinds, as an application writes it that needs two.
struct Both {
    otp: OtpProver,
    toy: ToyProver,
    is_otp_ready: bool,
}

#[derive(Debug)]
enum EitherFailure {
    Otp(<OtpProver as Prover>::Failure),
    Toy(<ToyProver as Prover>::Failure),
}

impl std::fmt::Display for EitherFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Otp(failure) => failure.fmt(f),
            Self::Toy(failure) => failure.fmt(f),
        }
    }
}

impl std::error::Error for EitherFailure {}

fn mapped<F, G>(step: Step<'_, F>, failure: impl FnOnce(F) -> G) -> Step<'_, G> {
    match step {
        Step::Key(request) => Step::Key(request),
        Step::Send => Step::Send,
        Step::Done(outcome) => Step::Done(outcome),
        Step::Failed(error) => Step::Failed(failure(error)),
    }
}

impl Prover for Both {
    type Failure = EitherFailure;

    fn kind(&self) -> &'static str {
        "otp and toy"
    }

    fn begin(&mut self, channel: &dyn Exporter, inputs: &Inputs<'_>) -> Step<'_, EitherFailure> {
        self.is_otp_ready = false;
        match self.toy.begin(channel, inputs) {
            Step::Send => mapped(self.otp.begin(channel, inputs), EitherFailure::Otp),
            step => mapped(step, EitherFailure::Toy),
        }
    }

    fn answered(&mut self, answer: &[u8]) -> Step<'_, EitherFailure> {
        if self.is_otp_ready {
            return mapped(self.toy.answered(answer), EitherFailure::Toy);
        }
        let step = self.otp.answered(answer);
        self.is_otp_ready = matches!(step, Step::Send);
        mapped(step, EitherFailure::Otp)
    }

    fn write_fields(
        &mut self,
        request: &RequestTarget<'_>,
        inputs: &Inputs<'_>,
        out: &mut dyn FieldSink,
    ) -> Result<(), EitherFailure> {
        let written = self.otp.write_fields(request, inputs, out);
        written.map_err(EitherFailure::Otp)?;
        let written = self.toy.write_fields(request, inputs, out);
        written.map_err(EitherFailure::Toy)
    }

    /// A one-time password needs no response.
    fn response(
        &mut self,
        head: &dyn ResponseHead,
        inputs: &Inputs<'_>,
    ) -> Step<'_, EitherFailure> {
        mapped(self.toy.response(head, inputs), EitherFailure::Toy)
    }
}

/// The keys of both kinds.
struct BothKeys([Arc<dyn KeyHolder>; 2]);

impl KeyHolder for BothKeys {
    /// Only the toy's inputs begin with a direction tag, and are shorter than those of a one-time key.
    fn answer<'a>(&'a self, request: KeyRequest<'a>) -> KeyAnswer<'a> {
        let is_otp = matches!(request, KeyRequest::Hmac(input) if input.len() == 62);
        self.0[usize::from(!is_otp)].answer(request)
    }
}

#[tokio::test]
async fn a_session_proves_both_kinds() {
    let (gateway, otp, toy) = gateway_for_both().await;
    let Party { prover, key, .. } = otp.party(Who::Honest);
    let toy = toy.party(Who::Honest);
    let both = Both {
        otp: prover,
        toy: toy.prover,
        is_otp_ready: false,
    };
    let keys = BothKeys([key, toy.key]);
    let connection = gateway.open().await;
    let mut session = Session::begin(connection, both, keys).await.unwrap();
    for path in ["/get", "/get", "/toy", "/otp"] {
        let answer = session.send(gateway.request(path)).await.unwrap();
        assert_eq!(answer.response.status(), 200, "{path}");
        assert_eq!(answer.outcome, Outcome::Proved, "{path}");
        let _ = answer.response.into_body().bytes(1024).await.unwrap();
    }
}

#[tokio::test]
async fn a_session_rejects_a_gateway_that_does_not_prove_itself() {
    // An impostor that asks for a proof and then says yes to anything.
    let handler = |headers: axum::http::HeaderMap| async move {
        if headers.contains_key(super::PROOF) {
            assert!(headers.contains_key(CLIENT));
            return (StatusCode::OK, [("x-test", String::new())]);
        }
        let nonce = format!("Toy nonce=\"{}\"", "00".repeat(16));
        (StatusCode::UNAUTHORIZED, [("www-authenticate", nonce)])
    };
    let app = Router::new().route("/get", get(handler));
    let gateway = TestGateway::serve(app).await.unwrap();
    let party = Toy::new(1).party(Who::Honest);
    let connection = gateway.connect().await.unwrap().into_inner();
    let begun = Session::begin(connection, party.prover, party.key).await;
    let uri = gateway.uri("/get").parse().unwrap();
    let request = chanbind::client::Connection::get(&uri).unwrap();
    let refused = begun.unwrap().send(request).await;
    match refused {
        Err(SessionError::Proof(reason)) => {
            assert!(reason.to_string().contains("has not proved"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_pool_proves_it_on_each_connection() {
    let toy = Toy::new(1);
    let policy = Policy::new().require("/", toy.requirement(&Hold::open()));
    let gateway = Arc::new(Gateway::start(policy, Vec::new()).await);
    let opened = Arc::clone(&gateway);
    let pool = Pool::new(move |_| {
        let gateway = Arc::clone(&opened);
        let party = toy.party(Who::Honest);
        async move { Session::begin(gateway.open().await, party.prover, party.key).await }
    });
    for _ in 0..2 {
        let requests = [(); 3].map(|()| pool.clone().oneshot(gateway.request("/get")));
        for response in futures_util::future::join_all(requests).await {
            let response = response.unwrap();
            assert_eq!(response.status(), 200);
            assert_eq!(response.extensions().get(), Some(&Outcome::Proved));
            let body = response.into_body().bytes(1024).await.unwrap();
            assert_eq!(body, "ok toy toy1");
        }
        assert_eq!(pool.idle(), 3);
    }
    // Every proof was sent on one connection, and every connection had one.
    let admitted = gateway.admitted();
    let proofs = admitted
        .iter()
        .filter(|one| one.headers.contains_key(super::PROOF));
    let peers: std::collections::HashSet<_> = proofs.clone().map(|one| one.peer).collect();
    assert_eq!((admitted.len(), proofs.count(), peers.len()), (6, 3, 3));
}
