//! Slow keys and slow look-ups, and requests that are given up meanwhile.

use crate::{
    gateway::Wire,
    hold::Hold,
    kind::{Kind, Site, Who},
};
use chanbind::{
    client::Session,
    proof::{KeyAnswer, KeyHolder},
};
use chanbind_core::{
    exporter::Exporter,
    proof::{FieldSink, Inputs, KeyRequest, Prover, RequestTarget, ResponseHead, Step},
};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A key one of whose answers waits.
struct SlowKey {
    inner: Arc<dyn KeyHolder>,
    answers: AtomicUsize,
    slow: usize,
    hold: Hold,
}

impl KeyHolder for SlowKey {
    fn answer<'a>(&'a self, request: KeyRequest<'a>) -> KeyAnswer<'a> {
        let is_slow = self.answers.fetch_add(1, Ordering::Relaxed) == self.slow;
        Box::pin(async move {
            if is_slow {
                self.hold.pass().await;
            }
            self.inner.answer(request).await
        })
    }
}

/// A prover that is lent to a session, so that it can be used after the session was dropped.
struct Lent<'p, P>(&'p mut P);

impl<P: Prover> Prover for Lent<'_, P> {
    type Failure = P::Failure;

    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    fn begin(&mut self, channel: &dyn Exporter, inputs: &Inputs<'_>) -> Step<'_, P::Failure> {
        self.0.begin(channel, inputs)
    }

    fn answered(&mut self, answer: &[u8]) -> Step<'_, P::Failure> {
        self.0.answered(answer)
    }

    fn write_fields(
        &mut self,
        request: &RequestTarget<'_>,
        inputs: &Inputs<'_>,
        out: &mut dyn FieldSink,
    ) -> Result<(), P::Failure> {
        self.0.write_fields(request, inputs, out)
    }

    fn response(&mut self, head: &dyn ResponseHead, inputs: &Inputs<'_>) -> Step<'_, P::Failure> {
        self.0.response(head, inputs)
    }
}

/// Drops the client's driver at each answer of the key that it waits for; prover and key then serve another connection.
pub(crate) async fn survives_a_client_that_gives_up_a_slow_key<K: Kind>() {
    let site = Site::<K>::start().await;
    let mut party = site.kind.party(Who::Honest);
    let greeting = party.greeting();
    let mut given_up = 0;
    loop {
        let key = SlowKey {
            inner: Arc::clone(&party.key),
            answers: AtomicUsize::new(0),
            slow: given_up,
            hold: Hold::open(),
        };
        key.hold.hold();
        let exchange = async {
            let connection = site.gateway.open().await;
            let lent = Lent(&mut party.prover);
            let mut session = Session::begin(connection, lent, &key).await.unwrap();
            let answer = session.send(site.gateway.request("/get")).await.unwrap();
            answer.response.into_body().bytes(1024).await.unwrap()
        };
        let is_complete = tokio::select! {
            body = exchange => {
                assert_eq!(body, greeting);
                true
            }
            () = key.hold.until_waiting(1) => false,
        };
        let expected = usize::from(is_complete);
        assert_eq!(site.gateway.admitted().len(), expected);
        site.gateway.until_forgotten().await;
        assert_eq!(site.gateway.layer.close_where(|_| true), 0);
        if is_complete {
            break;
        }
        given_up += 1;
    }
    assert_eq!(given_up > 0, K::TRAITS.has_key, "{given_up} times asked");
}

/// Gives requests up whose client the gateway is looking up: with the connection, and alone.
pub(crate) async fn forgets_a_request_that_is_given_up<K: Kind>() {
    if !K::TRAITS.is_looked_up {
        return;
    }
    let site = Site::<K>::start().await;
    let mut party = site.kind.party(Who::Honest);

    let mut wire = site.gateway.connect().await;
    let proof = site.prove(&mut wire, &mut party).await;
    site.look_ups.hold();
    tokio::select! {
        _ = Wire::send(&mut wire, site.request(&proof)) => panic!("answered without a look-up"),
        () = site.look_ups.until_waiting(1) => {}
    }
    drop(wire);
    site.look_ups.until_waiting(0).await;
    site.gateway.until_forgotten().await;
    site.look_ups.release();

    let mut http2 = site.gateway.connect_http2().await;
    let proof = site.prove(&mut http2, &mut party).await;
    site.look_ups.hold();
    tokio::select! {
        _ = http2.send_beside(site.request(&proof)) => panic!("answered without a look-up"),
        () = site.look_ups.until_waiting(1) => {}
    }
    site.look_ups.until_waiting(0).await;
    site.look_ups.release();
    assert_eq!(site.gateway.admitted().len(), 0);
    site.is_usable(&mut http2, "the rest of the connection")
        .await;
    let mut other = site.gateway.connect().await;
    site.is_usable(&mut other, "another connection").await;
}
