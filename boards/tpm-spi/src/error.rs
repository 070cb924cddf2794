use crate::command::{CommandCode, ResponseCode};
use chanbind_core::{
    error_messages,
    wire::{Full, Truncated},
};
use core::fmt;

/// The error of a command. `E` is the transport error, usually [`crate::tis::TisError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error<E> {
    /// The exchange with the chip failed. The next command begins by making the chip ready.
    Chip(E),
    /// The TPM rejected the command. Not authenticated: an attacker on the bus could have made this answer.
    Tpm {
        /// Which command.
        command: CommandCode,
        /// Why.
        code: ResponseCode,
    },
    /// The chip was reset: sessions and loaded keys are gone. It has been started again.
    Reset,
    /// The response is not authentic: its session's HMAC is wrong or missing, by an attacker or by noise on the bus.
    /// Nothing of the response was used; the session cannot be used any more.
    NotAuthentic,
    /// The response is not what the specification says.
    Malformed,
    /// The parent key's name is not the pinned one: another TPM, a cleared one, or an attacker on the bus with a key of their own.
    ParentName,
    /// The parent is not an ECC P-256 key with nameAlg SHA-256, which is what sessions can be salted with.
    Parent,
    /// The key under that handle is not the one that was asked for: another name, or another kind.
    KeyKind,
    /// The key can be used in a policy session only, which [`crate::key::TpmKeys`] does not start.
    KeyPolicy,
    /// The command is longer than the caller's buffer: 512 bytes do for every command with data of its usual length.
    TooLong,
    /// The command needs this many authorizations, and was given others.
    Authorizations {
        /// How many entities of it need one; at most 3 in all can be given.
        needed: usize,
    },
    /// The session was used for a command that failed or was given up: start another.
    SessionInDoubt,
    /// More sessions and keys than [`crate::Contexts::CAPACITY`]: drop some.
    TooManyContexts,
}

/// What is wrong with a frame, whatever the chip.
pub(crate) enum FrameError {
    TooLong,
    Authorizations { needed: usize },
    Malformed,
    NotAuthentic,
    SessionInDoubt,
}

impl From<Full> for FrameError {
    fn from(_: Full) -> Self {
        Self::TooLong
    }
}

impl From<Truncated> for FrameError {
    fn from(_: Truncated) -> Self {
        Self::Malformed
    }
}

impl<E> From<FrameError> for Error<E> {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::TooLong => Self::TooLong,
            FrameError::Authorizations { needed } => Self::Authorizations { needed },
            FrameError::Malformed => Self::Malformed,
            FrameError::NotAuthentic => Self::NotAuthentic,
            FrameError::SessionInDoubt => Self::SessionInDoubt,
        }
    }
}

error_messages! { Error<E> where E: fmt::Display {
    Self::Chip(error) => "{}", error;
    Self::Tpm { command, code } => "the TPM rejected {}: {}", command.name(), Explained(*code);
    Self::Reset => "the TPM was reset: load keys and start sessions again";
    Self::NotAuthentic => "the TPM's response is not authentic and was not used: try again; if it stays so, suspect noise or an attacker on the bus";
    Self::Malformed => "the TPM's response is malformed: suspect the bus";
    Self::ParentName => "the TPM's parent key is not the pinned one: is it the TPM that was provisioned, and not cleared since?";
    Self::Parent => "the parent is not an ECC P-256 key with SHA-256: use template H-2 or the ECC storage root key";
    Self::KeyKind => "the key under that handle has another name, or is of another kind: was it made for this?";
    Self::KeyPolicy => "the key can be used in a policy session only: run its commands by Tpm::execute, or use a key without a policy";
    Self::TooLong => "the command does not fit the buffer: give it 512 bytes";
    Self::Authorizations { needed } => "the command needs {} authorizations, in the order of its handles, and takes 3 in all", needed;
    Self::SessionInDoubt => "the session was used for a command that failed or was given up: start another";
    Self::TooManyContexts => "too many sessions and keys are in the TPM: drop some";
}}

/// A response code with what to do about it; in a log of a device its parts alone.
struct Explained(ResponseCode);

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)?;
        match self.0.remedy() {
            Some(remedy) => write!(f, " ({remedy})"),
            None => Ok(()),
        }
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Explained {
    fn format(&self, f: defmt::Formatter<'_>) {
        // Derived implementations must not be called directly.
        defmt::write!(f, "{}", self.0);
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for Error<E> {}
