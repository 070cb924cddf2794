use super::{
    Command, CommandCode, Entities, Entity, Handle, PcrSelection, Signature,
    asymmetric::ecdsa_sha256, one,
};
use chanbind_core::wire::{Full, Reader, Truncated, Writer};

/// TPM2_Quote (Part 3 section 18.4): signs the values of PCRs, ECDSA on P-256 with SHA-256.
#[derive(Debug)]
pub struct Quote<'a> {
    /// The key, whose authorization is needed.
    pub key: &'a Entity,
    /// What the verifier has asked to be signed with it, at most 32 bytes.
    pub qualifying_data: &'a [u8],
    /// Which PCRs.
    pub pcrs: PcrSelection,
}

/// What [`Quote`] gives.
#[derive(Debug)]
pub struct QuoteResponse<'r> {
    /// TPMS_ATTEST: what is signed.
    pub quoted: &'r [u8],
    /// The signature over it.
    pub signature: Signature,
}

impl Command for Quote<'_> {
    const CODE: CommandCode = CommandCode::QUOTE;
    const AUTHORIZATIONS: usize = 1;
    const ENCRYPTS_COMMAND: bool = true;
    const ENCRYPTS_RESPONSE: bool = true;
    type Response<'r> = QuoteResponse<'r>;

    fn entities(&self) -> Entities<'_> {
        one(self.key)
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        out.sized16(self.qualifying_data)?;
        ecdsa_sha256(out)?;
        self.pcrs.write(out)
    }

    fn response<'r>(
        &self,
        _: Handle,
        parameters: &mut Reader<'r>,
    ) -> Result<Self::Response<'r>, Truncated> {
        Ok(QuoteResponse {
            quoted: parameters.sized16()?,
            signature: Signature::read(parameters)?,
        })
    }
}
