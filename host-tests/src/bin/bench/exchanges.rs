//! The exchanges of authentication schemes, counted on the wire: messages, round trips, and the bytes of requests and responses.
//!
//! All run over TLS with one server, whose responses have no content. A message is a request with credentials, a response with a challenge or the
//! server's proof, or the response to a request with credentials. Bytes are those of TLS records after the handshake, both ways; values
//! that are random in length (DER signatures) make them differ by a few.

use crate::{Figure, Outcome, SECRET};
use axum::{
    Router,
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chanbind::{
    client::{ConnectOptions, Connection, Session},
    gateway::{ClientKey, ClientTable, MemoryRegistry, Policy, ProofLayer, Requirement},
    proof::{
        KeyHolder,
        authenticator::{AuthenticatorVerifier, Credentials, Trust, prover as certificate_prover},
        mutual::{MutualVerifier, RealmSettings, UserTable, prover as password_prover},
        otp::{Form, OtpVerifier, Settings, prover as otp_prover},
    },
    protocol::{
        kdf::HmacSha256,
        mutual::{Algorithm, Origin, Realm, StoredCredential, Validation},
        otp::ClientId,
        proof::{Outcome as ProofOutcome, Prover},
    },
    tls,
};
use chanbind_host_tests::{
    gateway::TestGateway,
    pki::{Authority, Pki, for_device},
};
use sha2::{Digest, Sha256};
use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower::Layer;

const USER: &str = "client1";
const PASSWORD: &str = "correct horse";
const REALM: &str = "a realm";

/// The counts at the server.
#[derive(Default)]
struct Seen {
    requests: AtomicU32,
    messages: AtomicU32,
}

/// The numbers of one request of the application.
#[derive(Debug, Clone, Copy)]
struct Counts {
    round_trips: u32,
    messages: u32,
    bytes: u32,
}

async fn count(
    axum::extract::State(seen): axum::extract::State<Arc<Seen>>,
    request: Request,
    next: Next,
) -> Response {
    let has =
        |headers: &HeaderMap, names: &[&str]| names.iter().any(|one| headers.contains_key(*one));
    let is_message = has(request.headers(), &["authorization", "chanbind-key"]);
    seen.requests.fetch_add(1, Ordering::Relaxed);
    let mut response = next.run(request).await;
    let is_answer = is_message
        || has(
            response.headers(),
            &["www-authenticate", "authentication-info"],
        );
    let messages = u32::from(is_message) + u32::from(is_answer);
    seen.messages.fetch_add(messages, Ordering::Relaxed);
    *response.body_mut() = Body::empty();
    response
}

/// A server behind a relay that counts bytes.
struct Server {
    gateway: TestGateway,
    seen: Arc<Seen>,
    bytes: Arc<AtomicU32>,
    port: u16,
    relay: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start<L>(layer: L) -> Outcome<Self>
    where
        L: FnOnce(Router) -> Router,
    {
        let seen = Arc::new(Seen::default());
        let app = layer(Router::new().route("/get", get(|| async {})));
        let app = app.layer(from_fn_with_state(Arc::clone(&seen), count));
        let gateway = TestGateway::serve_as(app, Pki::new()?, 0).await?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let bytes = Arc::new(AtomicU32::new(0));
        let (counter, to) = (Arc::clone(&bytes), gateway.port);
        let relay = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)).await else {
                    return;
                };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(pass(from_client, to_server, Arc::clone(&counter)));
                tokio::spawn(pass(from_server, to_client, Arc::clone(&counter)));
            }
        });
        Ok(Self {
            gateway,
            seen,
            bytes,
            port,
            relay,
        })
    }

    async fn behind(requirement: impl Into<Requirement>) -> Outcome<Self> {
        let layer = ProofLayer::new(Policy::new().require("/", requirement));
        let app = move |router: Router| Router::new().fallback_service(layer.layer(router));
        Self::start(app).await
    }

    async fn connect(&self) -> Outcome<Connection> {
        let roots = tls::roots_from_pem(self.gateway.pki.ca.as_bytes())?;
        let config = tls::client_config(roots)?;
        let options = ConnectOptions::default();
        Ok(Connection::open("localhost", self.port, config, &options).await?)
    }

    fn uri(&self) -> Outcome<axum::http::Uri> {
        Ok(format!("https://localhost:{}/get", self.port).parse()?)
    }

    /// Waits until the bytes that are under way are counted: session tickets come after the handshake.
    async fn settle(&self) -> u32 {
        let mut before = self.bytes.load(Ordering::Relaxed);
        loop {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            let now = self.bytes.load(Ordering::Relaxed);
            if now == before {
                return now;
            }
            before = now;
        }
    }

    /// Counts what `work` causes.
    async fn counted(&self, work: impl Future<Output = Outcome<()>>) -> Outcome<Counts> {
        let bytes = self.settle().await;
        let requests = self.seen.requests.load(Ordering::Relaxed);
        let messages = self.seen.messages.load(Ordering::Relaxed);
        work.await?;
        Ok(Counts {
            bytes: self.settle().await - bytes,
            round_trips: self.seen.requests.load(Ordering::Relaxed) - requests,
            messages: self.seen.messages.load(Ordering::Relaxed) - messages,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    counter: Arc<AtomicU32>,
) {
    let mut buffer = vec![0; 16_384];
    while let Ok(len @ 1..) = from.read(&mut buffer).await {
        let Some(data) = buffer.get(..len) else {
            return;
        };
        counter.fetch_add(u32::try_from(len).unwrap_or(0), Ordering::Relaxed);
        if to.write_all(data).await.is_err() {
            return;
        }
    }
}

/// A scheme whose credentials are the same for every request, or follow from a challenge.
async fn plain(
    scheme: &'static str,
    verify: fn(&str, &str) -> bool,
    challenge: &'static str,
    credentials: fn(&str) -> String,
    known: Option<&'static str>,
) -> Outcome<[Option<Counts>; 3]> {
    let server = Server::start(|router| {
        router.layer(from_fn(move |request: Request, next: Next| async move {
            let value = request.headers().get(header::AUTHORIZATION);
            let value = value.and_then(|value| value.to_str().ok());
            if value.is_some_and(|value| verify(value, challenge)) {
                return next.run(request).await;
            }
            let value = HeaderValue::from_static(challenge);
            (
                StatusCode::UNAUTHORIZED,
                [(header::WWW_AUTHENTICATE, value)],
            )
                .into_response()
        }))
    })
    .await?;
    let mut results = [None; 3];
    let mut connection = server.connect().await?;
    let uri = server.uri()?;
    let refused = || format!("{scheme}: refused").into();
    let mut from: Option<String> = None;
    // With discovery, and then again.
    for at in [0, 2] {
        let counts = server.counted(async {
            loop {
                let own = from.as_deref().map(credentials);
                let (status, challenge) = ask(&mut connection, &uri, own).await?;
                if status == StatusCode::OK {
                    return Ok(());
                }
                if from.is_some() {
                    return Err(refused());
                }
                from = challenge;
            }
        });
        let counts = counts.await?;
        if let Some(result) = results.get_mut(at) {
            *result = Some(counts);
        }
        assert!(at == 0 || counts.round_trips == 1, "{scheme}");
    }
    if let Some(known) = known {
        let mut connection = server.connect().await?;
        let counts = server.counted(async {
            let (status, _) = ask(&mut connection, &uri, Some(credentials(known))).await?;
            if status == StatusCode::OK {
                Ok(())
            } else {
                Err(refused())
            }
        });
        let [_, known, _] = &mut results;
        *known = Some(counts.await?);
    }
    Ok(results)
}

/// Sends a request with these credentials. Returns the status of the response, and its challenge.
async fn ask(
    connection: &mut Connection,
    uri: &axum::http::Uri,
    credentials: Option<String>,
) -> Outcome<(StatusCode, Option<String>)> {
    let mut request = Connection::get(uri)?;
    if let Some(credentials) = credentials {
        let value = HeaderValue::from_str(&credentials)?;
        request.headers_mut().insert(header::AUTHORIZATION, value);
    }
    let response = connection.send(request).await?;
    let status = response.status();
    let challenge = response.headers().get(header::WWW_AUTHENTICATE);
    let challenge = challenge.and_then(|value| value.to_str().ok());
    let challenge = challenge.map(str::to_owned);
    response.into_body().bytes(1024).await?;
    Ok((status, challenge))
}

/// A kind of proof: with discovery, with prior agreement, and again on the same connection.
async fn proof<P, K>(
    server: &Server,
    discovering: Option<(P, K)>,
    agreed: Option<(P, K)>,
) -> Outcome<[Option<Counts>; 3]>
where
    P: Prover<Failure: Send + Sync + 'static>,
    K: KeyHolder,
{
    let uri = server.uri()?;
    let mut results = [None; 3];
    for (at, client) in [(0, discovering), (1, agreed)] {
        let Some((prover, key)) = client else {
            continue;
        };
        let connection = server.connect().await?;
        let mut session = Session::begin(connection, prover, key).await?;
        for at in [at, 2] {
            let counts = server.counted(async {
                let answer = session.send(Connection::get(&uri)?).await?;
                if answer.outcome != ProofOutcome::Proved {
                    return Err("the proof was refused".into());
                }
                answer.response.into_body().bytes(1024).await?;
                Ok(())
            });
            let counts = counts.await?;
            if let Some(result) = results.get_mut(at) {
                *result = Some(counts);
            }
        }
    }
    Ok(results)
}

/// Returns the value of a parameter of a challenge.
fn parameter<'c>(challenge: &'c str, name: &str) -> &'c str {
    let start = format!("{name}=\"");
    let rest = challenge.split_once(&start).map_or("", |(_, rest)| rest);
    rest.split('"').next().unwrap_or_default()
}

