use super::{AlgorithmId, Command, CommandCode, Entities, Entity, Handle, one};
use chanbind_core::wire::{Full, Reader, Truncated, Writer};

/// TPM2_HMAC (Part 3 section 15.5): computes an HMAC with SHA-256.
#[derive(Debug)]
pub struct Hmac<'a> {
    /// The key, whose authorization is needed.
    pub key: &'a Entity,
    /// The data, in parts that are concatenated: at most TPM2_MAX_BUFFER bytes in total, usually 1024.
    pub data: &'a [&'a [u8]],
}

impl Command for Hmac<'_> {
    const CODE: CommandCode = CommandCode::HMAC;
    const AUTHORIZATIONS: usize = 1;
    const ENCRYPTS_COMMAND: bool = true;
    const ENCRYPTS_RESPONSE: bool = true;
    /// The HMAC.
    type Response<'r> = &'r [u8];

    fn entities(&self) -> Entities<'_> {
        one(self.key)
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        sized_parts(out, self.data)?;
        out.u16(AlgorithmId::SHA256.0)
    }

    fn response<'r>(
        &self,
        _: Handle,
        parameters: &mut Reader<'r>,
    ) -> Result<Self::Response<'r>, Truncated> {
        parameters.sized16()
    }
}

/// TPM2_HMAC_Start (Part 3 section 17.2): starts a sequence, for an HMAC with SHA-256 over more data than fits one command.
#[derive(Debug)]
pub struct HmacStart<'a> {
    /// The key, whose authorization is needed.
    pub key: &'a Entity,
    /// The password of the sequence, at most 32 bytes. A sequence has no name: unless the password is secret, an attacker on the
    /// bus can substitute another sequence, or complete this one and read the result.
    pub auth: &'a [u8],
}

impl Command for HmacStart<'_> {
    const CODE: CommandCode = CommandCode::HMAC_START;
    const AUTHORIZATIONS: usize = 1;
    const RESPONSE_HANDLE: bool = true;
    const ENCRYPTS_COMMAND: bool = true;
    /// The transient handle of the sequence.
    type Response<'r> = Handle;

    fn entities(&self) -> Entities<'_> {
        one(self.key)
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        out.sized16(self.auth)?;
        out.u16(AlgorithmId::SHA256.0)
    }

    fn response<'r>(&self, handle: Handle, _: &mut Reader<'r>) -> Result<Handle, Truncated> {
        Ok(handle)
    }
}

/// TPM2_SequenceUpdate (Part 3 section 17.4): adds data to a sequence.
#[derive(Debug)]
pub struct SequenceUpdate<'a> {
    /// The sequence, whose authorization is needed.
    pub sequence: &'a Entity,
    /// The data: at most TPM2_MAX_BUFFER bytes, usually 1024.
    pub data: &'a [u8],
}

impl Command for SequenceUpdate<'_> {
    const CODE: CommandCode = CommandCode::SEQUENCE_UPDATE;
    const AUTHORIZATIONS: usize = 1;
    const ENCRYPTS_COMMAND: bool = true;
    type Response<'r> = ();

    fn entities(&self) -> Entities<'_> {
        one(self.sequence)
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        out.sized16(self.data)
    }

    fn response<'r>(&self, _: Handle, _: &mut Reader<'r>) -> Result<(), Truncated> {
        Ok(())
    }
}

/// TPM2_SequenceComplete (Part 3 section 17.5): adds the last data to a sequence and returns the HMAC. The chip then removes the
/// sequence.
#[derive(Debug)]
pub struct SequenceComplete<'a> {
    /// The sequence, whose authorization is needed.
    pub sequence: &'a Entity,
    /// The data: at most TPM2_MAX_BUFFER bytes, usually 1024.
    pub data: &'a [u8],
}

impl Command for SequenceComplete<'_> {
    const CODE: CommandCode = CommandCode::SEQUENCE_COMPLETE;
    const AUTHORIZATIONS: usize = 1;
    const ENCRYPTS_COMMAND: bool = true;
    const ENCRYPTS_RESPONSE: bool = true;
    /// The HMAC.
    type Response<'r> = &'r [u8];

    fn entities(&self) -> Entities<'_> {
        one(self.sequence)
    }

    fn flushes(&self) -> Option<Handle> {
        Some(self.sequence.handle())
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        out.sized16(self.data)?;
        out.u32(Handle::NULL.0)
    }

    fn response<'r>(
        &self,
        _: Handle,
        parameters: &mut Reader<'r>,
    ) -> Result<Self::Response<'r>, Truncated> {
        let result = parameters.sized16()?;
        // A ticket for hashes, which is empty for an HMAC: tag, hierarchy, digest.
        parameters.take(6)?;
        parameters.sized16()?;
        Ok(result)
    }
}

fn sized_parts(out: &mut Writer<'_>, parts: &[&[u8]]) -> Result<(), Full> {
    let len = parts.iter().map(|part| part.len()).sum::<usize>();
    out.u16(u16::try_from(len).map_err(|_| Full)?)?;
    parts.iter().try_for_each(|part| out.put(part))
}
