//! The fixture of blessings.

use crate::{
    hold::Hold,
    kind::{Kind, Party, Traits, Who},
};
use axum::http::HeaderValue;
use chanbind::{
    gateway::Requirement,
    proof::blessing::{
        BlessingProver, BlessingVerifier, PeerPatterns, Principal, PrincipalKey, Roots, prover,
    },
};
use chanbind_host_tests::principals::{block_on, key, named};
use std::sync::Arc;

/// A factory that is the root of all names, and a stranger with the same name.
pub(crate) struct Blessing {
    seed: u8,
    factory: Principal,
    stranger: Principal,
    gateway: Arc<Principal>,
    keys: [PrincipalKey; 3],
}

impl Blessing {
    fn name(&self, number: u8) -> String {
        format!("line{}:pump{number}", self.seed)
    }
}

impl Kind for Blessing {
    type Prover = BlessingProver;

    const TRAITS: Traits = Traits {
        is_per_connection: true,
        is_repeatable: true,
        is_spent_by_failure: false,
        is_spent_by_relay: false,
        is_looked_up: false,
        has_key: true,
    };

    const FIELDS: &'static [&'static str] = &["authorization"];

    // `blessing/attacks.rs` changes every bit.
    const BIT_STEP: usize = 4;

    fn new(seed: u8) -> Self {
        let (factory, stranger) = (named("factory"), named("factory"));
        let gateway_key = key();
        let blessings = block_on(factory.bless(gateway_key.public_key(), "gateway", &[])).unwrap();
        let roots = factory.roots().clone();
        Self {
            seed,
            gateway: Arc::new(Principal::new(gateway_key, blessings, roots).unwrap()),
            factory,
            stranger,
            keys: [key(), key(), key()],
        }
    }

    fn requirement(&self, _: &Hold) -> Requirement {
        let peers = PeerPatterns::admit([format!("factory:line{}", self.seed)]);
        (&BlessingVerifier::new(&self.gateway, peers)).into()
    }

    fn party(&self, who: Who) -> Party<BlessingProver> {
        let [one, two, other] = &self.keys;
        let (by, number, key) = match who {
            Who::Honest | Who::WrongKey => (&self.factory, 1, one),
            Who::Other => (&self.factory, 2, two),
            Who::Unknown => (&self.stranger, 1, one),
        };
        let name = self.name(number);
        let blessings = by.bless(key.public_key(), &name, &[]);
        let roots: Roots = self.factory.roots().clone();
        let principal = Principal::new(key.clone(), block_on(blessings).unwrap(), roots);
        let prover = prover(
            &Arc::new(principal.unwrap()),
            &PeerPatterns::admit(["factory:gateway"]),
        );
        let signer = if who == Who::WrongKey { other } else { key };
        Party {
            prover,
            key: Arc::new(signer.clone()),
            subject: format!("factory:{name}"),
        }
    }

    /// The signature of the gateway is another one on each connection.
    fn without_random_values(&self, name: &str, value: &HeaderValue) -> HeaderValue {
        let text = value.to_str().unwrap_or_default();
        match text.split_once("auth=") {
            Some((before, _)) if name == "www-authenticate" => before.parse().unwrap(),
            _ => value.clone(),
        }
    }

    /// Outside of quoted strings.
    fn is_caseless(value: &[u8], at: usize) -> bool {
        let before = value.get(..at).unwrap_or_default();
        let quotes = before.iter().filter(|byte| **byte == b'"');
        quotes.count().is_multiple_of(2)
    }

    /// The scheme and the names of parameters mean the same in either case.
    fn is_same(_: &str, one: &[u8], other: &[u8]) -> bool {
        let fold = |value: &[u8]| -> Vec<u8> {
            let folded = value.iter().enumerate().map(|(at, byte)| {
                if Self::is_caseless(value, at) {
                    byte.to_ascii_lowercase()
                } else {
                    *byte
                }
            });
            folded.collect()
        };
        fold(one) == fold(other)
    }
}
