//! Values that the gateway sends, sent back to it as a proof.

use super::Target;
use crate::kind::{Kind, Site, Who, replaced};
use axum::http::{HeaderMap, HeaderValue};
use std::collections::BTreeSet;

/// Challenges, proofs of the gateway's own, and every part of both that looks like a value.
pub(crate) async fn refuses_what_the_gateway_sent<K: Kind>() {
    let site = Site::<K>::start().await;
    let mut target = Target::new(&site).await;
    let mut words = BTreeSet::new();
    // The answer to a client that is accepted. On the target's connection it would come too late.
    let mut elsewhere = site.gateway.connect().await;
    let mut party = site.kind.party(Who::Honest);
    let proof = site.prove(&mut elsewhere, &mut party).await;
    let accepted = elsewhere.send(site.request(&proof)).await.unwrap();
    assert_eq!(accepted.status(), 200);
    collect(accepted.headers(), &mut words);

    let mut refused = 0;
    for round in 0..4 {
        let asked = target
            .wire
            .send(site.gateway.request("/get"))
            .await
            .unwrap();
        collect(asked.headers(), &mut words);
        for question in site.kind.questions(&target.wire, asked.headers()) {
            let answer = target.wire.send(site.request(&question)).await.unwrap();
            assert!(answer.status().is_client_error());
            collect(answer.headers(), &mut words);
        }
        for word in std::mem::take(&mut words) {
            for name in K::FIELDS {
                target.renew().await;
                for value in target.in_place_of(name, &word) {
                    let fields = replaced(&target.proof, name, &value);
                    target
                        .refuses(&fields, &format!("round {round}: {name}: {word}"))
                        .await;
                    refused += 1;
                }
            }
        }
    }
    assert!(refused >= 8, "{refused}");
    target.is_usable().await;
}

/// Appends the values of fields, and the words in them.
fn collect(headers: &HeaderMap, words: &mut BTreeSet<String>) {
    let is_general = |name: &str| ["date", "content-length"].contains(&name);
    let values = headers
        .iter()
        .filter(|(name, _)| !is_general(name.as_str()));
    for value in values.filter_map(|(_, value)| HeaderValue::to_str(value).ok()) {
        words.insert(value.to_owned());
        let parts = value.split([' ', '"', ',']).filter(|part| !part.is_empty());
        words.extend(parts.map(str::to_owned));
    }
}
