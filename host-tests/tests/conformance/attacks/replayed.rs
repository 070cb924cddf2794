//! A proof that is presented twice on its own connection.

use super::Target;
use crate::kind::{Kind, Site, Who, damaged};
use chanbind_host_tests::client::Texts;

/// A copy of an accepted proof, as the kind has it.
pub(crate) async fn handles_a_copy_as_the_kind_defines<K: Kind>() {
    let site = Site::<K>::start().await;
    let mut wire = site.gateway.connect().await;
    let mut party = site.kind.party(Who::Honest);
    let proof = site.prove(&mut wire, &mut party).await;
    site.admitted(&mut wire, site.request(&proof), &party, "the original")
        .await;
    for _ in 0..2 {
        let request = site.request(&proof);
        if K::TRAITS.is_repeatable {
            site.admitted(&mut wire, request, &party, "a copy").await;
        } else {
            site.refused(&mut wire, request, "a copy").await;
        }
    }
    // Where the connection has an identity, the copy added nothing to it.
    let request = site.request(&Texts::default());
    if K::TRAITS.is_per_connection {
        site.admitted(&mut wire, request, &party, "without a proof")
            .await;
    } else {
        site.refused(&mut wire, request, "without a proof").await;
        site.is_usable(&mut wire, "with a new proof").await;
    }
}

/// A proof of which a damaged copy came first. Where a challenge can be answered once, the proof is used up.
pub(crate) async fn handles_a_proof_after_a_damaged_copy<K: Kind>() {
    let site = Site::<K>::start().await;
    let mut target = Target::new(&site).await;
    let proof = target.proof.clone();
    let last = K::FIELDS.last().unwrap();
    let copy = damaged(&proof, last);
    target.refuses(&copy, "the damaged copy").await;
    if K::TRAITS.is_spent_by_failure {
        target.refuses(&proof, "the proof").await;
    } else {
        let request = site.request(&proof);
        site.admitted(&mut target.wire, request, &target.party, "the proof")
            .await;
        if K::TRAITS.is_per_connection {
            // The connection has its identity, and is asked for no other.
            return;
        }
    }
    target.is_usable().await;
}
