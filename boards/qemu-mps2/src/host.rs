//! What the host does for the machine by semihosting, and does not always.

use semihosting::io;

/// The host refused: is QEMU run with `-semihosting-config enable=on,target=native`?
#[derive(Debug, Clone, Copy, PartialEq, Eq, defmt::Format)]
pub struct HostError {
    /// The host's `errno`, if it gave one.
    pub errno: Option<i32>,
}

impl From<io::Error> for HostError {
    fn from(error: io::Error) -> Self {
        Self {
            errno: error.raw_os_error(),
        }
    }
}
