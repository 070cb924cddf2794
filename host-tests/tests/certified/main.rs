//! Authenticators in HTTP: gateway and client over real TLS on 127.0.0.1, and who relays between them.

mod asked;
mod fields;
mod http2;
mod policy;
mod relay;
mod revoked;

use axum::{Router, http::Request, routing::get};
use bytes::Bytes;
use chanbind::{
    authenticator::{CertifiedIdentity, Credentials, Trust},
    client::Connection,
    gateway::{AuthenticatorLayer, AuthenticatorPolicy},
};
use chanbind_host_tests::{
    gateway::TestGateway,
    pki::{Authority, Issued, for_device},
};
use rcgen::SanType;
use tower::Layer;

/// A gateway that wants devices of an authority on `/get` and operators of another one on `/admin`, and nobody on `/open`.
struct Fixture {
    gateway: TestGateway,
    layer: AuthenticatorLayer,
    devices: Authority,
    operators: Authority,
    seconds: Authority,
}

impl Fixture {
    async fn start() -> Self {
        let [devices, operators, seconds] =
            ["devices", "operators", "seconds"].map(|name| Authority::new(name).unwrap());
        let trust = |authority: &Authority| Trust::from_pem(authority.pem().as_bytes()).unwrap();
        let policy = AuthenticatorPolicy::new()
            .require("/", &trust(&devices))
            .require("/admin", &trust(&operators))
            .exempt("/open");
        let second = seconds.issue(|params| {
            params.subject_alt_names = vec![SanType::DnsName("second.example".try_into().unwrap())];
        });
        let identities = vec![credentials(&second.unwrap())];
        let layer = AuthenticatorLayer::with_identities(policy, identities);
        Self {
            gateway: TestGateway::serve(layer.layer(app())).await.unwrap(),
            layer,
            devices,
            operators,
            seconds,
        }
    }

    fn device(&self, uri: &str) -> Issued {
        issue(&self.devices, uri)
    }

    fn request(&self, path: &str) -> Request<()> {
        Connection::get(&self.gateway.uri(path).parse().unwrap()).unwrap()
    }
}

/// Says who is there.
fn app() -> Router {
    let who = |who: CertifiedIdentity| async move { format!("ok {}", who.name()) };
    let open = |who: Option<axum::Extension<CertifiedIdentity>>| async move {
        format!("open {}", who.is_some())
    };
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

/// Status and body.
fn seen(response: &axum::http::Response<Bytes>) -> (u16, String) {
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    (response.status().as_u16(), body)
}

fn is(status: u16, body: &str) -> (u16, String) {
    (status, body.to_owned())
}