/// The client's nonce, as in RFC 7616 section 3.9.1.
const CNONCE: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

/// The response of RFC 7616 section 3.4.1 for SHA-256 and qop auth.
fn digest_response(nonce: &str) -> String {
    let hash = |text: String| hex::encode(Sha256::digest(text));
    let a1 = hash(format!("{USER}:{REALM}:{PASSWORD}"));
    let a2 = hash("GET:/get".to_owned());
    hash(format!("{a1}:{nonce}:00000001:{CNONCE}:auth:{a2}"))
}

fn digest(challenge: &str) -> String {
    let nonce = parameter(challenge, "nonce");
    let response = digest_response(nonce);
    format!(
        "Digest username=\"{USER}\", realm=\"{REALM}\", uri=\"/get\", algorithm=SHA-256, nonce=\"{nonce}\", nc=00000001, cnonce=\"{CNONCE}\", qop=auth, response=\"{response}\""
    )
}

const DIGEST_CHALLENGE: &str = "Digest realm=\"a realm\", qop=\"auth\", algorithm=SHA-256, nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";

async fn passwords() -> Outcome<[Option<Counts>; 3]> {
    let realm = Realm::new(Algorithm::P256_SHA256, "localhost", REALM)?;
    let credential = StoredCredential::register(&realm, USER, PASSWORD)?;
    let users = UserTable::new([(USER.to_owned(), credential)])?;
    let origin = Origin::parse("https://localhost")?;
    let verifier = MutualVerifier::new(RealmSettings::new(realm.clone(), origin.clone()), users)?;
    let server = Server::behind(verifier).await?;
    let client = || password_prover(origin.clone(), USER, PASSWORD);
    let agreed = client()?.with_realm(realm, Validation::TlsExporter);
    proof(&server, Some((client()?, ())), Some((agreed, ()))).await
}

