//! Exit codes of a client.

use crate::{files::FileError, shared::Failure};
use chanbind::{
    client::{ClientError, SessionError},
    proof::KeyError,
    tpm::TpmError,
};

/// Admitted, but the response is an error; and every failure without a code of its own.
pub(super) const FAILED: u8 = 1;
pub(super) const REFUSED: u8 = 3;
pub(super) const NOT_ASKED: u8 = 4;
const NETWORK: u8 = 5;
const TLS: u8 = 6;
const KEY: u8 = 7;
const FILE: u8 = 8;

/// Returns the exit code for a failure.
pub(crate) fn exit_code(failure: &Failure) -> u8 {
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
        ClientError::Tls { .. } => TLS,
        ClientError::Host(_) | ClientError::Uri(_) => 2,
        _ => FAILED,
    }
}
