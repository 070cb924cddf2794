//! The program `p256` with a client of blessings over TLS: it verifies the server's, and shows its own.
#![no_std]
#![no_main]

use chanbind_core::blessing::Prover;
use chanbind_size::{Principal, drive, primitives, program};

fn exchange() -> Option<u32> {
    drive(&mut Prover::new(Principal::new(), [0; 1536]))
}

program!(primitives().unwrap_or(1) + exchange().unwrap_or(2));
