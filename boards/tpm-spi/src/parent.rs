use crate::{
    command::{
        AlgorithmId, CreatePrimary, ECC_NIST_P256, Entities, Entity, Handle, Name, ReadPublic,
        Template, read_point,
    },
    contexts::{Contexts, Slot},
    error::Error,
    frame::{Marshal, Shape},
};
use chanbind_core::{
    crypto::ecdsa::PublicPoint,
    wire::{Full, Reader, Writer},
};
use core::fmt;

/// Selects the storage key that is the parent of a device's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ParentKey {
    /// The owner's primary key of this template, created whenever it is needed. The owner hierarchy must have no password.
    Primary(Template),
    /// A persistent key without a password, with a handle from 0x81000000 to 0x81ffffff.
    Persistent(Handle),
}

/// A storage key on P-256 that has the pinned name. [`crate::Tpm::parent`] creates it.
pub struct Parent<'m> {
    entity: Entity,
    point: PublicPoint,
    slot: Option<Slot<'m>>,
}

impl ParentKey {
    /// Returns the entity that [`ParentKey::command`] reads if the key is persistent, with the name that the key should have.
    pub(crate) fn entity(self, pinned: &Name) -> Entity {
        let handle = match self {
            Self::Primary(_) => Handle::NULL,
            Self::Persistent(handle) => handle,
        };
        Entity::object(handle, *pinned)
    }

    /// Returns the command whose response begins with the public area of the key. `entity` is the result of [`ParentKey::entity`].
    pub(crate) fn command(self, entity: &Entity) -> ParentCommand<'_> {
        match self {
            Self::Primary(template) => ParentCommand::Create(CreatePrimary {
                hierarchy: &Entity::OWNER,
                template,
            }),
            Self::Persistent(_) => ParentCommand::Read(ReadPublic { object: entity }),
        }
    }
}

/// The command that opens a parent.
pub(crate) enum ParentCommand<'a> {
    Create(CreatePrimary<'static>),
    Read(ReadPublic<'a>),
}

impl Marshal for ParentCommand<'_> {
    fn shape(&self) -> &'static Shape {
        match self {
            Self::Create(command) => command.shape(),
            Self::Read(command) => command.shape(),
        }
    }

    fn entities(&self) -> Entities<'_> {
        match self {
            Self::Create(command) => Marshal::entities(command),
            Self::Read(command) => Marshal::entities(command),
        }
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        match self {
            Self::Create(command) => Marshal::parameters(command, out),
            Self::Read(_) => Ok(()),
        }
    }

    fn flushes(&self) -> Option<Handle> {
        None
    }
}

impl<'m> Parent<'m> {
    /// Creates a parent from the response to [`ParentKey::command`]. Reads the public area only, with which the response begins.
    pub(crate) fn accept<E>(
        key: ParentKey,
        handle: Handle,
        response: &mut Reader<'_>,
        contexts: &'m Contexts,
        pinned: &Name,
    ) -> Result<Self, Error<E>> {
        let (handle, slot) = match key {
            ParentKey::Primary(_) => (handle, Some(contexts.adopt(handle))),
            ParentKey::Persistent(handle) => (handle, None),
        };
        let area = response.sized16().map_err(|_| Error::Malformed)?;
        let (name, point) = Self::parse(area).ok_or(Error::Parent)?;
        // The name is public, so the comparison need not be constant-time.
        if name != *pinned {
            return Err(Error::ParentName);
        }
        Ok(Self {
            entity: Entity::object(handle, name),
            point,
            slot,
        })
    }

    /// Returns the key as an entity of commands.
    #[must_use]
    pub fn entity(&self) -> &Entity {
        &self.entity
    }

    /// Returns the public key.
    #[must_use]
    pub fn point(&self) -> &PublicPoint {
        &self.point
    }

    /// Returns true if the chip still holds the key, as far as is known. A reset of the chip removes a primary key.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.slot.as_ref().is_none_or(Slot::is_live)
    }

    /// Returns the name and the point of a TPMT_PUBLIC if it describes a storage key on P-256.
    fn parse(public_area: &[u8]) -> Option<(Name, PublicPoint)> {
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
        let point = read_point(&mut reader).ok()?;
        let name = Name::of_public(public_area).ok()?;
        (is_storage_key && reader.is_empty()).then_some((name, point))
    }
}

impl fmt::Debug for Parent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entity.fmt(f)
    }
}

/// TPMA_OBJECT: the attributes restricted and decrypt.
const RESTRICTED_DECRYPT: u32 = 0x0003_0000;

/// TPMT_SYM_DEF_OBJECT: TPM_ALG_AES, 128 bits, TPM_ALG_CFB.
const AES_128_CFB: [u8; 6] = [0x00, 0x06, 0x00, 0x80, 0x00, 0x43];
