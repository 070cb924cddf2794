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

/// The response to [`Load`].
#[derive(Debug)]
pub struct LoadResponse<'r> {
    /// The transient handle of the key.
    pub handle: Handle,
    /// The name of the key, as the chip reports it.
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

/// TPM2_ReadPublic (Part 3 section 12.4): reads the public area of an object.
#[derive(Debug)]
pub struct ReadPublic<'a> {
    /// The object. Without a session its name is not needed: use [`Entity::named_by_handle`].
    pub object: &'a Entity,
}

/// The response to [`ReadPublic`].
#[derive(Debug)]
pub struct ReadPublicResponse<'r> {
    /// TPMT_PUBLIC, without the two bytes of size.
    pub public_area: &'r [u8],
    /// The name of the object, as the chip reports it.
    pub name: &'r [u8],
    /// The qualified name, which also covers the names of the object's ancestors.
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

/// TPM2_FlushContext (Part 3 section 28.4): removes a transient object or a session from the chip.
#[derive(Debug)]
pub struct FlushContext {
    /// The handle of the object or session.
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
