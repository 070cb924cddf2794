//! The device library on the host: sessions with a gateway, over TCP of the host, with an emulated TPM chip. `tests/firmware` runs the same
//! library in the images of boards.
#![cfg(test)]
#![allow(clippy::arithmetic_side_effects, reason = "a panic fails the test")]

mod contents;
mod sessions;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{Method, StatusCode, Uri, header::CONNECTION},
    response::{IntoResponse, Response},
    routing::any,
};
use chanbind::{
    gateway::{ClientKey, ClientTable, MemoryRegistry, Policy, ProofLayer, Requirement},
    proof::{
        authenticator::{AuthenticatorVerifier, Trust},
        otp::{OtpVerifier, Settings},
    },
};
use chanbind_device::{
    ChipError, Device, Event, Failure, Generator, Memory, Network, NoClock, Observer, Parts,
    Platform, TransportError,
    config::Config,
    http::{self, HttpError, Request},
};
use chanbind_device_config::build;
use chanbind_host_tests::{
    board::{self, Kind},
    gateway::TestGateway,
    pki::{Authority, pem},
};
use chanbind_tpm_spi::tis::{ExclusiveBus, Tis};
use embedded_io_adapters::tokio_1::FromTokio;
use embedded_io_async::Read;
use embedded_nal_async::{AddrType, Dns, TcpConnect};
use futures_util::{StreamExt, stream};
use std::{
    convert::Infallible,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::net::TcpStream;
use tower::{Layer, util::MapResponseLayer};

const SECRET: &[u8] = b"a key of this test, 32 bytes long";

/// The types of a device on the host.
struct Host;

impl Platform for Host {
    type Network = Network<Tcp, Names>;
    type Chip = Tis<
        ExclusiveBus<chanbind_tis_emulator::Bus, chanbind_tis_emulator::ChipSelect>,
        chanbind_tis_emulator::Delay,
    >;
    type Rng = Generator;
    type Clock = NoClock;
    type Observer = Log;
}

type HostDevice<'a> = Device<'a, Host>;
type HostFailure = Failure<TransportError<Host>>;

/// TCP of the host.
struct Tcp;

impl TcpConnect for Tcp {
    type Error = io::Error;
    type Connection<'a> = FromTokio<TcpStream>;

    async fn connect(&self, remote: SocketAddr) -> io::Result<FromTokio<TcpStream>> {
        TcpStream::connect(remote).await.map(FromTokio::new)
    }
}

/// A resolver that knows no name: the tests use addresses.
struct Names;

impl Dns for Names {
    type Error = io::Error;

    async fn get_host_by_name(&self, _: &str, _: AddrType) -> io::Result<IpAddr> {
        Err(io::ErrorKind::NotFound.into())
    }

    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::NotFound.into())
    }
}

/// The events of a device, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Observer for Log {
    fn on_event<E: ChipError>(&mut self, event: &Event<E>) {
        lock(&self.0).push(event.to_string());
    }
}

impl Log {
    /// Returns the number of events that begin with this text.
    fn count(&self, text: &str) -> usize {
        let lines = lock(&self.0);
        lines.iter().filter(|line| line.starts_with(text)).count()
    }
}

/// The kinds of proof in these tests.
#[derive(Debug, Clone, Copy)]
enum Proof {
    Otp,
    Authenticator,
}

/// A gateway whose application echoes requests, and a device with its configuration.
struct Fixture {
    _gateway: TestGateway,
    parts: board::Device,
    config: Vec<u8>,
    log: Log,
    seen: Arc<Seen>,
}

