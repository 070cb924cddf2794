use super::{
    Command, CommandCode, Entities, Entity, Handle, PcrSelection,
    asymmetric::{ecdsa_sha256, read_signature},
    one,
};
use chanbind_core::{
    crypto::ecdsa::Signature,
    wire::{Full, Reader, Truncated, Writer},
};

/// TPM2_Quote (Part 3 section 18.4): signs the values of PCRs with ECDSA on P-256 and SHA-256.
#[derive(Debug)]
pub struct Quote<'a> {
    /// The key, whose authorization is needed.
    pub key: &'a Entity,
    /// Data from the verifier, which the signature covers: at most 32 bytes.
    pub qualifying_data: &'a [u8],
    /// The PCRs to sign.
    pub pcrs: PcrSelection,
}

/// The response to [`Quote`].
#[derive(Debug)]
pub struct QuoteResponse<'r> {
    /// The signed TPMS_ATTEST.
    pub quoted: &'r [u8],
    /// The signature of `quoted`.
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
            signature: read_signature(parameters)?,
        })
    }
}
