//! Keys in the chip, used under one encrypted session that [`TpmKeys`] starts and restarts.
//!
//! [`TpmKeys`] opens the pinned parent, starts a session and loads keys from their blobs. It restores the session and the keys
//! after a reset of the chip, an error, or a dropped future.

mod blobs;
mod job;
mod loaded;
mod perform;
mod prf;
mod rng;

pub use blobs::KeyBlobs;
pub use loaded::{HmacKey, Key, SigningKey, WrongKey};
pub use prf::HmacPrf;
pub use rng::TpmRng;

use crate::{
    chip::Chip,
    command::{Entity, Name, ReadPublic},
    error::Error,
    parent::{Parent, ParentKey},
    random::RandomJob,
    session::{AuthValue, Salt, Session},
    tpm::{CloseFailure, Tpm},
};
use blobs::Kind;
use chanbind_core::crypto::{SecretBytes, ecdsa::Signature};
use job::{HmacJob, SignJob};
use rand_core::{CryptoRng, RngCore};

/// A TPM with a pinned parent key and a session that is salted with it, for the use of keys under that parent.
///
/// Keys that are loaded at the same time must fit into the chip beside a parent or a sequence: a chip with room for three objects
/// can hold two keys.
pub struct TpmKeys<'m, C, R> {
    tpm: Tpm<'m, C>,
    rng: R,
    parent_key: ParentKey,
    /// The entity that the parent must be.
    pinned: Entity,
    parent: Option<Parent<'m>>,
    session: SessionState<'m>,
}

/// The state of the session.
enum SessionState<'m> {
    None,
    /// TPM2_StartAuthSession was marshalled with this salt.
    Starting(Salt),
    Started(Session<'m>),
}

impl<'m, C: Chip, R: CryptoRng + RngCore> TpmKeys<'m, C, R> {
    /// Creates the keys of a chip whose parent key has the name `pinned`. Performs no I/O: call [`TpmKeys::open`], or use a key.
    ///
    /// `rng` salts the sessions: an attacker who can guess its output can read the bus. If the microcontroller's generator is
    /// weak, combine several sources. Random numbers from the TPM alone do not suffice, because they cross the bus before there
    /// is a session.
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

    /// Starts the chip and compares the name of its parent key with the pinned name.
    ///
    /// # Errors
    /// [`Error::ParentName`] if the name is not the pinned one, [`Error::Parent`] if the key is not a storage key on P-256,
    /// [`Error::Chip`] if an exchange fails, [`Error::Tpm`] if the TPM rejects a command.
    pub async fn open(&mut self) -> Result<(), Error<C::Error>> {
        self.perform(None, None).await
    }

    /// Loads a key now. Otherwise it is loaded when it is first used.
    ///
    /// # Errors
    /// Those of [`TpmKeys::open`], and [`Error::Tpm`] if the TPM rejects TPM2_Load.
    pub async fn load<'k>(
        &mut self,
        key: &mut (impl Key<'k, 'm> + ?Sized),
    ) -> Result<(), Error<C::Error>> {
        self.perform(Some(key.loaded()), None).await
    }

    /// Creates a persistent ECDSA key on P-256 from its handle and the name that was recorded when it was created. Reads its
    /// public key from the chip.
    ///
    /// # Errors
    /// [`Error::KeyKind`] if the key under the handle has another name or is of another kind, [`Error::KeyPolicy`] if it can be
    /// used in a policy session only, and those of [`Tpm::execute`].
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

    /// Computes HMAC-SHA256 over the concatenated parts of `data`, which may have any length. The key does not leave the chip,
    /// and data and result are encrypted on the bus.
    ///
    /// # Errors
    /// Those of [`TpmKeys::load`], and of [`Tpm::execute`] for the HMAC commands; `out` is then unchanged.
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

    /// Signs a SHA-256 digest with ECDSA. The key does not leave the chip. The signature is public; this function does not verify
    /// it.
    ///
    /// # Errors
    /// Those of [`TpmKeys::load`], and of [`Tpm::execute`] for TPM2_Sign.
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

    /// Fills `out` with bytes from the chip's generator, encrypted on the bus.
    ///
    /// # Errors
    /// Those of [`TpmKeys::open`], and of [`Tpm::execute`] for TPM2_GetRandom; part of `out` may then be filled.
    pub async fn random(&mut self, out: &mut [u8]) -> Result<(), Error<C::Error>> {
        if out.is_empty() {
            return Ok(());
        }
        let mut job = RandomJob::new(out);
        let done = self.perform(None, Some(&mut job)).await;
        self.tpm.wipe();
        done
    }

    /// Creates a `rand_core` generator that is seeded with 32 bytes from [`TpmKeys::random`].
    ///
    /// # Errors
    /// Those of [`TpmKeys::random`].
    pub async fn rng(&mut self) -> Result<TpmRng, Error<C::Error>> {
        let mut seed = SecretBytes::<32>::default();
        self.random(&mut *seed).await?;
        Ok(TpmRng::new(&seed))
    }

    /// Returns the key as a PRF of `chanbind_core`, for blocking chips.
    pub fn prf<'a, 'k>(&'a mut self, key: &'a mut HmacKey<'k, 'm>) -> HmacPrf<'a, 'k, 'm, C, R> {
        HmacPrf { keys: self, key }
    }

    /// Returns the TPM, for other commands.
    pub fn tpm_mut(&mut self) -> &mut Tpm<'m, C> {
        &mut self.tpm
    }

    /// Flushes the parent, the session and all dropped keys, shuts the chip down and returns it.
    ///
    /// # Errors
    /// Those of [`Tpm::close`].
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

/// Length in bytes of TPM2_HMAC and TPM2_SequenceUpdate with one session, without their data.
const HMAC_OVERHEAD: usize = 10 + 4 + 4 + 73 + 2 + 2;

/// Maximum number of data bytes in one command: TPM_PT_INPUT_BUFFER, which is the same for all known chips.
const MAX_BUFFER: usize = 1024;
