use super::{Command, CommandCode, Entities, Entity, Handle, Template, one};
use chanbind_core::wire::{Full, Reader, Truncated, Writer};

/// TPM2_CreatePrimary (Part 3 section 24.1): creates a primary key from a template, without a password.
#[derive(Debug)]
pub struct CreatePrimary<'a> {
    /// The hierarchy, whose authorization is needed.
    pub hierarchy: &'a Entity,
    /// The template of the key.
    pub template: Template,
}

/// The response to [`CreatePrimary`].
#[derive(Debug)]
pub struct CreatePrimaryResponse<'r> {
    /// The transient handle of the key.
    pub handle: Handle,
    /// TPMT_PUBLIC, without the two bytes of size.
    pub public_area: &'r [u8],
    /// The name of the key, as the chip reports it.
    pub name: &'r [u8],
}

impl Command for CreatePrimary<'_> {
    const CODE: CommandCode = CommandCode::CREATE_PRIMARY;
    const AUTHORIZATIONS: usize = 1;
    const RESPONSE_HANDLE: bool = true;
    const ENCRYPTS_COMMAND: bool = true;
    const ENCRYPTS_RESPONSE: bool = true;
    type Response<'r> = CreatePrimaryResponse<'r>;

    fn entities(&self) -> Entities<'_> {
        one(self.hierarchy)
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        // inSensitive: no password, no data.
        out.put(&[0, 4, 0, 0, 0, 0])?;
        self.template.write(out)?;
        // outsideInfo and creationPCR: none.
        out.put(&[0; 6])
    }

    fn response<'r>(
        &self,
        handle: Handle,
        parameters: &mut Reader<'r>,
    ) -> Result<Self::Response<'r>, Truncated> {
        let public_area = parameters.sized16()?;
        let _creation_data = parameters.sized16()?;
        let _creation_hash = parameters.sized16()?;
        // creationTicket: tag, hierarchy, digest.
        parameters.take(6)?;
        parameters.sized16()?;
        Ok(CreatePrimaryResponse {
            handle,
            public_area,
            name: parameters.sized16()?,
        })
    }
}

/// TPM2_EvictControl (Part 3 section 28.5): makes a transient object persistent, or removes a persistent object.
#[derive(Debug)]
pub struct EvictControl<'a> {
    /// The owner or the platform, whose authorization is needed.
    pub hierarchy: &'a Entity,
    /// The object to make persistent or to remove.
    pub object: &'a Entity,
    /// The persistent handle: from 0x81000000 to 0x817fffff for the owner.
    pub persistent: Handle,
}

impl Command for EvictControl<'_> {
    const CODE: CommandCode = CommandCode::EVICT_CONTROL;
    const AUTHORIZATIONS: usize = 1;
    type Response<'r> = ();

    fn entities(&self) -> Entities<'_> {
        [Some(self.hierarchy), Some(self.object), None]
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        out.u32(self.persistent.0)
    }

    fn response<'r>(&self, _: Handle, _: &mut Reader<'r>) -> Result<(), Truncated> {
        Ok(())
    }
}

/// TPM2_DictionaryAttackLockReset (Part 3 section 25.2): resets the counter of failed authorizations.
#[derive(Debug)]
pub struct DictionaryAttackLockReset;

impl Command for DictionaryAttackLockReset {
    const CODE: CommandCode = CommandCode::DICTIONARY_ATTACK_LOCK_RESET;
    const AUTHORIZATIONS: usize = 1;
    type Response<'r> = ();

    fn entities(&self) -> Entities<'_> {
        one(&Entity::LOCKOUT)
    }

    fn parameters(&self, _: &mut Writer<'_>) -> Result<(), Full> {
        Ok(())
    }

    fn response<'r>(&self, _: Handle, _: &mut Reader<'r>) -> Result<(), Truncated> {
        Ok(())
    }
}
