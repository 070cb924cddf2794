use super::{KeyFileError, Parent, TpmName};
use std::io;

/// An error of an operation on a TPM. Each message names a remedy, where there is one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TpmError {
    /// The TCTI string is invalid.
    #[error(
        "{tcti:?} is not a valid TPM interface (TCTI): use device:/dev/tpmrm0, swtpm:host=127.0.0.1,port=2321 or mssim:host=127.0.0.1,port=2321"
    )]
    Tcti {
        /// The string that was given.
        tcti: String,
    },
    /// There is no such device, or no program listens at the address.
    #[error("no TPM at {tcti} ({reason}): {advice}")]
    NotFound {
        /// The TCTI of the TPM.
        tcti: String,
        /// The operating system's error.
        reason: io::Error,
        /// A remedy for this kind of TCTI.
        advice: &'static str,
    },
    /// The user of this process has no permission to use the TPM.
    #[error("no permission to use the TPM at {tcti} ({reason}): {advice}")]
    NoPermission {
        /// The TCTI of the TPM.
        tcti: String,
        /// The operating system's error.
        reason: io::Error,
        /// A remedy for this kind of TCTI.
        advice: &'static str,
    },
    /// Another program uses the TPM exclusively.
    #[error("the TPM at {tcti} is busy ({reason}): {advice}")]
    Busy {
        /// The TCTI of the TPM.
        tcti: String,
        /// The operating system's error.
        reason: io::Error,
        /// A remedy for this kind of TCTI.
        advice: &'static str,
    },
    /// A device or program is there, but it does not respond like a TPM 2.0.
    #[error("the device or program at {tcti} does not respond like a TPM 2.0 ({reason}): {advice}")]
    NoTpm {
        /// The TCTI of the TPM.
        tcti: String,
        /// The error of the TPM software stack.
        reason: String,
        /// A remedy for this kind of TCTI.
        advice: &'static str,
    },
    /// The TPM did not respond within the command's time limit. The next use opens a new connection.
    #[error(
        "the TPM at {tcti} did not respond within {seconds} s ({command}): check that it runs and that no other program uses it exclusively, then try again"
    )]
    TimedOut {
        /// The TCTI of the TPM.
        tcti: String,
        /// The command that timed out.
        command: &'static str,
        /// The time limit, in seconds.
        seconds: f32,
    },
    /// Earlier calls to the TPM have timed out and not returned. Another connection is tried after 60 s, until four calls are
    /// stuck.
    #[error(
        "the TPM at {tcti} does not respond: restart it, or the resource manager or simulator in front of it; it is used again as soon as an earlier call to it returns"
    )]
    Silent {
        /// The TCTI of the TPM.
        tcti: String,
    },
    /// The connection broke during a command. No result was accepted; the next use opens a new connection.
    #[error(
        "the connection to the TPM at {tcti} broke during a command: check that the TPM runs, then try again"
    )]
    Vanished {
        /// The TCTI of the TPM.
        tcti: String,
    },
    /// The parent key is not the pinned one: this is another TPM, the TPM was cleared, or an attacker on the bus replaced the key.
    #[error(
        "the TPM's {parent} has name {actual}, but {expected} was pinned: this is another TPM, or the TPM was cleared, or an attacker on the bus replaced the key; no secret was sent"
    )]
    ParentName {
        /// The parent key whose name differs.
        parent: Parent,
        /// The name that was pinned.
        expected: TpmName,
        /// The name that the TPM reported.
        actual: TpmName,
    },
    /// The key does not load under this TPM's parent key.
    #[error(
        "the key was created by another TPM, or the TPM was cleared since then: provision the key again"
    )]
    ForeignKey,
    /// There is no key at the persistent handle.
    #[error(
        "the TPM has no key at {0}: make the parent key persistent again, or provision the key under the owner hierarchy's primary key"
    )]
    NoParent(Parent),
    /// The key is not an HMAC-SHA256 key.
    #[error("the key file does not hold an HMAC-SHA256 key: create one with `chanbind provision`")]
    NotHmacKey,
    /// The key is not an unrestricted ECDSA P-256 key that signs SHA-256 digests.
    #[error(
        "the key file does not hold an ECDSA P-256 key that signs SHA-256 digests: create a signing key with `chanbind provision`"
    )]
    NotSigningKey,
    /// The key's password is wrong or missing.
    #[error(
        "the key's password is wrong or missing: give the correct one (if the key is protected against dictionary attacks, each wrong attempt counts towards the TPM's lockout)"
    )]
    WrongAuth,
    /// The TPM's protection against dictionary attacks is in lockout.
    #[error(
        "the TPM is in lockout: it has counted too many wrong passwords, or too many power cuts after a key with dictionary attack protection was used; wait until it recovers, or clear the lockout with `tpm2_dictionarylockout --clear-lockout`"
    )]
    LockedOut,
    /// A platform configuration register (PCR) does not have the value that the key's policy requires.
    #[error(
        "the key's policy is not satisfied: a platform configuration register (PCR) has another value than when the key was provisioned"
    )]
    PolicyFailed,
    /// The hierarchy in which the parent key is created has a password, and it is wrong or missing.
    #[error(
        "the password of the TPM's hierarchy is wrong or missing: give the correct one, or use a parent key at a persistent handle"
    )]
    HierarchyAuth,
    /// The data is longer than one TPM2_HMAC command accepts.
    #[error("{actual} bytes are too long for one TPM2_HMAC command: it accepts at most {max}")]
    DataTooLong {
        /// The length that was given, in bytes.
        actual: usize,
        /// The greatest length that is accepted, in bytes.
        max: usize,
    },
    /// The length of an HMAC key to import is out of range.
    #[error("the HMAC key has {actual} bytes: give 1 to {max}")]
    SecretLength {
        /// The length that was given, in bytes.
        actual: usize,
        /// The greatest length that is accepted, in bytes.
        max: usize,
    },
    /// The password is too long.
    #[error("the password has {actual} bytes: a TPM accepts at most {max}")]
    AuthLength {
        /// The length that was given, in bytes.
        actual: usize,
        /// The greatest length that is accepted, in bytes.
        max: usize,
    },
    /// The PCR selection is invalid.
    #[error("{0:?} is not a valid PCR selection: write for example sha256:0,2,7")]
    PcrSelection(String),
    /// The TPM has no memory for another object or session, even after this program has flushed its own keys.
    #[error(
        "the TPM has no memory left for keys or sessions because other programs left theirs in it: use the resource manager (device:/dev/tpmrm0), or flush them with `tpm2_flushcontext -t` and `tpm2_flushcontext -l`"
    )]
    Full,
    /// The response was not authentic: it was modified in transit, or the TPM was reset while the connection was open.
    #[error(
        "the TPM's response was not authentic: it was modified in transit, or the TPM was reset; try again, and check who has access to the bus"
    )]
    NotAuthentic,
    /// The TPM was reset during the command, and again during the second attempt.
    #[error("the TPM was reset during the command: try again")]
    Reset,
    /// The key file is invalid or cannot be encoded.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The TPM returned a response code that has no variant of its own.
    #[error(
        "the TPM rejected {command} with code {code:#x}: `tpm2_rc_decode {code:#x}` explains it"
    )]
    Response {
        /// The command that was rejected.
        command: &'static str,
        /// The response code, with the layer that raised it in the upper 16 bits.
        code: u32,
    },
    /// The TPM software stack or this library could not build or parse a structure, or start a thread.
    #[error("error in {command}: {reason}")]
    Stack {
        /// The command, structure or step that failed.
        command: &'static str,
        /// The reason that was given.
        reason: String,
    },
    /// The thread that serves the TPM has ended.
    #[error("the TPM's worker thread has ended: open the TPM again")]
    Closed,
}
