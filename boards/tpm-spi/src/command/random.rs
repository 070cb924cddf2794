use super::{Command, CommandCode, Entities, Handle, NONE};
use chanbind_core::wire::{Full, Reader, Truncated, Writer};

/// TPM2_GetRandom (Part 3 section 16.1): returns bytes from the chip's random number generator.
#[derive(Debug)]
pub struct GetRandom {
    /// The number of bytes. A chip may return fewer; chips return at most 32 to 64 bytes at a time.
    pub bytes_requested: u16,
}

impl Command for GetRandom {
    const CODE: CommandCode = CommandCode::GET_RANDOM;
    const AUTHORIZATIONS: usize = 0;
    const ENCRYPTS_RESPONSE: bool = true;
    /// The random bytes.
    type Response<'r> = &'r [u8];

    fn entities(&self) -> Entities<'_> {
        NONE
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        out.u16(self.bytes_requested)
    }

    fn response<'r>(
        &self,
        _: Handle,
        parameters: &mut Reader<'r>,
    ) -> Result<Self::Response<'r>, Truncated> {
        let bytes = parameters.sized16()?;
        if bytes.len() > usize::from(self.bytes_requested) {
            return Err(Truncated);
        }
        Ok(bytes)
    }
}
