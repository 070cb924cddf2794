use super::{
    AlgorithmId, Command, CommandCode, Entities, Entity, Handle,
    asymmetric::{POINT_LEN, write_point},
};
use chanbind_core::{
    crypto::ecdsa::PublicPoint,
    wire::{Full, Reader, Truncated, Writer},
};

/// The type of a session, TPM_SE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SessionType {
    /// An HMAC session: proves knowledge of the entity's password without sending it.
    Hmac,
    /// A policy session: satisfies the entity's policy.
    Policy,
}

/// TPM2_StartAuthSession (Part 3 section 11.1): starts a salted, unbound session with SHA-256 and AES-128-CFB.
/// [`crate::Tpm::start_session`] runs it.
#[derive(Debug)]
pub struct StartAuthSession<'a> {
    /// The key that the salt is encrypted to.
    pub tpm_key: &'a Entity,
    /// A fresh nonce.
    pub nonce_caller: &'a [u8; 32],
    /// The ephemeral public key from which the chip derives the salt.
    pub salt: &'a PublicPoint,
    /// The type of the session.
    pub session_type: SessionType,
}

/// The response to [`StartAuthSession`].
#[derive(Debug)]
pub struct StartAuthSessionResponse {
    /// The session's handle.
    pub handle: Handle,
    /// The chip's nonce.
    pub nonce_tpm: [u8; 32],
}

impl Command for StartAuthSession<'_> {
    const CODE: CommandCode = CommandCode::START_AUTH_SESSION;
    const AUTHORIZATIONS: usize = 0;
    const RESPONSE_HANDLE: bool = true;
    type Response<'r> = StartAuthSessionResponse;

    fn entities(&self) -> Entities<'_> {
        // bind: no entity.
        [Some(self.tpm_key), Some(&Entity::NULL), None]
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        out.sized16(self.nonce_caller)?;
        out.u16(POINT_LEN)?;
        write_point(self.salt, out)?;
        out.u8(match self.session_type {
            SessionType::Hmac => 0,
            SessionType::Policy => 1,
        })?;
        out.u16(AlgorithmId::AES.0)?;
        out.u16(128)?;
        out.u16(AlgorithmId::CFB.0)?;
        out.u16(AlgorithmId::SHA256.0)
    }

    fn response<'r>(
        &self,
        handle: Handle,
        parameters: &mut Reader<'r>,
    ) -> Result<Self::Response<'r>, Truncated> {
        Ok(StartAuthSessionResponse {
            handle,
            nonce_tpm: parameters.sized16()?.try_into().map_err(|_| Truncated)?,
        })
    }
}
