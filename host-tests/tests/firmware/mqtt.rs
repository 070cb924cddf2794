//! The example application `mqtt`: one-time passwords in MQTT, over the TLS stream of a session.

use super::*;
use chanbind::{proof::otp::OtpVerifier, tls};
use chanbind_core::{
    kdf::HmacSha256,
    otp::{ClientId, OneTimeKey, Profile, Purpose, api_key},
};
use chanbind_host_tests::mqtt::{Broker, NOT_AUTHORIZED, SUCCESS, connect, read_packet};
use rustls::pki_types::ServerName;
use serde_json::Value;
use std::time::{Duration, Instant};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

async fn start(registry: Arc<MemoryRegistry>) -> (Device, Board, Broker) {
    let verifier = OtpVerifier::new(registry, Settings::default());
    let broker = Broker::start(verifier).await.unwrap();
    let device = Device::provisioned(SECRET).await.unwrap();
    let image = Image::of_application(Kind::QemuMps2, "mqtt").unwrap();
    let toml = device.toml(Kind::QemuMps2, broker.port);
    let image = image.configured(&toml, &broker.pki.ca).unwrap();
    let board = Board::start(&image, &device.chip).unwrap();
    (device, board, broker)
}

/// Waits for this number of publications, and returns the readings in them.
async fn readings(broker: &Broker, count: usize) -> Vec<Value> {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let published = broker.published();
        if published.len() >= count {
            assert!(published.iter().all(|one| one.client == Device::CLIENT));
            let payloads = published.iter().map(|one| &one.payload);
            return payloads
                .map(|payload| serde_json::from_slice(payload).unwrap())
                .collect();
        }
        assert!(Instant::now() < end, "{published:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Opens a connection of a client on this host.
async fn open(broker: &Broker) -> TlsStream<TcpStream> {
    let roots = tls::roots_from_pem(broker.pki.ca.as_bytes()).unwrap();
    let connector = TlsConnector::from(Arc::new(tls::client_config(roots).unwrap()));
    let stream = TcpStream::connect(("127.0.0.1", broker.port)).await;
    let name = ServerName::try_from("localhost").unwrap();
    connector.connect(name, stream.unwrap()).await.unwrap()
}

/// Sends CONNECT, and returns the reason code of CONNACK.
async fn reason(stream: &mut TlsStream<TcpStream>, client: &str, password: &str) -> u8 {
    stream.write_all(&connect(client, password)).await.unwrap();
    let (first, body) = read_packet(stream).await.unwrap();
    assert_eq!((first, body.len()), (0x20, 3));
    body[1]
}

#[tokio::test(flavor = "multi_thread")]
async fn publishes_readings_and_obeys_commands() {
    let registry = registry(SECRET);
    let (device, board, broker) = start(Arc::clone(&registry)).await;
    for line in [
        "event=tls-open",
        "event=proof kind=otp",
        "event=admitted by the broker",
    ] {
        board.wait_for(line);
    }
    let before = readings(&broker, 2).await.len();
    broker.command(Device::CLIENT, r#"{"interval_ms":1200}"#);
    board.wait_for("event=command interval_ms=1200");
    broker.command(Device::CLIENT, "stop!");
    board.wait_for("event=command-malformed len=5");
    let readings = readings(&broker, before + 4).await;
    let field = |at: usize, name: &str| readings[at][name].as_u64().unwrap();
    for at in 0..readings.len() {
        assert_eq!(field(at, "number"), u64::try_from(at).unwrap() + 1);
    }
    let last = readings.len() - 1;
    let pause = field(last, "uptime_ms") - field(last - 1, "uptime_ms");
    assert!((1200..2400).contains(&pause), "{readings:?}");

    // A client that is removed loses its connection, and is not admitted again.
    registry.replace(ClientTable::new([]).unwrap());
    board.wait_for("event=failed reason=mqtt:");
    board.wait_for("event=refused mqtt-reason=0x87");
    assert_no_violations(&device);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_refused_on_another_connection() {
    let (_device, board, broker) = start(registry(SECRET)).await;
    board.wait_for("event=admitted by the broker");
    let (client, password) = broker.credentials().remove(0);
    assert_eq!(client, Device::CLIENT);
    let mut relayed = open(&broker).await;
    assert_eq!(
        reason(&mut relayed, &client, &password).await,
        NOT_AUTHORIZED
    );
    assert!(read_packet(&mut relayed).await.is_err());

    // The key makes another password for each connection.
    let mut own = open(&broker).await;
    let key = OneTimeKey::derive(
        &Profile::default(),
        Purpose::ApiKey,
        ClientId::new(&client).unwrap(),
        &tls::RustlsExporter::new(own.get_ref().1),
        &mut HmacSha256::new(SECRET),
    );
    let mut encoded = [0; api_key::ENCODED_LEN];
    api_key::encode(&key.unwrap(), &mut encoded);
    let encoded = String::from_utf8(encoded.to_vec()).unwrap();
    assert_ne!(encoded, password);
    assert_eq!(reason(&mut own, &client, &encoded).await, SUCCESS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_refused() {
    let registry = registry(b"another key");
    let (_device, board, broker) = start(Arc::clone(&registry)).await;
    for _ in 0..2 {
        board.wait_for("event=refused mqtt-reason=0x87");
        board.wait_for("event=waiting ms=");
    }
    assert_eq!(broker.published(), []);
    let clients = [(Device::CLIENT.to_owned(), ClientKey::secret(SECRET))];
    registry.replace(ClientTable::new(clients).unwrap());
    board.wait_for("event=admitted by the broker");
    assert_eq!(readings(&broker, 1).await[0]["number"], 1);
}
