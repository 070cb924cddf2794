//! A board with a server for technicians on port 80: it shows its uptime to the user of the section `[login]`, and takes a new set point.
#![no_std]
#![no_main]

use chanbind_board_qemu_mps2::{config_of_image, exit, network, rng, run, stack};
use chanbind_core::mutual::{
    Algorithm, HostValidation, MutualServer, Origin, Realm, ServerLimits, StoredCredential,
};
use chanbind_device::{
    Generator,
    config::{Config, Login},
    technician::{self, Memory, Page, Visit, VisitError},
};
use cortex_m_rt::entry;
use defmt::{error, info, unwrap};
use embassy_executor::Spawner;
use embassy_net::{Stack, tcp::TcpSocket};
use embassy_sync::{blocking_mutex::raw::NoopRawMutex, mutex::Mutex};
use embassy_time::{Duration, Instant, with_timeout};
use rand_core::RngCore;
use static_cell::{ConstStaticCell, StaticCell};

#[entry]
fn main() -> ! {
    run(|spawner| spawner.spawn(unwrap!(program(spawner))))
}

/// The longest time that a technician's client may keep a connection.
const LIMIT: Duration = Duration::from_secs(30);

/// The number of connections. With one alone, a client that connects again at once would be refused while its last connection is closed.
const CONNECTIONS: usize = 2;

/// The buffers of a connection's socket.
type Buffers = [[u8; 2048]; 2];

/// The parts that connections share: they are served one after another.
struct Desk {
    server: MutualServer<2>,
    login: Login<'static>,
    stored: StoredCredential,
    rng: Generator,
    pump: Pump,
    memory: Memory,
}

type SharedDesk = Mutex<NoopRawMutex, Desk>;

#[embassy_executor::task]
async fn program(spawner: Spawner) {
    let config = unwrap!(Config::parse(config_of_image!()).ok());
    let login = unwrap!(config.login);
    let mut rng = Generator::from_seed(unwrap!(rng::seed()));
    let mut random = [0; 64];
    rng.fill_bytes(&mut random);
    let network = unwrap!(network::start(spawner, rng.next_u64()));
    let origin = unwrap!(Origin::parse(login.origin));
    let realm = Realm::new(Algorithm::P256_SHA256, login.auth_scope, login.realm);
    let realm = unwrap!(realm);
    let stored = unwrap!(StoredCredential::parse(login.credential));
    // A credential for other names would be one that no PIN fits.
    unwrap!(stored.j(&realm, login.user));
    let validation = HostValidation::host(&origin);
    let server = MutualServer::new(realm, validation, ServerLimits::default(), &random);
    static DESK: StaticCell<SharedDesk> = StaticCell::new();
    let desk = DESK.init(Mutex::new(Desk {
        server: unwrap!(server),
        login,
        stored,
        rng,
        pump: Pump { set_point: 20 },
        memory: Memory::new(),
    }));
    static BUFFERS: ConstStaticCell<[Buffers; CONNECTIONS]> =
        ConstStaticCell::new([[[0; 2048]; 2]; CONNECTIONS]);
    network.wait_config_up().await;
    for buffers in BUFFERS.take() {
        spawner.spawn(unwrap!(listen(network, desk, buffers)));
    }
    info!("event=listening port=80");
}

#[embassy_executor::task(pool_size = CONNECTIONS)]
async fn listen(network: Stack<'static>, desk: &'static SharedDesk, buffers: &'static mut Buffers) {
    let [received, sent] = buffers;
    loop {
        let mut socket = TcpSocket::new(network, received, sent);
        socket.set_timeout(Some(LIMIT));
        if socket.accept(80).await.is_err() {
            continue;
        }
        match with_timeout(LIMIT, serve(desk, &mut socket)).await {
            Ok(Ok(())) => info!("event=left stack={=usize}", stack::high_water()),
            Ok(Err(failure)) => error!("event=failed reason={}", failure),
            Err(_) => error!("event=failed reason=the technician's client took too long"),
        }
        socket.close();
        // The last bytes may be under way.
        let _ = with_timeout(Duration::from_secs(1), socket.flush()).await;
        socket.abort();
    }
}

async fn serve(desk: &SharedDesk, socket: &mut TcpSocket<'_>) -> Result<(), VisitError> {
    let Desk {
        server,
        login,
        stored,
        rng,
        pump,
        memory,
    } = &mut *desk.lock().await;
    let find = |user: &str| (user == login.user).then(|| stored.clone());
    let now = || Instant::now().as_secs();
    technician::serve(socket, server, &find, &now, rng, pump, memory).await
}

/// The board's purpose.
struct Pump {
    set_point: u8,
}

impl Page for Pump {
    async fn respond(&mut self, visit: &Visit<'_>, out: &mut [u8]) -> (u16, usize) {
        info!(
            "event=visit user={=str} path={=str}",
            visit.user, visit.path
        );
        match (visit.method, visit.path) {
            ("GET" | "HEAD", "/set-point") => {}
            ("PUT", "/set-point") => {
                let text = core::str::from_utf8(visit.content).unwrap_or_default();
                match text.parse() {
                    Ok(set_point) => self.set_point = set_point,
                    Err(_) => return (400, 0),
                }
            }
            ("GET", "/stop") => exit::exit(exit::SUCCESS),
            _ => return (404, 0),
        }
        let digit = |unit: u8| {
            let digit = self.set_point.checked_div(unit).unwrap_or_default();
            b'0' | digit.checked_rem(10).unwrap_or_default()
        };
        let digits = [digit(100), digit(10), digit(1), b'\n'];
        match out.first_chunk_mut() {
            Some(place) => {
                *place = digits;
                (200, digits.len())
            }
            None => (500, 0),
        }
    }
}
