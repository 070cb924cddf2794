use super::{TransportError, machine::Fault};
use chanbind_core::error_messages;
use core::fmt;
use embedded_hal::digital::ErrorKind;

/// The state that was waited for when the time was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Awaited {
    /// The chip to be ready for a command: time-out B, and once more after a cancel.
    Ready,
    /// Room for more of the command: time-out A, and twice more from its beginning.
    Room,
    /// The chip to have the whole command: time-out C, and twice more from its beginning.
    CommandTaken,
    /// The response to a command, by the command's duration; then, after a cancel, time-out B.
    Response,
    /// More of the response: time-out C.
    Rest,
    /// The chip to know that its response has been read: time-out C.
    ResponseTaken,
}

/// The error of an exchange with a chip on SPI. `E` is the error of the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TisError<E> {
    /// A transaction failed, and again when it was repeated.
    Transport(TransportError<E>),
    /// The reset pin failed.
    Pin(ErrorKind),
    /// No chip answers.
    NoChip {
        /// The access register as it was read: ff on a bus that is pulled up, 00 on one that is pulled down.
        access: u8,
    },
    /// The chip that answers is not a TPM of an expected vendor. [`super::TisBuilder::vendors`] takes others.
    WrongVendor {
        /// DID_VID as it was read.
        actual: u32,
    },
    /// The chip is a TPM 1.2.
    NotTpm2 {
        /// The upper byte of the status register.
        status: u8,
    },
    /// The chip did not get there in time. The next command begins by making it ready.
    Timeout(Awaited),
    /// Another locality has the chip and does not give it up.
    LocalityTaken,
    /// Another locality has seized the chip, or it was reset, in the middle of a command. The next command asks for it again.
    LocalityLost,
    /// The chip no longer answers.
    Gone,
    /// The response's size cannot be: shorter than a header, longer than the buffer, or not what the chip has.
    ResponseSize {
        /// Bytes that the response announced.
        actual: usize,
    },
    /// The command is longer than the buffer, or the buffer shorter than a response's header of 10 bytes.
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
    Self::WrongVendor { actual } => "no TPM of a known vendor answers (DID_VID {:08x}): check chip select, SPI mode 0 and clock, or name the vendor", actual;
    Self::NotTpm2 { status } => "the chip is not a TPM 2.0 (upper status byte {:02x}): ask its vendor for a firmware that is", status;
    Self::Timeout(awaited) => "the TPM took too long (awaited: {:?}): try again, then reset it; suspect the bus if it stays so", awaited;
    Self::LocalityTaken => "another locality has the TPM and does not give it up: have its owner relinquish it, or reset the TPM";
    Self::LocalityLost => "the TPM was seized by another locality, or reset, during a command: repeat it";
    Self::Gone => "the TPM no longer answers: check its power and reset";
    Self::ResponseSize { actual } => "the TPM's response cannot have {} bytes: give a larger buffer if it can, else suspect the bus", actual;
    Self::CommandLength => "the buffer is too short for the command: 512 bytes do for every one";
}}

impl<E: fmt::Debug> core::error::Error for TisError<E> {}
