//! A kind whose verifier stands in an `any_of` beside those of all kinds.

use crate::{
    authenticator::Authenticator,
    hold::Hold,
    kind::{Kind, Party, Traits, Who},
    mutual::Mutual,
    otp::Jws,
    toy::Toy,
};
use axum::http::{HeaderMap, HeaderValue};
use chanbind::{
    gateway::{Requirement, any_of},
    proof::Responder,
};
use chanbind_host_tests::client::{TestClient, Texts};
use std::sync::Arc;

/// The kind `K`, where the gateway also accepts proofs of other clients and other kinds.
pub(crate) struct Beside<K> {
    kind: K,
    jws: Jws,
    authenticator: Authenticator,
    mutual: Mutual,
    toy: Toy,
}

impl<K: Kind> Kind for Beside<K> {
    type Prover = K::Prover;

    const TRAITS: Traits = K::TRAITS;
    const FIELDS: &'static [&'static str] = K::FIELDS;

    fn new(seed: u8) -> Self {
        Self {
            kind: K::new(seed),
            jws: Jws::new(100 + seed),
            authenticator: Authenticator::new(100 + seed),
            mutual: Mutual::new(100 + seed),
            toy: Toy::new(100 + seed),
        }
    }

    fn requirement(&self, look_ups: &Hold) -> Requirement {
        any_of([
            // First, as a client answers the first challenge of its scheme.
            self.kind.requirement(look_ups),
            self.jws.requirement(&Hold::open()),
            self.authenticator.requirement(&Hold::open()),
            self.mutual.requirement(&Hold::open()),
            self.toy.requirement(&Hold::open()),
        ])
    }

    fn responders(&self) -> Vec<Arc<dyn Responder>> {
        self.kind.responders()
    }

    fn party(&self, who: Who) -> Party<K::Prover> {
        self.kind.party(who)
    }

    fn without_random_values(&self, name: &str, value: &HeaderValue) -> HeaderValue {
        let value = self.kind.without_random_values(name, value);
        let value = self.authenticator.without_random_values(name, &value);
        self.toy.without_random_values(name, &value)
    }

    fn questions(&self, wire: &TestClient, challenge: &HeaderMap) -> Vec<Texts> {
        self.kind.questions(wire, challenge)
    }

    fn is_caseless(value: &[u8], at: usize) -> bool {
        K::is_caseless(value, at)
    }

    fn is_complete(proof: &Texts) -> bool {
        K::is_complete(proof)
    }

    fn is_same(name: &str, one: &[u8], other: &[u8]) -> bool {
        K::is_same(name, one, other)
    }
}
