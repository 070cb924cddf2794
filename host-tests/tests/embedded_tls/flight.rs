//! Tests of servers whose flight is out of order, or contains parameters that were not offered, and is otherwise valid.

use super::*;
use chanbind_host_tests::attacker::{content, framed, message};

/// Connects to a server with the right certificate and key that sends the messages `before` after its ServerHello, and then
/// authenticates itself.
fn flight(
    hello: impl Fn(&mut Vec<u8>) + Send + Sync + 'static,
    before: impl Fn(&mut Attacker) -> Vec<Vec<u8>> + Send + Sync + 'static,
) -> Result<(), ConnectError> {
    let fixture = Fixture::new();
    let server = Arc::clone(&fixture.server);
    fixture
        .run_client(move |attacker| {
            attacker.hello_with(&hello, &[])?;
            let mut messages = before(attacker);
            messages.push(attacker.certificate(&[&server.certificate]));
            messages.push(attacker.certificate_verify(&server.key));
            messages.push(attacker.finished());
            for message in messages {
                attacker.send(content::HANDSHAKE, &message)?;
            }
            attacker.client_finished()?;
            attacker.send(content::ALERT, &[1, 0])
        })
        .map(|_| ())
}

fn encrypted_extensions(extensions: &'static [u8]) -> Result<(), ConnectError> {
    flight(
        |_| {},
        move |attacker| {
            let len = u16::try_from(extensions.len()).unwrap().to_be_bytes();
            let body = [&len[..], extensions].concat();
            vec![attacker.handshake(message::ENCRYPTED_EXTENSIONS, &body)]
        },
    )
}

#[test]
fn rejects_missing_repeated_and_misplaced_messages() {
    assert_eq!(
        flight(|_| {}, |attacker| vec![attacker.encrypted_extensions()]),
        Ok(())
    );
    let order = Err(ConnectError::MessageOrder);
    assert_eq!(flight(|_| {}, |_| vec![]), order);
    let twice = flight(
        |_| {},
        |attacker| {
            vec![
                attacker.encrypted_extensions(),
                attacker.encrypted_extensions(),
            ]
        },
    );
    assert_eq!(twice, order);
    let request = |attacker: &mut Attacker| {
        // An empty context; signature_algorithms.
        let body = [0, 0, 8, 0, 13, 0, 4, 0, 2, 4, 3];
        attacker.handshake(message::CERTIFICATE_REQUEST, &body)
    };
    let requests = move |count: usize| {
        flight(
            |_| {},
            move |attacker| {
                let mut messages = vec![attacker.encrypted_extensions()];
                messages.extend((0..count).map(|_| request(attacker)));
                messages
            },
        )
    };
    assert_eq!(requests(2), order);
    let before = flight(
        |_| {},
        move |attacker| vec![request(attacker), attacker.encrypted_extensions()],
    );
    assert_eq!(before, order);
}

