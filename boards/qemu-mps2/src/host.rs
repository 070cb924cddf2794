//! The error of semihosting requests to the host.

use semihosting::io;

/// The host refused a request: QEMU must run with `-semihosting-config enable=on,target=native`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, defmt::Format)]
pub struct HostError {
    /// The `errno` of the host, if it returned one.
    pub errno: Option<i32>,
}

impl From<io::Error> for HostError {
    fn from(error: io::Error) -> Self {
        Self {
            errno: error.raw_os_error(),
        }
    }
}
