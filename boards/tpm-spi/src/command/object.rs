use super::{Command, CommandCode, Entities, Entity, Handle, NONE, one};
use chanbind_core::wire::{Full, Reader, Truncated, Writer};

/// TPM2_Load (Part 3 section 12.2): loads a key that its parent has wrapped.
#[derive(Debug)]
pub struct Load<'a> {
    /// The parent, whose authorization is needed.
    pub parent: &'a Entity,
    /// TPM2B_PRIVATE, with its two bytes of size.
    pub private: &'a [u8],
    /// TPM2B_PUBLIC, with its two bytes of size.
    pub public: &'a [u8],
}

/// What [`Load`] gives.
#[derive(Debug)]
pub struct LoadResponse<'r> {
    /// The key's handle, transient.
    pub handle: Handle,
    /// The name that the chip says it has.
    pub name: &'r [u8],
}

impl Command for Load<'_> {
    const CODE: CommandCode = CommandCode::LOAD;
    const AUTHORIZATIONS: usize = 1;
    const RESPONSE_HANDLE: bool = true;
    const ENCRYPTS_COMMAND: bool = true;
    const ENCRYPTS_RESPONSE: bool = true;
    type Response<'r> = LoadResponse<'r>;

    fn entities(&self) -> Entities<'_> {
        one(self.parent)
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        out.put(self.private)?;
        out.put(self.public)
    }

    fn response<'r>(
        &self,
        handle: Handle,
        parameters: &mut Reader<'r>,
    ) -> Result<Self::Response<'r>, Truncated> {
        Ok(LoadResponse {
            handle,
            name: parameters.sized16()?,
        })
    }
}

/// TPM2_ReadPublic (Part 3 section 12.4)
#[derive(Debug)]
pub struct ReadPublic<'a> {
    /// Of what. Its name need not be known: [`Entity::named_by_handle`] will do where no session is used.
    pub object: &'a Entity,
}

/// What [`ReadPublic`] gives.
#[derive(Debug)]
pub struct ReadPublicResponse<'r> {
    /// TPMT_PUBLIC, without the two bytes of size.
    pub public_area: &'r [u8],
    /// The name that the chip says it has.
    pub name: &'r [u8],
    /// The name by which its parent vouches for it.
    pub qualified_name: &'r [u8],
}

impl Command for ReadPublic<'_> {
    const CODE: CommandCode = CommandCode::READ_PUBLIC;
    const AUTHORIZATIONS: usize = 0;
    const ENCRYPTS_RESPONSE: bool = true;
    type Response<'r> = ReadPublicResponse<'r>;

    fn entities(&self) -> Entities<'_> {
        one(self.object)
    }

    fn parameters(&self, _: &mut Writer<'_>) -> Result<(), Full> {
        Ok(())
    }

    fn response<'r>(
        &self,
        _: Handle,
        parameters: &mut Reader<'r>,
    ) -> Result<Self::Response<'r>, Truncated> {
        Ok(ReadPublicResponse {
            public_area: parameters.sized16()?,
            name: parameters.sized16()?,
            qualified_name: parameters.sized16()?,
        })
    }
}

/// TPM2_FlushContext (Part 3 section 28.4): takes a transient object or a session out of the chip.
#[derive(Debug)]
pub struct FlushContext {
    /// What.
    pub handle: Handle,
}

impl Command for FlushContext {
    const CODE: CommandCode = CommandCode::FLUSH_CONTEXT;
    const AUTHORIZATIONS: usize = 0;
    type Response<'r> = ();

    fn entities(&self) -> Entities<'_> {
        NONE
    }

    fn flushes(&self) -> Option<Handle> {
        Some(self.handle)
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        out.u32(self.handle.0)
    }

    fn response<'r>(&self, _: Handle, _: &mut Reader<'r>) -> Result<(), Truncated> {
        Ok(())
    }
}
