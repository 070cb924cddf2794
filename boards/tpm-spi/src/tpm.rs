use crate::{
    chip::Chip,
    command::{
        Capability, Command, CommandCode, FlushContext, GetCapability, Handle, Name, ResponseCode,
        SessionType, Shutdown, StartupType,
    },
    contexts::Contexts,
    error::Error,
    frame::{self, Authorizations, Marshal},
    log,
    parent::{Parent, ParentKey},
    random::RandomJob,
    session::{Authorize, Password, Salt, Session},
};
use chanbind_core::{crypto::wipe, wire::Reader};
use core::{fmt, ops::Range};
use rand_core::{CryptoRng, RngCore};

/// A TPM and the memory that its commands need: one buffer for command and response, and the list of contexts in the chip.
///
/// Requires exclusive use of the chip: sessions and transient objects that other software or an earlier run of the firmware left
/// in the chip are flushed.
pub struct Tpm<'m, C> {
    chip: C,
    buffer: Buffer<'m>,
    contexts: &'m Contexts,
    /// True if a command was sent and its response has not been received.
    in_flight: bool,
    /// The progress of the search for stray contexts: those that are in the chip but not in the list.
    sweep: Sweep,
    /// The stray context that the search has found and that is to be flushed next.
    stray: Option<Handle>,
    /// Number of stray contexts that the search has found.
    strays: u8,
    startup: StartupType,
}

/// The progress of the search for stray contexts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sweep {
    Objects,
    Sessions,
    Done,
}

impl<'m, C: Chip> Tpm<'m, C> {
    /// Buffer length in bytes that suffices for every command of this crate and its response. An RSA key that is created or read
    /// in a session needs 100 bytes more, and long data needs its own length, except in [`crate::key::TpmKeys::hmac`], which
    /// splits it.
    pub const BUFFER_LEN: usize = 512;

    /// Creates a TPM from a chip and a buffer, usually of [`Tpm::BUFFER_LEN`] bytes. Performs no I/O; call [`Tpm::start`] next.
    pub fn new(chip: C, buffer: &'m mut [u8], contexts: &'m mut Contexts) -> Self {
        Self {
            chip,
            buffer: Buffer(buffer),
            contexts,
            in_flight: false,
            sweep: Sweep::Objects,
            stray: None,
            strays: 0,
            startup: StartupType::Clear,
        }
    }

    /// Sets the type of startup and shutdown; the default is [`StartupType::Clear`]. With [`StartupType::State`], PCRs and other
    /// state that the last shutdown saved survive a loss of power; a chip without saved state is started with
    /// [`StartupType::Clear`].
    #[must_use]
    pub fn with_startup(mut self, startup: StartupType) -> Self {
        self.startup = startup;
        self
    }

    /// Starts the chip (TPM2_Startup) if it is not started yet, and flushes the contexts in it.
    ///
    /// # Errors
    /// [`Error::Chip`] if an exchange fails, [`Error::Tpm`] if the chip rejects a command, [`Error::Malformed`] if a response is
    /// invalid or the chip does not flush its contexts.
    pub async fn start(&mut self) -> Result<(), Error<C::Error>> {
        // The command that reads the list of contexts also makes `submit` start a chip that was reset.
        self.settle().await
    }

