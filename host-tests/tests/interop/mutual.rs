//! HTTP Mutual authentication with a Go program that was written from RFC 8120 and RFC 8121 alone, in both directions: all algorithms and all host
//! validation methods, and what either side must refuse.

use axum::{Router, routing::get};
use chanbind::{
    client::{ConnectOptions, Connection, Session, SessionError},
    gateway::{Identity, Policy, ProofLayer},
    proof::mutual::{Details, MutualVerifier, RealmSettings, UserTable, prover},
    tls,
};
use chanbind_core::{
    mutual::{
        Algorithm, MutualFailure, MutualProver, MutualSettings, Origin, Realm, StoredCredential,
        Validation,
    },
    proof::Outcome,
};
use chanbind_host_tests::{gateway::TestGateway, go, pki::Pki};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::{path::Path, process::Output};
use tower::Layer;

const USER: &str = "Renée of Pâris";
const PASSWORD: &str = "pässword";
const REALM: &str = "a \"realm\"";

const EC: Algorithm = Algorithm::P256_SHA256;
const EXPORTER: Validation = Validation::TlsExporter;

/// A folder with the files of a server.
struct Files(tempfile::TempDir);

impl Files {
    fn of(pki: &Pki) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        for (name, text) in [
            ("cert", &pki.certificate),
            ("key", &pki.key),
            ("ca", &pki.ca),
        ] {
            std::fs::write(files.0.path().join(name), text).unwrap();
        }
        files
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

/// Starts the Go server with TLS.
fn go_server(
    program: &Path,
    files: &Files,
    algorithm: Algorithm,
    validation: Validation,
    more: &[&str],
) -> go::Server {
    let (certificate, key) = (files.path("cert"), files.path("key"));
    let mut arguments = vec!["-cert", &certificate, "-key", &key];
    arguments.extend(["-algorithm", algorithm.token(), "-realm", REALM]);
    arguments.extend([
        "-auth-scope",
        "localhost",
        "-user",
        USER,
        "-password",
        PASSWORD,
    ]);
    arguments.extend(["-validation", validation.token()]);
    if !more.contains(&"-origin") {
        arguments.extend(["-origin", "https://localhost:1"]);
    }
    arguments.extend(more);
    go::Server::start(program, "server", &arguments)
}

struct Client {
    origin: Origin,
    pki: Pki,
    port: u16,
}

impl Client {
    fn new(server: &go::Server, pki: &Pki) -> Self {
        let origin = format!("https://localhost:{}", server.port);
        Self {
            origin: Origin::parse(&origin).unwrap(),
            pki: pki.clone(),
            port: server.port,
        }
    }

    fn prover(&self, password: &str, validations: &'static [Validation]) -> MutualProver {
        let settings = MutualSettings {
            validations,
            ..MutualSettings::of(&self.origin)
        };
        prover(self.origin.clone(), USER, password)
            .unwrap()
            .with_settings(settings)
    }

    async fn begin(&self, prover: MutualProver) -> Session<MutualProver, ()> {
        let roots = tls::roots_from_pem(self.pki.ca.as_bytes()).unwrap();
        let config = tls::client_config(roots).unwrap();
        let options = ConnectOptions::default();
        let connection = Connection::open("localhost", self.port, config, &options);
        Session::begin(connection.await.unwrap(), prover, ())
            .await
            .unwrap()
    }

