//! Keys in the chip, used under one encrypted session that looks after itself.
//!
//! [`Keys`] is what a firmware holds: it opens the pinned parent, loads keys from their blobs, and starts a session and loads
//! again after a reset of the chip, an error or a future that was dropped.

mod blobs;
mod loaded;
mod prf;
mod rng;

pub use blobs::KeyBlobs;
pub use loaded::{HmacKey, SigningKey};
pub use prf::HmacPrf;
pub use rng::TpmRng;

use crate::{
    chip::Chip,
    command::{
        Entity, Hmac, HmacStart, Load, Name, ReadPublic, SequenceComplete, SequenceUpdate,
        SessionType, Sign, Signature,
    },
    error::Error,
    parent::{Parent, ParentKey},
    session::{AuthValue, Password, Session},
    tpm::Tpm,
};
use blobs::Kind;
use loaded::{Loaded, Source};
use rand_core::{CryptoRng, RngCore};

/// A TPM with a pinned parent key and a session that is salted with it, for the use of keys under that parent.
///
/// Keys that are used at the same time must fit the chip beside a parent or a sequence: two, where it has room for three.
pub struct Keys<'m, C, R> {
    tpm: Tpm<'m, C>,
    rng: R,
    parent_key: ParentKey,
    pinned: Name,
    parent: Option<Parent<'m>>,
    session: Option<Session<'m>>,
}

impl<'m, C: Chip, R: CryptoRng + RngCore> Keys<'m, C, R> {
    /// Starts the chip, and holds the name of its parent key against `pinned`.
    ///
    /// `rng` salts the sessions: who can guess its numbers reads the bus. Where a microcontroller's own generator is weak, gather
    /// from several sources; the chip's own numbers alone will not do, for they cross the bus before there is a session.
    ///
    /// # Errors
    /// [`Error::ParentName`], [`Error::Parent`], [`Error::Chip`], [`Error::Tpm`]
    pub async fn open(
        mut tpm: Tpm<'m, C>,
        rng: R,
        parent_key: ParentKey,
        pinned: Name,
    ) -> Result<Self, Error<C::Error>> {
        tpm.start().await?;
        let parent = tpm.parent(parent_key, &pinned).await?;
        Ok(Self {
            tpm,
            rng,
            parent_key,
            pinned,
            parent: Some(parent),
            session: None,
        })
    }

