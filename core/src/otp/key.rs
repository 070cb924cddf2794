use super::{ClientId, Profile, Purpose};
use crate::{
    crypto::SecretBytes,
    exporter::{Exporter, ExporterError},
    kdf::{DeriveError, Prf, derive},
};
use core::fmt;

/// 32 bytes of exported keying material, which only the two ends of one connection can compute. Wiped when dropped.
#[derive(Default)]
pub struct KeyingMaterial(SecretBytes<32>);

impl KeyingMaterial {
    /// Returns the 32 bytes, which are secret.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) fn as_mut(&mut self) -> &mut [u8; 32] {
        &mut self.0
    }
}

impl fmt::Debug for KeyingMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyingMaterial(hidden)")
    }
}

/// The key of one client on one channel for one purpose: 32 bytes. Wiped when dropped.
pub struct OneTimeKey(pub(super) SecretBytes<32>);

impl OneTimeKey {
    /// The length of the key, in bytes.
    pub const LEN: usize = 32;

    /// Exports keying material from `channel` and derives the key from it with a blocking PRF.
    ///
    /// # Errors
    /// [`OneTimeKeyError::Exporter`] if the channel's secrets are not unique to it or the export fails,
    /// [`OneTimeKeyError::Derive`] if the PRF fails or `profile` has a layout that cannot derive 32 bytes.
    pub fn derive<P: Prf>(
        profile: &Profile<'_>,
        purpose: Purpose,
        client: ClientId<'_>,
        channel: &impl Exporter,
        prf: &mut P,
    ) -> Result<Self, OneTimeKeyError<P::Error>> {
        let material = profile
            .keying_material(channel, purpose, client)
            .map_err(OneTimeKeyError::Exporter)?;
        let mut key = Self(SecretBytes::default());
        derive(
            &profile.layout,
            material.as_bytes(),
            prf,
            key.0.as_mut_slice(),
        )
        .map_err(OneTimeKeyError::Derive)?;
        Ok(key)
    }

    /// Creates a key from bytes that were derived elsewhere.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(SecretBytes::new(bytes))
    }

    /// Returns the 32 bytes, which are secret.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

impl fmt::Debug for OneTimeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneTimeKey(hidden)")
    }
}

/// The error of [`OneTimeKey::derive`]; `E` is the error of the PRF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OneTimeKeyError<E> {
    /// The channel failed to export keying material.
    Exporter(ExporterError),
    /// The derivation or its PRF failed.
    Derive(DeriveError<E>),
}

impl<E: fmt::Display> fmt::Display for OneTimeKeyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exporter(error) => fmt::Display::fmt(error, f),
            Self::Derive(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for OneTimeKeyError<E> {}
