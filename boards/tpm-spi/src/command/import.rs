use super::{AlgorithmId, Command, CommandCode, Entities, Entity, Handle, one};
use chanbind_core::wire::{Full, Reader, Truncated, Writer};

/// TPM2_Import (Part 3 section 13.3): converts a key that was wrapped elsewhere for a parent in this chip, so that it can be
/// loaded.
///
/// The key must have an outer wrapper only (Part 1 section 23.3). Parameter encryption does not replace this wrapper: it covers
/// the first parameter, encryptionKey, and not the key.
#[derive(Debug)]
pub struct Import<'a> {
    /// The new parent, whose authorization is needed.
    pub parent: &'a Entity,
    /// TPM2B_PUBLIC of the key, with its two bytes of size.
    pub public: &'a [u8],
    /// TPM2B_PRIVATE, with its two bytes of size: the wrapped sensitive area.
    pub duplicate: &'a [u8],
    /// TPM2B_ENCRYPTED_SECRET, with its two bytes of size: the seed of the wrapper.
    pub in_sym_seed: &'a [u8],
}

impl Command for Import<'_> {
    const CODE: CommandCode = CommandCode::IMPORT;
    const AUTHORIZATIONS: usize = 1;
    const ENCRYPTS_COMMAND: bool = true;
    const ENCRYPTS_RESPONSE: bool = true;
    /// The TPM2B_PRIVATE to load, without its two bytes of size.
    type Response<'r> = &'r [u8];

    fn entities(&self) -> Entities<'_> {
        one(self.parent)
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        // encryptionKey: no inner wrapper.
        out.u16(0)?;
        out.put(self.public)?;
        out.put(self.duplicate)?;
        out.put(self.in_sym_seed)?;
        out.u16(AlgorithmId::NULL.0)
    }

    fn response<'r>(
        &self,
        _: Handle,
        parameters: &mut Reader<'r>,
    ) -> Result<Self::Response<'r>, Truncated> {
        parameters.sized16()
    }
}