    /// Loads an HMAC-SHA256 key.
    ///
    /// # Errors
    /// [`Error::KeyKind`] if the blobs are of another key, and those of TPM2_Load
    pub async fn load_hmac<'k>(
        &mut self,
        blobs: KeyBlobs<'k>,
        auth_value: AuthValue,
    ) -> Result<HmacKey<'k, 'm>, Error<C::Error>> {
        let (name, _) = Kind::Hmac
            .check(blobs.public_area())
            .ok_or(Error::KeyKind)?;
        let mut key = Loaded::new(Source::Blobs(blobs), name, auth_value);
        self.ensure_loaded_twice(&mut key).await?;
        Ok(HmacKey(key))
    }

    /// Loads an ECDSA key on P-256.
    ///
    /// # Errors
    /// As [`Keys::load_hmac`]
    pub async fn load_signing<'k>(
        &mut self,
        blobs: KeyBlobs<'k>,
        auth_value: AuthValue,
    ) -> Result<SigningKey<'k, 'm>, Error<C::Error>> {
        let (name, point) = Kind::Signing
            .check(blobs.public_area())
            .ok_or(Error::KeyKind)?;
        let mut key = Loaded::new(Source::Blobs(blobs), name, auth_value);
        self.ensure_loaded_twice(&mut key).await?;
        Ok(SigningKey(key, point))
    }

    /// An HMAC-SHA256 key that stays in the chip, under its handle and with the name that was written down when it was made.
    ///
    /// # Errors
    /// [`Error::KeyKind`] if it has another name, or is of another kind, and those of TPM2_ReadPublic
    pub async fn persistent_hmac(
        &mut self,
        object: Entity,
        auth_value: AuthValue,
    ) -> Result<HmacKey<'static, 'm>, Error<C::Error>> {
        self.check_persistent(&object, Kind::Hmac).await?;
        let source = Source::Persistent(object.handle());
        Ok(HmacKey(Loaded::new(source, *object.name(), auth_value)))
    }

    /// An ECDSA key on P-256 that stays in the chip, as [`Keys::persistent_hmac`].
    ///
    /// # Errors
    /// As [`Keys::persistent_hmac`]
    pub async fn persistent_signing(
        &mut self,
        object: Entity,
        auth_value: AuthValue,
    ) -> Result<SigningKey<'static, 'm>, Error<C::Error>> {
        let point = self.check_persistent(&object, Kind::Signing).await?;
        let source = Source::Persistent(object.handle());
        let key = Loaded::new(source, *object.name(), auth_value);
        Ok(SigningKey(key, point))
    }

    /// HMAC-SHA256 over the parts of `data`, one behind the other, of any length; the key does not leave the chip, and neither
    /// data nor result can be read on the bus.
    ///
    /// # Errors
    /// [`Error`]; `out` is then unchanged
    pub async fn hmac(
        &mut self,
        key: &mut HmacKey<'_, 'm>,
        data: [&[u8]; 5],
        out: &mut [u8; 32],
    ) -> Result<(), Error<C::Error>> {
        let mut tries = TRIES;
        loop {
            let done = self.try_hmac(&mut key.0, data, out).await;
            self.tpm.wipe_buffer();
            match self.judge(done, &mut key.0, &mut tries) {
                Some(result) => return result,
                None => continue,
            }
        }
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
        let mut tries = TRIES;
        loop {
            let done = self.try_sign(&mut key.0, digest).await;
            match self.judge(done, &mut key.0, &mut tries) {
                Some(result) => return result,
                None => continue,
            }
        }
    }

    /// Random numbers of the chip's generator, that cannot be read on the bus.
    ///
    /// # Errors
    /// [`Error`]; part of `out` may then be filled
    pub async fn random(&mut self, out: &mut [u8]) -> Result<(), Error<C::Error>> {
        let mut tries = TRIES;
        loop {
            let done = match self.ensure_session().await {
                Ok(()) => self.tpm.random_by(out, self.session.as_mut()).await,
                Err(error) => Err(error),
            };
            match self.judge_session(done, &mut tries) {
                Some(result) => return result,
                None => continue,
            }
        }
    }

    /// A generator for `rand_core`, seeded with 32 bytes of [`Keys::random`].
    ///
    /// # Errors
    /// [`Error`]
    pub async fn rng(&mut self) -> Result<TpmRng, Error<C::Error>> {
        let mut seed = chanbind_core::crypto::Wiped::<32>::default();
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

    /// Flushes parent and session, and every key that has been dropped; gives the chip back.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn close(self) -> Result<C, Error<C::Error>> {
        let Self {
            tpm,
            parent,
            session,
            ..
        } = self;
        drop((parent, session));
        tpm.close().await
    }

    async fn try_hmac(
        &mut self,
        key: &mut Loaded<'_, 'm>,
        data: [&[u8]; 5],
        out: &mut [u8; 32],
    ) -> Result<(), Error<C::Error>> {
        let entity = self.ensure_ready(key).await?;
        let session = self.session.as_mut().ok_or(Error::SessionInDoubt)?;
        let mut authorization = session.authorizing(&key.auth_value);
        let len = data
            .iter()
            .fold(0usize, |sum, part| sum.saturating_add(part.len()));
        let room = self.tpm.buffer_len().saturating_sub(HMAC_OVERHEAD);
        if len <= room.min(MAX_BUFFER) {
            let command = Hmac { key: &entity, data };
            let hmac = self
                .tpm
                .execute(&command, &mut [&mut authorization])
                .await?;
            *out = hmac.try_into().map_err(|_| Error::KeyKind)?;
            return Ok(());
        }
        // The chip has to hold the sequence, too.
        self.parent = None;
        let start = HmacStart {
            key: &entity,
            auth: &[],
        };
        let handle = self.tpm.execute(&start, &mut [&mut authorization]).await?;
        let sequence = self.tpm.contexts().adopt(handle);
        let entity = Entity::object(handle, Name::new(&[]).map_err(|_| Error::Malformed)?);
        let auth_value = AuthValue::empty();
        for part in data {
            for chunk in part.chunks(room.clamp(1, MAX_BUFFER)) {
                let update = SequenceUpdate {
                    sequence: &entity,
                    data: chunk,
                };
                self.tpm
                    .execute(&update, &mut [&mut session.authorizing(&auth_value)])
                    .await?;
            }
        }
        let complete = SequenceComplete {
            sequence: &entity,
            data: &[],
        };
        let hmac = self
            .tpm
            .execute(&complete, &mut [&mut session.authorizing(&auth_value)])
            .await?;
        *out = hmac.try_into().map_err(|_| Error::KeyKind)?;
        drop(sequence);
        Ok(())
    }

    async fn try_sign(
        &mut self,
        key: &mut Loaded<'_, 'm>,
        digest: &[u8; 32],
    ) -> Result<Signature, Error<C::Error>> {
        let entity = self.ensure_ready(key).await?;
        let session = self.session.as_mut().ok_or(Error::SessionInDoubt)?;
        let command = Sign {
            key: &entity,
            digest,
        };
        let mut authorization = session.authorizing(&key.auth_value);
        self.tpm.execute(&command, &mut [&mut authorization]).await
    }

    /// The key loaded, and a session that can be used.
    async fn ensure_ready(&mut self, key: &mut Loaded<'_, 'm>) -> Result<Entity, Error<C::Error>> {
        self.ensure_loaded(key).await?;
        self.ensure_session().await?;
        Ok(key.entity())
    }

    async fn ensure_session(&mut self) -> Result<(), Error<C::Error>> {
        if !self.session.as_ref().is_some_and(Session::is_usable) {
            self.session = None;
            self.ensure_parent().await?;
            let parent = self.parent.as_ref().ok_or(Error::Reset)?;
            let session = self
                .tpm
                .start_session(parent, SessionType::Hmac, &mut self.rng)
                .await?;
            self.session = Some(session);
        }
        Ok(())
    }

    async fn ensure_parent(&mut self) -> Result<(), Error<C::Error>> {
        if !self.parent.as_ref().is_some_and(Parent::is_live) {
            self.parent = None;
            self.parent = Some(self.tpm.parent(self.parent_key, &self.pinned).await?);
        }
        Ok(())
    }

    async fn ensure_loaded_twice(
        &mut self,
        key: &mut Loaded<'_, 'm>,
    ) -> Result<(), Error<C::Error>> {
        let mut tries = TRIES;
        loop {
            let done = self.ensure_loaded(key).await;
            match self.judge(done, key, &mut tries) {
                Some(result) => return result,
                None => continue,
            }
        }
    }

    async fn ensure_loaded(&mut self, key: &mut Loaded<'_, 'm>) -> Result<(), Error<C::Error>> {
        let Some(blobs) = key.to_load() else {
            return Ok(());
        };
        self.ensure_parent().await?;
        let parent = self.parent.as_ref().ok_or(Error::Reset)?;
        // Neither blob is a secret, and a key under another name than the one computed here could not be used.
        let command = Load {
            parent: parent.entity(),
            private: blobs.private(),
            public: blobs.public(),
        };
        let handle = self
            .tpm
            .execute(&command, &mut [&mut Password::empty()])
            .await?
            .handle;
        key.slot = Some(self.tpm.contexts().adopt(handle));
        Ok(())
    }

    async fn check_persistent(
        &mut self,
        object: &Entity,
        kind: Kind,
    ) -> Result<crate::command::EccPoint, Error<C::Error>> {
        let command = ReadPublic { object };
        let response = self.tpm.execute(&command, &mut []).await?;
        match kind.check(response.public_area) {
            Some((name, point)) if name == *object.name() => Ok(point),
            _ => Err(Error::KeyKind),
        }
    }

    /// The result to give, or `None` to try once more, with what is lost made anew.
    fn judge<T>(
        &mut self,
        done: Result<T, Error<C::Error>>,
        key: &mut Loaded<'_, 'm>,
        tries: &mut u8,
    ) -> Option<Result<T, Error<C::Error>>> {
        let result = self.judge_session(done, tries);
        if result.is_none() {
            key.slot = None;
        }
        result
    }

    fn judge_session<T>(
        &mut self,
        done: Result<T, Error<C::Error>>,
        tries: &mut u8,
    ) -> Option<Result<T, Error<C::Error>>> {
        let Err(error) = done else {
            return Some(done);
        };
        // A refusal is not authenticated: what follows it starts from a session that is in no doubt.
        self.session = None;
        let is_lost = match &error {
            Error::Reset | Error::SessionInDoubt => true,
            Error::Tpm { code, .. } => code.tells_of_reset(),
            _ => false,
        };
        if !is_lost || *tries == 0 {
            return Some(Err(error));
        }
        *tries = tries.saturating_sub(1);
        self.parent = None;
        None
    }
}

/// How often what a reset has taken is made again: chips that reset again and again are not to be chased.
const TRIES: u8 = 2;

/// What TPM2_HMAC and TPM2_SequenceUpdate have around their data, with one session.
const HMAC_OVERHEAD: usize = 10 + 4 + 4 + 73 + 2 + 2;

/// TPM2_MAX_BUFFER, as every chip has it.
const MAX_BUFFER: usize = 1024;
