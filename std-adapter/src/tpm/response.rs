//! Classification of tss-esapi's errors. For the response codes see TPM 2.0 Part 2 section 6.6, for their layers TSS 2.0 Overview
//! section 3.

use super::TpmError;
use tss_esapi::{Error, constants::response_code::Tss2ResponseCode};

/// The kind of a failed command's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// There is no connection, or it broke.
    Connection,
    /// The HMAC of the response was wrong.
    NotAuthentic,
    /// TPM_RC_AUTH_FAIL or TPM_RC_BAD_AUTH.
    Auth,
    /// TPM_RC_LOCKOUT.
    Lockout,
    /// TPM_RC_POLICY_FAIL or TPM_RC_PCR_CHANGED.
    Policy,
    /// TPM_RC_VALUE.
    Value,
    /// TPM_RC_INTEGRITY: the key was wrapped by another parent.
    Integrity,
    /// TPM_RC_HANDLE, or a resource manager's equivalent.
    Handle,
    /// TPM_RC_OBJECT_MEMORY or a similar code: there is no memory or no free handle.
    Memory,
    /// TPM_RC_REFERENCE_Hx or TPM_RC_REFERENCE_Sx: an object or session was lost, for example by a reset.
    Gone,
    /// Any other error.
    Other,
}

/// Returns the response code of an error, if it came from the TPM or from the TPM software stack.
pub(super) fn code(error: Error) -> Option<u32> {
    // tss-esapi 7 keeps the number private, but its Display prints it as "Response code value: 0x...".
    let text = match error {
        Error::Tss2Error(Tss2ResponseCode::FormatZero(code)) => code.to_string(),
        Error::Tss2Error(Tss2ResponseCode::FormatOne(code)) => code.to_string(),
        Error::Tss2Error(Tss2ResponseCode::Success) | Error::WrapperError(_) => return None,
    };
    u32::from_str_radix(text.rsplit_once("0x")?.1, 16).ok()
}

/// Returns the kind of an error.
pub(super) fn classify(error: Error) -> Failure {
    const LAYER_ESYS: u32 = 7;
    const LAYER_SYS: u32 = 8;
    const LAYER_TCTI: u32 = 10;
    let Some(code) = code(error) else {
        return Failure::Other;
    };
    match code >> 16 {
        LAYER_TCTI => return Failure::Connection,
        LAYER_ESYS | LAYER_SYS => {
            return match code & 0xffff {
                // Malformed response, insufficient response and bad sequence: the connection broke during the response.
                0x11 | 0x13 | 0x07 => Failure::Connection,
                // TSS2_BASE_RC_RSP_AUTH_FAILED
                0x1b => Failure::NotAuthentic,
                _ => Failure::Other,
            };
        }
        _ => {}
    }
    if code & 0x080 != 0 {
        return match code & 0x0bf {
            0x08e | 0x0a2 => Failure::Auth,
            0x09d => Failure::Policy,
            0x084 => Failure::Value,
            0x09f => Failure::Integrity,
            0x08b => Failure::Handle,
            _ => Failure::Other,
        };
    }
    match code & 0xfff {
        0x921 => Failure::Lockout,
        0x128 => Failure::Policy,
        0x902..=0x906 => Failure::Memory,
        0x910..=0x91e => Failure::Gone,
        _ => Failure::Other,
    }
}

/// Returns the error to report for a failed command that needs no special treatment.
pub(super) fn describe(command: &'static str, error: Error) -> TpmError {
    match classify(error) {
        Failure::Auth => TpmError::WrongAuth,
        Failure::Lockout => TpmError::LockedOut,
        Failure::Policy => TpmError::PolicyFailed,
        Failure::Integrity => TpmError::ForeignKey,
        Failure::NotAuthentic => TpmError::NotAuthentic,
        Failure::Memory => TpmError::Full,
        _ => match code(error) {
            Some(code) => TpmError::Response { command, code },
            None => TpmError::Stack {
                command,
                reason: error.to_string(),
            },
        },
    }
}
