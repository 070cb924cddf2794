//! The execution of jobs. The parent, the key and the session that a job needs are created first, one command after the other,
//! and again after a reset of the chip. The next command is selected in a loop, so that the future waits for the chip at a single
//! place.

use super::{
    SessionState, TpmKeys,
    job::{Authority, Job},
    loaded::Loaded,
};
use crate::{
    chip::Chip,
    command::{Load, SessionType},
    error::Error,
    frame::Marshal,
    parent::Parent,
    session::{Authorize, Password, Salt, Session},
};
use rand_core::{CryptoRng, RngCore};

/// The purpose of the next command.
#[derive(Clone, Copy)]
enum Stage {
    Parent,
    Key,
    Session,
    Job,
    Done,
}

impl<'m, C: Chip, R: CryptoRng + RngCore> TpmKeys<'m, C, R> {
    /// Loads the key and runs the job, as far as they are given, after opening the parent and starting a session as needed. Opens
    /// the parent alone if neither is given.
    pub(super) async fn perform(
        &mut self,
        mut key: Option<&mut Loaded<'_, 'm>>,
        mut job: Option<&mut (dyn Job<'m> + '_)>,
    ) -> Result<(), Error<C::Error>> {
        let mut restarts_left = MAX_RESTARTS;
        loop {
            let stage = self.stage(key.as_deref(), job.as_deref());
            let mut password = Password::empty();
            let mut by_session = None;
            let (open, load, start);
            // The other combinations are unreachable: `stage` selects a stage only if its prerequisites exist.
            let command: &dyn Marshal = match (stage, &self.parent, &key, &mut job) {
                (Stage::Parent, ..) => {
                    open = self.parent_key.command(&self.pinned);
                    &open
                }
                (Stage::Key, Some(parent), Some(key), _) => {
                    let blobs = key.to_load().ok_or(Error::KeyKind)?;
                    // Neither blob is secret, so no session is needed. A key with another name than the computed one cannot be
                    // used.
                    load = Load {
                        parent: parent.entity(),
                        private: blobs.private(),
                        public: blobs.public(),
                    };
                    &load
                }
                (Stage::Session, Some(parent), ..) => {
                    let salt = Salt::new(parent.point(), &mut self.rng).ok_or(Error::Parent)?;
                    self.session = SessionState::Starting(salt);
                    let SessionState::Starting(salt) = &self.session else {
                        return Err(Error::SessionInDoubt);
                    };
                    start = salt.command(parent.entity(), SessionType::Hmac);
                    &start
                }
                (Stage::Job, _, key, Some(job)) => {
                    let SessionState::Started(session) = &mut self.session else {
                        return Err(Error::SessionInDoubt);
                    };
                    by_session = Some(match (job.authority(), key) {
                        (Authority::Key, Some(key)) => session.authorizing(&key.auth_value),
                        (Authority::KeyForSequence, Some(key)) => {
                            session.starting_sequence(&key.auth_value)
                        }
                        (Authority::Sequence, _) => session.using_sequence(),
                        _ => session.encrypting(),
                    });
                    if let Some(key) = key {
                        job.set_key(key.entity());
                    }
                    &**job
                }
                _ => return Ok(()),
            };
            let mut authorization: [&mut dyn Authorize; 1] = match &mut by_session {
                Some(by_session) => [by_session],
                None => [&mut password],
            };
            let needed = match stage {
                Stage::Job => 1,
                _ => command.shape().authorizations,
            };
            let authorizations = authorization.get_mut(..needed).unwrap_or_default();
            let contexts = self.tpm.contexts();
            let error = match self.tpm.submit(Some(command), authorizations).await {
                Ok((handle, mut response)) => {
                    let malformed = |_| Error::Malformed;
                    match (stage, &mut key, &mut job, &self.session) {
                        (Stage::Parent, ..) => {
                            self.parent = Some(Parent::accept(
                                self.parent_key,
                                handle,
                                &mut response,
                                contexts,
                                self.pinned.name(),
                            )?);
                        }
                        (Stage::Key, Some(key), ..) => key.slot = Some(contexts.adopt(handle)),
                        (Stage::Session, .., SessionState::Starting(salt)) => {
                            let slot = contexts.adopt(handle);
                            let nonce = response.sized16().map_err(malformed)?;
                            let nonce = nonce.try_into().map_err(|_| Error::Malformed)?;
                            let started = Session::new(slot, SessionType::Hmac, salt, nonce);
                            self.session = SessionState::Started(started);
                        }
                        (Stage::Job, _, Some(job), _) => {
                            let done = job.process(handle, &mut response, contexts);
                            if done.map_err(malformed)? {
                                return Ok(());
                            }
                        }
                        _ => {}
                    }
                    continue;
                }
                Err(error) => error,
            };
            // An error response is not authenticated: continue with a new session.
            self.session = SessionState::None;
            let is_lost = match &error {
                Error::Reset | Error::SessionInDoubt => true,
                Error::Tpm { code, .. } => code.indicates_reset(),
                _ => false,
            };
            if !is_lost || restarts_left == 0 {
                return Err(error);
            }
            restarts_left = restarts_left.saturating_sub(1);
            self.parent = None;
            if let Some(key) = &mut key {
                key.slot = None;
            }
            if let Some(job) = &mut job {
                job.restart();
            }
        }
    }

    fn stage(&mut self, key: Option<&Loaded<'_, 'm>>, job: Option<&(dyn Job<'m> + '_)>) -> Stage {
        let has_session = match &self.session {
            SessionState::Started(session) => session.is_usable(),
            _ => false,
        };
        if !has_session {
            self.session = SessionState::None;
        }
        if !self.parent.as_ref().is_some_and(Parent::is_live) {
            self.parent = None;
        }
        let to_load = key.is_some_and(|key| key.to_load().is_some());
        let to_start = job.is_some() && !has_session;
        let nothing_else = key.is_none() && job.is_none();
        match job {
            _ if self.parent.is_none() && (to_load || to_start || nothing_else) => Stage::Parent,
            _ if to_load => Stage::Key,
            _ if to_start => Stage::Session,
            Some(job) => {
                if job.needs_room() {
                    self.parent = None;
                }
                Stage::Job
            }
            None => Stage::Done,
        }
    }
}

/// Maximum number of restarts of a job after resets, so that a chip that keeps resetting does not cause an endless loop.
const MAX_RESTARTS: u8 = 2;
