use super::{KeyFileError, Parent, TpmName};
use std::io;

/// The error of an operation on a TPM. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TpmError {
    /// The TCTI string is invalid.
    #[error(
        "{tcti:?} names no TPM interface: use device:/dev/tpmrm0, swtpm:host=127.0.0.1,port=2321 or mssim:host=127.0.0.1,port=2321"
    )]
    Tcti {
        /// What was given.
        tcti: String,
    },
    /// Nothing is there: no such device, or nothing that listens.
    #[error("no TPM at {tcti} ({reason}): {advice}")]
    NotFound {
        /// Where it was looked for.
        tcti: String,
        /// The system's reason.
        reason: io::Error,
        /// A remedy.
        advice: &'static str,
    },
    /// This user may not use it.
    #[error("no permission to use the TPM at {tcti} ({reason}): {advice}")]
    NoPermission {
        /// Where it is.
        tcti: String,
        /// The system's reason.
        reason: io::Error,
        /// A remedy.
        advice: &'static str,
    },
    /// Another program has it.
    #[error("the TPM at {tcti} is busy ({reason}): {advice}")]
    Busy {
        /// Where it is.
        tcti: String,
        /// The system's reason.
        reason: io::Error,
        /// A remedy.
        advice: &'static str,
    },
    /// Something is there that does not answer like a TPM.
    #[error("what is at {tcti} does not answer like a TPM 2.0 ({reason}): {advice}")]
    NoTpm {
        /// Where it is.
        tcti: String,
        /// The TPM software stack's reason.
        reason: String,
        /// A remedy.
        advice: &'static str,
    },
    /// The TPM did not answer within the command's time limit. The next use connects anew.
    #[error(
        "the TPM at {tcti} did not answer within {seconds} s ({command}): see that it runs, and that no other program has it for itself; then try again"
    )]
    TimedOut {
        /// Where it is.
        tcti: String,
        /// The command.
        command: &'static str,
        /// The limit, in seconds.
        seconds: f32,
    },
    /// The TPM has not answered several times, and the calls to it have not come back.
    #[error(
        "the TPM at {tcti} has stopped answering: restart it, or what is between it and this program; it is used again as soon as one of the calls to it comes back"
    )]
    Silent {
        /// Where it is.
        tcti: String,
    },
    /// The connection broke in the middle of a command. Nothing was accepted; the next use connects again.
    #[error(
        "the TPM at {tcti} went away in the middle of a command: see that it runs, then try again"
    )]
    Vanished {
        /// Where it was.
        tcti: String,
    },
    /// The parent key is not the one that was pinned: another TPM, a cleared one, or an attacker between.
    #[error(
        "the TPM's {parent} has name {actual}, but {expected} was pinned: this is another TPM, or it was cleared, or an attacker sits between; nothing secret was sent"
    )]
    ParentName {
        /// Which parent.
        parent: Parent,
        /// The name that was pinned.
        expected: TpmName,
        /// The name that was found.
        actual: TpmName,
    },
    /// The key file does not load under this TPM's parent.
    #[error(
        "this key was made by another TPM, or the TPM was cleared since: provision the key again"
    )]
    ForeignKey,
    /// No key is at the persistent handle.
    #[error(
        "the TPM has no key at {0}: make it persistent again, or provision the key under the owner's primary"
    )]
    NoParent(Parent),
    /// The key is not an HMAC-SHA256 key.
    #[error("the key file holds no HMAC-SHA256 key: make one with `chanbind provision`")]
    NotHmacKey,
    /// The key is not an ECDSA key on P-256 for SHA-256.
    #[error(
        "the key file holds no ECDSA key on P-256 that signs SHA-256 digests: make one with `chanbind provision --authenticator`"
    )]
    NotSigningKey,
    /// The password is wrong or missing.
    #[error(
        "the key's password is wrong or missing: give the right one (where the key is protected against dictionary attacks, each wrong try counts towards the TPM's lockout)"
    )]
    WrongAuth,
    /// The TPM's protection against dictionary attacks has locked it.
    #[error(
        "the TPM is locked: it has counted too many wrong passwords, or power cuts after a key that is protected against dictionary attacks was used; wait until it recovers, or clear the lockout with `tpm2_dictionarylockout --clear-lockout`"
    )]
    LockedOut,
    /// A register has another value than the key's policy asks for.
    #[error(
        "the key's policy does not hold: a platform register (PCR) has another value than when the key was provisioned"
    )]
    PolicyFailed,
    /// The owner's or another hierarchy's password is set.
    #[error(
        "the password of the TPM's hierarchy is wrong or missing: give the right one, or use a parent at a persistent handle"
    )]
    HierarchyAuth,
    /// More data than one TPM2_HMAC takes.
    #[error("{actual} bytes for one TPM2_HMAC: it takes at most {max}")]
    DataTooLong {
        /// Bytes given.
        actual: usize,
        /// The most it takes.
        max: usize,
    },
    /// A secret that cannot be imported.
    #[error("an HMAC key of {actual} bytes: give 1 to {max}")]
    SecretLength {
        /// Bytes given.
        actual: usize,
        /// The most it takes.
        max: usize,
    },
    /// A password that is too long.
    #[error("a password of {actual} bytes: a TPM takes at most {max}")]
    AuthLength {
        /// Bytes given.
        actual: usize,
        /// The most it takes.
        max: usize,
    },
    /// A PCR selection that is none.
    #[error("{0:?} names no registers: write for example sha256:0,2,7")]
    PcrSelection(String),
    /// No room for another object or session, after this program has given up what it can.
    #[error(
        "the TPM has no room left for keys or sessions: other programs left theirs there; go through the resource manager (device:/dev/tpmrm0), or clear them with `tpm2_flushcontext -t` and `tpm2_flushcontext -l`"
    )]
    Full,
    /// The answer was not authentic: it was changed on the way, or the TPM was reset behind the connection's back.
    #[error(
        "the TPM's answer was not authentic: it was changed on the way, or the TPM was reset; try again, and check who has access to the bus"
    )]
    NotAuthentic,
    /// The TPM was reset in the meantime, twice over.
    #[error("the TPM was reset in the meantime: try again")]
    Reset,
    /// The key file cannot be read.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// Another response code.
    #[error(
        "the TPM rejected {command} with code {code:#x}: `tpm2_rc_decode {code:#x}` explains it"
    )]
    Response {
        /// What was asked.
        command: &'static str,
        /// The response code, with the layer that raised it in the upper 16 bits.
        code: u32,
    },
    /// A structure that this library could not make or read.
    #[error("the TPM software stack could not do {command}: {reason}")]
    Stack {
        /// What was asked.
        command: &'static str,
        /// What it says.
        reason: String,
    },
    /// The thread that serves the TPM has ended.
    #[error("the TPM's worker has ended: open the TPM again")]
    Closed,
}
