//! Requests of which the layer does not know by which connection they came.

use crate::kind::{Kind, Site, Who};
use axum::{
    body::Body,
    http::{Request, Response, StatusCode},
};
use chanbind_host_tests::client::Texts;
use std::convert::Infallible;
use tower::{Layer, ServiceExt, service_fn};

/// A server that forgets to put a channel into the extensions, with and without a valid proof.
pub(crate) async fn answers_500_without_a_channel<K: Kind>() {
    let site = Site::<K>::with(K::new(1), |policy| policy.exempt("/open")).await;
    let mut wire = site.gateway.connect().await;
    let mut party = site.kind.party(Who::Honest);
    let proof = site.prove(&mut wire, &mut party).await;
    let inner = service_fn(async |request: Request<Body>| {
        assert_eq!(request.uri().path(), "/open", "admitted without a channel");
        Ok::<_, Infallible>(Response::new(Body::from("open")))
    });
    let service = site.gateway.layer.layer(inner);
    for fields in [&Texts::default(), &proof] {
        for (path, expected) in [
            ("/get", StatusCode::INTERNAL_SERVER_ERROR),
            ("/open", StatusCode::OK),
        ] {
            let (mut parts, _) = site.request(fields).into_parts();
            parts.uri = path.parse().unwrap();
            let request = Request::from_parts(parts, Body::empty());
            let response = service.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), expected, "{path}");
            let body = axum::body::to_bytes(response.into_body(), 1024)
                .await
                .unwrap();
            let told = if expected == StatusCode::OK {
                "open"
            } else {
                ""
            };
            assert_eq!(body, told);
        }
    }
    // The proof was not used up by it.
    site.admitted(&mut wire, site.request(&proof), &party, "with its channel")
        .await;
}
