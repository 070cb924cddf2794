use super::{KeyBlobs, blobs::Kind};
use crate::{
    command::{Entity, Handle, Name},
    contexts::Slot,
    session::AuthValue,
};
use chanbind_core::crypto::ecdsa::PublicPoint;
use core::fmt;

/// The source of a key.
enum Source<'k> {
    Blobs(KeyBlobs<'k>),
    Persistent(Handle),
}

/// A key with its password and, while it is loaded, its slot in the chip.
pub(crate) struct Loaded<'k, 'm> {
    source: Source<'k>,
    name: Name,
    pub(super) auth_value: AuthValue,
    pub(super) slot: Option<Slot<'m>>,
}

impl<'k> Loaded<'k, '_> {
    fn new(source: Source<'k>, name: Name, auth_value: AuthValue) -> Self {
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

    /// Returns the blobs if the key must be loaded before it can be used.
    pub(super) fn to_load(&self) -> Option<KeyBlobs<'k>> {
        match self.source {
            Source::Blobs(blobs) if !self.slot.as_ref().is_some_and(Slot::is_live) => Some(blobs),
            _ => None,
        }
    }
}

/// A key that [`super::TpmKeys`] can load: [`HmacKey`] or [`SigningKey`].
#[allow(private_interfaces, reason = "sealed")]
pub trait Key<'k, 'm>: sealed::Sealed {
    #[doc(hidden)]
    fn loaded(&mut self) -> &mut Loaded<'k, 'm>;
}

mod sealed {
    #[allow(
        unnameable_types,
        reason = "prevents implementations outside this crate"
    )]
    pub trait Sealed {}
    impl Sealed for super::HmacKey<'_, '_> {}
    impl Sealed for super::SigningKey<'_, '_> {}
}

/// The reason why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum WrongKey {
    /// The blobs are damaged, or the key is of another kind than requested or has another nameAlg than SHA-256.
    Kind,
    /// The key's attributes lack userWithAuth: the chip allows its use in a policy session only.
    Policy,
}

impl fmt::Display for WrongKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kind => "the blobs are damaged or belong to a key of another kind: provision the key again",
            Self::Policy => "the key can be used in a policy session only: run its commands with Tpm::execute, or provision it without a policy",
        })
    }
}

impl core::error::Error for WrongKey {}

/// An HMAC-SHA256 key in the chip. It is loaded when it is first used. When it is dropped, it is flushed before the next command.
pub struct HmacKey<'k, 'm>(pub(super) Loaded<'k, 'm>);

impl<'k> HmacKey<'k, '_> {
    /// Creates a key from its blobs and its password.
    ///
    /// # Errors
    /// [`WrongKey`] if the blobs are not those of an unrestricted HMAC key with SHA-256 that can be used with a password.
    pub fn new(blobs: KeyBlobs<'k>, auth_value: AuthValue) -> Result<Self, WrongKey> {
        let (name, _) = Kind::Hmac.check(blobs.public_area())?;
        Ok(Self(Loaded::new(Source::Blobs(blobs), name, auth_value)))
    }

    /// Creates a persistent key from its handle and the name that was recorded when it was created. If the key under the handle
    /// has another name, the chip rejects its use.
    #[must_use]
    pub fn persistent(object: Entity, auth_value: AuthValue) -> Self {
        let source = Source::Persistent(object.handle());
        Self(Loaded::new(source, *object.name(), auth_value))
    }

    /// Returns the name of the key.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.0.name
    }
}

#[allow(private_interfaces, reason = "sealed")]
impl<'k, 'm> Key<'k, 'm> for HmacKey<'k, 'm> {
    fn loaded(&mut self) -> &mut Loaded<'k, 'm> {
        &mut self.0
    }
}

impl fmt::Debug for HmacKey<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HmacKey({:?})", self.0.name)
    }
}

/// An ECDSA key on P-256 in the chip. It is loaded when it is first used. When it is dropped, it is flushed before the next
/// command.
pub struct SigningKey<'k, 'm>(pub(super) Loaded<'k, 'm>, PublicPoint);

impl<'k> SigningKey<'k, '_> {
    /// Creates a key from its blobs and its password.
    ///
    /// # Errors
    /// [`WrongKey`] if the blobs are not those of an unrestricted ECDSA key on P-256 with SHA-256 that can be used with a
    /// password.
    pub fn new(blobs: KeyBlobs<'k>, auth_value: AuthValue) -> Result<Self, WrongKey> {
        let (name, point) = Kind::Signing.check(blobs.public_area())?;
        Ok(Self(
            Loaded::new(Source::Blobs(blobs), name, auth_value),
            point,
        ))
    }

    pub(super) fn persistent(object: Entity, point: PublicPoint, auth_value: AuthValue) -> Self {
        let source = Source::Persistent(object.handle());
        Self(Loaded::new(source, *object.name(), auth_value), point)
    }

    /// Returns the name of the key.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.0.name
    }

    /// Returns the public key.
    #[must_use]
    pub fn public_key(&self) -> &PublicPoint {
        &self.1
    }
}

#[allow(private_interfaces, reason = "sealed")]
impl<'k, 'm> Key<'k, 'm> for SigningKey<'k, 'm> {
    fn loaded(&mut self) -> &mut Loaded<'k, 'm> {
        &mut self.0
    }
}

impl fmt::Debug for SigningKey<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?})", self.0.name)
    }
}
