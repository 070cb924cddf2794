//! The connection to one TPM: parent, sessions and loaded keys, made when they are needed and made again when they are lost.

use super::{
    Hierarchy, Parent, PolicyCommand, TpmError, TpmName,
    esys::{connect, flush_session, h2_template, name_of, start_session},
    key::KeySpec,
    lane::{CONNECT, Watch},
    orphans::Baseline,
    policy,
    reachable::unreachable_tpm,
    response::{Failure, classify, describe},
};
use std::{sync::Arc, time::Duration};
use tss_esapi::{
    Context,
    constants::SessionType,
    handles::{KeyHandle, ObjectHandle, PersistentTpmHandle, TpmHandle},
    interface_types::{resource_handles::Hierarchy as TssHierarchy, session_handles::AuthSession},
    structures::{Auth, Public},
};

/// What a [`Device`] is opened with.
pub(super) struct Settings {
    pub(super) tcti: String,
    pub(super) parent_name: Option<TpmName>,
    pub(super) hierarchy_auth: Option<Auth>,
    pub(super) command_limit: Option<Duration>,
}

/// A TPM that is connected when it is used.
pub(super) struct Device {
    settings: Arc<Settings>,
    /// Told of each command that begins.
    watch: Watch,
    open: Option<Open>,
    /// What was in the TPM before a connection that broke.
    broken: Option<Baseline>,
}

/// What lives as long as a connection. Dropping the context flushes what is left in the TPM.
struct Open {
    context: Context,
    baseline: Baseline,
    parent: Option<LoadedParent>,
    /// Least recently used first.
    keys: Vec<(u64, KeyHandle)>,
}

struct LoadedParent {
    which: Parent,
    handle: KeyHandle,
    name: TpmName,
    public: Public,
    hmac_session: Option<AuthSession>,
    policy_session: Option<AuthSession>,
}

/// A parent that is ready, for commands under it.
pub(super) struct ParentKey {
    pub(super) handle: KeyHandle,
    pub(super) name: TpmName,
    pub(super) public: Public,
}

impl Device {
    pub(super) fn new(settings: Arc<Settings>, watch: Watch) -> Self {
        Self {
            settings,
            watch,
            open: None,
            broken: None,
        }
    }

    /// Connects if there is no connection.
    pub(super) fn connect(&mut self) -> Result<(), TpmError> {
        self.open().map(|_| ())
    }

    /// Loads `spec`'s key, or finds it loaded.
    fn key(&mut self, spec: &KeySpec) -> Result<KeyHandle, Attempt> {
        let open = self.open()?;
        if let Some(at) = open.keys.iter().position(|(id, _)| *id == spec.id) {
            let key = open.keys.remove(at);
            open.keys.push(key);
            return Ok(key.1);
        }
        let parent = self.loaded_parent()?.handle;
        let handle = self.with_session("TPM2_Load", |context| {
            context.load(parent, spec.private.clone(), spec.public.clone())
        })?;
        let open = self.open()?;
        open.keys.push((spec.id, handle));
        if let Some(auth) = &spec.auth {
            let set = open.context.tr_set_auth(handle.into(), auth.clone());
            set.map_err(|error| describe("the key's password", error))?;
        }
        Ok(handle)
    }

    /// Loads `spec`'s key under its parent.
    pub(super) fn try_load(&mut self, spec: &KeySpec) -> Result<KeyHandle, Attempt> {
        self.parent(spec.file.parent)?;
        self.key(spec)
    }

    /// Flushes a key that is not used any more. What fails here is gone with the connection.
    pub(super) fn unload(&mut self, id: u64) {
        if let Some(open) = &mut self.open
            && let Some(at) = open.keys.iter().position(|(loaded, _)| *loaded == id)
        {
            let (_, handle) = open.keys.remove(at);
            self.watch.begin("TPM2_FlushContext");
            let _ = open.context.flush_context(handle.into());
        }
    }

    /// Makes `which` the parent in use and checks its name.
    pub(super) fn parent(&mut self, which: Parent) -> Result<ParentKey, Attempt> {
        let expected = self.settings.parent_name.clone();
        if self
            .open()?
            .parent
            .as_ref()
            .is_none_or(|parent| parent.which != which)
        {
            self.open()?.forget_parent();
            let (handle, public, name) = self.make_parent(which)?;
            self.open()?.parent = Some(LoadedParent {
                which,
                handle,
                name,
                public,
                hmac_session: None,
                policy_session: None,
            });
        }
        let parent = self.loaded_parent()?;
        if let Some(expected) = expected
            && expected != parent.name
        {
            let actual = parent.name.clone();
            self.open()?.forget_parent();
            return Err(TpmError::ParentName {
                parent: which,
                expected,
                actual,
            }
            .into());
        }
        Ok(ParentKey {
            handle: parent.handle,
            name: parent.name.clone(),
            public: parent.public.clone(),
        })
    }