    /// Sends a request and returns status, outcome and content.
    async fn get(
        &self,
        session: &mut Session<MutualProver, ()>,
    ) -> Result<(u16, Outcome, String), SessionError> {
        let uri = format!("https://localhost:{}/", self.port).parse().unwrap();
        let answer = session.send(Connection::get(&uri).unwrap()).await?;
        let status = answer.response.status().as_u16();
        let body = answer.response.into_body().bytes(1024).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Ok((status, answer.outcome, body))
    }
}

fn greeting() -> (u16, Outcome, String) {
    (200, Outcome::Proved, format!("hello {USER}\n"))
}

#[tokio::test]
async fn our_client_and_the_go_server_agree_by_every_algorithm() {
    let Some(program) = go::mutual() else { return };
    let pki = Pki::new().unwrap();
    let files = Files::of(&pki);
    for &algorithm in Algorithm::ALL {
        let server = go_server(program, &files, algorithm, EXPORTER, &[]);
        let client = Client::new(&server, &pki);
        let mut session = client.begin(client.prover(PASSWORD, &[EXPORTER])).await;
        for _ in 0..3 {
            assert_eq!(
                client.get(&mut session).await.unwrap(),
                greeting(),
                "{algorithm}"
            );
        }
        // The session outlives its connection.
        let (prover, ()) = session.into_parts();
        let mut session = client.begin(prover).await;
        assert_eq!(client.get(&mut session).await.unwrap(), greeting());
        let mut session = client.begin(client.prover("another", &[EXPORTER])).await;
        let (status, outcome, _) = client.get(&mut session).await.unwrap();
        assert_eq!((status, outcome), (401, Outcome::Refused));
    }
}

#[tokio::test]
async fn our_client_and_the_go_server_agree_by_every_validation() {
    let Some(program) = go::mutual() else { return };
    let pki = Pki::new().unwrap();
    let files = Files::of(&pki);
    let server = go_server(program, &files, EC, Validation::TlsServerEndPoint, &[]);
    let client = Client::new(&server, &pki);
    let accepted: &[Validation] = &[EXPORTER, Validation::TlsServerEndPoint];
    let mut session = client.begin(client.prover(PASSWORD, accepted)).await;
    assert_eq!(client.get(&mut session).await.unwrap(), greeting());
    // Of several, ours prefers the exporter; the program offers both in this order.
    let both = format!("tls-server-end-point,{EXPORTER}");
    let server = go_server(program, &files, EC, EXPORTER, &["-validation", &both]);
    let client = Client::new(&server, &pki);
    let mut session = client.begin(client.prover(PASSWORD, accepted)).await;
    assert_eq!(client.get(&mut session).await.unwrap(), greeting());
    // By the host, where the client allows it.
    let (listener, _) = chanbind_host_tests::port::listeners().unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (listen, origin) = (
        address.to_string(),
        format!("https://localhost:{}", address.port()),
    );
    let more = ["-listen", &listen, "-origin", &origin];
    let server = go_server(program, &files, EC, Validation::Host, &more);
    let client = Client::new(&server, &pki);
    let mut session = client
        .begin(client.prover(PASSWORD, &[Validation::Host]))
        .await;
    assert_eq!(client.get(&mut session).await.unwrap(), greeting());
    let mut session = client.begin(client.prover(PASSWORD, accepted)).await;
    assert_eq!(client.get(&mut session).await.unwrap().1, Outcome::Refused);
}

#[tokio::test]
async fn our_client_and_the_go_server_agree_without_tls() {
    let Some(program) = go::mutual() else { return };
    let (listener, _) = chanbind_host_tests::port::listeners().unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (listen, origin) = (address.to_string(), format!("http://{address}"));
    let server = go::Server::start(
        program,
        "server",
        &[
            "-listen",
            &listen,
            "-origin",
            &origin,
            "-algorithm",
            EC.token(),
            "-realm",
            REALM,
            "-auth-scope",
            &origin,
            "-user",
            USER,
            "-password",
            PASSWORD,
            "-validation",
            "host",
        ],
    );
    let connect = || async {
        let options = ConnectOptions::default();
        let connection = Connection::open_without_tls("127.0.0.1", server.port, &options);
        connection.await.unwrap()
    };
    let prover = prover(Origin::parse(&origin).unwrap(), USER, PASSWORD).unwrap();
    let mut session = Session::begin(connect().await, prover, ()).await.unwrap();
    for _ in 0..2 {
        let uri = format!("{origin}/").parse().unwrap();
        let answer = session.send(Connection::get(&uri).unwrap()).await.unwrap();
        assert_eq!(answer.outcome, Outcome::Proved);
        let body = answer.response.into_body().bytes(1024).await.unwrap();
        assert_eq!(
            String::from_utf8(body.to_vec()).unwrap(),
            format!("hello {USER}\n")
        );
    }
}

#[tokio::test]
async fn our_client_refuses_a_go_server_that_misbehaves() {
    let Some(program) = go::mutual() else { return };
    let pki = Pki::new().unwrap();
    let files = Files::of(&pki);
    let unproved = |status| MutualFailure::ServerNotProved { status };
    for (mode, expected) in [
        ("skip-vks", unproved(200)),
        ("wrong-vks", unproved(200)),
        ("early-vks", unproved(200)),
        ("plain-200", unproved(200)),
        ("stale-always", MutualFailure::StaleAtOnce),
        ("kex-twice", MutualFailure::OutOfOrder),
        (
            "ks1-identity-or-invalid",
            MutualFailure::Mutual(chanbind_core::mutual::MutualError::Value),
        ),
    ] {
        let server = go_server(program, &files, EC, EXPORTER, &["-misbehave", mode]);
        let client = Client::new(&server, &pki);
        let mut session = client.begin(client.prover(PASSWORD, &[EXPORTER])).await;
        match client.get(&mut session).await {
            Err(SessionError::Proof(reason)) => {
                let reason = reason.downcast_ref::<MutualFailure>();
                assert_eq!(reason, Some(&expected), "{mode}");
            }
            other => panic!("{mode}: {other:?}"),
        }
    }
    // Figure 1 of the RFC shows the scheme: tolerated.
    let server = go_server(
        program,
        &files,
        EC,
        EXPORTER,
        &["-misbehave", "scheme-in-info"],
    );
    let client = Client::new(&server, &pki);
    let mut session = client.begin(client.prover(PASSWORD, &[EXPORTER])).await;
    assert_eq!(client.get(&mut session).await.unwrap(), greeting());
}

/// Starts a gateway with one user.
async fn gateway(algorithm: Algorithm, set: impl FnOnce(&mut RealmSettings)) -> TestGateway {
    let pki = Pki::new().unwrap();
    let (listener, _) = chanbind_host_tests::port::listeners().unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let origin = Origin::parse(&format!("https://localhost:{port}")).unwrap();
    let realm = Realm::new(algorithm, "localhost", REALM).unwrap();
    let credential = StoredCredential::register(&realm, USER, PASSWORD).unwrap();
    let users = UserTable::new([(USER.to_owned(), credential)]).unwrap();
    let mut settings = RealmSettings::new(realm, origin);
    let certificate = CertificateDer::from_pem_slice(pki.certificate.as_bytes()).unwrap();
    settings.certificates = vec![certificate.to_vec()];
    set(&mut settings);
    let verifier = MutualVerifier::new(settings, users).unwrap();
    let layer = ProofLayer::new(Policy::new().require("/", verifier));
    let handler = |identity: Identity| async move {
        let details = identity.details::<Details>().map(Details::validation);
        format!("{} {}\n", identity.subject(), details.unwrap())
    };
    let app = Router::new().route("/", get(handler));
    TestGateway::serve_as(layer.layer(app), pki, port)
        .await
        .unwrap()
}

/// Runs the Go client. Returns its output.
async fn go_client(
    program: &'static Path,
    gateway: &TestGateway,
    password: &str,
    more: &[&str],
) -> Output {
    let files = Files::of(&gateway.pki);
    let mut arguments: Vec<String> = [
        "client",
        "-url",
        &format!("https://localhost:{}/", gateway.port),
        "-ca",
        &files.path("ca"),
        "-user",
        USER,
        "-password",
        password,
    ]
    .map(str::to_owned)
    .to_vec();
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    let run = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        go::run(program, &arguments)
    });
    run.await.unwrap()
}

