//! Records that embedded-tls must not see: none panics, none is acted upon, and each ends the connection with a word.

use super::*;
use chanbind_host_tests::attacker::{content, framed, message};

/// A server that is honest until the handshake is over.
fn after_handshake(
    then: impl Fn(&mut Attacker) -> io::Result<()> + Send + Sync + 'static,
) -> Result<Vec<u8>, StreamError> {
    let world = World::new();
    let server = Arc::clone(&world.server);
    world
        .meet(move |attacker| {
            attacker.honest_flight(&[&server.certificate], &server.key)?;
            attacker.client_finished()?;
            attacker.send(content::APPLICATION_DATA, b"first")?;
            then(attacker)
        })
        .unwrap()
}

/// A server that sends this behind its ServerHello.
fn after_hello(
    then: impl Fn(&mut Attacker) -> io::Result<()> + Send + Sync + 'static,
) -> ConnectError {
    World::new()
        .meet(move |attacker| {
            attacker.hello()?;
            then(attacker)
        })
        .expect_err("it was accepted")
}

fn ticket() -> Vec<u8> {
    framed(
        message::NEW_SESSION_TICKET,
        &[0, 0, 1, 0, 0, 0, 0, 1, 1, 7, 0, 2, 8, 9, 0, 0],
    )
}

#[test]
fn after_the_handshake() {
    // Those that may come.
    let read = after_handshake(|attacker| {
        attacker.send(content::HANDSHAKE, &[ticket(), ticket()].concat())?;
        attacker.send_inner(b"padded\x17\0\0\0\0\0")?;
        attacker.send(content::APPLICATION_DATA, &[])?;
        attacker.send(content::APPLICATION_DATA, b"last")?;
        attacker.send(content::ALERT, &[1, 0])
    });
    assert_eq!(read, Ok(b"firstpaddedlast".to_vec()));

    // Those that may not: nothing inside, types and messages that are not for now, messages that are cut.
    let cut = ticket()[..9].to_vec();
    for inner in [
        vec![],
        vec![0],
        vec![0; 40],
        b"\x01\x14".to_vec(),
        b"x\x18".to_vec(),
        b"x\x15".to_vec(),
        b"x\xff".to_vec(),
        b"\x16".to_vec(),
        [framed(message::KEY_UPDATE, &[0]), vec![content::HANDSHAKE]].concat(),
        [
            framed(message::CERTIFICATE_REQUEST, &[0, 0, 0]),
            vec![content::HANDSHAKE],
        ]
        .concat(),
        [
            framed(message::ENCRYPTED_EXTENSIONS, &[0, 0]),
            vec![content::HANDSHAKE],
        ]
        .concat(),
        [
            framed(message::FINISHED, &[0; 32]),
            vec![content::HANDSHAKE],
        ]
        .concat(),
        [
            framed(message::SERVER_HELLO, &[0; 40]),
            vec![content::HANDSHAKE],
        ]
        .concat(),
        [cut, vec![content::HANDSHAKE]].concat(),
        [ticket(), vec![4, 0, content::HANDSHAKE]].concat(),
    ] {
        let named = format!("{inner:02x?}");
        let read = after_handshake(move |attacker| attacker.send_inner(&inner));
        assert_eq!(read, Err(StreamError::Record), "{named}");
    }
}