    fn make_parent(&mut self, which: Parent) -> Result<(KeyHandle, Public, TpmName), Attempt> {
        let handle = match which {
            Parent::Primary(hierarchy) => self.create_primary(hierarchy)?,
            Parent::Persistent(handle) => {
                let missing = || TpmError::NoParent(which);
                let handle = PersistentTpmHandle::new(handle).map_err(|_| missing())?;
                self.watch.begin("TPM2_ReadPublic");
                match self
                    .open()?
                    .context
                    .tr_from_tpm_public(TpmHandle::Persistent(handle))
                {
                    Ok(handle) => handle.into(),
                    Err(error) if classify(error) == Failure::Connection => {
                        return Err(self.failed("TPM2_ReadPublic", error));
                    }
                    Err(_) => return Err(missing().into()),
                }
            }
        };
        self.watch.begin("TPM2_ReadPublic");
        let read = self.open()?.context.read_public(handle);
        let public = match read {
            Ok((public, _, _)) => public,
            Err(error) => return Err(self.failed("TPM2_ReadPublic", error)),
        };
        // Sessions are salted to the key that the stack has for the handle, keys are wrapped to the one read just now. Neither
        // answer was authenticated: the name that is pinned must be that of both.
        let stored = self.open()?.context.tr_get_name(handle.into());
        let stored = stored.map_err(|error| self.failed("the parent's name", error))?;
        let name = TpmName::from_bytes(stored.value());
        if name != name_of(&public)? {
            self.abandon();
            return Err(TpmError::NotAuthentic.into());
        }
        Ok((handle, public, name))
    }

    fn create_primary(&mut self, hierarchy: Hierarchy) -> Result<KeyHandle, Attempt> {
        let (hierarchy, handle) = match hierarchy {
            Hierarchy::Owner => (TssHierarchy::Owner, ObjectHandle::Owner),
            Hierarchy::Null => (TssHierarchy::Null, ObjectHandle::Null),
            Hierarchy::Endorsement => (TssHierarchy::Endorsement, ObjectHandle::Endorsement),
            Hierarchy::Platform => (TssHierarchy::Platform, ObjectHandle::Platform),
        };
        let template = h2_template().map_err(|error| describe("the parent's template", error))?;
        let auth = self.settings.hierarchy_auth.clone();
        let create = |context: &mut Context, session| {
            context.execute_with_session(Some(session), |context| {
                context.create_primary(hierarchy, template.clone(), None, None, None, None)
            })
        };
        let created = self.making_room("TPM2_CreatePrimary", |context| match &auth {
            None => create(context, AuthSession::Password),
            // The password is proved by HMAC, not sent. There is no parent to salt this session with yet.
            Some(auth) => context.tr_set_auth(handle, auth.clone()).and_then(|()| {
                let session = start_session(context, None, SessionType::Hmac)?;
                let created = create(context, session);
                flush_session(context, session);
                created
            }),
        })?;
        match created {
            Ok(created) => Ok(created.key_handle),
            Err(error) if classify(error) == Failure::Auth => Err(TpmError::HierarchyAuth.into()),
            Err(error) => Err(self.failed("TPM2_CreatePrimary", error)),
        }
    }

    /// Runs a command under the salted HMAC session.
    pub(super) fn with_session<T>(
        &mut self,
        command: &'static str,
        run: impl Fn(&mut Context) -> tss_esapi::Result<T>,
    ) -> Result<T, Attempt> {
        let session = self.hmac_session()?;
        self.making_room(command, |context| {
            context.execute_with_session(Some(session), &run)
        })?
        .map_err(|error| self.failed(command, error))
    }

    /// Runs a command that takes a slot of the TPM's, and gives up loaded keys for it.
    fn making_room<T>(
        &mut self,
        command: &'static str,
        run: impl Fn(&mut Context) -> tss_esapi::Result<T>,
    ) -> Result<tss_esapi::Result<T>, TpmError> {
        self.open()?;
        let open = self.open.as_mut().ok_or(TpmError::Closed)?;
        loop {
            self.watch.begin(command);
            let answer = run(&mut open.context);
            match answer {
                Err(error) if classify(error) == Failure::Memory && open.forget_oldest_key() => {}
                answer => return Ok(answer),
            }
        }
    }

    /// Runs commands that need no authorization of ours, or bring their own.
    pub(super) fn with_context<T>(
        &mut self,
        command: &'static str,
        run: impl FnOnce(&mut Context) -> tss_esapi::Result<T>,
    ) -> Result<T, Attempt> {
        self.open()?;
        self.watch.begin(command);
        let answer = run(&mut self.open()?.context);
        answer.map_err(|error| self.failed(command, error))
    }

    /// The session that a key with this policy is used in.
    pub(super) fn session_for(&mut self, policy: &[PolicyCommand]) -> Result<AuthSession, Attempt> {
        if policy.is_empty() {
            self.hmac_session()
        } else {
            self.policy_session(policy)
        }
    }

