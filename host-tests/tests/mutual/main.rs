//! Tests of HTTP Mutual authentication (RFC 8120, RFC 8121): recomputed values, both sides in memory, and what is refused.
#![cfg(test)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    reason = "a panic fails the test"
)]

mod flows;
mod network;
mod nonces;
mod parties;
mod values;
mod vectors;
