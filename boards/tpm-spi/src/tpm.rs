use crate::{
    chip::Chip,
    command::{
        Capability, Command, CommandCode, CreatePrimary, ErrorCode, FlushContext, GetCapability,
        GetRandom, Handle, ResponseCode, SessionType, StartAuthSession, Startup, StartupType,
    },
    contexts::Contexts,
    error::Error,
    frame::{self, Authorizations},
    log,
    parent::{Parent, ParentKey},
    session::{Password, Salt, Session},
};
use chanbind_core::{crypto::wipe, wire::Reader};
use core::ops::Range;
use rand_core::{CryptoRng, RngCore};

/// A TPM and the memory that its commands need: one buffer for command and response, and the list of what is in the chip.
///
/// It takes the chip to be its own. What others left in it, or an earlier run of the firmware, is flushed.
pub struct Tpm<'m, C> {
    chip: C,
    buffer: &'m mut [u8],
    contexts: &'m Contexts,
    /// A command went out and its response has not been seen.
    in_flight: bool,
    /// The chip may hold what nobody here knows of.
    unaccounted: bool,
}

impl<'m, C: Chip> Tpm<'m, C> {
    /// Every command of this crate, and its response, fits a buffer of this many bytes.
    pub const BUFFER_LEN: usize = 512;

    /// The chip, with a buffer of [`Tpm::BUFFER_LEN`] bytes as a rule. [`Tpm::start`] comes next.
    pub fn new(chip: C, buffer: &'m mut [u8], contexts: &'m mut Contexts) -> Self {
        Self {
            chip,
            buffer,
            contexts,
            in_flight: false,
            unaccounted: true,
        }
    }

    /// Has the chip start, if it has not yet (TPM2_Startup, TPM_SU_CLEAR), and flushes what is in it.
    ///
    /// # Errors
    /// [`Error::Chip`], [`Error::Tpm`]
    pub async fn start(&mut self) -> Result<(), Error<C::Error>> {
        match self.execute(&Startup(StartupType::Clear), &mut []).await {
            Ok(())
            | Err(Error::Tpm {
                // It has started already.
                code: ResponseCode::Error(ErrorCode::Initialize),
                ..
            }) => self.settle().await,
            Err(error) => Err(error),
        }
    }