    fn hmac_session(&mut self) -> Result<AuthSession, Attempt> {
        let parent = self.loaded_parent()?;
        let (handle, session) = (parent.handle, parent.hmac_session);
        if let Some(session) = session {
            return Ok(session);
        }
        let session = self.start_salted(handle, SessionType::Hmac)?;
        self.loaded_parent()?.hmac_session = Some(session);
        Ok(session)
    }

    /// A policy session in which `policy` has been carried out.
    fn policy_session(&mut self, commands: &[PolicyCommand]) -> Result<AuthSession, Attempt> {
        let parent = self.loaded_parent()?;
        let (handle, session) = (parent.handle, parent.policy_session);
        let session = match session {
            Some(session) => session,
            None => self.start_salted(handle, SessionType::Policy)?,
        };
        self.loaded_parent()?.policy_session = Some(session);
        self.watch.begin("the key's policy");
        match policy::satisfy(&mut self.open()?.context, session, commands) {
            Ok(()) => Ok(session),
            // TPM2_PolicyPCR answers TPM_RC_VALUE where the registers differ.
            Err(error) if classify(error) == Failure::Value => {
                self.forget_sessions();
                Err(TpmError::PolicyFailed.into())
            }
            Err(error) => Err(self.failed("the key's policy", error)),
        }
    }

    fn start_salted(
        &mut self,
        parent: KeyHandle,
        kind: SessionType,
    ) -> Result<AuthSession, Attempt> {
        self.making_room("TPM2_StartAuthSession", |context| {
            start_session(context, Some(parent), kind)
        })?
        .map_err(|error| self.failed("TPM2_StartAuthSession", error))
    }

    fn open(&mut self) -> Result<&mut Open, TpmError> {
        if self.open.is_none() {
            self.watch.begin(CONNECT);
            let mut context = connect(&self.settings.tcti)?;
            let baseline = match &self.broken {
                Some(before) => before.restore(&mut context),
                None => Ok(()),
            }
            .and_then(|()| Baseline::take(&mut context))
            .map_err(|error| unreachable_tpm(&self.settings.tcti, error))?;
            self.broken = None;
            self.open = Some(Open {
                context,
                baseline,
                parent: None,
                keys: Vec::new(),
            });
        }
        self.open.as_mut().ok_or(TpmError::Closed)
    }

    /// Flushes everything and disconnects; the next use connects again.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// Lets go of a connection that cannot be used any more, not even to flush.
    fn abandon(&mut self) {
        if let Some(open) = self.open.take() {
            self.broken = Some(open.baseline);
        }
    }

    fn loaded_parent(&mut self) -> Result<&mut LoadedParent, TpmError> {
        self.open()?.parent.as_mut().ok_or(TpmError::Closed)
    }

    /// Cleans up after a failed command, so that the next one starts from what is surely there.
    fn failed(&mut self, command: &'static str, error: tss_esapi::Error) -> Attempt {
        match classify(error) {
            Failure::Connection => {
                self.abandon();
                Attempt::Failed(TpmError::Vanished {
                    tcti: self.settings.tcti.clone(),
                })
            }
            // The stack does not go on after an answer that is not authentic.
            Failure::NotAuthentic => {
                self.abandon();
                Attempt::Failed(TpmError::NotAuthentic)
            }
            // The TPM does not know a handle or session that it gave out: it was reset behind the connection's back.
            Failure::Gone | Failure::Handle => {
                self.abandon();
                Attempt::Stale
            }
            _ => {
                self.forget_sessions();
                Attempt::Failed(describe(command, error))
            }
        }
    }

    fn forget_sessions(&mut self) {
        if let Some(open) = &mut self.open {
            open.forget_sessions();
        }
    }
}

impl Open {
    fn forget_sessions(&mut self) {
        if let Some(parent) = &mut self.parent {
            for session in [parent.hmac_session.take(), parent.policy_session.take()]
                .into_iter()
                .flatten()
            {
                flush_session(&mut self.context, session);
            }
        }
    }

    fn forget_parent(&mut self) {
        self.forget_sessions();
        if let Some(parent) = self.parent.take() {
            let mut handle = ObjectHandle::from(parent.handle);
            let _ = match parent.which {
                Parent::Primary(_) => self.context.flush_context(handle),
                Parent::Persistent(_) => self.context.tr_close(&mut handle),
            };
        }
    }

    /// Whether there was one to forget.
    fn forget_oldest_key(&mut self) -> bool {
        if self.keys.is_empty() {
            return false;
        }
        let (_, handle) = self.keys.remove(0);
        self.context.flush_context(handle.into()).is_ok()
    }
}

/// How one try of a command went wrong.
pub(super) enum Attempt {
    /// The connection's state was stale and has been dropped: one more try starts afresh.
    Stale,
    Failed(TpmError),
}

impl From<TpmError> for Attempt {
    fn from(error: TpmError) -> Self {
        Self::Failed(error)
    }
}

impl From<Attempt> for TpmError {
    fn from(attempt: Attempt) -> Self {
        match attempt {
            Attempt::Failed(error) => error,
            Attempt::Stale => Self::Reset,
        }
    }
}
