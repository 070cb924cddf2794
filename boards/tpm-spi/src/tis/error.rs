use super::{TransportError, machine::Fault};
use chanbind_core::error_messages;
use core::fmt;
use embedded_hal::digital::ErrorKind;

/// The state of the chip that an exchange waited for when it timed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Awaited {
    /// The chip is ready for a command. Limit: time-out B, and once more after a cancel.
    Ready,
    /// The chip has room for more of the command. Limit: time-out A; the command is then sent again up to twice.
    Room,
    /// The chip has received the whole command. Limit: time-out C; the command is then sent again up to twice.
    CommandTaken,
    /// The chip has a response. Limit: the duration of the command; after a cancel, time-out B.
    Response,
    /// The chip has more of the response. Limit: time-out C.
    Rest,
    /// The chip has registered that its response was read. Limit: time-out C.
    ResponseTaken,
}

/// The error of an exchange with a chip on SPI. `E` is the error of the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TisError<E> {
    /// A transaction failed, and failed again when it was repeated.
    Transport(TransportError<E>),
    /// The reset pin failed.
    Pin(ErrorKind),
    /// No chip responds.
    NoChip {
        /// The value read from the access register: ff on a bus that is pulled up, 00 on one that is pulled down.
        access: u8,
    },
    /// The chip is not a TPM of an expected vendor. [`super::TisBuilder::vendors`] sets the expected vendors.
    WrongVendor {
        /// The value read from DID_VID.
        actual: u32,
    },
    /// The chip is not a TPM 2.0, but a TPM 1.2.
    NotTpm2 {
        /// The upper byte of the status register.
        status: u8,
    },
    /// The chip did not reach a state in time. The next command first makes the chip ready again.
    Timeout(Awaited),
    /// Another locality is active and does not relinquish the chip.
    LocalityTaken,
    /// Another locality seized the chip, or the chip was reset, during a command. The next command requests the locality again.
    LocalityLost,
    /// The chip no longer responds.
    Gone,
    /// The size of the response is invalid: it is shorter than a header, longer than the buffer, or differs from the number of
    /// bytes that the chip sends.
    ResponseSize {
        /// The size in the header of the response, in bytes.
        actual: usize,
    },
    /// The command is longer than the buffer, or the buffer is shorter than the header of a response, which has 10 bytes.
    CommandLength,
}

impl<E> TisError<E> {
    pub(super) fn new(fault: Fault, did_vid: u32) -> Self {
        match fault {
            Fault::NoChip(access) => Self::NoChip { access },
            Fault::WrongVendor => Self::WrongVendor { actual: did_vid },
            Fault::NotTpm2(status) => Self::NotTpm2 { status },
            Fault::LocalityTaken => Self::LocalityTaken,
            Fault::LocalityLost => Self::LocalityLost,
            Fault::Gone => Self::Gone,
            Fault::Timeout(awaited) => Self::Timeout(awaited),
            Fault::ResponseSize(actual) => Self::ResponseSize { actual },
        }
    }
}

error_messages! { TisError<E> where E: fmt::Debug {
    Self::Transport(error) => "{}", error;
    Self::Pin(_) => "the reset pin failed: check its configuration";
    Self::NoChip { access } => "no TPM answers (access register {:02x}): check power, wiring, chip select and reset", access;
    Self::WrongVendor { actual } => "the chip is not a TPM of an accepted vendor (DID_VID {:08x}): check chip select, SPI mode 0 and clock, or add its vendor", actual;
    Self::NotTpm2 { status } => "the chip is not a TPM 2.0 (upper status byte {:02x}): ask its vendor for TPM 2.0 firmware", status;
    Self::Timeout(awaited) => "the TPM took too long (awaited: {:?}): try again, then reset it; if the error persists, check the bus", awaited;
    Self::LocalityTaken => "another locality uses the TPM: make its owner relinquish it, or reset the TPM";
    Self::LocalityLost => "another locality seized the TPM, or the TPM was reset, during a command: repeat the command";
    Self::Gone => "the TPM no longer answers: check its power and reset";
    Self::ResponseSize { actual } => "the TPM announced a response of {} bytes: use a larger buffer if the size is plausible, otherwise check the bus", actual;
    Self::CommandLength => "the buffer is too short for the command: use a buffer of 512 bytes";
}}

impl<E: fmt::Debug> core::error::Error for TisError<E> {}