/// The requests that the gateway has seen.
#[derive(Default)]
struct Seen {
    /// Method, path and content of those that came through to the application.
    admitted: Mutex<Vec<String>>,
    /// The status codes of all.
    statuses: Mutex<Vec<u16>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The application: it records requests, and answers as their paths say.
async fn answer(
    State(seen): State<Arc<Seen>>,
    method: Method,
    uri: Uri,
    content: Bytes,
) -> Response {
    let text = String::from_utf8_lossy(&content);
    lock(&seen.admitted).push(format!("{method} {uri} {text}"));
    match uri.path() {
        "/none" => StatusCode::NO_CONTENT.into_response(),
        "/close" => ([(CONNECTION, "close")], content).into_response(),
        "/missing" => (StatusCode::NOT_FOUND, content).into_response(),
        // In chunks, as its length is not known.
        "/chunks" => {
            let chunks: Vec<_> = content.chunks(100).map(Bytes::copy_from_slice).collect();
            let chunks = chunks.into_iter().map(Ok::<_, Infallible>);
            Body::from_stream(stream::iter(chunks)).into_response()
        }
        "/stall" => {
            let first = stream::iter([Ok::<_, Infallible>(content)]);
            Body::from_stream(first.chain(stream::pending())).into_response()
        }
        _ => content.into_response(),
    }
}

impl Fixture {
    async fn new(proof: Proof) -> Self {
        match proof {
            Proof::Otp => Self::with_secret_at_gateway(SECRET).await,
            Proof::Authenticator => {
                let authority = Authority::new("devices").unwrap();
                let trust = Trust::from_pem(authority.pem().as_bytes()).unwrap();
                let device = board::Device::certified(&authority).await.unwrap();
                Self::with(device, AuthenticatorVerifier::new(trust)).await
            }
        }
    }

    /// Creates a device with one-time passwords, and a gateway that knows it with this secret.
    async fn with_secret_at_gateway(secret: &[u8]) -> Self {
        let clients = [(board::Device::CLIENT.to_owned(), ClientKey::secret(secret))];
        let registry = MemoryRegistry::new(ClientTable::new(clients).unwrap());
        let device = board::Device::provisioned(SECRET).await.unwrap();
        Self::with(device, OtpVerifier::new(registry, Settings::default())).await
    }

    async fn with(parts: board::Device, verifier: impl Into<Requirement>) -> Self {
        let seen = Arc::new(Seen::default());
        let app = Router::new()
            .route("/{*path}", any(answer))
            .with_state(Arc::clone(&seen));
        let record = Arc::clone(&seen);
        let app = ProofLayer::new(Policy::new().require("/", verifier)).layer(app);
        let recorded = MapResponseLayer::new(move |response: Response| {
            lock(&record.statuses).push(response.status().as_u16());
            response
        });
        let app = recorded.layer(app);
        let gateway = TestGateway::serve(app).await.unwrap();

        let toml = parts.toml(Kind::QemuMps2, gateway.port);
        let toml = toml.replace(board::HOST, "127.0.0.1");
        let own = parts.certificate().unwrap_or_default();
        let config = build::from_toml(&toml, |name| {
            Ok(match name.starts_with("own.pem") {
                true => pem("CERTIFICATE", &own),
                false => gateway.pki.ca.clone(),
            })
        });
        Self {
            config: config.unwrap(),
            _gateway: gateway,
            parts,
            log: Log::default(),
            seen,
        }
    }

    /// Runs `test` with a device.
    async fn run(&self, test: impl AsyncFnOnce(&mut HostDevice<'_>)) {
        let config = Config::parse(&self.config).unwrap();
        let network = Network {
            tcp: Tcp,
            dns: Names,
        };
        let chip = &self.parts.chip;
        let bus = ExclusiveBus::new(chip.bus(), chip.chip_select());
        let mut memory = Box::new(Memory::new());
        let parts = Parts {
            network: &network,
            chip: Tis::builder(bus, chip.delay()).open().await.ok().unwrap(),
            rng: Generator::from_seed([7; 32]),
            clock: NoClock,
            observer: self.log.clone(),
        };
        let mut device = HostDevice::new(&config, parts, &mut memory).unwrap();
        test(&mut device).await;
    }

    /// Returns the requests that came through to the application.
    fn admitted(&self) -> Vec<String> {
        lock(&self.seen.admitted).clone()
    }

    /// Returns the status codes of all requests.
    fn statuses(&self) -> Vec<u16> {
        lock(&self.seen.statuses).clone()
    }
}

/// Reads the content of a response as text.
async fn text(response: &mut http::Response<'_, impl Read>) -> Result<String, HttpError> {
    let mut buffer = [0; 8192];
    let content = response.read_to_end(&mut buffer).await?;
    Ok(String::from_utf8_lossy(content).into_owned())
}
