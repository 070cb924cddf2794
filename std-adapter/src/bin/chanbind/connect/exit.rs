//! Exit codes of a client.

use crate::{failure::Failure, files::FileError};
use chanbind::{
    client::{ClientError, SessionError, TlsFailure},
    proof::KeyError,
    tpm::TpmError,
};

/// Admitted, but the response is an error; and every failure without a code of its own.
pub(super) const FAILED: u8 = 1;
const USAGE: u8 = 2;
pub(super) const REFUSED: u8 = 3;
pub(super) const NOT_ASKED: u8 = 4;
const NETWORK: u8 = 5;
const TLS: u8 = 6;
const KEY: u8 = 7;
const FILE: u8 = 8;

/// An error of this command's own, with its exit code.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct CommandError {
    code: u8,
    text: String,
}

impl CommandError {
    /// Creates an error in the command line.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self {
            code: USAGE,
            text: text.into(),
        }
    }

    /// Creates an error of a key.
    pub(crate) fn key(text: impl Into<String>) -> Self {
        Self {
            code: KEY,
            text: text.into(),
        }
    }

    /// Creates the error that the server did not ask for the proof, with which it would have proved itself.
    pub(crate) fn not_asked(text: impl Into<String>) -> Self {
        Self {
            code: NOT_ASKED,
            text: text.into(),
        }
    }

    /// Creates an error of files, which `text` names.
    pub(crate) fn files(text: impl Into<String>) -> Self {
        Self {
            code: FILE,
            text: text.into(),
        }
    }
}

/// Returns the exit code for a failure.
pub(crate) fn exit_code(failure: &Failure) -> u8 {
    if let Some(error) = failure.downcast_ref::<CommandError>() {
        return error.code;
    }
    if let Some(error) = failure.downcast_ref::<SessionError>() {
        return match error {
            SessionError::Client(error) => of_client(error),
            SessionError::Key(_) => KEY,
            _ => FAILED,
        };
    }
    if let Some(error) = failure.downcast_ref::<ClientError>() {
        return of_client(error);
    }
    if failure.is::<FileError>() {
        return FILE;
    }
    if failure.is::<TpmError>() || failure.is::<KeyError>() {
        return KEY;
    }
    FAILED
}

fn of_client(error: &ClientError) -> u8 {
    match error {
        ClientError::Connect { .. }
        | ClientError::Proxy { .. }
        | ClientError::Http(_)
        | ClientError::Timeout => NETWORK,
        // The peer said nothing that TLS could judge.
        ClientError::Tls {
            failure: TlsFailure::Timeout | TlsFailure::Closed(_),
            ..
        } => NETWORK,
        ClientError::Tls { .. } => TLS,
        ClientError::Host(_) | ClientError::Uri(_) => USAGE,
        _ => FAILED,
    }
}
