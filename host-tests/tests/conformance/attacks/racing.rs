//! Requests that are under way together on one connection.

use crate::{
    gateway::Http2,
    kind::{Kind, Site, Who, seen},
    random::Random,
};
use axum::http::Request;
use chanbind::client::RequestBody;
use chanbind_host_tests::client::{Texts, copy, fields};
use futures_util::future::join_all;

/// A request that races, and the answers that it may get besides 4xx.
struct Racer {
    request: Request<RequestBody>,
    greetings: Vec<String>,
}

const KNOWN: &[Who] = &[Who::Honest, Who::Other];
const ALL: &[Who] = &[Who::Honest, Who::Other, Who::Unknown, Who::WrongKey];

/// Returns the requests of a race: proofs of some clients, and requests without one.
async fn racers<K: Kind>(site: &Site<K>, wire: &mut Http2, clients: &[Who]) -> Vec<Racer> {
    let mut racers = Vec::new();
    let known = [Who::Honest, Who::Other].map(|who| site.kind.party(who).greeting());
    for &who in clients {
        let mut party = site.kind.party(who);
        let mut proof = site.prove(wire, &mut party).await;
        for _ in 0..3 {
            let greetings = match who {
                // The identity is the connection's, and all of its requests have it.
                _ if K::TRAITS.is_per_connection => known.to_vec(),
                Who::Honest | Who::Other => vec![party.greeting()],
                Who::Unknown | Who::WrongKey => Vec::new(),
            };
            racers.push(Racer {
                request: site.request(&proof),
                greetings,
            });
            if !K::TRAITS.is_repeatable {
                let request = site.gateway.request("/get");
                proof = fields(&mut party.prover, &request).unwrap();
            }
        }
    }
    for _ in 0..3 {
        racers.push(Racer {
            request: site.request(&Texts::default()),
            greetings: if K::TRAITS.is_per_connection {
                known.to_vec()
            } else {
                Vec::new()
            },
        });
    }
    racers
}

/// Sends all requests at once, and returns their answers in the same order.
async fn race(wire: &Http2, racers: &[Racer]) -> Vec<(u16, String)> {
    let requests = racers
        .iter()
        .map(|racer| wire.send_beside(copy(&racer.request)));
    join_all(requests).await.iter().map(seen).collect()
}

fn check<K: Kind>(clients: &[Who], racers: &[Racer], answers: &[(u16, String)], round: usize) {
    let mut admitted = Vec::new();
    for (racer, (status, body)) in racers.iter().zip(answers) {
        match status {
            200 => {
                assert!(racer.greetings.contains(body), "round {round}: {body}");
                admitted.push(body);
            }
            400..=499 => {}
            other => panic!("round {round}: {other} {body}"),
        }
    }
    // A wrong answer to the challenge that all share may have come first.
    let may_be_empty = K::TRAITS.is_spent_by_failure && clients == ALL;
    assert!(may_be_empty || !admitted.is_empty(), "round {round}");
    if K::TRAITS.is_per_connection {
        assert!(
            admitted.iter().all(|one| *one == admitted[0]),
            "round {round}"
        );
    }
}

/// Proofs and requests without one, in several orders.
pub(crate) async fn never_confuses_racing_requests<K: Kind>() {
    let site = Site::<K>::start().await;
    let mut random = Random::new(1);
    for round in 0..8 {
        let mut wire = site.gateway.connect_http2().await;
        let clients = if round % 2 == 0 { KNOWN } else { ALL };
        let mut racers = racers(&site, &mut wire, clients).await;
        for at in (1..racers.len()).rev() {
            racers.swap(at, random.below(at + 1));
        }
        let answers = race(&wire, &racers).await;
        check::<K>(clients, &racers, &answers, round);
        site.is_usable_again(&mut wire).await;
    }
}

/// Proofs that all wait for a slow look-up, so that none has been decided when the last one comes.
pub(crate) async fn never_confuses_requests_that_wait_together<K: Kind>() {
    if !K::TRAITS.is_looked_up {
        return;
    }
    let site = Site::<K>::start().await;
    let mut wire = site.gateway.connect_http2().await;
    let mut racers = racers(&site, &mut wire, ALL).await;
    racers.retain(|racer| {
        let has = |name: &&str| racer.request.headers().contains_key(*name);
        K::FIELDS.iter().all(has)
    });
    site.look_ups.hold();
    let is_one_challenge = K::TRAITS.is_per_connection;
    let waiting = if is_one_challenge { 1 } else { racers.len() };
    let ((), answers) = tokio::join!(
        async {
            site.look_ups.until_waiting(waiting).await;
            site.look_ups.release();
        },
        race(&wire, &racers)
    );
    if !is_one_challenge {
        check::<K>(ALL, &racers, &answers, 0);
        for (racer, (status, _)) in racers.iter().zip(&answers) {
            let expected = if racer.greetings.is_empty() { 401 } else { 200 };
            assert_eq!(*status, expected);
        }
    }
    assert!(answers.iter().all(|(status, _)| *status < 500));
    site.is_usable_again(&mut wire).await;
}

/// Requests that all have to be asked for a proof.
pub(crate) async fn asks_racing_requests_for_proofs<K: Kind>() {
    let site = Site::<K>::start().await;
    let mut wire = site.gateway.connect_http2().await;
    let racers: Vec<_> = (0..20)
        .map(|_| Racer {
            request: site.request(&Texts::default()),
            greetings: Vec::new(),
        })
        .collect();
    for _ in 0..3 {
        let answers = race(&wire, &racers).await;
        assert!(
            answers.iter().all(|(status, _)| *status == 401),
            "{answers:?}"
        );
    }
    site.is_usable(&mut wire, "after the questions").await;
}

impl<K: Kind> Site<K> {
    /// Asserts that the connection is still good for requests after a race.
    async fn is_usable_again(&self, wire: &mut Http2) {
        if K::TRAITS.is_per_connection {
            let plain = self.request(&Texts::default());
            assert!(wire.send_beside(plain).await.status().as_u16() < 500);
        } else {
            self.is_usable(wire, "after a race").await;
        }
    }
}
