//! Tests of HTTP Mutual authentication (RFC 8120, RFC 8121): recomputed values, both sides in memory, and what is refused.
#![cfg(test)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::string_slice,
    reason = "a panic fails the test"
)]

mod attacks;
mod fixed_server;
mod flows;
mod gateway;
mod network;
mod nonces;
mod parties;
mod sessions;
mod values;
mod vectors;
