//! Gateways that share a registry.

use super::*;
use chanbind::{
    client::{Connection, Session},
    gateway::Registry,
    proof::otp::{self, Form, OtpProver, Settings},
};
use chanbind_core::{kdf::HmacSha256, otp::ClientId, proof::Outcome};
use chanbind_host_tests::gateway::TestGateway;
use std::time::Instant;
use tokio::task::JoinHandle;

/// A gateway with a registry of its own in the database.
struct Running {
    gateway: TestGateway,
    registry: Arc<DatabaseRegistry>,
    following: JoinHandle<()>,
}

impl Running {
    async fn start(database: &Database) -> Self {
        let registry = database.open().await;
        let following = tokio::spawn(Arc::clone(&registry).follow());
        let own: Arc<dyn Registry> = Arc::<DatabaseRegistry>::clone(&registry);
        let gateway = TestGateway::start(own, Settings::default()).await.unwrap();
        Self {
            gateway,
            registry,
            following,
        }
    }

    /// Opens a connection as `pump1` with this key, and sends a request.
    async fn connect(&self, key: &[u8]) -> (Session<OtpProver, HmacSha256>, Outcome) {
        let connection = self.gateway.connect().await.unwrap().into_inner();
        let client = ClientId::new("pump1").unwrap();
        let prover = otp::prover(&Settings::default(), client, Form::ApiKey);
        let session = Session::begin(connection, prover, HmacSha256::new(key)).await;
        let mut session = session.unwrap();
        let outcome = self.request(&mut session).await;
        (session, outcome)
    }

    async fn request(&self, session: &mut Session<OtpProver, HmacSha256>) -> Outcome {
        let request = Connection::get(&self.gateway.uri("/get").parse().unwrap()).unwrap();
        session.send(request).await.unwrap().outcome
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.following.abort();
    }
}

/// Waits until the gateway has closed the connection.
async fn closed(session: &Session<OtpProver, HmacSha256>) {
    let start = Instant::now();
    while !session.connection().is_closed() {
        assert!(start.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_device_is_cut_on_every_gateway_and_refused() {
    for database in Database::both() {
        let registry = database.open().await;
        registry.add("pump1", KEY, &[]).await.unwrap();
        let gateways = [
            Running::start(&database).await,
            Running::start(&database).await,
        ];
        let mut sessions = Vec::new();
        for gateway in &gateways {
            let (session, outcome) = gateway.connect(KEY).await;
            assert_eq!(outcome, Outcome::Proved);
            sessions.push(session);
        }
        registry.set_enabled("pump1", false).await.unwrap();
        for (gateway, session) in gateways.iter().zip(&sessions) {
            closed(session).await;
            let (_, outcome) = gateway.connect(KEY).await;
            assert_eq!(outcome, Outcome::Refused);
        }
        registry.set_enabled("pump1", true).await.unwrap();
        for gateway in &gateways {
            let start = Instant::now();
            while gateway.connect(KEY).await.1 != Outcome::Proved {
                assert!(start.elapsed() < Duration::from_secs(20));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_changes_its_key_without_being_refused() {
    for database in Database::both() {
        let registry = database.open().await;
        registry.add("pump1", KEY, &[]).await.unwrap();
        let gateway = Running::start(&database).await;
        assert_eq!(gateway.connect(KEY).await.1, Outcome::Proved);
        registry.rotate("pump1", OTHER_KEY).await.unwrap();
        let start = Instant::now();
        while gateway.connect(OTHER_KEY).await.1 != Outcome::Proved {
            assert!(start.elapsed() < Duration::from_secs(20));
        }
        // Both keys are valid, and no third one.
        let (old, outcome) = gateway.connect(KEY).await;
        assert_eq!(outcome, Outcome::Proved);
        assert_eq!(gateway.connect(&[9; 32]).await.1, Outcome::Refused);
        registry.finish_rotation("pump1").await.unwrap();
        closed(&old).await;
        assert_eq!(gateway.connect(KEY).await.1, Outcome::Refused);
        assert_eq!(gateway.connect(OTHER_KEY).await.1, Outcome::Proved);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_written_down_when_a_device_was_seen() {
    for database in Database::both() {
        let registry = database.open().await;
        registry.add("pump1", KEY, &[]).await.unwrap();
        let gateway = Running::start(&database).await;
        assert_eq!(gateway.connect(&[9; 32]).await.1, Outcome::Refused);
        gateway.registry.write_seen().await;
        assert_eq!(registry.list("", 9).await.unwrap()[0].last_seen, None);
        let (mut session, outcome) = gateway.connect(KEY).await;
        assert_eq!(outcome, Outcome::Proved);
        gateway.registry.write_seen().await;
        let seen = registry.list("", 9).await.unwrap()[0].last_seen.unwrap();
        assert!(seen > 1_700_000_000);
        // That is no change for which anything is looked up again.
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(gateway.request(&mut session).await, Outcome::Proved);
    }
}

/// While PostgreSQL is away, devices that were looked up lately are admitted; others get an error of the server, and not a refusal.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_and_comes_back() {
    let mut database = Database::Postgres(Postgres::new());
    let registry = database.open().await;
    registry.add("pump1", KEY, &[]).await.unwrap();
    let gateway = Running::start(&database).await;
    let (mut live, outcome) = gateway.connect(KEY).await;
    assert_eq!(outcome, Outcome::Proved);
    let Database::Postgres(server) = &mut database else {
        panic!("another database")
    };
    server.stop();
    assert_eq!(gateway.request(&mut live).await, Outcome::Proved);
    server.start_again();
    let changing = async {
        while registry.set_enabled("pump1", false).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), changing)
        .await
        .unwrap();
    closed(&live).await;
    assert_eq!(gateway.connect(KEY).await.1, Outcome::Refused);
}
