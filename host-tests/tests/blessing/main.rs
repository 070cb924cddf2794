//! Vanadium's principals and blessings: the recorded values of upstream's Go code, both channels, and attacks.
#![cfg(test)]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a panic fails the test"
)]

mod attacks;
mod discharges;
mod generated;
mod principal_command;
mod privacy;
mod recorded;
mod replay;
mod values;
