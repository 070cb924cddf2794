//! The gateway: relays, proxies, parallel requests, users that change, and values that could tell who exists.

use crate::parties::random;
use axum::{
    Router,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode},
    routing::get,
};
use chanbind::{
    client::{ConnectOptions, Connection, Session, SessionError},
    gateway::{Channel, Identity, Policy, ProofLayer},
    proof::mutual::{Details, MutualVerifier, RealmSettings, UserTable, prover},
    tls,
};
use chanbind_core::{
    exporter::ExporterSecret,
    mutual::{
        Algorithm, Decoy, HostValidation, MutualFailure, MutualProver, MutualSettings, Number,
        Origin, Realm, SecretNumber, ServerSession, StoredCredential, Validation,
    },
    proof::Outcome,
};
use chanbind_host_tests::{gateway::TestGateway, pki::Pki};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::{convert::Infallible, sync::Arc};
use tower::{Layer, Service, ServiceExt, service_fn};

const USER: &str = "john";
const PASSWORD: &str = "correct horse";

fn realm() -> Realm {
    Realm::new(Algorithm::P256_SHA256, "localhost", "a realm").unwrap()
}

fn users() -> Arc<UserTable> {
    let credential = StoredCredential::register(&realm(), USER, PASSWORD).unwrap();
    UserTable::new([(USER.to_owned(), credential)]).unwrap()
}

struct Site {
    gateway: TestGateway,
    users: Arc<UserTable>,
    origin: Origin,
}

impl Site {
    /// Starts a gateway that offers these methods.
    async fn start(validations: &[Validation]) -> Self {
        let (listener, _) = chanbind_host_tests::port::listeners().unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let (pki, users) = (Pki::new().unwrap(), users());
        let origin = Origin::parse(&format!("https://localhost:{port}")).unwrap();
        let mut settings = RealmSettings::new(realm(), origin.clone());
        let certificate = CertificateDer::from_pem_slice(pki.certificate.as_bytes()).unwrap();
        settings.certificates = vec![certificate.to_vec()];
        settings.validations = validations.to_vec();
        let verifier = MutualVerifier::new(settings, Arc::clone(&users)).unwrap();
        let layer = ProofLayer::new(Policy::new().require("/", verifier));
        let app = Router::new().route(
            "/get",
            get(|identity: Identity| async move { identity.subject().to_owned() }),
        );
        let gateway = TestGateway::serve_as(layer.layer(app), pki, port);
        Self {
            gateway: gateway.await.unwrap(),
            users,
            origin,
        }
    }

    fn prover(&self, validations: &'static [Validation]) -> MutualProver {
        let settings = MutualSettings {
            validations,
            ..MutualSettings::of(&self.origin)
        };
        let prover = prover(self.origin.clone(), USER, PASSWORD).unwrap();
        prover.with_settings(settings)
    }
}

/// Connects to a server, and sends a request for `/get`.
async fn send(
    pki: &Pki,
    port: u16,
    prover: MutualProver,
) -> Result<(u16, Outcome, MutualProver), SessionError> {
    let config = tls::client_config(tls::roots_from_pem(pki.ca.as_bytes()).unwrap()).unwrap();
    let options = ConnectOptions::default();
    let connection = Connection::open("localhost", port, config, &options).await?;
    let mut session = Session::begin(connection, prover, ()).await?;
    let uri = format!("https://localhost:{port}/get").parse().unwrap();
    let answer = session.send(Connection::get(&uri).unwrap()).await?;
    let status = answer.response.status().as_u16();
    Ok((status, answer.outcome, session.into_parts().0))
}

/// A man in the middle: forwards each request to the gateway on a connection of its own, and the answer back.
struct Relay {
    port: u16,
    ca: String,
}

async fn relay(State(relay): State<Arc<Relay>>, headers: HeaderMap) -> Response<Body> {
    let roots = tls::roots_from_pem(relay.ca.as_bytes()).unwrap();
    let config = tls::client_config(roots).unwrap();
    let options = ConnectOptions::default();
    let connection = Connection::open("localhost", relay.port, config, &options);
    let mut connection = connection.await.unwrap();
    let uri = format!("https://localhost:{}/get", relay.port)
        .parse()
        .unwrap();
    let mut request = Connection::get(&uri).unwrap();
    for name in ["authorization"] {
        if let Some(value) = headers.get(name) {
            request.headers_mut().insert(name, value.clone());
        }
    }
    let answer = connection.send(request).await.unwrap();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    response.headers_mut().remove("content-length");
    response
}