    /// Runs one command, authorized by `authorizations`: passwords and sessions in the order of the command's handles, then, if
    /// wanted, a session that only encrypts. The response is in the TPM's buffer until the next command.
    ///
    /// What the command makes in the chip is the caller's to flush, by [`FlushContext`]; it is flushed with all else when a later
    /// command is given up. A chip that is busy (TPM_RC_RETRY, _YIELDED, _NV_RATE) or testing itself (TPM_RC_TESTING) is asked
    /// again for up to 5 seconds.
    ///
    /// # Errors
    /// [`Error`]; the future may be dropped at any point.
    pub async fn execute<'s, K: Command>(
        &'s mut self,
        command: &K,
        authorizations: Authorizations<'_, '_>,
    ) -> Result<K::Response<'s>, Error<C::Error>> {
        if K::CODE != CommandCode::STARTUP {
            self.settle().await?;
        }
        let (handle, parameters) = self.run(command, authorizations).await?;
        let mut parameters = Reader::new(self.buffer.get(parameters).unwrap_or_default());
        let response = command
            .response(handle, &mut parameters)
            .map_err(|_| Error::Malformed)?;
        if !parameters.is_empty() {
            return Err(Error::Malformed);
        }
        Ok(response)
    }

    /// Fills `out` from the chip's random number generator; unencrypted, so not for secrets where the bus may be listened to:
    /// [`crate::key::Keys::random`] is.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn random(&mut self, out: &mut [u8]) -> Result<(), Error<C::Error>> {
        self.random_by(out, None).await
    }

    pub(crate) async fn random_by(
        &mut self,
        mut out: &mut [u8],
        mut session: Option<&mut Session<'m>>,
    ) -> Result<(), Error<C::Error>> {
        while !out.is_empty() {
            let wanted = out.len().min(RANDOM_AT_ONCE);
            let command = GetRandom {
                bytes_requested: u16::try_from(wanted).unwrap_or(1),
            };
            let bytes = match session.as_deref_mut() {
                Some(session) => {
                    self.execute(&command, &mut [&mut session.encrypting()])
                        .await?
                }
                None => self.execute(&command, &mut []).await?,
            };
            let (now, later) = out
                .split_at_mut_checked(bytes.len())
                .filter(|(now, _)| !now.is_empty())
                .ok_or(Error::Malformed)?;
            now.copy_from_slice(bytes);
            out = later;
        }
        wipe(self.buffer);
        Ok(())
    }

    /// Gets a storage key ready to be a parent, and to salt sessions with.
    ///
    /// The name is computed of the public area that the chip gave, and compared with `pinned`, the one that was written down
    /// when the device was provisioned; without it, whoever sits on the bus can put a key of their own in its place, and read and
    /// forge everything.
    ///
    /// # Errors
    /// [`Error::ParentName`], [`Error::Parent`], and those of the command
    pub async fn parent(
        &mut self,
        key: ParentKey,
        pinned: &crate::command::Name,
    ) -> Result<Parent<'m>, Error<C::Error>> {
        let contexts = self.contexts;
        let parent = match key {
            ParentKey::Primary(template) => {
                let command = CreatePrimary {
                    hierarchy: &crate::command::Entity::OWNER,
                    template,
                };
                let response = self
                    .execute(&command, &mut [&mut Password::empty()])
                    .await?;
                let (handle, area) = (response.handle, Parent::parse(response.public_area));
                let slot = contexts.adopt(handle);
                let (name, point) = area.ok_or(Error::Parent)?;
                Parent::new(handle, name, point, Some(slot))
            }
            ParentKey::Persistent(handle) => {
                let object = crate::command::Entity::named_by_handle(handle);
                let command = crate::command::ReadPublic { object: &object };
                let response = self.execute(&command, &mut []).await?;
                let (name, point) = Parent::parse(response.public_area).ok_or(Error::Parent)?;
                Parent::new(handle, name, point, None)
            }
        };
        // The name is no secret.
        if parent.entity().name() != pinned {
            return Err(Error::ParentName);
        }
        Ok(parent)
    }

    /// Starts a session that is salted with `parent`. The random numbers must be good: who can guess them reads the bus.
    ///
    /// # Errors
    /// [`Error::Parent`] if its public key is not on the curve, and those of the command
    pub async fn start_session(
        &mut self,
        parent: &Parent<'m>,
        session_type: SessionType,
        rng: &mut (impl CryptoRng + RngCore),
    ) -> Result<Session<'m>, Error<C::Error>> {
        let salt = Salt::new(parent.point(), rng).ok_or(Error::Parent)?;
        let command = StartAuthSession {
            tpm_key: parent.entity(),
            nonce_caller: salt.nonce_caller(),
            salt: salt.ephemeral(),
            session_type,
        };
        let response = self.execute(&command, &mut []).await?;
        let slot = self.contexts.adopt(response.handle);
        Ok(Session::new(slot, session_type, &salt, response.nonce_tpm))
    }

    /// Flushes what has been dropped, and what is unaccounted for. Every command does so first; call it to do it now.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn settle(&mut self) -> Result<(), Error<C::Error>> {
        self.unaccounted |= core::mem::take(&mut self.in_flight);
        if self.unaccounted {
            for kind in [TRANSIENT, LOADED_SESSIONS] {
                while let Some(stray) = self.stray(kind).await? {
                    log!(debug, "flush {=u32:08x}, left behind", stray.0);
                    self.flush(stray).await?;
                }
            }
            self.unaccounted = false;
        }
        while let Some(handle) = self.contexts.dropped() {
            self.flush(handle).await?;
        }
        Ok(())
    }

    /// Gives the chip back.
    ///
    /// # Errors
    /// [`Error`], if what was dropped cannot be flushed
    pub async fn close(mut self) -> Result<C, Error<C::Error>> {
        self.settle().await?;
        wipe(self.buffer);
        Ok(self.chip)
    }

    /// The way to the chip.
    pub fn chip_mut(&mut self) -> &mut C {
        &mut self.chip
    }

    pub(crate) fn contexts(&self) -> &'m Contexts {
        self.contexts
    }

    pub(crate) fn wipe_buffer(&mut self) {
        wipe(self.buffer);
    }

    pub(crate) fn buffer_len(&self) -> usize {
        self.buffer.len()
    }

    /// Something in the chip that is not on the list.
    async fn stray(&mut self, kind: u32) -> Result<Option<Handle>, Error<C::Error>> {
        let command = GetCapability {
            capability: Capability::HANDLES,
            property: kind,
            count: 16,
        };
        let (handle, parameters) = self.run(&command, &mut []).await?;
        let mut parameters = Reader::new(self.buffer.get(parameters).unwrap_or_default());
        let response = command
            .response(handle, &mut parameters)
            .map_err(|_| Error::Malformed)?;
        let contexts = self.contexts;
        Ok(response
            .handles()
            .filter(|handle| handle.is_transient() || handle.is_session())
            .find(|&handle| {
                // What was dropped is flushed by its own entry.
                !contexts.contains(handle)
            }))
    }

    async fn flush(&mut self, handle: Handle) -> Result<(), Error<C::Error>> {
        match self.run(&FlushContext { handle }, &mut []).await {
            // What is gone already is as good as flushed.
            Ok(_) | Err(Error::Reset) => {}
            Err(Error::Tpm {
                code: ResponseCode::FormatOne { .. },
                ..
            }) => {}
            Err(error) => return Err(error),
        }
        self.contexts.remove(handle);
        Ok(())
    }

    async fn run<K: Command>(
        &mut self,
        command: &K,
        authorizations: Authorizations<'_, '_>,
    ) -> Result<(Handle, Range<usize>), Error<C::Error>> {
        if !authorizations
            .iter()
            .all(|authorization| authorization.is_usable())
        {
            return Err(Error::SessionInDoubt);
        }
        if K::RESPONSE_HANDLE && !self.contexts.has_room() {
            return Err(Error::TooManyContexts);
        }
        let len = frame::encode(self.buffer, command, authorizations)?;
        let needs_nothing = authorizations
            .iter()
            .all(|authorization| authorization.area_len() < 64)
            && command
                .entities()
                .iter()
                .flatten()
                .all(|entity| !entity.handle().is_transient() && !entity.handle().is_session());
        for authorization in authorizations.iter_mut() {
            authorization.sent();
        }
        let sent = self.transmit(K::CODE, len, needs_nothing).await;
        if matches!(sent, Err(Error::Tpm { .. })) {
            for authorization in authorizations.iter_mut() {
                authorization.refused();
            }
        }
        let len = sent?;
        let response = self.buffer.get_mut(..len).unwrap_or_default();
        // Until the response is believed, what it made is unaccounted for.
        let unaccounted = core::mem::replace(&mut self.unaccounted, true);
        let (handle, parameters) = frame::open::<K>(response, authorizations)?;
        self.unaccounted = unaccounted;
        if K::RESPONSE_HANDLE {
            self.contexts.add(handle);
        }
        if let Some(handle) = command.flushes() {
            self.contexts.remove(handle);
        }
        Ok((handle, parameters))
    }

    /// Sends the first `len` bytes of the buffer until there is a response other than "ask again"; gives the length of one
    /// that tells of success.
    async fn transmit(
        &mut self,
        code: CommandCode,
        len: usize,
        needs_nothing: bool,
    ) -> Result<usize, Error<C::Error>> {
        // A refusal is as long as a header and overwrites the command's; starting the chip takes two bytes more.
        let front = self
            .buffer
            .first_chunk::<STARTUP_LEN>()
            .copied()
            .ok_or(Error::TooLong)?;
        let (mut waited, mut pause) = (0u32, SHORTEST_PAUSE);
        loop {
            let refusal = match self.exchange(code, len).await? {
                Ok(len) => return Ok(len),
                Err(refusal) => refusal,
            };
            if refusal.is_try_again() && waited < LONGEST_WAIT {
                self.chip.pause(pause).await;
                waited = waited.saturating_add(pause);
                pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
            } else if refusal == ResponseCode::Error(ErrorCode::Initialize)
                && code != CommandCode::STARTUP
                && waited < LONGEST_WAIT
            {
                self.restart().await?;
                if !needs_nothing {
                    return Err(Error::Reset);
                }
                // Once is enough.
                waited = LONGEST_WAIT;
            } else {
                log!(debug, "{=str} refused: {}", code.name(), refusal);
                return Err(Error::Tpm {
                    command: code,
                    code: refusal,
                });
            }
            if let Some(start) = self.buffer.first_chunk_mut() {
                *start = front;
            }
        }
    }

    /// The chip has lost everything.
    async fn restart(&mut self) -> Result<(), Error<C::Error>> {
        log!(warn, "the TPM was reset");
        self.contexts.forget_all();
        // Unless it was somebody on the bus who said so.
        self.unaccounted = true;
        let startup = Startup(StartupType::Clear);
        let len = frame::encode(self.buffer, &startup, &mut [])?;
        match self.exchange(CommandCode::STARTUP, len).await? {
            Ok(_) | Err(ResponseCode::Error(ErrorCode::Initialize)) => Ok(()),
            Err(code) => Err(Error::Tpm {
                command: CommandCode::STARTUP,
                code,
            }),
        }
    }

    /// One command and its response, whatever it is.
    async fn exchange(
        &mut self,
        code: CommandCode,
        len: usize,
    ) -> Result<Result<usize, ResponseCode>, Error<C::Error>> {
        log!(trace, "{=str}, {=usize} bytes", code.name(), len);
        self.in_flight = true;
        let len = self
            .chip
            .exchange(self.buffer, len, code.limit_ms())
            .await
            .map_err(Error::Chip)?;
        let response = self.buffer.get(..len).ok_or(Error::Malformed)?;
        let response_code = frame::response_code(response).map_err(|_| Error::Malformed)?;
        self.in_flight = false;
        Ok(match response_code {
            0 => Ok(len),
            _ if len == frame::HEADER_LEN => Err(ResponseCode::new(response_code)),
            _ => return Err(Error::Malformed),
        })
    }
}

/// Chips give 32 to 64 bytes at a time.
const RANDOM_AT_ONCE: usize = 32;

/// The first handles of their kinds.
const TRANSIENT: u32 = 0x8000_0000;
const LOADED_SESSIONS: u32 = 0x0200_0000;

/// A TPM2_Startup command.
const STARTUP_LEN: usize = 12;

/// Milliseconds between two tries, and of all pauses together.
const SHORTEST_PAUSE: u32 = 5;
const LONGEST_PAUSE: u32 = 500;
const LONGEST_WAIT: u32 = 5_000;
