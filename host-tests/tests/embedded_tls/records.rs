//! Tests of records that must not reach embedded-tls: none causes a panic or is acted upon, and each ends the connection with an
//! error.

use super::*;
use chanbind_host_tests::attacker::{content, framed, message};

/// Connects to a server that runs `then` after an honest handshake.
fn after_handshake(
    then: impl Fn(&mut Attacker) -> io::Result<()> + Send + Sync + 'static,
) -> Result<Vec<u8>, StreamError> {
    let fixture = Fixture::new();
    let server = Arc::clone(&fixture.server);
    fixture
        .run_client(move |attacker| {
            attacker.honest_flight(&[&server.certificate], &server.key)?;
            attacker.client_finished()?;
            attacker.send(content::APPLICATION_DATA, b"first")?;
            then(attacker)
        })
        .unwrap()
}

/// Connects to a server that runs `then` after its ServerHello.
fn after_hello(
    then: impl Fn(&mut Attacker) -> io::Result<()> + Send + Sync + 'static,
) -> ConnectError {
    Fixture::new()
        .run_client(move |attacker| {
            attacker.hello()?;
            then(attacker)
        })
        .expect_err("the server was accepted")
}

fn ticket() -> Vec<u8> {
    framed(
        message::NEW_SESSION_TICKET,
        &[0, 0, 1, 0, 0, 0, 0, 1, 1, 7, 0, 2, 8, 9, 0, 0],
    )
}

#[test]
fn filters_protected_records_after_the_handshake() {
    // Allowed records.
    let read = after_handshake(|attacker| {
        attacker.send(content::HANDSHAKE, &[ticket(), ticket()].concat())?;
        attacker.send_inner(b"padded\x17\0\0\0\0\0")?;
        attacker.send(content::APPLICATION_DATA, &[])?;
        attacker.send(content::APPLICATION_DATA, b"last")?;
        attacker.send(content::ALERT, &[1, 0])
    });
    assert_eq!(read, Ok(b"firstpaddedlast".to_vec()));

    // Forbidden records: no content, forbidden types and messages, truncated messages.
    let truncated = ticket()[..9].to_vec();
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
        [truncated, vec![content::HANDSHAKE]].concat(),
        [ticket(), vec![4, 0, content::HANDSHAKE]].concat(),
    ] {
        let description = format!("{inner:02x?}");
        let read = after_handshake(move |attacker| attacker.send_inner(&inner));
        assert_eq!(read, Err(StreamError::Record), "{description}");
    }
}

#[test]
fn rejects_unprotected_records_after_the_handshake() {
    for (content_type, body) in [
        // An unauthenticated close_notify would truncate the data.
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
        let description = format!("{content_type} {body:02x?}");
        let read =
            after_handshake(move |attacker| attacker.send_record(content_type, [3, 3], &body));
        assert_eq!(read, Err(StreamError::Record), "{description}");
    }
    // A server must not use the version with which the record filter marks records for the cipher.
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
fn rejects_forbidden_records_during_the_handshake() {
    let error = after_hello(|attacker| attacker.send(content::APPLICATION_DATA, b"early"));
    assert_eq!(error, ConnectError::Decrypt);
    for body in [vec![], vec![0; 15], vec![0; 16]] {
        let error = after_hello(move |attacker| {
            attacker.send_record(content::APPLICATION_DATA, [3, 3], &body)
        });
        assert_eq!(error, ConnectError::Record);
    }
    for inner in [
        vec![0; 9],
        vec![content::HANDSHAKE],
        b"\x0b\0\0\x16".to_vec(),
    ] {
        let error = after_hello(move |attacker| attacker.send_inner(&inner));
        assert_eq!(error, ConnectError::Decrypt);
    }
    let error = after_hello(|attacker| {
        let message = framed(message::NEW_SESSION_TICKET, &[0; 20]);
        attacker.send(content::HANDSHAKE, &message)
    });
    assert_eq!(error, ConnectError::Decrypt);
    // Unprotected records.
    let error = after_hello(|attacker| {
        let message = attacker.encrypted_extensions();
        attacker.send_record(content::HANDSHAKE, [3, 3], &message)
    });
    assert_eq!(error, ConnectError::Record);
    let error = after_hello(|attacker| attacker.send_record(content::ALERT, [3, 3], &[1, 0]));
    assert_eq!(error, ConnectError::Record);
}

/// The number and length of records in a handshake are limited.
#[test]
fn rejects_endless_and_oversized_records() {
    let error = after_hello(|attacker| {
        loop {
            attacker.send_record(content::CHANGE_CIPHER_SPEC, [3, 3], &[1])?;
        }
    });
    assert_eq!(error, ConnectError::Record);
    let error = after_hello(|attacker| {
        loop {
            let message = attacker.encrypted_extensions();
            attacker.send(content::HANDSHAKE, &message)?;
        }
    });
    assert_eq!(error, ConnectError::Record);
    let error = after_hello(|attacker| {
        attacker.send_bytes(&[&[23, 3, 3, 0x41, 1][..], &[0; 0x4101]].concat())
    });
    assert_eq!(error, ConnectError::RecordTooLarge);
    let result = Fixture::new().run_client(|attacker| attacker.send_bytes(&[22, 3, 3, 0xff, 0xff]));
    assert_eq!(result, Err(ConnectError::RecordTooLarge));
}

/// Honest servers send some of these, too.
#[test]
fn handles_alert_change_cipher_spec_and_plain_text_during_the_handshake() {
    let result = Fixture::new()
        .run_client(|attacker| attacker.send_record(content::ALERT, [3, 3], &[2, 40]));
    assert_eq!(result, Err(ConnectError::Alert(40)));
    let fixture = Fixture::new();
    let server = Arc::clone(&fixture.server);
    let result = fixture.run_client(move |attacker| {
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
    assert_eq!(result, Ok(Ok(vec![])));
    let result = Fixture::new()
        .run_client(|attacker| attacker.send_bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    assert_eq!(result, Err(ConnectError::Record));
    let result = Fixture::new().run_client(|attacker| {
        attacker.cut_after = Some(0);
        attacker.hello()
    });
    assert_eq!(result, Err(ConnectError::Closed));
}

/// No invalid ServerHello causes a panic.
#[test]
fn rejects_invalid_server_hellos() {
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
        // A key share that is not a point on the curve.
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
        let result = Fixture::new().run_client(move |attacker| {
            let message = framed(message::SERVER_HELLO, &body);
            attacker.send_record(content::HANDSHAKE, [3, 3], &message)
        });
        assert_eq!(result, Err(ConnectError::Handshake));
    }
}

/// Messages hidden within the length of another one, which embedded-tls would process.
#[test]
fn rejects_messages_hidden_within_messages() {
    let fixture = Fixture::new();
    for hide_in_extensions in [true, false] {
        let server = Arc::clone(&fixture.server);
        let result = fixture.run_client(move |attacker| {
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
        assert_eq!(result, Err(ConnectError::Decrypt));
    }
}

/// After the server's close_notify, the client sends nothing, in particular no unprotected record.
#[test]
fn closing_after_close_notify_sends_nothing() {
    let fixture = Fixture::new();
    let leaf = Arc::clone(&fixture.server);
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
    let certificate = [fixture.authority.certificate()];
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