/// The man in the middle has a valid certificate for the same name, as after a wrong issuance. `host` does not see the difference.
#[tokio::test]
async fn a_man_in_the_middle_is_stopped_by_all_but_the_name() {
    for (methods, is_stopped) in [
        (&[Validation::TlsExporter][..], true),
        (&[Validation::TlsServerEndPoint], true),
        (
            &[Validation::TlsServerEndPoint, Validation::TlsExporter],
            true,
        ),
        (&[Validation::Host], false),
    ] {
        let site = Site::start(methods).await;
        let own = Relay {
            port: site.gateway.port,
            ca: site.gateway.pki.ca.clone(),
        };
        let app = Router::new()
            .route("/get", get(relay))
            .with_state(Arc::new(own));
        let middle = TestGateway::serve(app).await.unwrap();
        // The client takes the name of the server from what it connects to, whose port only `host` looks at: it is made the same.
        let accepted: &'static [Validation] = if is_stopped {
            &[Validation::TlsExporter, Validation::TlsServerEndPoint]
        } else {
            &[Validation::Host]
        };
        let sent = send(&middle.pki, middle.port, site.prover(accepted)).await;
        let (status, outcome, _) = sent.unwrap();
        let expected = if is_stopped {
            (401, Outcome::Refused)
        } else {
            (200, Outcome::Proved)
        };
        assert_eq!((status, outcome), expected, "{methods:?}");
        // Directly the same client is admitted.
        let sent = send(&site.gateway.pki, site.gateway.port, site.prover(accepted)).await;
        assert_eq!(sent.unwrap().1, Outcome::Proved);
    }
}

/// A session that was begun by the weaker method is not accepted by the stronger one, and the other way round: the method is of each request, and the
/// gateway must offer it.
#[tokio::test]
async fn a_method_that_is_not_offered_is_refused() {
    let site = Site::start(&[Validation::TlsExporter]).await;
    let weak = site
        .prover(&[Validation::Host])
        .with_realm(realm(), Validation::Host);
    let (status, outcome, prover) = send(&site.gateway.pki, site.gateway.port, weak)
        .await
        .unwrap();
    assert_eq!((status, outcome), (401, Outcome::Refused));
    let declined = chanbind_core::proof::Prover::declined(&prover);
    assert!(
        matches!(declined, Some(MutualFailure::WeakValidation)),
        "{declined:?}"
    );
}

#[tokio::test]
async fn users_that_change_lose_their_sessions() {
    let site = Site::start(&[Validation::TlsExporter]).await;
    let accepted: &'static [Validation] = &[Validation::TlsExporter];
    let (pki, port) = (site.gateway.pki.clone(), site.gateway.port);
    let (_, outcome, prover) = send(&pki, port, site.prover(accepted)).await.unwrap();
    assert_eq!(outcome, Outcome::Proved);
    // A change of another user: the session goes on.
    let other = StoredCredential::register(&realm(), "jane", "x").unwrap();
    site.users.set("jane", Some(other));
    let (_, outcome, prover) = send(&pki, port, prover).await.unwrap();
    assert_eq!(outcome, Outcome::Proved);
    site.users.set(USER, None);
    let (status, outcome, prover) = send(&pki, port, prover).await.unwrap();
    assert_eq!((status, outcome), (401, Outcome::Refused));
    let again = StoredCredential::register(&realm(), USER, PASSWORD).unwrap();
    site.users.set(USER, Some(again));
    let (_, outcome, _) = send(&pki, port, prover).await.unwrap();
    assert_eq!(outcome, Outcome::Proved);
}

