//! Tests of the embedded TLS client against honest servers, and against servers that violate the protocol.
#![cfg(test)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    reason = "a panic fails the test"
)]

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

/// Connects a client to a server. Returns the error of the handshake, or the data that the client read until the connection ended,
/// with the error if it did not end properly.
fn run_client(
    server: &Server,
    config: &Config<'_>,
) -> Result<Result<Vec<u8>, StreamError>, ConnectError> {
    run_client_with_buffer(server, config, Buffers::MAX_RECORD)
}

fn run_client_with_buffer(
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
    let result = catch_unwind(AssertUnwindSafe(|| {
        let transport = FromStd::new(stream);
        let mut connection = blocking::connect::<Suite, _, _>(transport, config, OsRng, buffers)?;
        let (mut all, mut chunk) = (Vec::new(), [0; 512]);
        Ok(loop {
            match embedded_io::Read::read(&mut connection, &mut chunk) {
                Ok(0) => break Ok(all),
                Ok(len) => all.extend(&chunk[..len]),
                Err(error) => {
                    // The connection stays broken.
                    let again = embedded_io::Read::read(&mut connection, &mut chunk);
                    assert_eq!(again, Err(StreamError::Broken));
                    break Err(error);
                }
            }
        })
    }));
    result.expect("the client panicked")
}

/// An authority, and a server certificate that it has issued.
struct Fixture {
    authority: Authority,
    server: Arc<Issued>,
}

impl Fixture {
    fn new() -> Self {
        let authority = Authority::new("chanbind test authority").unwrap();
        let server = Arc::new(authority.issue(|_| ()).unwrap());
        Self { authority, server }
    }

    /// Connects a client that trusts the authority to a server for `localhost` that runs `script`.
    fn run_client(
        &self,
        script: impl Fn(&mut Attacker) -> io::Result<()> + Send + Sync + 'static,
    ) -> Result<Result<Vec<u8>, StreamError>, ConnectError> {
        let server = Server::start(script).unwrap();
        let certificate = [self.authority.certificate()];
        let anchors = Anchors::new(&certificate).unwrap();
        run_client(
            &server,
            &Config::with_authority("localhost", &anchors, now()),
        )
    }

    /// Returns the error of a client that connects to a server with this chain, which proves that it has the key.
    fn error_for(&self, leaf: Issued, intermediates: Vec<Vec<u8>>) -> ConnectError {
        self.run_client(move |attacker| {
            let mut chain = vec![leaf.certificate.as_slice()];
            chain.extend(intermediates.iter().map(Vec::as_slice));
            attacker.honest_flight(&chain, &leaf.key)
        })
        .expect_err("the server was accepted")
    }
}
