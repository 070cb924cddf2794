//! What the tests, the demo and the benches share: real TPMs, real certificates, and lines that can be cut.

pub mod attacker;
pub mod board;
pub mod gateway;
pub mod go;
pub mod openssl;
pub mod pki;
pub mod port;
pub mod program;
pub mod swtpm;
pub mod tpm_line;
