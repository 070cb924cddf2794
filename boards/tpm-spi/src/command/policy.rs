use super::{Command, CommandCode, Entities, Entity, Handle, PcrSelection, one};
use chanbind_core::wire::{Full, Reader, Truncated, Writer};

/// TPM2_PolicyPCR (Part 3 section 23.7): requires that the PCRs have these values, now and until the session is used.
#[derive(Debug)]
pub struct PolicyPcr<'a> {
    /// The policy session.
    pub session: &'a Entity,
    /// The SHA-256 digest of the concatenated values; empty to require the current values.
    pub digest: &'a [u8],
    /// The PCRs.
    pub pcrs: PcrSelection,
}

impl Command for PolicyPcr<'_> {
    const CODE: CommandCode = CommandCode::POLICY_PCR;
    const AUTHORIZATIONS: usize = 0;
    const ENCRYPTS_COMMAND: bool = true;
    type Response<'r> = ();

    fn entities(&self) -> Entities<'_> {
        one(self.session)
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        out.sized16(self.digest)?;
        self.pcrs.write(out)
    }

    fn response<'r>(&self, _: Handle, _: &mut Reader<'r>) -> Result<(), Truncated> {
        Ok(())
    }
}

/// TPM2_PolicyAuthValue (Part 3 section 23.17): requires that the HMAC of the session proves knowledge of the object's password.
#[derive(Debug)]
pub struct PolicyAuthValue<'a> {
    /// The policy session.
    pub session: &'a Entity,
}

impl Command for PolicyAuthValue<'_> {
    const CODE: CommandCode = CommandCode::POLICY_AUTH_VALUE;
    const AUTHORIZATIONS: usize = 0;
    type Response<'r> = ();

    fn entities(&self) -> Entities<'_> {
        one(self.session)
    }

    fn parameters(&self, _: &mut Writer<'_>) -> Result<(), Full> {
        Ok(())
    }

    fn response<'r>(&self, _: Handle, _: &mut Reader<'r>) -> Result<(), Truncated> {
        Ok(())
    }
}

/// TPM2_PolicySecret (Part 3 section 23.4): requires knowledge of another entity's password. Sets no expiry and requests no
/// ticket.
#[derive(Debug)]
pub struct PolicySecret<'a> {
    /// The entity whose authorization is needed.
    pub entity: &'a Entity,
    /// The policy session.
    pub session: &'a Entity,
}

impl Command for PolicySecret<'_> {
    const CODE: CommandCode = CommandCode::POLICY_SECRET;
    const AUTHORIZATIONS: usize = 1;
    const ENCRYPTS_COMMAND: bool = true;
    const ENCRYPTS_RESPONSE: bool = true;
    type Response<'r> = ();

    fn entities(&self) -> Entities<'_> {
        [Some(self.entity), Some(self.session), None]
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        // nonceTPM, cpHashA and policyRef: empty. expiration: 0.
        out.put(&[0; 10])
    }

    fn response<'r>(&self, _: Handle, parameters: &mut Reader<'r>) -> Result<(), Truncated> {
        // timeout, then a ticket: tag, hierarchy, digest.
        parameters.sized16()?;
        parameters.take(6)?;
        parameters.sized16()?;
        Ok(())
    }
}
