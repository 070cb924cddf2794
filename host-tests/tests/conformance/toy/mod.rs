//! A kind of proof that exists in these tests alone: it shows that a new kind needs no change of other kinds or of shared code.
//!
//! Client and gateway share a secret. Both prove that they have it, by HMAC-SHA256 over the direction tags of the connection's binding
//! `tls-exporter` (RFC 9266), a nonce of the gateway and the client's name. The exchange has two steps: the client names itself
//! (`toy-client`) and gets a nonce with status 401, then it sends its proof (`toy-proof`) and gets the gateway's (`toy-server-proof`).

mod policies;
mod prover;
mod verifier;

use crate::{
    hold::Hold,
    kind::{Kind, Party, Traits, Who},
};
use axum::http::HeaderValue;
use chanbind::gateway::Requirement;
use chanbind_core::{
    binding::{DirectionTags, Side},
    kdf::HmacSha256,
};
use prover::ToyProver;
use std::sync::Arc;
use verifier::ToyVerifier;

const KIND: &str = "toy";
const CLIENT: &str = "toy-client";
const PROOF: &str = "toy-proof";
const SERVER_PROOF: &str = "toy-server-proof";

/// The bytes of a nonce.
const NONCE_LEN: usize = 16;

/// Returns the input of the HMAC that one side proves with.
fn input(tags: &DirectionTags, side: Side, nonce: &[u8; NONCE_LEN], client: &str) -> Vec<u8> {
    [tags.of(side).as_bytes(), &nonce[..], client.as_bytes()].concat()
}

/// The fixture.
pub(crate) struct Toy([u8; 1]);

impl Toy {
    fn secret(&self, client: &str) -> Vec<u8> {
        [b"toy of ", client.as_bytes(), &self.0].concat()
    }

    fn verifier(&self, look_ups: &Hold) -> Arc<ToyVerifier> {
        let known = ["toy1", "toy2"].map(|name| (name.to_owned(), self.secret(name)));
        ToyVerifier::new(known, look_ups.clone())
    }
}

impl Kind for Toy {
    type Prover = ToyProver;

    const TRAITS: Traits = Traits {
        is_per_connection: true,
        is_repeatable: true,
        is_spent_by_failure: true,
        is_spent_by_relay: false,
        is_looked_up: true,
        has_key: true,
    };

    const FIELDS: &'static [&'static str] = &[CLIENT, PROOF];

    fn new(seed: u8) -> Self {
        Self([seed])
    }

    fn requirement(&self, look_ups: &Hold) -> Requirement {
        (&self.verifier(look_ups)).into()
    }

    fn party(&self, who: Who) -> Party<ToyProver> {
        let (name, secret) = match who {
            Who::Honest => ("toy1", self.secret("toy1")),
            Who::Other => ("toy2", self.secret("toy2")),
            Who::Unknown => ("toy3", self.secret("toy3")),
            Who::WrongKey => ("toy1", b"another".to_vec()),
        };
        Party {
            prover: ToyProver::new(name),
            key: Arc::new(HmacSha256::new(&secret)),
            subject: name.to_owned(),
        }
    }

    fn without_random_values(&self, _: &str, value: &HeaderValue) -> HeaderValue {
        if prover::nonce(value.as_bytes()).is_some() {
            return verifier::challenge(&[0; NONCE_LEN]);
        }
        value.clone()
    }
}