/// Returns the lines that the Go client prints.
fn lines(output: &Output) -> Vec<String> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn the_go_client_and_our_gateway_agree_by_every_algorithm() {
    let Some(program) = go::mutual() else { return };
    for &algorithm in Algorithm::ALL {
        let gateway = gateway(algorithm, |_| {}).await;
        for (validation, more) in [
            (EXPORTER, &[][..]),
            (EXPORTER, &["-reconnect"]),
            (Validation::TlsServerEndPoint, &["-reconnect"]),
        ] {
            let mut arguments = vec!["-requests", "3", "-validations", validation.token()];
            arguments.extend(more);
            let output = go_client(program, &gateway, PASSWORD, &arguments).await;
            let lines = lines(&output);
            let exchanges = [(3, "initial"), (1, "none"), (1, "none")];
            let expected = exchanges.iter().flat_map(|(exchanges, reason)| {
                [
                    format!("status=200 result=AUTH-SUCCEED exchanges={exchanges} reason={reason}"),
                    format!("{USER} {validation}"),
                ]
            });
            assert_eq!(lines, expected.collect::<Vec<_>>(), "{algorithm}");
        }
        let output = go_client(program, &gateway, "another", &[]).await;
        assert_eq!(output.status.code(), Some(3));
        assert!(lines(&output)[0].contains("AUTH-REQUIRED exchanges=3 reason=auth-failed"));
    }
}

