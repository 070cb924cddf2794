//! embedded-tls with exporter and verification, against servers that are honest, and against one that is not.

mod attacks;
mod exporter;
mod flight;
mod records;
mod trust;

use chanbind_core::x509::{Anchors, Time};
use chanbind_embedded_tls::{
    Aes128GcmSha256, Buffers, Config, ConnectError, StreamError, blocking,
};
use chanbind_host_tests::{
    attacker::{Attacker, Server},
    pki::{Authority, Issued},
};
use embedded_io_adapters::std::FromStd;
use rand_core::OsRng;
use std::{
    io,
    net::TcpStream,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

chanbind_embedded_tls::handshake_slots!(ManySlots, 64);
type Suite = Aes128GcmSha256<ManySlots>;

fn now() -> Time {
    Time::At(seconds())
}

fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// What a client makes of a server: the error, or what it read until the connection ended.
fn meet(
    server: &Server,
    config: &Config<'_>,
) -> Result<Result<Vec<u8>, StreamError>, ConnectError> {
    meet_with(server, config, Buffers::MAX_RECORD)
}

fn meet_with(
    server: &Server,
    config: &Config<'_>,
    read_buffer: usize,
) -> Result<Result<Vec<u8>, StreamError>, ConnectError> {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let (mut read, mut write) = (vec![0; read_buffer], [0; 2048]);
    let buffers = Buffers {
        read: &mut read,
        write: &mut write,
    };
    let met = catch_unwind(AssertUnwindSafe(|| {
        let transport = FromStd::new(stream);
        let mut connection = blocking::connect::<Suite, _, _>(transport, config, OsRng, buffers)?;
        let (mut all, mut some) = (Vec::new(), [0; 512]);
        Ok(loop {
            match embedded_io::Read::read(&mut connection, &mut some) {
                Ok(0) => break Ok(all),
                Ok(len) => all.extend(&some[..len]),
                Err(error) => {
                    // It stays that way.
                    let again = embedded_io::Read::read(&mut connection, &mut some);
                    assert_eq!(again, Err(StreamError::Broken));
                    break Err(error);
                }
            }
        })
    }));
    met.expect("the client panicked")
}

/// An authority, and a server of it.
struct World {
    authority: Authority,
    server: Arc<Issued>,
}

impl World {
    fn new() -> Self {
        let authority = Authority::new("chanbind test authority").unwrap();
        let server = Arc::new(authority.issue(|_| ()).unwrap());
        Self { authority, server }
    }

    /// What a client of `localhost` that trusts the authority makes of a server that runs this script.
    fn meet(
        &self,
        script: impl Fn(&mut Attacker) -> io::Result<()> + Send + Sync + 'static,
    ) -> Result<Result<Vec<u8>, StreamError>, ConnectError> {
        let server = Server::start(script).unwrap();
        let certificate = [self.authority.certificate()];
        let anchors = Anchors::new(&certificate).unwrap();
        meet(
            &server,
            &Config::with_authority("localhost", &anchors, now()),
        )
    }

    /// The error of a client that meets a server with this chain, which proves that it has the key.
    fn refuses(&self, leaf: Issued, intermediates: Vec<Vec<u8>>) -> ConnectError {
        self.meet(move |attacker| {
            let mut chain = vec![leaf.certificate.as_slice()];
            chain.extend(intermediates.iter().map(Vec::as_slice));
            attacker.honest_flight(&chain, &leaf.key)
        })
        .expect_err("it was accepted")
    }
}
