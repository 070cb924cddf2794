//! The limit on proofs that are being verified.

use super::*;
use chanbind::gateway::{LookUp, Policy, ProofLayer, Registry};
use chanbind_core::otp::ClientId;
use std::time::Duration;
use tokio::{sync::Semaphore, time::timeout};
use tower::Layer;

/// A registry that answers when it gets permits.
struct Slow {
    registry: Arc<MemoryRegistry>,
    permits: Semaphore,
}

impl Registry for Slow {
    fn find<'a>(&'a self, client: ClientId<'a>) -> LookUp<'a> {
        Box::pin(async move {
            self.permits.acquire().await.unwrap().forget();
            self.registry.find(client).await
        })
    }

    fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.registry.changes()
    }
}

#[tokio::test]
async fn more_pending_proofs_than_allowed_are_told_to_come_again() {
    const LIMIT: usize = 2;
    let slow = Arc::new(Slow {
        registry: registry(),
        permits: Semaphore::new(0),
    });
    let verifier = OtpVerifier::new(slow.clone(), Settings::default());
    let layer = ProofLayer::new(Policy::new().require("/", verifier)).with_max_pending(LIMIT);
    let app = axum::Router::new().route("/get", axum::routing::get(|| async {}));
    let gateway = TestGateway::serve(layer.layer(app)).await.unwrap();
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..LIMIT {
        let mut connection = gateway.connect().await.unwrap();
        let request = proved(&gateway, &connection, "/get").await;
        waiting.spawn(async move { connection.send(request).await.unwrap().status() });
    }
    let mut connection = gateway.connect().await.unwrap();
    let refused = async {
        loop {
            let request = proved(&gateway, &connection, "/get").await;
            // The others may not have arrived yet: then this one waits in their place.
            match timeout(Duration::from_millis(200), connection.send(request)).await {
                Ok(response) => break response.unwrap(),
                Err(_) => connection = gateway.connect().await.unwrap(),
            }
        }
    };
    let response = timeout(Duration::from_secs(30), refused).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(response.body(), "try again later\n");
    // The waiting requests are admitted, and then there is room again.
    slow.permits.add_permits(100);
    while let Some(status) = waiting.join_next().await {
        assert!(matches!(
            status.unwrap(),
            StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE
        ));
    }
    let mut connection = gateway.connect().await.unwrap();
    let request = proved(&gateway, &connection, "/get").await;
    assert_eq!(
        connection.send(request).await.unwrap().status(),
        StatusCode::OK
    );
    gateway.stop().await;
}
