//! The things that others learn of a client: on the wire, and as a server that the client does not trust.

use crate::recorded::{list, live, octets, text};
use chanbind::{
    proof::blessing::{
        ChannelOptions, PeerPatterns, Principal, Received, VanadiumError, accept, dial,
    },
    protocol::blessing::channel::ChannelError,
};
use chanbind_core::blessing::EncodedBlessings;
use chanbind_host_tests::principals::{blessed, named};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

/// The bytes that have passed on a wire, in both directions.
type Wire = Arc<Mutex<Vec<u8>>>;

/// Returns the two ends of a wire, whose bytes are kept.
fn tapped() -> (DuplexStream, DuplexStream, Wire) {
    let (near, near_tap) = duplex(4096);
    let (far, far_tap) = duplex(4096);
    let wire = Wire::default();
    let (mut near_read, mut near_write) = tokio::io::split(near_tap);
    let (mut far_read, mut far_write) = tokio::io::split(far_tap);
    let copy = |wire: &Wire| Arc::clone(wire);
    let (one, other) = (copy(&wire), copy(&wire));
    tokio::spawn(async move {
        let mut buffer = [0; 1024];
        while let Ok(len @ 1..) = near_read.read(&mut buffer).await {
            one.lock().unwrap().extend_from_slice(&buffer[..len]);
            if far_write.write_all(&buffer[..len]).await.is_err() {
                break;
            }
        }
        let _ = far_write.shutdown().await;
    });
    tokio::spawn(async move {
        let mut buffer = [0; 1024];
        while let Ok(len @ 1..) = far_read.read(&mut buffer).await {
            other.lock().unwrap().extend_from_slice(&buffer[..len]);
            if near_write.write_all(&buffer[..len]).await.is_err() {
                break;
            }
        }
        let _ = near_write.shutdown().await;
    });
    (near, far, wire)
}

/// Returns the parts of a principal's blessings by which it can be recognized: extensions of some length, and public keys.
fn traces(blessings: &[u8]) -> Vec<Vec<u8>> {
    let mut traces = Vec::new();
    let encoded = EncodedBlessings::parse(blessings).unwrap();
    let walked = encoded.blessings().for_each(&mut |_, certificate| {
        traces.push(certificate.public_key.to_vec());
        if certificate.extension.len() > 3 {
            traces.push(certificate.extension.as_bytes().to_vec());
        }
        Ok(())
    });
    walked.unwrap();
    traces
}

fn contains(octets: &[u8], part: &[u8]) -> bool {
    octets.windows(part.len()).any(|window| window == part)
}

fn assert_no_trace(wire: &[u8], blessings: &[u8]) {
    for trace in traces(blessings) {
        assert!(!contains(wire, &trace), "{}", hex::encode(&trace));
    }
}

#[tokio::test]
async fn an_eavesdropper_learns_no_blessings() {
    let factory = named("factory");
    let client = Arc::new(blessed(&factory, "line3:pump7", &[]));
    let server = Arc::new(blessed(&factory, "gateway", &[]));
    let (near, far, wire) = tapped();
    let options = ChannelOptions::default();
    let servers = PeerPatterns::admit(["factory:gateway"]);
    let (dialed, accepted) = tokio::join!(
        dial(near, &client, &servers, &options),
        accept(far, &server, &options)
    );
    let (mut dialed, mut accepted) = (dialed.unwrap(), accepted.unwrap());
    dialed.open(b"hello").await.unwrap();
    let received = accepted.receive().await.unwrap();
    let Received::Opened { names, .. } = &received else {
        panic!("{received:?}");
    };
    assert_eq!(names, &["factory:line3:pump7"]);
    let wire = wire.lock().unwrap().clone();
    assert!(wire.len() > 3_000, "{}", wire.len());
    for principal in [&client, &server] {
        assert_no_trace(&wire, principal.blessings());
    }
    assert!(!contains(&wire, b"hello"));
}

/// The attacker is a server, so that it can open everything that the client seals.
async fn refused_by_client(attacker: Principal) {
    let factory = named("factory");
    let client = Arc::new(blessed(&factory, "line3:pump7", &[]));
    let attacker = Arc::new(attacker);
    let (near, far, wire) = tapped();
    let options = ChannelOptions::default();
    let servers = PeerPatterns::admit(["factory:gateway"]);
    let (dialed, accepted) = tokio::join!(
        dial(near, &client, &servers, &options),
        accept(far, &attacker, &options)
    );
    assert!(
        matches!(dialed, Err(VanadiumError::Untrusted { .. })),
        "{dialed:?}"
    );
    // After its Setup, the client's only message is this one.
    assert!(
        matches!(
            accepted,
            Err(VanadiumError::Channel(ChannelError::TearDown))
        ),
        "{accepted:?}"
    );
    assert_no_trace(&wire.lock().unwrap(), client.blessings());
}

#[tokio::test]
async fn an_active_attacker_learns_nothing_without_a_name_that_the_client_trusts() {
    // A server of another root, with a name that the client looks for.
    refused_by_client(named("factory:gateway")).await;
    // Without any.
    let nameless = Principal::nameless(
        chanbind_host_tests::principals::key(),
        chanbind::proof::blessing::Roots::new(),
    );
    refused_by_client(nameless.unwrap()).await;
}

#[test]
fn recorded_wires_show_no_blessings_of_the_dialer() {
    let mut count = 0;
    for entry in list(&live()["handshakes"]) {
        let messages = list(&entry["messages"]);
        let wire: Vec<u8> = messages
            .iter()
            .flat_map(|message| octets(&message["frame"]))
            .collect();
        let public_key = octets(&entry["dialer"]["principal"]["spki"]);
        assert!(!contains(&wire, &public_key), "{}", text(&entry["id"]));
        count += 1;
    }
    assert!(count > 20, "{count}");
}
