use super::KeyBlobs;
use crate::{
    command::{EccPoint, Entity, Handle, Name},
    contexts::Slot,
    session::AuthValue,
};
use core::fmt;

/// Where a key comes from.
pub(super) enum Source<'k> {
    Blobs(KeyBlobs<'k>),
    Persistent(Handle),
}

pub(super) struct Loaded<'k, 'm> {
    source: Source<'k>,
    name: Name,
    pub(super) auth_value: AuthValue,
    pub(super) slot: Option<Slot<'m>>,
}

impl<'k> Loaded<'k, '_> {
    pub(super) fn new(source: Source<'k>, name: Name, auth_value: AuthValue) -> Self {
        Self {
            source,
            name,
            auth_value,
            slot: None,
        }
    }

    pub(super) fn entity(&self) -> Entity {
        let handle = match (&self.source, &self.slot) {
            (Source::Persistent(handle), _) => *handle,
            (Source::Blobs(_), Some(slot)) => slot.handle(),
            (Source::Blobs(_), None) => Handle::NULL,
        };
        Entity::object(handle, self.name)
    }

    /// What is to be loaded before it can be used.
    pub(super) fn to_load(&self) -> Option<KeyBlobs<'k>> {
        match self.source {
            Source::Blobs(blobs) if !self.slot.as_ref().is_some_and(Slot::is_live) => Some(blobs),
            _ => None,
        }
    }
}

/// An HMAC-SHA256 key in the chip. Dropped, it is flushed before the next command.
pub struct HmacKey<'k, 'm>(pub(super) Loaded<'k, 'm>);

impl HmacKey<'_, '_> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.0.name
    }
}

impl fmt::Debug for HmacKey<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HmacKey({:?})", self.0.name)
    }
}

/// An ECDSA key on P-256 in the chip. Dropped, it is flushed before the next command.
pub struct SigningKey<'k, 'm>(pub(super) Loaded<'k, 'm>, pub(super) EccPoint);

impl SigningKey<'_, '_> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.0.name
    }

    /// Its public key.
    #[must_use]
    pub fn public_key(&self) -> &EccPoint {
        &self.1
    }
}

impl fmt::Debug for SigningKey<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?})", self.0.name)
    }
}
