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
    /// The exchange with the chip failed. The next command first makes the chip ready again.
    Chip(E),
    /// The TPM rejected the command. The response code is not authenticated: an attacker on the bus can forge it.
    Tpm {
        /// The rejected command.
        command: CommandCode,
        /// The response code of the TPM.
        code: ResponseCode,
    },
    /// The chip was reset and has been started again. Its sessions and loaded keys are lost.
    Reset,
    /// The session's HMAC in the response is wrong or missing, because of an attacker or of noise on the bus.
    /// No part of the response was used, and the session is no longer usable.
    NotAuthentic,
    /// The response violates the specification.
    Malformed,
    /// The name of the parent key is not the pinned one: the TPM is another one or was cleared, or an attacker on the bus
    /// substituted a key of their own.
    ParentName,
    /// The parent is not a storage key on ECC P-256 with nameAlg SHA-256 and AES-128-CFB, or its point is not on the curve.
    /// Sessions can be salted with such a key only.
    Parent,
    /// The key under the given handle has another name than the requested key, or is of another kind.
    KeyKind,
    /// The key can be used in a policy session only, which [`crate::key::TpmKeys`] does not start.
    KeyPolicy,
    /// The command does not fit the caller's buffer. A buffer of 512 bytes suffices for every command with data of its usual
    /// length.
    TooLong,
    /// The command was given too few authorizations, or more than 3.
    Authorizations {
        /// Number of authorizations that the command needs.
        needed: usize,
    },
    /// The session was used for a command that failed or whose future was dropped, or the chip was reset. Start another session.
    SessionInDoubt,
    /// The chip already holds [`crate::Contexts::CAPACITY`] sessions and keys. Drop some of them.
    TooManyContexts,
}

/// An error in a frame, independent of the transport.
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
    Self::NotAuthentic => "the TPM's response is not authentic and was not used: try again; if the error persists, suspect noise or an attacker on the bus";
    Self::Malformed => "the TPM's response is malformed: check the bus";
    Self::ParentName => "the TPM's parent key is not the pinned one: check that the TPM is the provisioned one and was not cleared since";
    Self::Parent => "the parent is not an ECC P-256 storage key with SHA-256: use template H-2 or the ECC storage root key";
    Self::KeyKind => "the key under the given handle has another name or is of another kind: check the handle and the recorded name";
    Self::KeyPolicy => "the key can be used in a policy session only: run its commands with Tpm::execute, or use a key without a policy";
    Self::TooLong => "the command does not fit the buffer: provide a buffer of 512 bytes";
    Self::Authorizations { needed } => "the command needs {} authorizations, in the order of its handles, and accepts at most 3", needed;
    Self::SessionInDoubt => "the session was used for a command that failed or was cancelled, or the TPM was reset: start another session";
    Self::TooManyContexts => "the TPM holds too many sessions and keys: drop some of them";
}}

/// A response code followed by its remedy. The defmt format contains the code only.
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
        // `Format` must not be called directly on a type that derives it.
        defmt::write!(f, "{}", self.0);
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for Error<E> {}
