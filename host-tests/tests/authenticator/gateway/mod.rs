//! Authenticators in HTTP: gateway and client over real TLS on 127.0.0.1, and relays between them.

mod asked;
mod fields;
mod http2;
mod policy;
mod relay;
mod revoked;

use axum::{Router, http::Request, routing::get};
use bytes::Bytes;
use chanbind::{
    client::{Connection, RequestBody},
    gateway::{Policy, ProofLayer},
    proof::authenticator::{
        AuthenticatorVerifier, CertifiedIdentity, Credentials, Revocations, ServerIdentities, Trust,
    },
};
use chanbind_host_tests::{
    gateway::TestGateway,
    pki::{Authority, Issued, for_device},
};
use rcgen::SanType;
use std::sync::Arc;
use tower::Layer;

/// A gateway that requires devices of one authority on `/get`, operators of another one on `/admin`, and no proof on `/open`.
struct Fixture {
    gateway: TestGateway,
    layer: ProofLayer,
    revocations: Arc<Revocations>,
    devices: Authority,
    operators: Authority,
    seconds: Authority,
}

impl Fixture {
    async fn start() -> Self {
        let [devices, operators, seconds] =
            ["devices", "operators", "seconds"].map(|name| Authority::new(name).unwrap());
        let revocations = Revocations::new();
        let verifier = |authority: &Authority| {
            AuthenticatorVerifier::with_revocations(trust(authority), &revocations)
        };
        let policy = Policy::new()
            .require("/", verifier(&devices))
            .require("/admin", verifier(&operators))
            .exempt("/open");
        let second = seconds.issue(|params| {
            params.subject_alt_names = vec![SanType::DnsName("second.example".try_into().unwrap())];
        });
        let identities = vec![credentials(&second.unwrap())];
        let layer = ProofLayer::with_responders(policy, vec![ServerIdentities::new(identities)]);
        Self {
            gateway: TestGateway::serve(layer.layer(app())).await.unwrap(),
            layer,
            revocations,
            devices,
            operators,
            seconds,
        }
    }

    fn device(&self, uri: &str) -> Issued {
        issue(&self.devices, uri)
    }

    fn request(&self, path: &str) -> Request<RequestBody> {
        Connection::get(&self.gateway.uri(path).parse().unwrap()).unwrap()
    }
}

/// Answers with the name of the client.
fn app() -> Router {
    let who = |who: CertifiedIdentity| async move { format!("ok {}", who.name()) };
    let open = |who: Option<CertifiedIdentity>| async move { format!("open {}", who.is_some()) };
    Router::new()
        .route("/get", get(who))
        .route("/admin", get(who))
        .route("/open", get(open))
}

fn issue(authority: &Authority, uri: &str) -> Issued {
    authority.issue(|params| for_device(params, uri)).unwrap()
}

fn credentials(issued: &Issued) -> Credentials {
    Credentials::from_pem(issued.pem().as_bytes(), issued.key_pem().as_bytes()).unwrap()
}

fn trust(authority: &Authority) -> Trust {
    Trust::from_pem(authority.pem().as_bytes()).unwrap()
}

/// Returns status and content.
fn seen(response: &axum::http::Response<Bytes>) -> (u16, String) {
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    (response.status().as_u16(), body)
}

fn is(status: u16, body: &str) -> (u16, String) {
    (status, body.to_owned())
}
