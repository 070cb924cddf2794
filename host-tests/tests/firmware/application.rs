//! The example application `readings`: it sends readings, and obeys the commands in the responses.

use super::*;
use axum::{Router, extract::State, http::StatusCode, response::IntoResponse, routing::post};
use chanbind::{
    gateway::{Identity, Policy, ProofLayer},
    proof::otp::OtpVerifier,
};
use serde_json::Value;
use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tower::Layer;

/// A gateway's application: it collects readings with the identity that proved them, and answers each with the next of its responses.
#[derive(Default)]
struct Collector {
    readings: Mutex<Vec<(String, Value)>>,
    responses: Vec<(StatusCode, &'static str)>,
}

impl Collector {
    async fn collect(
        State(collector): State<Arc<Self>>,
        identity: Identity,
        body: String,
    ) -> impl IntoResponse {
        let reading = serde_json::from_str(&body).unwrap_or(Value::String(body));
        let mut readings = collector.readings();
        let response = collector.responses.get(readings.len()).copied();
        readings.push((identity.subject().to_owned(), reading));
        response.unwrap_or((StatusCode::NO_CONTENT, ""))
    }

    fn readings(&self) -> std::sync::MutexGuard<'_, Vec<(String, Value)>> {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for this number of readings. Returns a number of each, for example its `uptime_ms`.
    async fn wait_for(&self, count: usize, field: &str, within: Duration) -> Vec<u64> {
        let end = Instant::now() + within;
        loop {
            let readings = self.readings().clone();
            if readings.len() >= count {
                let numbers = readings.iter().map(|(_, reading)| reading[field].as_u64());
                return numbers.collect::<Option<_>>().unwrap();
            }
            assert!(Instant::now() < end, "{readings:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Starts a gateway that answers the readings of [`Device::CLIENT`] with these responses, and a board that sends readings.
async fn start(
    kind: Kind,
    responses: Vec<(StatusCode, &'static str)>,
) -> (Device, Board, TestGateway, Arc<Collector>) {
    let collector = Arc::new(Collector {
        responses,
        ..Collector::default()
    });
    let app = Router::new()
        .route("/readings", post(Collector::collect))
        .with_state(Arc::clone(&collector));
    let verifier = OtpVerifier::new(registry(SECRET), Settings::default());
    let layer = ProofLayer::new(Policy::new().require("/", verifier));
    let gateway = TestGateway::serve(layer.layer(app)).await.unwrap();

    let device = Device::provisioned(SECRET).await.unwrap();
    let toml = device.toml(kind, gateway.port);
    let toml = toml.replace("path = \"/get\"", "path = \"/readings\"");
    let image = Image::of_application(kind, "readings").unwrap();
    let image = image.configured(&toml, &gateway.pki.ca).unwrap();
    let board = Board::start(&image, &device.chip).unwrap();
    (device, board, gateway, collector)
}

async fn obeys(kind: Kind) {
    if !can_run(kind) {
        return;
    }
    let responses = vec![
        (StatusCode::OK, ""),
        (StatusCode::OK, r#"{"interval_ms":1500,"of":"later"}"#),
        (StatusCode::OK, r#"{"interval_ms":1}"#),
        (StatusCode::OK, "stop!"),
        (StatusCode::OK, r#"{"interval_ms":100}"#),
    ];
    let (device, board, gateway, collector) = start(kind, responses).await;
    for line in [
        "event=proof kind=otp",
        "event=admitted status=200",
        "event=command interval_ms=1500",
        "event=command-refused interval_ms=1",
        "event=command-malformed len=5",
        "event=command interval_ms=100",
    ] {
        board.wait_for_within(line, 180);
    }
    let times = collector.wait_for(7, "uptime_ms", Duration::from_secs(180));
    let times = times.await;
    let pauses: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // The configured interval, then the one that was commanded, until another one was.
    let least = [300, 1500, 1500, 1500, 100, 100];
    assert!(
        pauses
            .iter()
            .zip(least)
            .all(|(pause, least)| *pause >= least),
        "{pauses:?}"
    );
    let readings = collector.readings().clone();
    for (at, (subject, reading)) in (0_u64..).zip(&readings) {
        assert_eq!(subject, Device::CLIENT);
        assert_eq!(reading["number"], at + 1, "{readings:?}");
        assert_eq!(reading["millicelsius"], 20_000 + 125 * at, "{readings:?}");
    }
    // All on one connection, which was proved once.
    assert_eq!(board.said().matches("event=proof").count(), 1);
    assert!(!board.said().contains("ERROR"), "{}", board.said());
    assert_no_violations(&device);
    drop(board);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn obeys_commands_on_qemu_mps2() {
    obeys(Kind::QemuMps2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn obeys_commands_on_rp2040_w5500() {
    obeys(Kind::Rp2040W5500).await;
}

/// A reading is lost neither when the gateway cannot take it nor when the response is longer than the device can read.
#[tokio::test(flavor = "multi_thread")]
async fn sends_an_unanswered_reading_again() {
    let too_long = "                                                                 ";
    let responses = vec![
        (StatusCode::OK, ""),
        (StatusCode::SERVICE_UNAVAILABLE, "later"),
        (StatusCode::OK, too_long),
        (StatusCode::OK, r#"{"interval_ms":100}"#),
    ];
    let (device, board, gateway, collector) = start(Kind::QemuMps2, responses).await;
    board.wait_for("event=failed reason=http: the gateway answered with status 503");
    board.wait_for("event=failed reason=http:");
    board.wait_for("event=command interval_ms=100");
    let numbers = collector
        .wait_for(6, "number", Duration::from_secs(60))
        .await;
    assert_eq!(numbers[..6], [1, 2, 2, 2, 3, 4]);
    let readings = collector.readings().clone();
    assert!(readings[1] == readings[2] && readings[2] == readings[3]);
    assert_no_violations(&device);
    drop(board);
    gateway.stop().await;
}