    /// Runs one command, authorized by `authorizations`: passwords and sessions in the order of the command's handles, optionally
    /// followed by a session that only encrypts. The response borrows the TPM's buffer.
    ///
    /// The caller must flush objects and sessions that the command creates in the chip, with [`FlushContext`]; otherwise they
    /// stay until the chip is closed and opened again. While the chip is busy (TPM_RC_RETRY, _YIELDED, _NV_RATE) or runs a
    /// self-test (TPM_RC_TESTING), the command is sent again for up to 5 seconds. The future may be dropped at any point.
    ///
    /// # Errors
    /// - [`Error::Chip`] if the exchange fails;
    /// - [`Error::Tpm`] if the TPM rejects the command;
    /// - [`Error::Reset`] if the chip was reset and the command names an entity;
    /// - [`Error::NotAuthentic`] or [`Error::Malformed`] if the response is invalid;
    /// - [`Error::TooLong`], [`Error::Authorizations`], [`Error::SessionInDoubt`] or [`Error::TooManyContexts`] if the command
    ///   cannot be sent.
    pub async fn execute<'s, K: Command>(
        &'s mut self,
        command: &K,
        authorizations: Authorizations<'_, '_>,
    ) -> Result<K::Response<'s>, Error<C::Error>> {
        let erased: &dyn Marshal = command;
        let contexts = self.contexts;
        let (handle, mut parameters) = self.submit(Some(erased), authorizations).await?;
        match command.response(handle, &mut parameters) {
            Ok(response) if parameters.is_empty() => Ok(response),
            _ => {
                if K::RESPONSE_HANDLE {
                    // The response is invalid: flush the context that the command has created.
                    drop(contexts.adopt(handle));
                }
                Err(Error::Malformed)
            }
        }
    }

    /// Fills `out` from the chip's random number generator. The bytes cross the bus unencrypted: for secrets, use
    /// [`crate::key::TpmKeys::random`] where an attacker may read the bus.
    ///
    /// # Errors
    /// Those of [`Tpm::execute`]; part of `out` may then be filled.
    pub async fn random(&mut self, out: &mut [u8]) -> Result<(), Error<C::Error>> {
        let mut job = RandomJob::new(out);
        while !job.is_done() {
            let command = job.command();
            let bytes = self.execute(&command, &mut []).await?;
            job.put(bytes).map_err(|_| Error::Malformed)?;
        }
        Ok(())
    }

    /// Opens a storage key, as a parent of keys and to salt sessions.
    ///
    /// Computes the name of the key from the public area that the chip returns, and compares it with `pinned`, the name that was
    /// recorded when the device was provisioned. Without this check, an attacker on the bus could substitute a key of their own,
    /// and read and forge all traffic.
    ///
    /// # Errors
    /// [`Error::ParentName`] if the name is not the pinned one, [`Error::Parent`] if the key is not a storage key on P-256, and
    /// those of [`Tpm::execute`].
    pub async fn parent(
        &mut self,
        key: ParentKey,
        pinned: &Name,
    ) -> Result<Parent<'m>, Error<C::Error>> {
        let entity = key.entity(pinned);
        let command = key.command(&entity);
        let mut password = Password::empty();
        let mut authorization: [&mut dyn Authorize; 1] = [&mut password];
        let authorizations = authorization
            .get_mut(..command.shape().authorizations)
            .unwrap_or_default();
        let contexts = self.contexts;
        let (handle, mut response) = self.submit(Some(&command), authorizations).await?;
        Parent::accept(key, handle, &mut response, contexts, pinned)
    }

    /// Starts a session that is salted with `parent`. The output of `rng` must be unpredictable: an attacker who can guess it can
    /// read the bus.
    ///
    /// # Errors
    /// [`Error::Parent`] if the parent's public key is not on the curve, and those of [`Tpm::execute`].
    pub async fn start_session(
        &mut self,
        parent: &Parent<'m>,
        session_type: SessionType,
        rng: &mut (impl CryptoRng + RngCore),
    ) -> Result<Session<'m>, Error<C::Error>> {
        let salt = Salt::new(parent.point(), rng).ok_or(Error::Parent)?;
        let command = salt.command(parent.entity(), session_type);
        let response = self.execute(&command, &mut []).await?;
        let slot = self.contexts.adopt(response.handle);
        Ok(Session::new(slot, session_type, &salt, response.nonce_tpm))
    }

    /// Flushes contexts that were dropped and stray contexts. Commands do so first, except those that also work on a chip in
    /// failure mode, such as TPM2_SelfTest; call this function to do it now.
    ///
    /// # Errors
    /// Those of [`Tpm::start`].
    pub async fn settle(&mut self) -> Result<(), Error<C::Error>> {
        self.submit(None, &mut []).await.map(|_| ())
    }

    /// Flushes dropped contexts, shuts the chip down (TPM2_Shutdown) and returns it. Its power may be removed afterwards; without
    /// a shutdown, a loss of power counts as a failed authorization if a key with dictionary attack protection was used.
    ///
    /// # Errors
    /// [`CloseFailure`], which also contains the chip, if flushing or TPM2_Shutdown fails.
    pub async fn close(mut self) -> Result<C, CloseFailure<C>> {
        let shutdown = Shutdown(self.startup);
        let settled = self.settle().await;
        let closed = match settled {
            Ok(()) => self.execute(&shutdown, &mut []).await,
            Err(error) => Err(error),
        };
        match closed {
            Ok(()) => Ok(self.chip),
            Err(error) => Err(CloseFailure {
                error,
                chip: self.chip,
            }),
        }
    }

    /// Returns the chip, without flushing it or shutting it down.
    pub fn release(self) -> C {
        self.chip
    }

    /// Returns a mutable reference to the chip.
    pub fn chip_mut(&mut self) -> &mut C {
        &mut self.chip
    }

    pub(crate) fn contexts(&self) -> &'m Contexts {
        self.contexts
    }

    /// Returns a range of the last response.
    fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.buffer.0.get(range).unwrap_or_default()
    }

    /// Wipes the buffer, which still holds the last command and response. Dropping the TPM wipes it, too.
    pub fn wipe(&mut self) {
        wipe(self.buffer.0);
    }

    pub(crate) fn buffer_len(&self) -> usize {
        self.buffer.0.len()
    }

    /// Runs pending chores, then the command, if any. All commands share this function, so that firmware links it once.
    pub(crate) async fn submit(
        &mut self,
        command: Option<&dyn Marshal>,
        authorizations: Authorizations<'_, '_>,
    ) -> Result<(Handle, Reader<'_>), Error<C::Error>> {
        if core::mem::take(&mut self.in_flight) {
            self.sweep = Sweep::Objects;
        }
        loop {
            let is_for_repair = command.is_some_and(|command| command.shape().code.is_for_repair());
            let chore = if is_for_repair {
                None
            } else {
                self.next_chore()
            };
            let mut no_authorizations: [&mut dyn Authorize; 0] = [];
            let (command, authorizations): (&dyn Marshal, Authorizations<'_, '_>) =
                match (&chore, command) {
                    (Some(Chore::FindStrays(find)), _) => (find, &mut no_authorizations),
                    (Some(Chore::Flush(flush)), _) => (flush, &mut no_authorizations),
                    (None, Some(command)) => (command, &mut *authorizations),
                    (None, None) => return Ok((Handle::NULL, Reader::new(&[]))),
                };
            let mut task = Task::default();
            let len = loop {
                // Marshal the command for every attempt: the response to the previous attempt has overwritten it.
                let len = match self.prepare(command, authorizations, &task) {
                    Ok(len) => len,
                    Err(error) => {
                        mark_refused(authorizations);
                        break Err(error);
                    }
                };
                let shape = command.shape();
                self.in_flight = true;
                let exchanged = self.chip.exchange(self.buffer.0, len, shape.limit_ms).await;
                let survives_reset = matches!(command.entities(), [None, ..]);
                match self.check_status(exchanged, &mut task, shape.code, survives_reset) {
                    Ok(Verdict::Done(len)) => break Ok(len),
                    Ok(Verdict::Retry(pause)) => {
                        mark_refused(authorizations);
                        self.chip.pause(pause).await;
                    }
                    Err(error) => break Err(error),
                }
            };
            let done = match len {
                Ok(len) => self.accept(command, authorizations, len),
                Err(error) => {
                    if matches!(error, Error::Tpm { .. }) {
                        mark_refused(authorizations);
                    }
                    Err(error)
                }
            };
            match chore {
                None => {
                    let (handle, parameters) = done?;
                    return Ok((handle, Reader::new(self.bytes(parameters))));
                }
                Some(chore) => self.finish_chore(&chore, done)?,
            }
        }
    }

    fn next_chore(&self) -> Option<Chore> {
        let kind = match self.sweep {
            Sweep::Objects => TRANSIENT,
            Sweep::Sessions => LOADED_SESSIONS,
            Sweep::Done => {
                return self
                    .contexts
                    .next_dropped()
                    .map(|handle| Chore::Flush(FlushContext { handle }));
            }
        };
        Some(match self.stray {
            Some(handle) => Chore::Flush(FlushContext { handle }),
            None => Chore::FindStrays(GetCapability {
                capability: Capability::HANDLES,
                property: kind,
                count: 16,
            }),
        })
    }

    fn finish_chore(
        &mut self,
        chore: &Chore,
        done: Result<(Handle, Range<usize>), Error<C::Error>>,
    ) -> Result<(), Error<C::Error>> {
        match (chore, done) {
            (Chore::FindStrays(find), Ok((handle, parameters))) => {
                let mut parameters = Reader::new(self.bytes(parameters));
                let response = find
                    .response(handle, &mut parameters)
                    .map_err(|_| Error::Malformed)?;
                let contexts = self.contexts;
                let stray = response.handles().find(|&handle| {
                    (handle.is_transient() || handle.is_session()) && !contexts.contains(handle)
                });
                self.stray = stray;
                if stray.is_some() {
                    // A chip has room for few contexts: this one does not flush them, or its responses are forged.
                    self.strays = self.strays.saturating_add(1);
                    if self.strays > MAX_STRAYS {
                        self.strays = 0;
                        self.stray = None;
                        return Err(Error::Malformed);
                    }
                } else {
                    self.strays = 0;
                    self.sweep = match self.sweep {
                        Sweep::Objects => Sweep::Sessions,
                        _ => Sweep::Done,
                    };
                }
                Ok(())
            }
            (
                Chore::Flush(flush),
                // The context need not be flushed if the chip no longer holds it.
                Ok(_)
                | Err(Error::Reset)
                | Err(Error::Tpm {
                    code: ResponseCode::FormatOne { .. },
                    ..
                }),
            ) => {
                self.contexts.remove(flush.handle);
                self.stray = None;
                Ok(())
            }
            (_, Err(error)) => Err(error),
        }
    }

    /// Marshals the command into the buffer, or TPM2_Startup if the chip must be started first. Returns the length in bytes.
    fn prepare(
        &mut self,
        command: &dyn Marshal,
        authorizations: Authorizations<'_, '_>,
        task: &Task,
    ) -> Result<usize, Error<C::Error>> {
        if task.is_starting {
            let mut startup = STARTUP;
            if self.startup == StartupType::State && !task.has_no_state {
                let [.., last] = &mut startup;
                *last = 1;
            }
            *self.buffer.0.first_chunk_mut().ok_or(Error::TooLong)? = startup;
            return Ok(startup.len());
        }
        if command.shape().response_handle && !self.contexts.has_room() {
            return Err(Error::TooManyContexts);
        }
        Ok(frame::encode(self.buffer.0, command, authorizations)?)
    }

    /// Decides the next step after an exchange, by its response code or its error.
    #[inline(never)]
    fn check_status(
        &mut self,
        exchanged: Result<usize, C::Error>,
        task: &mut Task,
        command: CommandCode,
        survives_reset: bool,
    ) -> Result<Verdict, Error<C::Error>> {
        let len = exchanged.map_err(Error::Chip)?;
        let response = self.buffer.0.get(..len).ok_or(Error::Malformed)?;
        let code = frame::response_code(response).map_err(|_| Error::Malformed)?;
        if code != 0 && len != frame::HEADER_LEN {
            return Err(Error::Malformed);
        }
        self.in_flight = false;
        if RETRY_CODES.contains(&code) && task.waited < LONGEST_WAIT {
            // Half of the total waiting time so far.
            let pause = (task.waited >> 1).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
            task.waited = task.waited.saturating_add(pause);
            return Ok(Verdict::Retry(pause));
        }
        match (code, core::mem::take(&mut task.is_starting)) {
            (0, false) => Ok(Verdict::Done(len)),
            // TPM2_Startup returns TPM_RC_INITIALIZE if the chip was started already.
            (0 | INITIALIZE, true) if survives_reset => Ok(Verdict::Retry(0)),
            (0 | INITIALIZE, true) => Err(Error::Reset),
            (NO_STATE, true) if !task.has_no_state => {
                task.is_starting = true;
                task.has_no_state = true;
                Ok(Verdict::Retry(0))
            }
            (INITIALIZE, false) if !task.was_started && command != CommandCode::STARTUP => {
                log!(info, "the TPM was reset: starting it");
                self.contexts.remove_all();
                // The response code may be forged; the contexts are then still in the chip.
                self.sweep = Sweep::Objects;
                task.was_started = true;
                task.is_starting = true;
                Ok(Verdict::Retry(0))
            }
            (code, was_starting) => {
                let command = if was_starting {
                    CommandCode::STARTUP
                } else {
                    command
                };
                log!(
                    debug,
                    "{=str} was rejected with response code {=u32:x}",
                    command.name(),
                    code
                );
                let code = ResponseCode::new(code);
                Err(Error::Tpm { command, code })
            }
        }
    }

    /// Verifies a successful response and updates the list of contexts by it.
    fn accept(
        &mut self,
        command: &dyn Marshal,
        authorizations: Authorizations<'_, '_>,
        len: usize,
    ) -> Result<(Handle, Range<usize>), Error<C::Error>> {
        let response = self.buffer.0.get_mut(..len).unwrap_or_default();
        let shape = command.shape();
        // If the response is invalid, the context that the command created is a stray one.
        let sweep = core::mem::replace(&mut self.sweep, Sweep::Objects);
        let (handle, parameters) = frame::open(response, shape, authorizations)?;
        self.sweep = sweep;
        if shape.response_handle {
            self.contexts.add(handle);
        }
        if let Some(handle) = command.flushes() {
            self.contexts.remove(handle);
        }
        Ok((handle, parameters))
    }
}

