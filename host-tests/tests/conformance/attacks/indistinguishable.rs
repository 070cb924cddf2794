//! Answers that would tell which identities exist.

use crate::{
    gateway::Wire,
    kind::{Kind, Site, Who},
};
use axum::http::{HeaderName, HeaderValue, Response, StatusCode};
use bytes::Bytes;
use chanbind_host_tests::client::Texts;

/// An answer as a client sees it, without the date and without values that are random for all.
#[derive(Debug, PartialEq)]
struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

fn answer<K: Kind>(kind: &K, response: &Response<Bytes>) -> Answer {
    let headers = response
        .headers()
        .iter()
        .filter(|(name, _)| *name != "date");
    Answer {
        status: response.status(),
        headers: headers
            .map(|(name, value)| {
                let value = kind.without_random_values(name.as_str(), value);
                (name.clone(), value)
            })
            .collect(),
        body: response.body().clone(),
    }
}

async fn attempt<K: Kind>(site: &Site<K>, wire: &mut impl Wire, who: Who) -> Answer {
    let mut party = site.kind.party(who);
    let proof = site.prove(wire, &mut party).await;
    let request = site.request(&proof);
    let response = site.refused(wire, request, &format!("{who:?}")).await;
    answer(&site.kind, &response)
}

/// A client that the gateway does not know, and one that it knows but whose key is another, in every order.
pub(crate) async fn gives_one_answer_to_unknown_clients_and_wrong_keys<K: Kind>() {
    let site = Site::<K>::start().await;
    let (unknown, wrong_key) = (Who::Unknown, Who::WrongKey);
    let mut answers = Vec::new();
    for order in [
        [unknown, wrong_key, wrong_key],
        [wrong_key, unknown, unknown],
    ] {
        let mut wire = site.gateway.connect().await;
        let mut http2 = site.gateway.connect_http2().await;
        for who in order {
            answers.push(attempt(&site, &mut wire, who).await);
            let other = attempt(&site, &mut http2, who).await;
            assert_eq!(other.status, answers[0].status, "in HTTP/2");
            assert_eq!(other.body, answers[0].body, "in HTTP/2");
        }
        site.is_usable(&mut wire, "after wrong clients").await;
    }
    assert_eq!(answers[0].status, StatusCode::UNAUTHORIZED);
    for other in &answers {
        assert_eq!(*other, answers[0]);
    }
}

/// The steps before the proof: a gateway that asks only those whom it knows would tell.
pub(crate) async fn gives_one_challenge_to_known_and_unknown_clients<K: Kind>() {
    let site = Site::<K>::start().await;
    let mut challenges = Vec::new();
    for who in [Who::Honest, Who::Unknown, Who::WrongKey] {
        let mut wire = Recorder {
            inner: site.gateway.connect().await,
            responses: Vec::new(),
        };
        let mut party = site.kind.party(who);
        let _: Texts = site.prove(&mut wire, &mut party).await;
        let responses = wire.responses.iter();
        challenges.push(
            responses
                .map(|one| answer(&site.kind, one))
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(challenges[0], challenges[1]);
    assert_eq!(challenges[0], challenges[2]);
}

/// A connection that keeps the responses.
struct Recorder<W> {
    inner: W,
    responses: Vec<Response<Bytes>>,
}

impl<W: Wire> Wire for Recorder<W> {
    fn channel(&self) -> &(dyn chanbind_core::exporter::Exporter + Sync) {
        self.inner.channel()
    }

    async fn send(
        &mut self,
        request: axum::http::Request<chanbind::client::RequestBody>,
    ) -> Response<Bytes> {
        let response = self.inner.send(request).await;
        self.responses.push(response.clone());
        response
    }
}