/// A proxy: 407 and the fields of proxies. The client is written by hand, from the messages of the prover.
#[tokio::test]
async fn a_proxy_asks_with_its_own_fields() {
    let origin = Origin::parse("https://proxy.example").unwrap();
    let realm = Realm::new(Algorithm::P256_SHA256, "proxy.example", "proxy").unwrap();
    let credential = StoredCredential::register(&realm, USER, PASSWORD).unwrap();
    let users = UserTable::new([(USER.to_owned(), credential)]).unwrap();
    let verifier = MutualVerifier::new(RealmSettings::new(realm, origin.clone()), users).unwrap();
    let layer = ProofLayer::for_proxy(Policy::new().require("/", verifier));
    let tunnel = service_fn(|request: Request<Body>| async move {
        let identity = request.extensions().get::<Identity>().unwrap();
        let realm = identity.details::<Details>().unwrap().realm().to_owned();
        assert_eq!((identity.subject(), realm.as_str()), (USER, "proxy"));
        Ok::<_, Infallible>(Response::new(Body::empty()))
    });
    let mut proxy = layer.layer(tunnel);
    let channel = Channel::new(ExporterSecret::sha256(&[9; 32]));
    let request = |authorization: Option<&str>, name: &'static str| {
        let mut request = Request::builder()
            .method("CONNECT")
            .uri("server.example:443")
            .body(Body::empty())
            .unwrap();
        request.extensions_mut().insert(channel.clone());
        if let Some(value) = authorization {
            let value = HeaderValue::from_str(value).unwrap();
            request
                .headers_mut()
                .insert(HeaderName::from_static(name), value);
        }
        request
    };
    let exporter = ExporterSecret::sha256(&[9; 32]);
    let prover = prover(origin, USER, PASSWORD).unwrap();
    let mut client = crate::parties::Client::of(prover);
    client.connect(&exporter);
    for exchange in 0..4 {
        let authorization = client.request("CONNECT").unwrap();
        // The field of servers is not the proxy's.
        let wrong = request(authorization.as_deref(), "authorization");
        let answer = proxy.ready().await.unwrap().call(wrong).await.unwrap();
        assert_eq!(answer.status(), StatusCode::PROXY_AUTHENTICATION_REQUIRED);
        let right = request(authorization.as_deref(), "proxy-authorization");
        let answer = proxy.ready().await.unwrap().call(right).await.unwrap();
        assert!(!answer.headers().contains_key("www-authenticate"));
        assert!(!answer.headers().contains_key("authentication-info"));
        // The prover knows the names of servers.
        let status = match answer.status().as_u16() {
            407 => 401,
            other => other,
        };
        let mut head = crate::parties::Head::new(status);
        for (own, name) in [
            ("proxy-authenticate", "www-authenticate"),
            ("proxy-authentication-info", "authentication-info"),
        ] {
            for value in answer.headers().get_all(own) {
                head = head.with(name, value.to_str().unwrap());
            }
        }
        let expected = if exchange < 2 {
            None
        } else {
            Some(Ok(Outcome::Proved))
        };
        assert_eq!(client.response(&head), expected, "{exchange}");
    }
}

/// Requests of one session at the same time, on several connections and in any order.
#[tokio::test(flavor = "multi_thread")]
async fn requests_of_a_session_may_be_sent_together() {
    let site = Site::start(&[Validation::TlsServerEndPoint]).await;
    let accepted: &'static [Validation] = &[Validation::TlsServerEndPoint];
    let (pki, port) = (site.gateway.pki.clone(), site.gateway.port);
    let (_, outcome, prover) = send(&pki, port, site.prover(accepted)).await.unwrap();
    assert_eq!(outcome, Outcome::Proved);
    let mut client = crate::parties::Client::of(prover);
    let requests: Vec<String> = (0..40)
        .map(|_| client.request("GET").unwrap().unwrap())
        .collect();
    let sent = requests.iter().rev().map(|authorization| {
        let pki = pki.clone();
        async move {
            let roots = tls::roots_from_pem(pki.ca.as_bytes()).unwrap();
            let config = tls::client_config(roots).unwrap();
            let options = ConnectOptions::default();
            let connection = Connection::open("localhost", port, config, &options);
            let mut connection = connection.await.unwrap();
            let uri = format!("https://localhost:{port}/get").parse().unwrap();
            let mut request = Connection::get(&uri).unwrap();
            let value = HeaderValue::from_str(authorization).unwrap();
            request.headers_mut().insert("authorization", value);
            connection.send(request).await.unwrap().status().as_u16()
        }
    });
    let statuses = futures_util::future::join_all(sent).await;
    assert_eq!(statuses, vec![200; 40]);
}

