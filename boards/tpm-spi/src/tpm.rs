use crate::{
    chip::Chip,
    command::{
        Capability, Command, CommandCode, FlushContext, GetCapability, Handle, Name, ResponseCode,
        SessionType, Shutdown, StartupType,
    },
    contexts::Contexts,
    error::Error,
    frame::{self, Authorizations, Marshal},
    key::RandomJob,
    log,
    parent::{Parent, ParentKey},
    session::{Authorize, Password, Salt, Session},
};
use chanbind_core::{crypto::wipe, wire::Reader};
use core::{fmt, ops::Range};
use rand_core::{CryptoRng, RngCore};

/// A TPM and the memory that its commands need: one buffer for command and response, and the list of what is in the chip.
///
/// It takes the chip to be its own. What others left in it, or an earlier run of the firmware, is flushed.
pub struct Tpm<'m, C> {
    chip: C,
    buffer: Buffer<'m>,
    contexts: &'m Contexts,
    /// A command went out and its response has not been seen.
    in_flight: bool,
    /// What is to be looked for in the chip that nobody here knows of.
    sweep: Sweep,
    /// What it has found, and how many before it.
    stray: Option<Handle>,
    strays: u8,
    startup: StartupType,
}

/// How far the search for strays has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sweep {
    Objects,
    Sessions,
    Done,
}

impl<'m, C: Chip> Tpm<'m, C> {
    /// Every command of this crate, and its response, fits a buffer of this many bytes; an RSA key that is made or read in a session
    /// needs 100 more, and long data as much as it has, but for [`crate::key::TpmKeys::hmac`], which takes it piece by piece.
    pub const BUFFER_LEN: usize = 512;

    /// The chip, with a buffer of [`Tpm::BUFFER_LEN`] bytes as a rule. [`Tpm::start`] comes next.
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

    /// Sets how the chip is started and shut down: [`StartupType::Clear`] unless set. With [`StartupType::State`], PCRs and other state
    /// that the last shutdown saved are kept over a loss of power; a chip that has saved none is started clear.
    #[must_use]
    pub fn with_startup(mut self, startup: StartupType) -> Self {
        self.startup = startup;
        self
    }

    /// Has the chip start, if it has not yet (TPM2_Startup), and flushes what is in it.
    ///
    /// # Errors
    /// [`Error::Chip`], [`Error::Tpm`]
    pub async fn start(&mut self) -> Result<(), Error<C::Error>> {
        // The question what is in the chip starts one that was reset.
        self.settle().await
    }

