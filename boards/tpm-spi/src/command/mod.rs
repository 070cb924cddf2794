//! The commands of TPM 2.0 Part 3 that a device needs, and their responses. Run them with [`crate::Tpm::execute`], which marshals
//! the command into the caller's buffer and reads the response from the same buffer.
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

pub(crate) use asymmetric::read_point;
pub use asymmetric::{EcdhZGen, Sign};
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

pub use chanbind_core::crypto::ecdsa::{PublicPoint as EccPoint, Signature};

use chanbind_core::wire::{Full, Reader, Truncated, Writer};

/// A command and the format of its response (TPM 2.0 Part 3).
pub trait Command {
    /// The command code, TPM_CC.
    const CODE: CommandCode;
    /// Number of handles, counted from the first, that need an authorization.
    const AUTHORIZATIONS: usize;
    /// True if the response begins with a handle.
    const RESPONSE_HANDLE: bool = false;
    /// True if the first parameter of the command is a TPM2B, which a session can encrypt.
    const ENCRYPTS_COMMAND: bool = false;
    /// True if the first parameter of the response is a TPM2B, which a session can encrypt.
    const ENCRYPTS_RESPONSE: bool = false;

    /// The contents of the response.
    type Response<'r>;

    /// Returns the entities that the handles of the command denote, in order.
    fn entities(&self) -> Entities<'_>;

    /// Returns the handle that the command removes from the chip, if any.
    fn flushes(&self) -> Option<Handle> {
        None
    }

    /// Appends the parameters.
    ///
    /// # Errors
    /// [`Full`] if the buffer has no room for the parameters.
    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full>;

    /// Reads a response from its handle and parameters. Must read the parameters to their end.
    ///
    /// # Errors
    /// [`Truncated`] if the parameters end early or have an invalid value.
    fn response<'r>(
        &self,
        handle: Handle,
        parameters: &mut Reader<'r>,
    ) -> Result<Self::Response<'r>, Truncated>;
}

/// The entities of a command: at most three, as TPM2_PolicyNV and TPM2_NV_Certify have.
pub type Entities<'e> = [Option<&'e Entity>; 3];

const NONE: Entities<'static> = [None; 3];

fn one(entity: &Entity) -> Entities<'_> {
    [Some(entity), None, None]
}