/// K_s1 of known and unknown users, for a K_c1 outside of the subgroup too: its quadratic character must not tell them apart.
#[test]
fn residues_do_not_tell_who_exists() {
    let realm = Realm::new(Algorithm::DL2048_SHA256, "h", "r").unwrap();
    let stored = StoredCredential::register(&realm, USER, PASSWORD).unwrap();
    let j = stored.j(&realm, USER).unwrap();
    let decoy = Decoy::new(&realm, &random(1)).unwrap();
    // q = 7 modulo 8, so that 2 is a residue, and q - 2 is not one.
    let q = {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../core/src/mutual/kam3/modp2048.hex"
        );
        hex::decode(std::fs::read_to_string(path).unwrap()).unwrap()
    };
    let mut outside = q.clone();
    outside[255] -= 2;
    let mut inside = vec![0; 256];
    inside[255] = 4;
    for client_value in [&inside, &outside] {
        let seen = |stored: Option<&Number>| {
            let mut seen = [0, 0];
            for number in 0..12 {
                let mut secret = vec![0; 256];
                secret[100..164].copy_from_slice(&random(number));
                // Both parities.
                secret[255] = u8::try_from(number).unwrap();
                let session = ServerSession::with_secret(
                    &realm,
                    USER,
                    stored,
                    &decoy,
                    9,
                    Number::new(client_value).unwrap(),
                    SecretNumber::new(&secret).unwrap(),
                );
                let session = session.unwrap();
                let value = session.value().unwrap().as_bytes();
                seen[usize::from(is_residue(value, &q))] += 1;
            }
            seen
        };
        let (known, unknown) = (seen(Some(j)), seen(None));
        assert_eq!(known, unknown);
        if client_value == &inside {
            assert_eq!(known, [0, 12]);
        }
    }
}

/// The Jacobi symbol of a number over q is 1.
fn is_residue(number: &[u8], q: &[u8]) -> bool {
    let (mut a, mut n) = (Big::of(number), Big::of(q));
    let mut is_one = true;
    while !a.is_zero() {
        while a.low(2) == 0 {
            a.halve();
            is_one ^= matches!(n.low(8), 3 | 5);
        }
        std::mem::swap(&mut a, &mut n);
        is_one ^= a.low(4) == 3 && n.low(4) == 3;
        a.reduce(&n);
    }
    is_one
}

/// A natural number of 2,048 bits, for the test alone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Big(Vec<u32>);

impl Big {
    fn of(octets: &[u8]) -> Self {
        let words = octets
            .chunks(4)
            .map(|word| u32::from_be_bytes(word.try_into().unwrap()));
        Self(words.collect())
    }

    fn is_zero(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    fn low(&self, modulus: u32) -> u32 {
        self.0.last().unwrap() % modulus
    }

    fn halve(&mut self) {
        let mut carry = 0;
        for word in &mut self.0 {
            let next = *word << 31;
            *word = (*word >> 1) | carry;
            carry = next;
        }
    }

    fn subtract(&mut self, other: &Self) {
        let mut borrow = false;
        for (word, other) in self.0.iter_mut().zip(&other.0).rev() {
            let (less, one) = word.overflowing_sub(*other);
            let (less, two) = less.overflowing_sub(u32::from(borrow));
            *word = less;
            borrow = one || two;
        }
    }

    fn bits(&self) -> usize {
        let first = self.0.iter().position(|word| *word != 0);
        first.map_or(0, |at| {
            (self.0.len() - at) * 32 - usize::try_from(self.0[at].leading_zeros()).unwrap()
        })
    }

    fn shifted(&self, by: usize) -> Self {
        let mut words = self.0.clone();
        for _ in 0..by {
            let mut carry = 0;
            for word in words.iter_mut().rev() {
                let next = *word >> 31;
                *word = (*word << 1) | carry;
                carry = next;
            }
        }
        Self(words)
    }

    fn reduce(&mut self, modulus: &Self) {
        while *self >= *modulus {
            let by = self.bits() - modulus.bits();
            let mut shifted = modulus.shifted(by);
            if shifted > *self {
                shifted.halve();
            }
            self.subtract(&shifted);
        }
    }
}

/// The values that proofs are bound to differ between the methods, so that one is never taken for another.
#[test]
fn methods_have_values_of_their_own() {
    let origin = Origin::parse("https://h").unwrap();
    let channel = ExporterSecret::sha256(&[1; 32]);
    let (host, exporter) = (
        HostValidation::host(&origin),
        HostValidation::tls_exporter(&channel).unwrap(),
    );
    assert_ne!(host.as_bytes(), exporter.as_bytes());
    assert_eq!(host.as_bytes(), b"https://h:443");
    assert_eq!(exporter.as_bytes().len(), 32);
}
