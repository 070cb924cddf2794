//! A benchmark of the client's side of RFC 8121: `cargo x bench` makes QEMU record the executed instructions.
#![no_std]
#![no_main]

use chanbind_board_qemu_mps2::{benchmark, stack};
use chanbind_core::mutual::{
    Algorithm, ClientExchange, ClientSession, Number, Realm, SecretNumber, SessionId, SessionLimits,
};
use core::hint::black_box;
use cortex_m_rt::entry;
use defmt::unwrap;
use p256::{AffinePoint, ProjectivePoint, Scalar, elliptic_curve::PrimeField};

/// The K_s1 of the published vector.
const SERVER_VALUE: [u8; 33] = [
    0x00, 0x24, 0xf0, 0xd7, 0x48, 0x27, 0xcc, 0x28, 0x5a, 0x4c, 0x8a, 0x98, 0xf1, 0x0d, 0xee, 0x78,
    0x36, 0x24, 0x2a, 0x2e, 0xff, 0x70, 0xb3, 0x23, 0x9c, 0xd8, 0xb2, 0xf2, 0x2f, 0x90, 0x39, 0x58,
    0x3e,
];

#[entry]
fn main() -> ! {
    let realm = unwrap!(Realm::new(Algorithm::P256_SHA256, "gateway.example", "technicians").ok());
    let pi = credential(&realm);
    let used = benchmark::prepare_stack();
    let exchange = begin(realm, pi);
    let session = finish_exchange(exchange);
    let high_water = high_water();
    black_box(session.sid());
    black_box(bare());
    benchmark::finish(high_water.saturating_sub(used), true)
}

#[inline(never)]
fn credential(realm: &Realm) -> SecretNumber {
    unwrap!(realm.credential("client1", "correct horse").ok())
}

#[inline(never)]
fn begin(realm: Realm, pi: SecretNumber) -> ClientExchange {
    unwrap!(ClientExchange::begin(realm, pi, &[7; 64]).ok())
}

#[inline(never)]
fn finish_exchange(exchange: ClientExchange) -> ClientSession {
    let sid = unwrap!(SessionId::from_slice(&[1; 16]).ok());
    let value = unwrap!(Number::new(&SERVER_VALUE));
    let limits = SessionLimits {
        nc_max: 9,
        nc_window: 128,
        time: 60,
    };
    unwrap!(exchange.finish(sid, value, limits).ok())
}

/// The two scalar multiplications of the exchange, with their affine results.
#[inline(never)]
#[allow(
    clippy::arithmetic_side_effects,
    reason = "operations of the group do not overflow"
)]
fn bare() -> (AffinePoint, AffinePoint) {
    let scalar = unwrap!(Option::<Scalar>::from(Scalar::from_repr([0x5a; 32].into())));
    let one = (ProjectivePoint::GENERATOR * black_box(scalar)).to_affine();
    let other = (ProjectivePoint::from(black_box(one)) * black_box(scalar)).to_affine();
    (one, other)
}

/// Returns the largest number of bytes in use since the stack was painted. A function of its own: its instructions are not part of the exchange.
#[inline(never)]
fn high_water() -> usize {
    stack::high_water()
}
