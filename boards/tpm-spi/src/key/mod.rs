//! TpmKeys in the chip, used under one encrypted session that looks after itself.
//!
//! [`TpmKeys`] is what a firmware holds: it opens the pinned parent, loads keys from their blobs, and starts a session and loads
//! again after a reset of the chip, an error or a future that was dropped.

mod blobs;
mod job;
mod loaded;
mod perform;
mod prf;
mod rng;

pub use blobs::KeyBlobs;
pub(crate) use job::RandomJob;
pub use loaded::{HmacKey, Key, SigningKey, WrongKey};
pub use prf::HmacPrf;
pub use rng::TpmRng;

use crate::{
    chip::Chip,
    command::{Entity, Name, ReadPublic, Signature},
    error::Error,
    parent::{Parent, ParentKey},
    session::{AuthValue, Salt, Session},
    tpm::{CloseFailure, Tpm},
};
use blobs::Kind;
use job::{HmacJob, SignJob};
use rand_core::{CryptoRng, RngCore};

/// A TPM with a pinned parent key and a session that is salted with it, for the use of keys under that parent.
///
/// TpmKeys that are used at the same time must fit the chip beside a parent or a sequence: two, where it has room for three.
pub struct TpmKeys<'m, C, R> {
    tpm: Tpm<'m, C>,
    rng: R,
    parent_key: ParentKey,
    /// What the parent is to be.
    pinned: Entity,
    parent: Option<Parent<'m>>,
    session: SessionState<'m>,
}

/// The session, as far as it has come.
enum SessionState<'m> {
    None,
    /// It is asked for with this salt.
    Starting(Salt),
    Started(Session<'m>),
}

impl<'m, C: Chip, R: CryptoRng + RngCore> TpmKeys<'m, C, R> {
    /// Of a chip whose parent key has the name `pinned`. Nothing is asked of the chip yet: [`TpmKeys::open`] does, or the first use.
    ///
    /// `rng` salts the sessions: who can guess its numbers reads the bus. Where a microcontroller's own generator is weak, gather
    /// from several sources; the chip's own numbers alone will not do, for they cross the bus before there is a session.
    pub fn new(tpm: Tpm<'m, C>, rng: R, parent_key: ParentKey, pinned: Name) -> Self {
        Self {
            tpm,
            rng,
            parent_key,
            pinned: parent_key.entity(&pinned),
            parent: None,
            session: SessionState::None,
        }
    }

    /// Starts the chip, and holds the name of its parent key against the pinned one.
    ///
    /// # Errors
    /// [`Error::ParentName`], [`Error::Parent`], [`Error::Chip`], [`Error::Tpm`]
    pub async fn open(&mut self) -> Result<(), Error<C::Error>> {
        self.perform(None, None).await
    }

    /// Loads a key now; else it is loaded when it is used.
    ///
    /// # Errors
    /// Those of [`TpmKeys::open`] and of TPM2_Load
    pub async fn load<'k>(
        &mut self,
        key: &mut (impl Key<'k, 'm> + ?Sized),
    ) -> Result<(), Error<C::Error>> {
        self.perform(Some(key.loaded()), None).await
    }

    /// Reads the public key of an ECDSA key on P-256 that stays in the chip, under its handle and with the name that was written
    /// down when it was made.
    ///
    /// # Errors
    /// [`Error::KeyKind`] if it has another name or is of another kind, [`Error::KeyPolicy`], and those of TPM2_ReadPublic
    pub async fn persistent_signing(
        &mut self,
        object: Entity,
        auth_value: AuthValue,
    ) -> Result<SigningKey<'static, 'm>, Error<C::Error>> {
        let command = ReadPublic { object: &object };
        let response = self.tpm.execute(&command, &mut []).await?;
        match Kind::Signing.check(response.public_area) {
            Ok((name, point)) if name == *object.name() => {
                Ok(SigningKey::persistent(object, point, auth_value))
            }
            Err(WrongKey::Policy) => Err(Error::KeyPolicy),
            _ => Err(Error::KeyKind),
        }
    }

    /// HMAC-SHA256 over the parts of `data`, one behind the other, of any length; the key does not leave the chip, and neither
    /// data nor result can be read on the bus.
    ///
    /// # Errors
    /// [`Error`]; `out` is then unchanged
    pub async fn hmac(
        &mut self,
        key: &mut HmacKey<'_, 'm>,
        data: &[&[u8]],
        out: &mut [u8; 32],
    ) -> Result<(), Error<C::Error>> {
        let room = self
            .tpm
            .buffer_len()
            .saturating_sub(HMAC_OVERHEAD)
            .clamp(1, MAX_BUFFER);
        let mut job = HmacJob::new(data, out, room);
        let done = self.perform(Some(&mut key.0), Some(&mut job)).await;
        self.tpm.wipe();
        done
    }

    /// ECDSA over a SHA-256 digest; the key does not leave the chip. The signature is checked by nobody here: it is public.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn sign(
        &mut self,
        key: &mut SigningKey<'_, 'm>,
        digest: &[u8; 32],
    ) -> Result<Signature, Error<C::Error>> {
        let mut signature = Signature {
            r: [0; 32],
            s: [0; 32],
        };
        let mut job = SignJob::new(digest, &mut signature);
        self.perform(Some(&mut key.0), Some(&mut job)).await?;
        Ok(signature)
    }

    /// Random numbers of the chip's generator, that cannot be read on the bus.
    ///
    /// # Errors
    /// [`Error`]; part of `out` may then be filled
    pub async fn random(&mut self, out: &mut [u8]) -> Result<(), Error<C::Error>> {
        if out.is_empty() {
            return Ok(());
        }
        let mut job = RandomJob::new(out);
        let done = self.perform(None, Some(&mut job)).await;
        self.tpm.wipe();
        done
    }

    /// A generator for `rand_core`, seeded with 32 bytes of [`TpmKeys::random`].
    ///
    /// # Errors
    /// [`Error`]
    pub async fn rng(&mut self) -> Result<TpmRng, Error<C::Error>> {
        let mut seed = chanbind_core::crypto::SecretBytes::<32>::default();
        self.random(&mut *seed).await?;
        Ok(TpmRng::new(&seed))
    }

    /// The key as core's PRF.
    pub fn prf<'a, 'k>(&'a mut self, key: &'a mut HmacKey<'k, 'm>) -> HmacPrf<'a, 'k, 'm, C, R> {
        HmacPrf { keys: self, key }
    }

    /// The TPM itself, for other commands.
    pub fn tpm_mut(&mut self) -> &mut Tpm<'m, C> {
        &mut self.tpm
    }

    /// Flushes parent and session, and every key that has been dropped, shuts the chip down, and gives it back.
    ///
    /// # Errors
    /// As [`Tpm::close`].
    pub async fn close(self) -> Result<C, CloseFailure<C>> {
        let Self {
            tpm,
            parent,
            session,
            ..
        } = self;
        drop((parent, session));
        tpm.close().await
    }
}

/// What TPM2_HMAC and TPM2_SequenceUpdate have around their data, with one session.
const HMAC_OVERHEAD: usize = 10 + 4 + 4 + 73 + 2 + 2;

/// TPM_PT_INPUT_BUFFER, of every chip that is known.
const MAX_BUFFER: usize = 1024;
