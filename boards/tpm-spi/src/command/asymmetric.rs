use super::{AlgorithmId, Command, CommandCode, Entities, Entity, Handle, one, types::coordinate};
use chanbind_core::{
    crypto::ecdsa::{PublicPoint, Signature},
    wire::{Full, Reader, Truncated, Writer},
};

/// TPM2_ECDH_ZGen (Part 3 section 14.5): computes the point that a key in the chip shares with a public key.
#[derive(Debug)]
pub struct EcdhZGen<'a> {
    /// An unrestricted decryption key on P-256, whose authorization is needed.
    pub key: &'a Entity,
    /// The public key of the peer.
    pub point: PublicPoint,
}

impl Command for EcdhZGen<'_> {
    const CODE: CommandCode = CommandCode::ECDH_Z_GEN;
    const AUTHORIZATIONS: usize = 1;
    const ENCRYPTS_COMMAND: bool = true;
    const ENCRYPTS_RESPONSE: bool = true;
    type Response<'r> = PublicPoint;

    fn entities(&self) -> Entities<'_> {
        one(self.key)
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        out.u16(POINT_LEN)?;
        write_point(&self.point, out)
    }

    fn response<'r>(
        &self,
        _: Handle,
        parameters: &mut Reader<'r>,
    ) -> Result<Self::Response<'r>, Truncated> {
        read_point(&mut Reader::new(parameters.sized16()?))
    }
}

/// Writes a TPMS_ECC_POINT.
pub(super) fn write_point(point: &PublicPoint, out: &mut Writer<'_>) -> Result<(), Full> {
    out.sized16(&point.x)?;
    out.sized16(&point.y)
}

/// Reads a TPMS_ECC_POINT on P-256.
pub(crate) fn read_point(reader: &mut Reader<'_>) -> Result<PublicPoint, Truncated> {
    Ok(PublicPoint {
        x: coordinate(reader)?,
        y: coordinate(reader)?,
    })
}

/// Length in bytes of a TPMS_ECC_POINT on P-256.
pub(super) const POINT_LEN: u16 = 68;

/// TPM2_Sign (Part 3 section 20.2): signs a SHA-256 digest with ECDSA on P-256. The key must not be restricted.
#[derive(Debug)]
pub struct Sign<'a> {
    /// The key, whose authorization is needed.
    pub key: &'a Entity,
    /// The SHA-256 digest of the message.
    pub digest: &'a [u8; 32],
}

/// Reads a TPMT_SIGNATURE, which must be ECDSA with SHA-256.
pub(super) fn read_signature(reader: &mut Reader<'_>) -> Result<Signature, Truncated> {
    if reader.u16()? != AlgorithmId::ECDSA.0 || reader.u16()? != AlgorithmId::SHA256.0 {
        return Err(Truncated);
    }
    Ok(Signature {
        r: coordinate(reader)?,
        s: coordinate(reader)?,
    })
}

pub(super) fn ecdsa_sha256(out: &mut Writer<'_>) -> Result<(), Full> {
    out.u16(AlgorithmId::ECDSA.0)?;
    out.u16(AlgorithmId::SHA256.0)
}

impl Command for Sign<'_> {
    const CODE: CommandCode = CommandCode::SIGN;
    const AUTHORIZATIONS: usize = 1;
    const ENCRYPTS_COMMAND: bool = true;
    type Response<'r> = Signature;

    fn entities(&self) -> Entities<'_> {
        one(self.key)
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        out.sized16(self.digest)?;
        ecdsa_sha256(out)?;
        // validation: TPM_ST_HASHCHECK, no hierarchy, no digest. An unrestricted key signs any digest.
        out.put(&[0x80, 0x24, 0x40, 0x00, 0x00, 0x07, 0x00, 0x00])
    }

    fn response<'r>(
        &self,
        _: Handle,
        parameters: &mut Reader<'r>,
    ) -> Result<Self::Response<'r>, Truncated> {
        read_signature(parameters)
    }
}
