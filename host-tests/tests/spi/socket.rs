//! The emulated chip behind a socket, as emulated boards reach it.

use super::*;
use chanbind_tis_emulator::socket::{Client, Server, message};
use chanbind_tpm_spi::{blocking, tis::SharedBus};
use embedded_hal::delay::DelayNs;
use std::{io, net::TcpStream, time::Duration};

/// A delay in real time.
struct Sleep;

impl DelayNs for Sleep {
    fn delay_ns(&mut self, ns: u32) {
        std::thread::sleep(Duration::from_nanos(ns.into()));
    }
}

#[test]
fn hmac_succeeds_over_socket() {
    let swtpm = Swtpm::start().unwrap();
    let key = provision(&swtpm, |_| {});
    let chip = chanbind_tis_emulator::Swtpm::connect(swtpm.port()).unwrap();
    let emulator = Emulator::in_real_time(chip);
    let server = Server::start(emulator.clone()).unwrap();
    // Two boards, one after the other.
    for _ in 0..2 {
        let board = Client::connect(server.address()).unwrap();
        let bus = SharedBus::new(blocking::Device(board));
        let chip = Tis::builder(bus, blocking::Delay(Sleep)).open();
        let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
        let tpm = Tpm::new(run(chip).unwrap(), &mut buffer, &mut contexts);
        let mut keys = TpmKeys::new(tpm, OsRng, H2, key.parent_name);
        let mut loaded = HmacKey::new(key.blobs(), AuthValue::empty()).unwrap();
        let mut out = [0; 32];
        run(keys.hmac(&mut loaded, &[b"data"], &mut out)).unwrap();
        assert_eq!(out, hmac(b"data"));
    }
    assert_eq!(emulator.take_violations(), []);
}

#[test]
fn socket_transfers_reset_pin_and_survives_unknown_message() {
    let swtpm = Swtpm::start().unwrap();
    let emulator = emulator(&swtpm);
    let server = Server::start(emulator.clone()).unwrap();
    let mut board = Client::connect(server.address()).unwrap();
    board.send(message::RESET).unwrap();
    let mut bytes = [0x80, 0xd4, 0, 0, 0];
    board.send(message::SELECT).unwrap();
    board.transfer(&mut bytes).unwrap();
    board.send(message::DESELECT).unwrap();
    assert_eq!(
        bytes, [0xff; 5],
        "the chip drives the bus although it is in reset"
    );
    board.send(message::RUN).unwrap();
    drop(board);

    // An unknown message ends the stream, but not the server.
    let mut stream = TcpStream::connect(server.address()).unwrap();
    io::Write::write_all(&mut stream, &[0xee]).unwrap();
    let mut end = Vec::new();
    let _ = io::Read::read_to_end(&mut stream, &mut end);
    assert!(end.is_empty());
    let mut board = Client::connect(server.address()).unwrap();
    emulator.event(chanbind_tis_emulator::Event::Return);
    board.send(message::SELECT).unwrap();
    board.transfer(&mut [0; 4]).unwrap();
}
