//! The commands of TPM 2.0 Part 3 that a device needs, each a value that is marshalled into the caller's buffer, and its
//! response, read from the same buffer. [`crate::Tpm::execute`] runs them.
//!
//! ```
//! use chanbind_tpm_spi::command::{Command, GetRandom};
//!
//! assert_eq!(GetRandom::CODE.name(), "TPM2_GetRandom");
//! let command = GetRandom { bytes_requested: 16 };
//! ```

mod asymmetric;
mod attest;
mod capability;
mod code;
mod hierarchy;
mod hmac;
mod import;
mod object;
mod pcr;
mod policy;
mod random;
mod response_code;
mod session;
mod startup;
mod template;
mod types;

pub use asymmetric::{EccPoint, EcdhZGen, Sign, Signature};
pub use attest::{Quote, QuoteResponse};
pub use capability::{Capability, CapabilityResponse, GetCapability};
pub use code::CommandCode;
pub use hierarchy::{
    CreatePrimary, CreatePrimaryResponse, DictionaryAttackLockReset, EvictControl,
};
pub use hmac::{Hmac, HmacStart, SequenceComplete, SequenceUpdate};
pub use import::Import;
pub use object::{FlushContext, Load, LoadResponse, ReadPublic, ReadPublicResponse};
pub use pcr::{PcrExtend, PcrRead, PcrReadResponse, PcrSelection, PcrValues};
pub use policy::{PolicyAuthValue, PolicyPcr, PolicySecret};
pub use random::GetRandom;
pub use response_code::{ErrorCode, FormatOneCode, Position, ResponseCode, WarningCode};
pub use session::{SessionType, StartAuthSession, StartAuthSessionResponse};
pub use startup::{GetTestResult, SelfTest, Shutdown, Startup, StartupType, TestResult};
pub use template::Template;
pub(crate) use types::ECC_NIST_P256;
pub use types::{AlgorithmId, Entity, Handle, Name, UnsupportedName};

use chanbind_core::wire::{Full, Reader, Truncated, Writer};

/// A command and how to read its response (TPM 2.0 Part 3).
pub trait Command {
    /// TPM_CC
    const CODE: CommandCode;
    /// How many of the handles, from the first, need an authorization.
    const AUTHORIZATIONS: usize;
    /// Whether the response begins with a handle.
    const RESPONSE_HANDLE: bool = false;
    /// Whether the first parameter of the command is a TPM2B, which a session can encrypt.
    const ENCRYPTS_COMMAND: bool = false;
    /// Whether the first parameter of the response is a TPM2B, which a session can encrypt.
    const ENCRYPTS_RESPONSE: bool = false;

    /// What the response holds.
    type Response<'r>;

    /// The entities that the handles stand for, in order.
    fn entities(&self) -> Entities<'_>;

    /// What is no longer in the chip after it.
    fn flushes(&self) -> Option<Handle> {
        None
    }

    /// Appends the parameters.
    ///
    /// # Errors
    /// [`Full`]
    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full>;

    /// Reads a response's handle and parameters; those are to be read to their end.
    ///
    /// # Errors
    /// [`Truncated`], also for values that cannot be.
    fn response<'r>(
        &self,
        handle: Handle,
        parameters: &mut Reader<'r>,
    ) -> Result<Self::Response<'r>, Truncated>;
}

/// The entities of a command, at most three (TPM2_PolicyNV and TPM2_NV_Certify have as many).
pub type Entities<'e> = [Option<&'e Entity>; 3];

const NONE: Entities<'static> = [None; 3];

fn one(entity: &Entity) -> Entities<'_> {
    [Some(entity), None, None]
}