async fn one_time_passwords(form: Form) -> Outcome<[Option<Counts>; 3]> {
    let clients = [(USER.to_owned(), ClientKey::secret(SECRET))];
    let registry = MemoryRegistry::new(ClientTable::new(clients)?);
    let settings = Settings::default();
    let server = Server::behind(OtpVerifier::new(registry, settings.clone())).await?;
    let prover = otp_prover(&settings, ClientId::new(USER)?, form);
    proof(&server, None, Some((prover, HmacSha256::new(SECRET)))).await
}

async fn authenticators() -> Outcome<[Option<Counts>; 3]> {
    let authority = Authority::new("devices")?;
    let device = authority.issue(|params| for_device(params, "urn:device:client1"))?;
    let trust = Trust::from_pem(authority.pem().as_bytes())?;
    let server = Server::behind(AuthenticatorVerifier::new(trust)).await?;
    let credentials = Credentials::from_pem(device.pem().as_bytes(), device.key_pem().as_bytes())?;
    let prover = certificate_prover(&credentials);
    proof(&server, Some((prover, credentials)), None).await
}

pub(crate) async fn figures() -> Outcome<Vec<Figure>> {
    let basic = |_: &str| {
        let text = BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}"));
        format!("Basic {text}")
    };
    let bearer = |_: &str| "Bearer mF_9.B5f-4.1JqMmF_9.B5f-4.1JqMmF_9.B5f-4.1JqM".to_owned();
    let schemes: [(&str, [Option<Counts>; 3]); 7] = [
        (
            "Basic",
            plain(
                "Basic",
                |value, _| value.starts_with("Basic Y2xpZW50MTpjb3JyZWN0IGhvcnNl"),
                "Basic realm=\"a realm\"",
                basic,
                Some(""),
            )
            .await?,
        ),
        (
            "Bearer",
            plain(
                "Bearer",
                |value, _| value.starts_with("Bearer mF_9.B5f-4.1JqM"),
                "Bearer realm=\"a realm\"",
                bearer,
                Some(""),
            )
            .await?,
        ),
        (
            "Digest",
            plain(
                "Digest",
                |value, challenge| {
                    let response = digest_response(parameter(challenge, "nonce"));
                    parameter(value, "response") == response
                },
                DIGEST_CHALLENGE,
                digest,
                None,
            )
            .await?,
        ),
        ("Mutual", passwords().await?),
        ("OTP, API key", one_time_passwords(Form::ApiKey).await?),
        ("OTP, JWS", one_time_passwords(Form::Jws).await?),
        ("Authenticator", authenticators().await?),
    ];
    let mut figures = Vec::new();
    for (scheme, [discovering, agreed, again]) in schemes {
        let mut add = |what: &str, value: u32, unit| {
            figures.push((
                format!("exchange: {scheme}, {what}"),
                f64::from(value),
                unit,
            ));
        };
        // The messages of the authentication alone, without finding out that there is one where that can be left out.
        if let Some(counts) = agreed.or(discovering) {
            add("messages", counts.messages, "messages");
        }
        for (what, counts) in [
            ("with discovery", discovering),
            ("with prior agreement", agreed),
            ("again", again),
        ] {
            if let Some(counts) = counts {
                add(
                    &format!("round trips {what}"),
                    counts.round_trips,
                    "round trips",
                );
                add(&format!("bytes {what}"), counts.bytes, "bytes");
            }
        }
    }
    Ok(figures)
}
