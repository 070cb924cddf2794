//! The Auth message, by which a principal proves that it has the key of its blessings, and the tags that tell the two sides' messages apart.

use super::{
    Algorithms, PublicKey, Signature, SignatureValue, VomError,
    signature::SIGN,
    vom::{self, octets, unsigned},
};
use crate::{
    binding::Side,
    wire::{Full, Reader},
};

/// Type of the message with an ECDSA signature.
const ECDSA: u8 = 0x7a;
/// Type of the message with an Ed25519 signature.
const ED25519: u8 = 0x70;
/// Type of the message with an RSA signature.
const RSA: u8 = 0x6f;

/// The longest message with an ECDSA or Ed25519 signature, in bytes.
pub const MAX_AUTH_LEN: usize = 128;

/// An Auth message: which blessings are a side's own, and a signature over the channel's binding by their key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthMessage<'a> {
    /// The number of the blessings.
    pub blessings_key: u64,
    /// The number of the discharges; 0 without discharges.
    pub discharge_key: u64,
    /// The signature. A message that comes after the handshake has none.
    pub signature: Signature<'a>,
}

impl<'a> AuthMessage<'a> {
    /// Returns whether a message of this type is an Auth message.
    #[must_use]
    pub const fn is_type(octet: u8) -> bool {
        matches!(octet, ECDSA | ED25519 | RSA)
    }

    /// Parses a message, with its type.
    ///
    /// # Errors
    /// [`VomError`] if the message is malformed, if bytes follow it, or if the number of the blessings is 0.
    pub fn parse(message: &'a [u8]) -> Result<Self, VomError> {
        let mut reader = Reader::new(message);
        let kind = reader.u8()?;
        let (blessings_key, discharge_key) = (unsigned(&mut reader)?, unsigned(&mut reader)?);
        let (purpose, hash) = (octets(&mut reader)?, octets(&mut reader)?);
        let first = octets(&mut reader)?;
        let value = match kind {
            ECDSA => match (first, octets(&mut reader)?) {
                ([], []) => SignatureValue::Absent,
                (r, s) => SignatureValue::Ecdsa { r, s },
            },
            ED25519 => SignatureValue::Ed25519(first),
            RSA => SignatureValue::Rsa(first),
            _ => return Err(VomError::WrongType),
        };
        if !reader.is_empty() {
            return Err(VomError::Trailing);
        }
        if blessings_key == 0 {
            return Err(VomError::Malformed);
        }
        Ok(Self {
            blessings_key,
            discharge_key,
            signature: Signature {
                purpose,
                hash,
                value,
            },
        })
    }

    /// Writes the message to the front of `out` and returns it.
    ///
    /// # Errors
    /// [`Full`] if `out` is too short: [`MAX_AUTH_LEN`] bytes suffice for ECDSA and Ed25519.
    pub fn write<'o>(&self, out: &'o mut [u8]) -> Result<&'o mut [u8], Full> {
        let (kind, first, second) = match self.signature.value {
            SignatureValue::Absent => (ECDSA, &[][..], Some(&[][..])),
            SignatureValue::Ecdsa { r, s } => (ECDSA, r, Some(s)),
            SignatureValue::Ed25519(value) => (ED25519, value, None),
            SignatureValue::Rsa(value) => (RSA, value, None),
        };
        let mut writer = vom::Writer::new(out);
        writer.raw(&[kind])?;
        writer.unsigned(self.blessings_key)?;
        writer.unsigned(self.discharge_key)?;
        for part in [self.signature.purpose, self.signature.hash, first] {
            writer.octets(part)?;
        }
        if let Some(second) = second {
            writer.octets(second)?;
        }
        Ok(writer.finish())
    }

    /// Returns whether the signature is one by `key` over the binding, made by `side`: the side that dialed is the client.
    #[must_use]
    pub fn verify(
        &self,
        key: &PublicKey<'_>,
        side: Side,
        binding: &[&[u8]; 2],
        algorithms: &Algorithms,
    ) -> bool {
        let parts = signed_parts(side, binding);
        key.verify(SIGN, &parts, &self.signature, algorithms)
    }
}

/// Returns the message that a side signs. Without the tag, a signature could be sent back to its maker.
pub(crate) fn signed_parts<'b>(side: Side, [first, second]: &[&'b [u8]; 2]) -> [&'b [u8]; 3] {
    let tag: &[u8] = match side {
        Side::Client => b"AuthDial\0",
        Side::Server => b"AuthAcpt\0",
    };
    [tag, first, second]
}