/// Records in the authorizations that the command was not sent, or was rejected.
fn mark_refused(authorizations: Authorizations<'_, '_>) {
    for authorization in authorizations {
        authorization.refused();
    }
}

/// The error of [`Tpm::close`], with the chip.
pub struct CloseFailure<C: Chip> {
    /// The error of the command that failed.
    pub error: Error<C::Error>,
    /// The chip.
    pub chip: C,
}

impl<C: Chip> fmt::Debug for CloseFailure<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CloseFailure").field(&self.error).finish()
    }
}

impl<C: Chip<Error: fmt::Display>> fmt::Display for CloseFailure<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<C: Chip<Error: fmt::Display>> core::error::Error for CloseFailure<C> {}

/// The caller's buffer, which holds the last command and response. Wiped when dropped.
struct Buffer<'m>(&'m mut [u8]);

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        wipe(self.0);
    }
}

/// A command that must run before the caller's command.
enum Chore {
    FindStrays(GetCapability),
    Flush(FlushContext),
}

/// The state of a command between its attempts.
#[derive(Default)]
struct Task {
    /// True if the next command to send is TPM2_Startup.
    is_starting: bool,
    /// True if the chip was started for this command. It is started only once.
    was_started: bool,
    /// True if the chip has no saved state to start with.
    has_no_state: bool,
    /// Total time of all pauses, in milliseconds.
    waited: u32,
}

enum Verdict {
    Done(usize),
    /// The command must be sent again, after this many milliseconds.
    Retry(u32),
}

/// TPM_RC_INITIALIZE
const INITIALIZE: u32 = 0x100;
/// TPM_RC_VALUE, parameter 1
const NO_STATE: u32 = 0x1c4;
/// TPM_RC_RETRY, TPM_RC_YIELDED, TPM_RC_NV_RATE and TPM_RC_TESTING (Part 2 section 6.6.3).
const RETRY_CODES: [u32; 4] = [0x922, 0x908, 0x920, 0x90a];

/// The command TPM2_Startup(TPM_SU_CLEAR).
const STARTUP: [u8; 12] = [0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x44, 0, 0];

/// Number of stray contexts after which the search fails; more than any chip has room for.
const MAX_STRAYS: u8 = 64;

/// The first handles of transient objects and of loaded sessions.
const TRANSIENT: u32 = 0x8000_0000;
const LOADED_SESSIONS: u32 = 0x0200_0000;

/// Limits of the pause between two attempts, and of the total time of all pauses, in milliseconds.
const SHORTEST_PAUSE: u32 = 5;
const LONGEST_PAUSE: u32 = 500;
const LONGEST_WAIT: u32 = 5_000;
