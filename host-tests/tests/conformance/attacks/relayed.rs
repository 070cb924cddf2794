//! Proofs on another connection than the one that they were made for.

use crate::kind::{Kind, Site, Who, proof_of};
use chanbind_host_tests::client::Texts;

/// The fields of a request that was accepted, as a log of the gateway or its application would have them.
pub(crate) async fn refuses_accepted_fields_on_another_connection<K: Kind>() {
    let site = Site::<K>::start().await;
    let mut victim = site.gateway.connect().await;
    site.is_usable(&mut victim, "the victim").await;
    let stolen = proof_of::<K>(site.gateway.admitted().last().unwrap());
    assert_eq!(stolen.0.len(), K::FIELDS.len());

    let mut thief = site.gateway.connect().await;
    let request = site.request(&stolen);
    site.refused(&mut thief, request, "before a challenge")
        .await;
    let request = site.request(&Texts::default());
    site.refused(&mut thief, request, "without a proof").await;
    // With a challenge of this connection unanswered.
    let mut party = site.kind.party(Who::Other);
    let _ = site.prove(&mut thief, &mut party).await;
    for _ in 0..2 {
        let request = site.request(&stolen);
        site.refused(&mut thief, request, "after a challenge").await;
    }
    let mut http2 = site.gateway.connect_http2().await;
    let request = site.request(&stolen);
    site.refused(&mut http2, request, "in HTTP/2").await;
    site.is_usable(&mut http2, "in HTTP/2").await;
    site.is_usable(&mut thief, "a client of its own").await;
}

/// A proof that was never presented where it belongs.
pub(crate) async fn refuses_an_unused_proof_on_another_connection<K: Kind>() {
    let site = Site::<K>::start().await;
    let (mut victim, mut thief) = (site.gateway.connect().await, site.gateway.connect().await);
    let mut party = site.kind.party(Who::Honest);
    let proof = site.prove(&mut victim, &mut party).await;
    let request = site.request(&proof);
    site.refused(&mut thief, request, "relayed").await;
    if K::TRAITS.is_spent_by_relay {
        site.refused(&mut victim, site.request(&proof), "spent")
            .await;
        site.is_usable(&mut victim, "the victim's connection").await;
    } else {
        site.admitted(&mut victim, site.request(&proof), &party, "at home")
            .await;
    }
    site.is_usable(&mut thief, "the thief's connection").await;
}
