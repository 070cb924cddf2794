//! The command `chanbind`, run as a user runs it.
#![cfg(test)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    reason = "a panic fails the test"
)]

mod admin;
mod advice;
mod authenticator;
mod blessing;
mod config;
mod disk;
mod doctor;
mod documents;
mod exit_codes;
mod files;
mod firmware;
mod inspect;
mod logs;
mod mutual;
mod otp;
mod peers;
mod process;
mod proxy;
mod registry;
mod reload;
mod request;
mod stop;
mod systemd;
mod tls_errors;
mod traces;
mod usage;
mod workspace;

use chanbind_host_tests::program::{self, Signal};
use process::Gateway;
use std::{
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};
use workspace::{P256, Workspace};

/// The limit of every wait for a process or a peer.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits until `condition` holds, at most for [`LIMIT`]. Returns whether it held.
fn wait_until(mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    condition()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn assert_contains_all(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing: {text}");
    }
}
