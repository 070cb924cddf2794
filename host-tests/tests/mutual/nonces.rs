//! Nonce numbers and sessions at the server (RFC 8120 sections 6 and 11).

use crate::parties::{Client, Server, connection};
use chanbind_core::{mutual::MutualFailure, proof::Outcome};

const PROVED: Option<Result<Outcome, MutualFailure>> = Some(Ok(Outcome::Proved));

/// Returns a client with a session, and the requests that it makes next.
fn session(server: &mut Server, requests: usize) -> (Client, Vec<String>) {
    let channel = connection(1);
    let mut client = Client::honest();
    client.connect(&channel);
    let (ended, _) = client.send(|request| server.answer(request, &channel));
    assert_eq!(ended, Ok(Outcome::Proved));
    let requests = (0..requests).map(|_| client.request("GET").unwrap().unwrap());
    let requests = requests.collect();
    (client, requests)
}

fn reason(server: &mut Server, request: &str) -> Option<String> {
    let head = server.answer(Some(request), &connection(1));
    let challenge = head
        .fields
        .iter()
        .find(|(name, _)| *name == "www-authenticate")?;
    let (_, reason) = challenge.1.split_once("reason=").unwrap();
    Some(reason.to_owned())
}

const STALE: Option<&str> = Some("stale-session");
const FAILED: Option<&str> = Some("auth-failed");

#[test]
fn a_copy_ends_the_session() {
    let mut server = Server::new();
    let (_, requests) = session(&mut server, 2);
    assert_eq!(reason(&mut server, &requests[0]), None);
    assert_eq!(reason(&mut server, &requests[0]).as_deref(), STALE);
    assert_eq!(reason(&mut server, &requests[1]).as_deref(), STALE);
    assert_eq!(server.served, 2);
}

/// Requests of one session that overtake each other.
#[test]
fn numbers_are_taken_in_any_order_within_the_window() {
    let mut server = Server::new();
    let (_, requests) = session(&mut server, 300);
    // Number 0 began the session; the last of these is 200.
    for at in [199, 72, 150, 73, 198] {
        assert_eq!(reason(&mut server, &requests[at]), None, "{at}");
    }
    // 72 is not larger than 200 - 128.
    assert_eq!(reason(&mut server, &requests[71]).as_deref(), STALE);
    assert_eq!(reason(&mut server, &requests[250]).as_deref(), STALE);
}

#[test]
fn a_wrong_proof_uses_no_number_up() {
    let mut server = Server::new();
    let (_, requests) = session(&mut server, 2);
    let (front, _) = requests[0].split_once("vkc=").unwrap();
    let wrong = format!("{front}vkc={}", "0".repeat(64));
    for _ in 0..3 {
        assert_eq!(reason(&mut server, &wrong).as_deref(), FAILED);
    }
    // Of another length.
    let short = format!("{front}vkc=00");
    assert_eq!(reason(&mut server, &short).as_deref(), FAILED);
    assert_eq!(reason(&mut server, &requests[1]), None);
    assert_eq!(reason(&mut server, &requests[0]), None);
}

#[test]
fn the_largest_number_is_the_last() {
    let channel = connection(1);
    let mut server = Server::new();
    server.nc_max = 2;
    let mut client = Client::honest();
    client.connect(&channel);
    for expected in [3, 1, 1, 2, 1, 1, 2] {
        let (ended, exchanges) = client.send(|request| server.answer(request, &channel));
        assert_eq!((ended, exchanges), (Ok(Outcome::Proved), expected));
    }
    let (_, requests) = session(&mut server, 1);
    for number in ["3", "4294967296", "18446744073709551616", &"9".repeat(100)] {
        let mut server = Server::new();
        server.nc_max = 2;
        let (_, _) = session(&mut server, 0);
        let sid = requests[0].split("sid=").nth(1).unwrap()[..32].to_owned();
        let own = hex::encode(server.sessions.keys().next().unwrap());
        let beyond = requests[0]
            .replace("nc=1", &format!("nc={number}"))
            .replace(&sid, &own);
        assert_eq!(reason(&mut server, &beyond).as_deref(), STALE, "{number}");
    }
}

#[test]
fn sessions_that_do_not_exist_are_stale() {
    let mut server = Server::new();
    let (mut client, requests) = session(&mut server, 1);
    let sid = requests[0].split("sid=").nth(1).unwrap()[..32].to_owned();
    for other in [
        "00".repeat(16),
        "00".repeat(64),
        "00".to_owned(),
        sid.to_uppercase(),
    ] {
        let request = requests[0].replace(&sid, &other);
        let expected = if other == sid.to_uppercase() {
            None
        } else {
            STALE
        };
        assert_eq!(
            reason(&mut server, &request).as_deref(),
            expected,
            "{other}"
        );
    }
    for invalid in ["", "0", "zz", &"00".repeat(65)] {
        let request = requests[0].replace(&sid, invalid);
        let reason = reason(&mut server, &request);
        assert_eq!(reason.as_deref(), Some("invalid-parameters"), "{invalid}");
    }
    let channel = connection(1);
    let request = client.request("GET").unwrap();
    let head = server.answer(request.as_deref(), &channel);
    assert_eq!(client.response(&head), PROVED);
}

/// A first proof that is wrong ends the key exchange, and with the password known too late it cannot be mended.
#[test]
fn a_wrong_first_proof_rejects_the_exchange() {
    let (mut server, channel) = (Server::new(), connection(1));
    let mut client = Client::honest();
    client.connect(&channel);
    for _ in 0..2 {
        let request = client.request("GET").unwrap();
        let head = server.answer(request.as_deref(), &channel);
        assert_eq!(client.response(&head), None);
    }
    let right = client.request("GET").unwrap().unwrap();
    // The proof of this session on another connection: a relay.
    let head = server.answer(Some(&right), &connection(2));
    assert!(
        head.value("www-authenticate")
            .ends_with("reason=auth-failed")
    );
    assert_eq!(reason(&mut server, &right).as_deref(), FAILED);
    assert_eq!(server.served, 0);
}