#[test]
fn rejects_parameters_and_extensions_that_were_not_offered() {
    let hello = |change: fn(&mut Vec<u8>)| {
        flight(change, |attacker| vec![attacker.encrypted_extensions()]).unwrap_err()
    };
    // After version and random: session id, suite, compression, extensions.
    let changes: [fn(&mut Vec<u8>); 9] = [
        |body: &mut Vec<u8>| {
            body.splice(34..35, [1, 7]);
        },
        |body: &mut Vec<u8>| body[36] = 0x02,
        |body: &mut Vec<u8>| body[36] = 0x03,
        |body: &mut Vec<u8>| body[37] = 1,
        // Another version, another group, a repeated extension, unsolicited extensions.
        |body: &mut Vec<u8>| body[45] = 3,
        |body: &mut Vec<u8>| body[51] = 24,
        |body: &mut Vec<u8>| {
            body[39] += 6;
            body.extend([0, 43, 0, 2, 3, 4]);
        },
        |body: &mut Vec<u8>| {
            body[39] += 6;
            body.extend([0, 41, 0, 2, 0, 0]);
        },
        |body: &mut Vec<u8>| {
            body[39] += 4;
            body.extend([0, 16, 0, 0]);
        },
    ];
    for change in changes {
        let error = hello(change);
        assert!(
            matches!(
                error,
                ConnectError::NotOffered | ConnectError::Handshake | ConnectError::Decrypt
            ),
            "{error:?}"
        );
    }
    // Only supported_groups may be unsolicited, and no extension may be repeated.
    assert_eq!(encrypted_extensions(&[0, 10, 0, 4, 0, 2, 0, 23]), Ok(()));
    for extensions in [
        &[0, 16, 0, 5, 0, 3, 2, b'h', b'2'][..],
        &[0, 42, 0, 0],
        &[0, 20, 0, 1, 0],
        &[0, 1, 0, 1, 2],
        &[0, 10, 0, 4, 0, 2, 0, 23, 0, 10, 0, 4, 0, 2, 0, 23],
    ] {
        let error = encrypted_extensions(extensions).unwrap_err();
        assert!(
            matches!(error, ConnectError::NotOffered | ConnectError::Handshake),
            "{extensions:?}: {error:?}"
        );
    }
    // The extensions of a certificate must be empty; this one has signed_certificate_timestamp.
    let fixture = Fixture::new();
    let server = Arc::clone(&fixture.server);
    let result = fixture.run_client(move |attacker| {
        attacker.hello()?;
        let extensions = attacker.encrypted_extensions();
        let mut body = vec![0];
        let entry = [&[0, 0, 0][..], &server.certificate, &[0, 4, 0, 18, 0, 0]].concat();
        let mut list = entry;
        let len = u32::try_from(server.certificate.len())
            .unwrap()
            .to_be_bytes();
        list[..3].copy_from_slice(&len[1..]);
        let len = u32::try_from(list.len()).unwrap().to_be_bytes();
        body.extend(&len[1..]);
        body.extend(list);
        let certificate = attacker.handshake(message::CERTIFICATE, &body);
        for message in [extensions, certificate] {
            attacker.send(content::HANDSHAKE, &message)?;
        }
        Ok(())
    });
    assert_eq!(result, Err(ConnectError::Decrypt));
}

/// The keys change after the ServerHello, so nothing may follow it in its record.
#[test]
fn rejects_data_after_server_hello_in_its_record() {
    for behind in [
        framed(message::ENCRYPTED_EXTENSIONS, &[0, 0]),
        vec![0],
        framed(message::SERVER_HELLO, &[0; 40]),
    ] {
        let result =
            Fixture::new().run_client(move |attacker| attacker.hello_with(|_| {}, &behind));
        assert_eq!(result, Err(ConnectError::Record));
    }
    // Another message in its place is rejected, too.
    let result = Fixture::new().run_client(|attacker| {
        let message = framed(message::ENCRYPTED_EXTENSIONS, &[0, 0]);
        attacker.send_record(content::HANDSHAKE, [3, 3], &message)
    });
    assert_eq!(result, Err(ConnectError::Record));
}

/// RFC 8446 section 5.2 allows 16,384 bytes of content, even if more would fit a record.
#[test]
fn rejects_plaintexts_that_are_too_long() {
    for (len, is_valid) in [(16_384, true), (16_385, false), (16_600, false)] {
        let fixture = Fixture::new();
        let server = Arc::clone(&fixture.server);
        let read = fixture.run_client(move |attacker| {
            attacker.honest_flight(&[&server.certificate], &server.key)?;
            attacker.client_finished()?;
            attacker.send(content::APPLICATION_DATA, &vec![b'x'; len])?;
            attacker.send(content::ALERT, &[1, 0])
        });
        match read.unwrap() {
            Ok(bytes) => assert_eq!((bytes.len(), is_valid), (len, true)),
            Err(error) => assert_eq!((error, is_valid), (StreamError::Record, false), "{len}"),
        }
    }
}
