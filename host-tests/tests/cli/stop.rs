//! Signals that stop a gateway.

use super::*;
use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

/// Creates a workspace whose registry has one client.
fn workspace() -> Workspace {
    let workspace = Workspace::without_tpm();
    workspace.register("client1", b"a key with more than 16 bytes");
    workspace
}

#[test]
fn the_signals_of_users_and_service_managers_stop_a_gateway_in_order() {
    let workspace = workspace();
    for signal in [Signal::INT, Signal::TERM] {
        let mut gateway = workspace.otp_gateway(&[]);
        gateway.signal(signal);
        let status = process::wait(&mut gateway.child).expect("the gateway does not stop");
        assert_eq!(status.code(), Some(0), "{signal:?}: {}", gateway.log());
    }
}

/// A client that sends many requests and reads no response keeps the gateway from stopping in order.
#[test]
fn a_second_signal_stops_the_gateway_at_once() {
    let workspace = workspace();
    let mut gateway = workspace.otp_gateway(&[]);
    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect"])
        .arg(format!("127.0.0.1:{}", gateway.port))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut requests = client.stdin.take().unwrap();
    let written = Arc::new(AtomicUsize::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    let (count, stop) = (Arc::clone(&written), Arc::clone(&is_over));
    let writer = std::thread::spawn(move || {
        let many = "GET /get HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1_000);
        while !stop.load(Ordering::SeqCst) && requests.write_all(many.as_bytes()).is_ok() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    // When no more requests are accepted, the gateway cannot write its responses.
    let mut last = (0, Instant::now());
    let is_stuck = wait_until(|| {
        let now = written.load(Ordering::SeqCst);
        if now != last.0 {
            last = (now, Instant::now());
        }
        now > 0 && last.1.elapsed() > Duration::from_secs(3)
    });
    assert!(is_stuck, "the gateway reads all requests");
    gateway.signal(Signal::INT);
    std::thread::sleep(Duration::from_millis(500));
    let running = gateway.child.try_wait().unwrap().is_none();
    let start = Instant::now();
    gateway.signal(Signal::INT);
    let status = process::wait(&mut gateway.child);
    let elapsed = start.elapsed();
    is_over.store(true, Ordering::SeqCst);
    let _ = client.kill();
    let _ = client.wait();
    let _ = writer.join();
    assert!(running, "the first signal stops the gateway in order");
    assert_eq!(status.unwrap().code(), Some(130));
    assert!(elapsed < Duration::from_secs(20), "{elapsed:?}");
}

/// The line on standard output says that the gateway is ready, so signals must be handled by then.
#[test]
fn signals_right_after_the_start_are_handled() {
    let workspace = workspace();
    for _ in 0..10 {
        let mut gateway = workspace.otp_gateway(&[]);
        gateway.signal(Signal::HUP);
        gateway.signal(Signal::TERM);
        let status = process::wait(&mut gateway.child).expect("the gateway does not stop");
        assert_eq!(status.code(), Some(0), "{}", gateway.log());
    }
}
