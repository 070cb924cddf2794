use super::{ClientId, KeyingMaterial, OneTimeKey, Profile, Purpose};
use crate::{
    crypto::SecretBytes,
    exporter::{Exporter, ExporterError},
    kdf::{KdfError, Progress},
    proof::KeyRequest,
};
use core::fmt;

/// The derivation of a [`OneTimeKey`] by a key that has to be asked, in a TPM for example: a request and an answer, until the key is there.
///
/// The channel is not held meanwhile. All secrets are wiped when it is dropped.
///
/// ```
/// use chanbind_core::{
///     exporter::ExporterSecret,
///     kdf::{HmacSha256, Prf},
///     otp::{ClientId, KeyDerivation, Profile, Purpose},
///     proof::KeyRequest,
/// };
/// # let mut tpm = HmacSha256::new(b"my_api_key");
/// let channel = ExporterSecret::sha256(&[7; 32]);
/// let mut derivation = KeyDerivation::new(&Profile::default(), Purpose::ApiKey, ClientId::new("client1")?, &channel)?;
/// let key = loop {
///     let mut mac = [0; 32];
///     if let KeyRequest::Hmac(input) = derivation.request() {
///         tpm.compute(&input, &mut mac).unwrap();
///     }
///     if let Some(key) = derivation.answered(&mac)? {
///         break key;
///     }
/// };
/// # let _ = key;
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
pub struct KeyDerivation<'p> {
    material: KeyingMaterial,
    progress: Progress<'p>,
    key: SecretBytes<{ OneTimeKey::LEN }>,
}

impl<'p> KeyDerivation<'p> {
    /// Exports keying material from `channel`.
    ///
    /// # Errors
    /// As [`Exporter::export_keying_material`], and [`ExporterError::NotUnique`] if the channel's secrets are not unique to it.
    pub fn new(
        profile: &Profile<'p>,
        purpose: Purpose,
        client: ClientId<'_>,
        channel: &(impl Exporter + ?Sized),
    ) -> Result<Self, ExporterError> {
        Ok(Self {
            material: profile.keying_material(&channel, purpose, client)?,
            progress: Progress::new(profile.layout, OneTimeKey::LEN),
            key: SecretBytes::default(),
        })
    }

    /// Returns the keying material: a secret.
    #[must_use]
    pub fn keying_material(&self) -> &KeyingMaterial {
        &self.material
    }

    /// Returns the HMAC that the client's key is asked for.
    #[must_use]
    pub fn request(&self) -> KeyRequest<'_> {
        KeyRequest::Hmac(self.progress.prf_input(self.material.as_bytes()))
    }

    /// Takes the HMAC. Returns the key once it is complete; `None` asks for another [`KeyDerivation::request`].
    ///
    /// # Errors
    /// [`KdfError::PrfLength`] for an answer that is empty, longer than 64 bytes or of another length than the one before, and
    /// [`KdfError::OutputLength`] for a layout that cannot give 32 bytes with answers of this length.
    pub fn answered(&mut self, mac: &[u8]) -> Result<Option<OneTimeKey>, KdfError> {
        let is_complete = self.progress.answer(mac, self.key.as_mut_slice())?;
        Ok(is_complete.then(|| OneTimeKey(core::mem::take(&mut self.key))))
    }
}

impl fmt::Debug for KeyDerivation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDerivation(hidden)")
    }
}