#[test]
fn after_the_handshake_without_protection() {
    for (content_type, body) in [
        // An end that nobody has authenticated would cut what is read.
        (content::ALERT, vec![1, 0]),
        (content::ALERT, vec![2, 40]),
        (content::CHANGE_CIPHER_SPEC, vec![1]),
        (
            content::HANDSHAKE,
            framed(message::ENCRYPTED_EXTENSIONS, &[0, 0]),
        ),
        (content::HANDSHAKE, ticket()),
        (content::HANDSHAKE, vec![]),
        (content::APPLICATION_DATA, vec![]),
        (content::APPLICATION_DATA, vec![0; 15]),
        (content::APPLICATION_DATA, vec![0; 16]),
        (content::APPLICATION_DATA, vec![0; 17]),
        (0, vec![0; 30]),
        (99, vec![0; 30]),
    ] {
        let named = format!("{content_type} {body:02x?}");
        let read =
            after_handshake(move |attacker| attacker.send_record(content_type, [3, 3], &body));
        assert_eq!(read, Err(StreamError::Record), "{named}");
    }
    // The version by which the guard tells the cipher where the connection stands is not for others to use.
    let read = after_handshake(|attacker| {
        attacker.send_record(content::APPLICATION_DATA, [3, 0xff], &[0; 40])
    });
    assert_eq!(read, Err(StreamError::Record));
    let read = after_handshake(|attacker| attacker.send_bytes(&[23, 3, 3, 0xff, 0xff]));
    assert_eq!(read, Err(StreamError::RecordTooLarge));
    let read = after_handshake(|_| Ok(()));
    assert_eq!(read, Err(StreamError::Truncated));
}

#[test]
fn during_the_handshake() {
    let refused = after_hello(|attacker| attacker.send(content::APPLICATION_DATA, b"early"));
    assert_eq!(refused, ConnectError::Decrypt);
    for body in [vec![], vec![0; 15], vec![0; 16]] {
        let refused = after_hello(move |attacker| {
            attacker.send_record(content::APPLICATION_DATA, [3, 3], &body)
        });
        assert_eq!(refused, ConnectError::Record);
    }
    for inner in [
        vec![0; 9],
        vec![content::HANDSHAKE],
        b"\x0b\0\0\x16".to_vec(),
    ] {
        let refused = after_hello(move |attacker| attacker.send_inner(&inner));
        assert_eq!(refused, ConnectError::Decrypt);
    }
    let refused = after_hello(|attacker| {
        let message = framed(message::NEW_SESSION_TICKET, &[0; 20]);
        attacker.send(content::HANDSHAKE, &message)
    });
    assert_eq!(refused, ConnectError::Decrypt);
    // Without protection.
    let refused = after_hello(|attacker| {
        let message = attacker.encrypted_extensions();
        attacker.send_record(content::HANDSHAKE, [3, 3], &message)
    });
    assert_eq!(refused, ConnectError::Record);
    let refused = after_hello(|attacker| attacker.send_record(content::ALERT, [3, 3], &[1, 0]));
    assert_eq!(refused, ConnectError::Record);
}

/// Records without end keep nobody busy for ever.
#[test]
fn bombs() {
    let refused = after_hello(|attacker| {
        loop {
            attacker.send_record(content::CHANGE_CIPHER_SPEC, [3, 3], &[1])?;
        }
    });
    assert_eq!(refused, ConnectError::Record);
    let refused = after_hello(|attacker| {
        loop {
            let message = attacker.encrypted_extensions();
            attacker.send(content::HANDSHAKE, &message)?;
        }
    });
    assert_eq!(refused, ConnectError::Record);
    let refused = after_hello(|attacker| {
        attacker.send_bytes(&[&[23, 3, 3, 0x41, 1][..], &[0; 0x4101]].concat())
    });
    assert_eq!(refused, ConnectError::RecordTooLarge);
    let refused = World::new().meet(|attacker| attacker.send_bytes(&[22, 3, 3, 0xff, 0xff]));
    assert_eq!(refused, Err(ConnectError::RecordTooLarge));
}

