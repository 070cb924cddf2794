//! The attacks. Each is generic over the kind of proof.

pub(crate) mod bits;
pub(crate) mod cancelled;
pub(crate) mod control;
pub(crate) mod foreign;
pub(crate) mod garbage;
pub(crate) mod indistinguishable;
pub(crate) mod no_channel;
pub(crate) mod racing;
pub(crate) mod reflected;
pub(crate) mod relayed;
pub(crate) mod replayed;

use crate::kind::{Kind, Party, Site, Who};
use chanbind_host_tests::client::{TestClient, Texts};

/// An unproved connection, and an unsent proof for it, which an attack changes before it sends it.
struct Target<'s, K: Kind> {
    site: &'s Site<K>,
    wire: TestClient,
    party: Party<K::Prover>,
    proof: Texts,
    attempts: usize,
}

/// A gateway gives a connection 64 challenges at most (`docs/proofs/AUTHENTICATOR.md`).
const MAX_ATTEMPTS: usize = 60;

impl<'s, K: Kind> Target<'s, K> {
    async fn new(site: &'s Site<K>) -> Self {
        let mut wire = site.gateway.connect().await;
        let mut party = site.kind.party(Who::Honest);
        let proof = site.prove(&mut wire, &mut party).await;
        Self {
            site,
            wire,
            party,
            proof,
            attempts: 0,
        }
    }

    /// Makes a new proof if the last attempt may have used the present one up, so that nothing but the change can be the reason of a
    /// refusal.
    async fn renew(&mut self) {
        if !K::TRAITS.is_spent_by_failure {
            return;
        }
        self.attempts += 1;
        if self.attempts.is_multiple_of(MAX_ATTEMPTS) {
            self.is_usable().await;
            self.wire = self.site.gateway.connect().await;
        }
        self.proof = self.site.prove(&mut self.wire, &mut self.party).await;
    }

    /// Returns the value of a field of the proof.
    fn value(&self, name: &str) -> &str {
        let mut fields = self.proof.0.iter();
        &fields.find(|field| field.0 == name).unwrap().1
    }

    /// Returns a value in the place of the proof in a field: as it is, and after the field's scheme.
    fn in_place_of(&self, name: &str, word: &str) -> Vec<String> {
        let scheme = self.value(name).rsplit_once(' ');
        let with_scheme = scheme.map(|(scheme, _)| format!("{scheme} {word}"));
        with_scheme.into_iter().chain([word.to_owned()]).collect()
    }

    /// Sends changed fields, which must be refused.
    async fn refuses(&mut self, fields: &Texts, attack: &str) {
        let request = self.site.request(fields);
        self.site.refused(&mut self.wire, request, attack).await;
    }

    /// Asserts that an honest proof is accepted after the attacks.
    async fn is_usable(&mut self) {
        self.site
            .is_usable(&mut self.wire, "after the attacks")
            .await;
    }
}
