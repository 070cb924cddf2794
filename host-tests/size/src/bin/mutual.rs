//! The program `p256` with a client of RFC 8120: it answers challenges, derives the password's credential, and verifies the server.
#![no_std]
#![no_main]

use chanbind_core::mutual::{MutualProver, Origin, Password};
use chanbind_size::{drive, primitives, program, text};

fn prover() -> Option<MutualProver> {
    let origin = Origin::parse(text(30)?).ok()?;
    let password = Password::new(text(8)?).ok()?;
    MutualProver::new(origin, text(8)?, password).ok()
}

fn exchange() -> Option<u32> {
    drive(&mut prover()?)
}

program!(primitives().unwrap_or(1) + exchange().unwrap_or(2));