/// Honest servers send these, too.
#[test]
fn what_may_come_first() {
    let met = World::new().meet(|attacker| attacker.send_record(content::ALERT, [3, 3], &[2, 40]));
    assert_eq!(met, Err(ConnectError::Alert(40)));
    let world = World::new();
    let server = Arc::clone(&world.server);
    let met = world.meet(move |attacker| {
        attacker.hello()?;
        attacker.send_record(content::CHANGE_CIPHER_SPEC, [3, 3], &[1])?;
        let mut flight = attacker.encrypted_extensions();
        flight.extend(attacker.certificate(&[&server.certificate]));
        flight.extend(attacker.certificate_verify(&server.key));
        flight.extend(attacker.finished());
        attacker.send(content::HANDSHAKE, &flight)?;
        attacker.client_finished()?;
        attacker.send(content::ALERT, &[1, 0])
    });
    assert_eq!(met, Ok(Ok(vec![])));
    let met =
        World::new().meet(|attacker| attacker.send_bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    assert_eq!(met, Err(ConnectError::Record));
    let met = World::new().meet(|attacker| {
        attacker.cut_after = Some(0);
        attacker.hello()
    });
    assert_eq!(met, Err(ConnectError::Closed));
}

/// A server hello that nobody should send: none panics.
#[test]
fn server_hellos() {
    for body in [
        vec![3, 3],
        vec![0; 38],
        // HelloRetryRequest
        [
            &[3, 3][..],
            &hex::decode("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
                .unwrap(),
            &[0, 0x13, 1, 0, 0, 12, 0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0, 24],
        ]
        .concat(),
        // TLS 1.2
        [&[3, 3][..], &[7; 32], &[0, 0xc0, 0x2b, 0, 0, 0]].concat(),
        // A key share that is no point.
        [
            &[3, 3][..],
            &[7; 32],
            &[
                0, 0x13, 1, 0, 0, 79, 0, 43, 0, 2, 3, 4, 0, 51, 0, 69, 0, 23, 0, 65, 4,
            ],
            &[9; 64],
        ]
        .concat(),
    ] {
        let met = World::new().meet(move |attacker| {
            let message = framed(message::SERVER_HELLO, &body);
            attacker.send_record(content::HANDSHAKE, [3, 3], &message)
        });
        assert_eq!(met, Err(ConnectError::Handshake));
    }
}

/// Messages that hide within the length of another, where embedded-tls would find them.
#[test]
fn messages_within_messages() {
    let world = World::new();
    for hide_in_extensions in [true, false] {
        let server = Arc::clone(&world.server);
        let met = world.meet(move |attacker| {
            attacker.hello()?;
            let certificate = attacker.certificate(&[&server.certificate]);
            let verify = attacker.certificate_verify(&server.key);
            let finished = attacker.finished();
            let body = if hide_in_extensions {
                let hidden = [vec![0, 0], finished, certificate, verify].concat();
                framed(message::ENCRYPTED_EXTENSIONS, &hidden)
            } else {
                let longer = [&finished[4..], &certificate, &verify].concat();
                [
                    framed(message::ENCRYPTED_EXTENSIONS, &[0, 0]),
                    framed(message::FINISHED, &longer),
                ]
                .concat()
            };
            attacker.send(content::HANDSHAKE, &body)
        });
        assert_eq!(met, Err(ConnectError::Decrypt));
    }
}

/// What goes out behind the server's close_notify is nothing, and not something without protection.
#[test]
fn closing_a_connection_that_the_server_has_closed() {
    let world = World::new();
    let leaf = Arc::clone(&world.server);
    let rest = Arc::new(std::sync::Mutex::new(None));
    let received = Arc::clone(&rest);
    let server = Server::start(move |attacker| {
        attacker.honest_flight(&[&leaf.certificate], &leaf.key)?;
        attacker.client_finished()?;
        attacker.send(content::ALERT, &[1, 0])?;
        *received.lock().unwrap() = Some(attacker.receive().map_err(|error| error.kind()));
        Ok(())
    })
    .unwrap();
    let certificate = [world.authority.certificate()];
    let anchors = Anchors::new(&certificate).unwrap();
    let config = Config::with_authority("localhost", &anchors, now());
    let (mut read, mut write) = (vec![0; Buffers::MAX_RECORD], [0; 1024]);
    let buffers = Buffers {
        read: &mut read,
        write: &mut write,
    };
    let transport = FromStd::new(TcpStream::connect(server.address()).unwrap());
    let mut connection =
        blocking::connect::<Suite, _, _>(transport, &config, OsRng, buffers).unwrap();
    assert_eq!(embedded_io::Read::read(&mut connection, &mut [0; 9]), Ok(0));
    drop(connection.close().unwrap());
    drop(server);
    assert_eq!(
        *rest.lock().unwrap(),
        Some(Err(io::ErrorKind::UnexpectedEof))
    );
}
