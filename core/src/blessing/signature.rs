//! Signatures, as certificates, discharges and Auth messages have them.

use super::{
    BlessingError,
    hash::{Digest, Hash},
    vom::{self, Types},
};
use crate::wire::{Full, Reader};

/// The purpose of signatures over messages, such as channel bindings.
pub(crate) const SIGN: &[u8] = b"S1";
/// The purpose of signatures over certificates.
pub(crate) const BLESS: &[u8] = b"B1";
/// The purpose of signatures over discharges.
pub(crate) const DISCHARGE: &[u8] = b"D1";

/// A signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Signature<'a> {
    /// The purpose: `S1` for messages, `B1` for certificates, `D1` for discharges.
    pub purpose: &'a [u8],
    /// The name of the hash.
    pub hash: &'a [u8],
    /// The value.
    pub value: SignatureValue<'a>,
}

/// The value of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignatureValue<'a> {
    /// There is no signature.
    #[default]
    Absent,
    /// ECDSA: two big-endian scalars without leading zeroes.
    Ecdsa {
        /// The scalar r.
        r: &'a [u8],
        /// The scalar s.
        s: &'a [u8],
    },
    /// Ed25519, over the digest of the message.
    Ed25519(&'a [u8]),
    /// RSA PKCS #1 v1.5.
    Rsa(&'a [u8]),
}

impl<'a> Signature<'a> {
    /// Returns whether all fields are empty.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn read(
        types: Types<'a>,
        id: u64,
        reader: &mut Reader<'a>,
    ) -> Result<Self, BlessingError> {
        let mut fields = [&[][..]; 6];
        types.fields::<BlessingError>(id, reader, &mut |name, field, reader| {
            let at = match name {
                b"Purpose" => 0,
                b"Hash" => {
                    fields[1] = types.string(field, reader)?;
                    return Ok(true);
                }
                b"R" => 2,
                b"S" => 3,
                b"Ed25519" => 4,
                b"Rsa" => 5,
                _ => return Ok(false),
            };
            if let Some(place) = fields.get_mut(at) {
                *place = types.bytes(field, reader)?;
            }
            Ok(true)
        })?;
        let [purpose, hash, r, s, ed25519, rsa] = fields;
        Ok(Self {
            purpose,
            hash,
            value: SignatureValue::of(r, s, ed25519, rsa).ok_or(BlessingError::Signature)?,
        })
    }

    /// Returns the digest of the signature, which is a part of a certificate's.
    pub(crate) fn digest(&self, hash: Hash) -> Digest {
        let (name, parts): (&[u8], [&[u8]; 2]) = match self.value {
            // As upstream: without a signature, none of the others is chosen.
            SignatureValue::Absent => (b"RSA", [&[], &[]]),
            SignatureValue::Ecdsa { r, s } => (b"ECDSA", [r, s]),
            SignatureValue::Ed25519(value) => (b"ED25519", [value, &[]]),
            SignatureValue::Rsa(value) => (b"RSA", [value, &[]]),
        };
        let mut hasher = super::hash::Hasher::new(hash);
        for part in [self.hash, self.purpose, name] {
            hasher.update(hash.of(&[part]).as_bytes());
        }
        let [first, second] = parts;
        hasher.update(hash.of(&[first]).as_bytes());
        if matches!(self.value, SignatureValue::Ecdsa { .. }) {
            hasher.update(hash.of(&[second]).as_bytes());
        }
        hasher.finish()
    }

    pub(crate) fn write(&self, writer: &mut vom::Writer<'_>) -> Result<(), Full> {
        writer.octets_field(0, self.purpose)?;
        writer.octets_field(1, self.hash)?;
        match self.value {
            SignatureValue::Absent => {}
            SignatureValue::Ecdsa { r, s } => {
                writer.octets_field(2, r)?;
                writer.octets_field(3, s)?;
            }
            SignatureValue::Ed25519(value) => writer.octets_field(4, value)?,
            SignatureValue::Rsa(value) => writer.octets_field(5, value)?,
        }
        writer.end()
    }
}

impl<'a> SignatureValue<'a> {
    /// Returns the value from its fields; `None` if those of several kinds are present.
    fn of(r: &'a [u8], s: &'a [u8], ed25519: &'a [u8], rsa: &'a [u8]) -> Option<Self> {
        match (r, s, ed25519, rsa) {
            ([], [], [], []) => Some(Self::Absent),
            ([_, ..], [_, ..], [], []) => Some(Self::Ecdsa { r, s }),
            ([], [], [_, ..], []) => Some(Self::Ed25519(ed25519)),
            ([], [], [], [_, ..]) => Some(Self::Rsa(rsa)),
            _ => None,
        }
    }
}
