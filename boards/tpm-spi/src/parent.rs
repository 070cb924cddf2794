use crate::{
    command::{AlgorithmId, ECC_NIST_P256, EccPoint, Entity, Handle, Name, Template},
    contexts::Slot,
};
use chanbind_core::wire::Reader;
use core::fmt;

/// Which storage key is the parent of a device's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ParentKey {
    /// The owner's primary key of this template, made anew when it is needed. The owner must have no password.
    Primary(Template),
    /// A key that stays in the chip, 0x81000000 to 0x81ffffff, without a password.
    Persistent(Handle),
}

/// A storage key on P-256 with the pinned name; [`crate::Tpm::parent`] gives it.
pub struct Parent<'m> {
    entity: Entity,
    point: EccPoint,
    slot: Option<Slot<'m>>,
}

impl<'m> Parent<'m> {
    pub(crate) fn new(handle: Handle, name: Name, point: EccPoint, slot: Option<Slot<'m>>) -> Self {
        Self {
            entity: Entity::object(handle, name),
            point,
            slot,
        }
    }

    /// It as the parent of commands.
    #[must_use]
    pub fn entity(&self) -> &Entity {
        &self.entity
    }

    /// Its public key.
    #[must_use]
    pub fn point(&self) -> &EccPoint {
        &self.point
    }

    /// Whether the chip still has it, as far as is known.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.slot.as_ref().is_none_or(Slot::is_live)
    }

    /// Name and point of a TPMT_PUBLIC that is a storage key on P-256.
    pub(crate) fn parse(public_area: &[u8]) -> Option<(Name, EccPoint)> {
        let mut reader = Reader::new(public_area);
        let algorithms = (reader.u16().ok()?, reader.u16().ok()?);
        let attributes = reader.u32().ok()?;
        reader.sized16().ok()?;
        let symmetric = reader.array().ok()?;
        let is_storage_key = attributes & RESTRICTED_DECRYPT == RESTRICTED_DECRYPT
            && algorithms == (AlgorithmId::ECC.0, AlgorithmId::SHA256.0)
            && symmetric == AES_128_CFB
            && reader.u16().ok()? == AlgorithmId::NULL.0
            && reader.u16().ok()? == ECC_NIST_P256
            && reader.u16().ok()? == AlgorithmId::NULL.0;
        let point = EccPoint::read(&mut reader).ok()?;
        let name = Name::of_public(public_area).ok()?;
        (is_storage_key && reader.is_empty()).then_some((name, point))
    }
}

impl fmt::Debug for Parent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entity.fmt(f)
    }
}

/// TPMA_OBJECT: restricted and decrypt.
const RESTRICTED_DECRYPT: u32 = 0x0003_0000;

/// TPM_ALG_AES, 128 bits, TPM_ALG_CFB.
const AES_128_CFB: [u8; 6] = [0x00, 0x06, 0x00, 0x80, 0x00, 0x43];
