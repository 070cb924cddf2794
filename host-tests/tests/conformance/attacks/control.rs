//! Honest clients: without them the refusals of the attacks would show nothing.

use crate::kind::{Kind, Site, Who, at, proof_of};
use chanbind::client::{Answer, Connection, Session};
use chanbind_core::proof::Outcome;

/// By the driver of the client, on a connection, again on it, and on another one.
pub(crate) async fn admits_an_honest_client<K: Kind>() {
    let site = Site::<K>::start().await;
    let uri = site.gateway.request("/get").uri().clone();
    for _ in 0..2 {
        let party = site.kind.party(Who::Honest);
        let greeting = party.greeting();
        let connection = site.gateway.open().await;
        let begun = Session::begin(connection, party.prover, party.key).await;
        let mut session = begun.unwrap();
        for _ in 0..3 {
            let request = Connection::get(&uri).unwrap();
            let answer = session.send(at(request, &uri)).await.unwrap();
            let Answer {
                response, outcome, ..
            } = answer;
            assert_eq!(response.status(), 200);
            assert_eq!(outcome, Outcome::Proved);
            let body = response.into_body().bytes(1024).await.unwrap();
            assert_eq!(body, greeting);
        }
    }
    let admitted = site.gateway.admitted();
    assert_eq!(admitted.len(), 6);
    let (first, last) = (&admitted[0], &admitted[3]);
    assert_ne!(first.peer, last.peer);
    assert_ne!(
        proof_of::<K>(first),
        proof_of::<K>(last),
        "one proof for two connections"
    );
}

/// Two clients that the gateway knows, each on a connection of its own at the same time.
pub(crate) async fn tells_two_honest_clients_apart<K: Kind>() {
    let site = Site::<K>::start().await;
    let (mut one, mut other) = (site.gateway.connect().await, site.gateway.connect().await);
    let [mut honest, mut second] = [Who::Honest, Who::Other].map(|who| site.kind.party(who));
    let first_proof = site.prove(&mut one, &mut honest).await;
    let second_proof = site.prove(&mut other, &mut second).await;
    assert_ne!(honest.greeting(), second.greeting());
    site.admitted(&mut other, site.request(&second_proof), &second, "second")
        .await;
    site.admitted(&mut one, site.request(&first_proof), &honest, "first")
        .await;
}