    /// Runs one command, authorized by `authorizations`: passwords and sessions in the order of the command's handles, then, if
    /// wanted, a session that only encrypts. The response is in the TPM's buffer until the next command.
    ///
    /// What the command makes in the chip is the caller's to flush, by [`FlushContext`]; it is flushed with all else when the chip
    /// is closed and opened again. A chip that is busy (TPM_RC_RETRY, _YIELDED, _NV_RATE) or testing itself (TPM_RC_TESTING) is
    /// asked again for up to 5 seconds.
    ///
    /// # Errors
    /// [`Error`]; the future may be dropped at any point.
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
                    // What it made is not what was asked for: to be flushed.
                    drop(contexts.adopt(handle));
                }
                Err(Error::Malformed)
            }
        }
    }

    /// Fills `out` from the chip's random number generator; unencrypted, so not for secrets where the bus may be listened to:
    /// [`crate::key::TpmKeys::random`] is.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn random(&mut self, out: &mut [u8]) -> Result<(), Error<C::Error>> {
        let mut job = RandomJob::new(out);
        while !job.is_done() {
            let command = job.command();
            let bytes = self.execute(&command, &mut []).await?;
            job.put(bytes).map_err(|_| Error::Malformed)?;
        }
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
        let (handle, mut answer) = self.submit(Some(&command), authorizations).await?;
        Parent::accept(key, handle, &mut answer, contexts, pinned)
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
        let command = salt.command(parent.entity(), session_type);
        let response = self.execute(&command, &mut []).await?;
        let slot = self.contexts.adopt(response.handle);
        Ok(Session::new(slot, session_type, &salt, response.nonce_tpm))
    }

    /// Flushes what has been dropped, and what is unaccounted for. Every command does so first; call it to do it now.
    ///
    /// # Errors
    /// [`Error`]
    pub async fn settle(&mut self) -> Result<(), Error<C::Error>> {
        self.submit(None, &mut []).await.map(|_| ())
    }

    /// Flushes what has been dropped, has the chip shut down in order (TPM2_Shutdown), and gives it back. After that its power may go:
    /// without a shutdown, that counts as a failed authorization where a key that is protected against dictionary attacks was used.
    ///
    /// # Errors
    /// [`CloseFailure`], which has the chip too
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

    /// Gives the chip back as it is.
    pub fn release(self) -> C {
        self.chip
    }

    /// The way to the chip.
    pub fn chip_mut(&mut self) -> &mut C {
        &mut self.chip
    }

    pub(crate) fn contexts(&self) -> &'m Contexts {
        self.contexts
    }

    /// What the last response has there.
    fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.buffer.0.get(range).unwrap_or_default()
    }

    /// Wipes what the last command and response have left in the buffer; so does dropping it.
    pub fn wipe(&mut self) {
        wipe(self.buffer.0);
    }

    pub(crate) fn buffer_len(&self) -> usize {
        self.buffer.0.len()
    }

    /// Does the chores, then the command, if there is one. One piece of code for all commands: it is what firmware links.
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
            let mut nobody: [&mut dyn Authorize; 0] = [];
            let (command, authorizations): (&dyn Marshal, Authorizations<'_, '_>) =
                match (&chore, command) {
                    (Some(Chore::Look(look)), _) => (look, &mut nobody),
                    (Some(Chore::Flush(flush)), _) => (flush, &mut nobody),
                    (None, Some(command)) => (command, &mut *authorizations),
                    (None, None) => return Ok((Handle::NULL, Reader::new(&[]))),
                };
            let mut task = Task::default();
            let len = loop {
                // Marshalled for every try, for the response to the last one stands in its place.
                let len = match self.prepare(command, authorizations, &task) {
                    Ok(len) => len,
                    Err(error) => {
                        refused(authorizations);
                        break Err(error);
                    }
                };
                let shape = command.shape();
                self.in_flight = true;
                let exchanged = self.chip.exchange(self.buffer.0, len, shape.limit_ms).await;
                let survives_reset = matches!(command.entities(), [None, ..]);
                match self.check_status(exchanged, &mut task, shape.code, survives_reset) {
                    Ok(Verdict::Done(len)) => break Ok(len),
                    Ok(Verdict::AskAgain(pause)) => {
                        refused(authorizations);
                        self.chip.pause(pause).await;
                    }
                    Err(error) => break Err(error),
                }
            };
            let done = match len {
                Ok(len) => self.accept(command, authorizations, len),
                Err(error) => {
                    if matches!(error, Error::Tpm { .. }) {
                        refused(authorizations);
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
                    .dropped()
                    .map(|handle| Chore::Flush(FlushContext { handle }));
            }
        };
        Some(match self.stray {
            Some(handle) => Chore::Flush(FlushContext { handle }),
            None => Chore::Look(GetCapability {
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
            (Chore::Look(look), Ok((handle, parameters))) => {
                let mut parameters = Reader::new(self.bytes(parameters));
                let answer = look
                    .response(handle, &mut parameters)
                    .map_err(|_| Error::Malformed)?;
                let contexts = self.contexts;
                let stray = answer.handles().find(|&handle| {
                    (handle.is_transient() || handle.is_session()) && !contexts.knows(handle)
                });
                self.stray = stray;
                if stray.is_some() {
                    // A chip has room for few: this one does not flush, or somebody makes answers up.
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
                // What is gone already is as good as flushed.
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

    /// Puts the command into the buffer, or the one that starts the chip before it; gives its length.
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

    /// What is to be done about a response, or for want of one.
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
        if ASK_AGAIN.contains(&code) && task.waited < LONGEST_WAIT {
            // Half of what has been waited already.
            let pause = (task.waited >> 1).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
            task.waited = task.waited.saturating_add(pause);
            return Ok(Verdict::AskAgain(pause));
        }
        match (code, core::mem::take(&mut task.is_starting)) {
            (0, false) => Ok(Verdict::Done(len)),
            // That it had been started already is as good.
            (0 | INITIALIZE, true) if survives_reset => Ok(Verdict::AskAgain(0)),
            (0 | INITIALIZE, true) => Err(Error::Reset),
            (NO_STATE, true) if !task.has_no_state => {
                task.is_starting = true;
                task.has_no_state = true;
                Ok(Verdict::AskAgain(0))
            }
            (INITIALIZE, false) if !task.was_started && command != CommandCode::STARTUP => {
                log!(info, "the TPM was reset: it is started");
                self.contexts.forget_all();
                // Unless it was somebody on the bus who said so.
                self.sweep = Sweep::Objects;
                task.was_started = true;
                task.is_starting = true;
                Ok(Verdict::AskAgain(0))
            }
            (code, was_starting) => {
                let command = if was_starting {
                    CommandCode::STARTUP
                } else {
                    command
                };
                log!(debug, "{=str} refused: {=u32:x}", command.name(), code);
                let code = ResponseCode::new(code);
                Err(Error::Tpm { command, code })
            }
        }
    }

    /// Believes a response, if it is to be believed.
    fn accept(
        &mut self,
        command: &dyn Marshal,
        authorizations: Authorizations<'_, '_>,
        len: usize,
    ) -> Result<(Handle, Range<usize>), Error<C::Error>> {
        let response = self.buffer.0.get_mut(..len).unwrap_or_default();
        let shape = command.shape();
        // Until then, what it made is unaccounted for.
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

/// The command was not sent, or not obeyed.
fn refused(authorizations: Authorizations<'_, '_>) {
    for authorization in authorizations {
        authorization.refused();
    }
}

/// A chip that could not be closed in order.
pub struct CloseFailure<C: Chip> {
    /// The reason.
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

/// The caller's buffer, with what commands and responses have left in it; wiped when dropped.
struct Buffer<'m>(&'m mut [u8]);

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        wipe(self.0);
    }
}

/// What is to be done before the next command.
enum Chore {
    Look(GetCapability),
    Flush(FlushContext),
}

/// A command on its way.
#[derive(Default)]
struct Task {
    /// The chip is being started before it; once is enough.
    is_starting: bool,
    was_started: bool,
    /// The last shutdown has saved no state to start with.
    has_no_state: bool,
    /// Milliseconds of all pauses.
    waited: u32,
}

enum Verdict {
    Done(usize),
    /// After so many milliseconds.
    AskAgain(u32),
}

/// TPM_RC_INITIALIZE
const INITIALIZE: u32 = 0x100;
/// TPM_RC_VALUE, parameter 1
const NO_STATE: u32 = 0x1c4;
/// TPM_RC_RETRY, TPM_RC_YIELDED, TPM_RC_NV_RATE and TPM_RC_TESTING (Part 2 section 6.6.3).
const ASK_AGAIN: [u32; 4] = [0x922, 0x908, 0x920, 0x90a];

/// TPM2_Startup, TPM_SU_CLEAR
const STARTUP: [u8; 12] = [0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x44, 0, 0];

/// More than any chip has room for.
const MAX_STRAYS: u8 = 64;

/// The first handles of their kinds.
const TRANSIENT: u32 = 0x8000_0000;
const LOADED_SESSIONS: u32 = 0x0200_0000;

/// Milliseconds between two tries, and of all pauses together.
const SHORTEST_PAUSE: u32 = 5;
const LONGEST_PAUSE: u32 = 500;
const LONGEST_WAIT: u32 = 5_000;
