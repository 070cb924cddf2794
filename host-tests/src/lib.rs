//! Shared parts of the tests, the demo and the benchmarks: software TPMs, certificates, gateways, emulated boards, and connections that
//! can be recorded, altered and cut.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "only tests use this crate"
)]

pub mod attacker;
pub mod board;
pub mod client;
pub mod figures;
pub mod gateway;
pub mod go;
pub mod mqtt;
pub mod openssl;
pub mod pki;
pub mod port;
pub mod postgres;
pub mod principals;
pub mod program;
pub mod python;
pub mod swtpm;
pub mod technician;
pub mod tpm_line;
