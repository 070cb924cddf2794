//! Proofs of one kind in the fields of another.

use super::Target;
use crate::{
    hold::Hold,
    kind::{Kind, Site, Who, prove, replaced, seen},
    with_every_kind,
};
use chanbind_host_tests::client::insert;
use std::any::TypeId;

/// Proofs of all other kinds.
pub(crate) async fn refuses_proofs_of_other_kinds<K: Kind>() {
    with_every_kind!(F => refuses::<K, F>().await);
}

/// A proof of the kind `F` for this connection, which is valid at `/foreign`, must not open `/get`.
async fn refuses<K: Kind, F: Kind>() {
    if TypeId::of::<K>() == TypeId::of::<F>() {
        return;
    }
    // Other clients with other keys, so that no policy of `K` knows them.
    let foreign = F::new(2);
    let requirement = foreign.requirement(&Hold::open());
    let site = Site::<K>::with(K::new(1), |policy| policy.require("/foreign", requirement)).await;
    let mut target = Target::new(&site).await;
    let mut party = foreign.party(Who::Honest);
    let request = || site.gateway.request("/foreign");
    let proof = prove::<F>(&mut target.wire, &mut party, request).await;

    let attack = "the fields as they are";
    target.refuses(&proof, attack).await;
    target.renew().await;
    let mut beside = site.request(&target.proof);
    for name in K::FIELDS {
        beside.headers_mut().remove(*name);
    }
    insert(&mut beside, &proof).unwrap();
    site.refused(&mut target.wire, beside, attack).await;
    for (source, value) in &proof.0 {
        let bare = value
            .rsplit_once(' ')
            .map_or(value.as_str(), |(_, bare)| bare);
        for name in K::FIELDS {
            let mut values = target.in_place_of(name, bare);
            values.push(value.clone());
            for value in values {
                target.renew().await;
                let fields = replaced(&target.proof, name, &value);
                if fields == target.proof {
                    continue;
                }
                target
                    .refuses(&fields, &format!("{source} as {name}"))
                    .await;
            }
        }
    }
    target.is_usable().await;
    // The proof was a valid one all the time.
    let mut wire = site.gateway.connect().await;
    let proof = prove::<F>(&mut wire, &mut party, request).await;
    let mut request = request();
    insert(&mut request, &proof).unwrap();
    let response = wire.send(request).await.unwrap();
    assert_eq!(seen(&response), (200, party.greeting()));
}
