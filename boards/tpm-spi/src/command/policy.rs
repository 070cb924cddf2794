use super::{Command, CommandCode, Entities, Entity, Handle, PcrSelection, one};
use chanbind_core::wire::{Full, Reader, Truncated, Writer};

/// TPM2_PolicyPCR (Part 3 section 23.7): the PCRs must have these values, now and until the session is used.
#[derive(Debug)]
pub struct PolicyPcr<'a> {
    /// The policy session.
    pub session: &'a Entity,
    /// SHA-256 of the values one behind the other; empty to take them as they are.
    pub digest: &'a [u8],
    /// Which.
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

/// TPM2_PolicyAuthValue (Part 3 section 23.17): who uses the session proves, by its HMAC, to know the object's password.
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

/// TPM2_PolicySecret (Part 3 section 23.4): another entity's password must be known. Without expiry and without a ticket.
#[derive(Debug)]
pub struct PolicySecret<'a> {
    /// Whose authorization is needed.
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
        // nonceTPM, cpHashA and policyRef: none. expiration: 0.
        out.put(&[0; 10])
    }

    fn response<'r>(&self, _: Handle, parameters: &mut Reader<'r>) -> Result<(), Truncated> {
        // timeout, and a ticket: tag, hierarchy, digest.
        parameters.sized16()?;
        parameters.take(6)?;
        parameters.sized16()?;
        Ok(())
    }
}
