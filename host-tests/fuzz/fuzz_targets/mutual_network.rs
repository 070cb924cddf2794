//! A client and a server of RFC 8120 over a network that loses, repeats, reorders and redirects messages, and a client with a wrong password
//! beside it: see `host-tests/tests/mutual/network.rs`.
#![no_main]

#[path = "../../tests/mutual/network.rs"]
mod network;
#[path = "../../tests/mutual/parties.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod parties;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|schedule: &[u8]| {
    network::run(schedule);
});