#[tokio::test]
async fn the_go_client_and_our_gateway_agree_by_host() {
    let Some(program) = go::mutual() else { return };
    let gateway = gateway(EC, |settings| settings.validations = vec![Validation::Host]).await;
    let output = go_client(program, &gateway, PASSWORD, &["-validations", "host"]).await;
    assert_eq!(output.status.code(), Some(0), "{:?}", lines(&output));
    // With the realm known, without the first exchange.
    let known = [
        "-validations",
        "host",
        "-known-realm",
        REALM,
        "-known-scope",
        "localhost",
    ];
    let output = go_client(program, &gateway, PASSWORD, &known).await;
    assert!(lines(&output)[0].contains("AUTH-SUCCEED exchanges=2"));
}

#[tokio::test]
async fn our_gateway_answers_a_go_client_that_misbehaves() {
    let Some(program) = go::mutual() else { return };
    let gateway = gateway(EC, |_| {}).await;
    // After a refusal of the number or of the session, the client begins again and succeeds.
    let recovered = "AUTH-SUCCEED exchanges=3 reason=stale-session";
    for (mode, requests, code, expected) in [
        (
            "wrong-vkc",
            "1",
            3,
            "AUTH-REQUIRED exchanges=3 reason=auth-failed",
        ),
        (
            "wrong-vkc",
            "2",
            3,
            "AUTH-REQUIRED exchanges=1 reason=auth-failed",
        ),
        ("replay-nc", "3", 0, recovered),
        ("nc-too-large", "2", 0, recovered),
        ("huge-nc", "2", 0, recovered),
        ("nc-below-window", "3", 0, recovered),
        ("unknown-sid", "2", 0, recovered),
        (
            "kc1-invalid",
            "1",
            3,
            "AUTH-REQUIRED exchanges=2 reason=invalid-parameters",
        ),
        (
            "kc1-identity-like",
            "1",
            3,
            "AUTH-REQUIRED exchanges=2 reason=invalid-parameters",
        ),
        ("other-realm", "1", 3, "AUTH-REQUIRED exchanges=2"),
        ("upper-case-hex", "2", 0, "AUTH-SUCCEED exchanges=1"),
        ("quoted-everything", "2", 0, "AUTH-SUCCEED exchanges=1"),
        (
            "unquoted-where-possible",
            "2",
            0,
            "AUTH-SUCCEED exchanges=1",
        ),
    ] {
        let arguments = ["-misbehave", mode, "-requests", requests];
        let output = go_client(program, &gateway, PASSWORD, &arguments).await;
        let lines = lines(&output);
        let mut results = lines.iter().filter(|line| line.contains("result="));
        let last = results.next_back().unwrap();
        assert!(last.contains(expected), "{mode}: {lines:?}");
        assert_eq!(output.status.code(), Some(code), "{mode}: {lines:?}");
    }
}

/// The values of the vectors that the document publishes, computed by the program.
#[test]
fn the_go_program_computes_the_published_vectors() {
    let Some(program) = go::mutual() else { return };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/mutual.json");
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    let inputs = [
        "algorithm",
        "auth_scope",
        "realm",
        "username",
        "password",
        "S_c1",
        "S_s1",
        "nc",
        "vh",
    ];
    let input: String = vectors
        .iter()
        .map(|vector| {
            let object: serde_json::Map<_, _> = inputs
                .iter()
                .map(|name| ((*name).to_owned(), vector[*name].clone()))
                .collect();
            format!("{}\n", serde_json::Value::from(object))
        })
        .collect();
    let computed = go::run_with(program, &["compute"], &input);
    assert_eq!(computed.len(), vectors.len());
    for (line, vector) in computed.iter().zip(vectors) {
        let computed: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(line).unwrap();
        assert!(computed.len() >= 14);
        for (name, value) in computed {
            assert_eq!(value, vector[&name], "{name}");
        }
    }
}

/// The document shows the vector of P-256, whole.
#[test]
fn the_document_shows_the_vector() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = std::fs::read_to_string(folder.join("../docs/proofs/MUTUAL.md")).unwrap();
    let file = std::fs::read(folder.join("vectors/mutual.json")).unwrap();
    let file: serde_json::Value = serde_json::from_slice(&file).unwrap();
    for (name, value) in file["vectors"][0].as_object().unwrap() {
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        assert!(document.contains(&format!("`{value}`")), "{name}");
    }
    assert!(document.contains(chanbind_core::mutual::TLS_EXPORTER));
}
