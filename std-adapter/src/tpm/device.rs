//! The connection to one TPM, with its parent key, its sessions and its loaded keys. Each of them is created on first use and
//! created again after it was lost.

use super::{
    Hierarchy, Parent, PolicyCommand, TpmError, TpmName,
    esys::{connect, flush_session, h2_template, name_of, start_session},
    key_spec::KeySpec,
    orphans::Baseline,
    policy,
    reachable::unreachable_tpm,
    response::{Failure, classify, describe},
    watch::{CONNECT, Watch},
};
use std::{sync::Arc, time::Duration};
use tss_esapi::{
    Context,
    constants::SessionType,
    handles::{KeyHandle, ObjectHandle, PersistentTpmHandle, TpmHandle},
    interface_types::{resource_handles::Hierarchy as TssHierarchy, session_handles::AuthSession},
    structures::{Auth, Public},
};

/// The settings of a [`Device`].
pub(super) struct Settings {
    pub(super) tcti: String,
    pub(super) parent_name: Option<TpmName>,
    pub(super) hierarchy_auth: Option<Auth>,
    pub(super) command_limit: Option<Duration>,
}

/// A TPM, with a connection that is opened on first use.
pub(super) struct Device {
    settings: Arc<Settings>,
    /// Keeps the time limit of the command that runs; told of each command before it is sent.
    watch: Watch,
    open: Option<Open>,
    /// The handles that were in use in the TPM before a connection that broke.
    broken: Option<Baseline>,
}

/// The state of an open connection. Dropping the context flushes the objects and sessions that this program still has in the TPM.
struct Open {
    context: Context,
    baseline: Baseline,
    parent: Option<LoadedParent>,
    /// The loaded keys, least recently used first.
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

/// A parent key whose name has been checked, for commands that use it.
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

    /// Connects, unless there is a connection already.
    pub(super) fn connect(&mut self) -> Result<(), TpmError> {
        self.open().map(|_| ())
    }

    /// Returns the handle of `spec`'s key, and loads the key first if it is not loaded. The parent must be ready.
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

    /// Makes the parent of `spec`'s key ready and returns the handle of the key, which it loads if necessary.
    pub(super) fn try_load(&mut self, spec: &KeySpec) -> Result<KeyHandle, Attempt> {
        self.parent(spec.file.parent)?;
        self.key(spec)
    }

    /// Flushes a key that is no longer used. An error is ignored: closing the connection flushes the key too.
    pub(super) fn unload(&mut self, id: u64) {
        if let Some(open) = &mut self.open
            && let Some(at) = open.keys.iter().position(|(loaded, _)| *loaded == id)
        {
            let (_, handle) = open.keys.remove(at);
            self.watch.begin("TPM2_FlushContext");
            let _ = open.context.flush_context(handle.into());
        }
    }

    /// Makes `which` the parent in use and checks its name against the pinned one.
    pub(super) fn parent(&mut self, which: Parent) -> Result<ParentKey, Attempt> {
        let expected = self.settings.parent_name.clone();
        if self
            .open()?
            .parent
            .as_ref()
            .is_none_or(|parent| parent.which != which)
        {
            self.open()?.release_parent();
            let (handle, public, name) = self.open_parent(which)?;
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
            self.open()?.release_parent();
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

    fn open_parent(&mut self, which: Parent) -> Result<(KeyHandle, Public, TpmName), Attempt> {
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
        // Sessions are salted to the key that the TPM software stack holds for the handle; imported keys are wrapped to the key
        // that was read above. Neither response was authenticated, so the pinned name must match both.
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
        let created = self.retry_with_eviction("TPM2_CreatePrimary", |context| match &auth {
            None => create(context, AuthSession::Password),
            // An HMAC session proves knowledge of the password without sending it. The session is unsalted because there is no
            // parent key yet.
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
        self.retry_with_eviction(command, |context| {
            context.execute_with_session(Some(session), &run)
        })?
        .map_err(|error| self.failed(command, error))
    }

    /// Runs a command that needs a slot in the TPM. While the TPM is out of memory, flushes the least recently used key and tries
    /// again.
    fn retry_with_eviction<T>(
        &mut self,
        command: &'static str,
        run: impl Fn(&mut Context) -> tss_esapi::Result<T>,
    ) -> Result<tss_esapi::Result<T>, TpmError> {
        self.open()?;
        let open = self.open.as_mut().ok_or(TpmError::Closed)?;
        loop {
            self.watch.begin(command);
            let result = run(&mut open.context);
            match result {
                Err(error) if classify(error) == Failure::Memory && open.flush_oldest_key() => {}
                result => return Ok(result),
            }
        }
    }

    /// Runs commands that need no authorization, or for which `run` supplies the session.
    pub(super) fn with_context<T>(
        &mut self,
        command: &'static str,
        run: impl FnOnce(&mut Context) -> tss_esapi::Result<T>,
    ) -> Result<T, Attempt> {
        self.open()?;
        self.watch.begin(command);
        let result = run(&mut self.open()?.context);
        result.map_err(|error| self.failed(command, error))
    }

    /// Returns the session for using a key with this policy: the HMAC session if the policy is empty, else a policy session.
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

    /// Returns a policy session in which `commands` have been carried out.
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
            // TPM2_PolicyPCR returns TPM_RC_VALUE if the registers differ.
            Err(error) if classify(error) == Failure::Value => {
                self.flush_sessions();
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
        self.retry_with_eviction("TPM2_StartAuthSession", |context| {
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

    /// Drops a connection that can no longer be used, and remembers its baseline so that the next connection flushes its orphans.
    fn abandon(&mut self) {
        if let Some(open) = self.open.take() {
            self.broken = Some(open.baseline);
        }
    }

    fn loaded_parent(&mut self) -> Result<&mut LoadedParent, TpmError> {
        self.open()?.parent.as_mut().ok_or(TpmError::Closed)
    }

    /// Cleans up after a failed command and returns its error. State that may have been lost is dropped, so that the next command
    /// creates it again.
    fn failed(&mut self, command: &'static str, error: tss_esapi::Error) -> Attempt {
        match classify(error) {
            Failure::Connection => {
                self.abandon();
                Attempt::Failed(TpmError::Vanished {
                    tcti: self.settings.tcti.clone(),
                })
            }
            // The TPM software stack cannot continue after a response that is not authentic.
            Failure::NotAuthentic => {
                self.abandon();
                Attempt::Failed(TpmError::NotAuthentic)
            }
            // The TPM does not know a handle or session that it issued: it was reset while the connection was open.
            Failure::Gone | Failure::Handle => {
                self.abandon();
                Attempt::Stale
            }
            _ => {
                self.flush_sessions();
                Attempt::Failed(describe(command, error))
            }
        }
    }

    fn flush_sessions(&mut self) {
        if let Some(open) = &mut self.open {
            open.flush_sessions();
        }
    }
}

impl Open {
    fn flush_sessions(&mut self) {
        if let Some(parent) = &mut self.parent {
            for session in [parent.hmac_session.take(), parent.policy_session.take()]
                .into_iter()
                .flatten()
            {
                flush_session(&mut self.context, session);
            }
        }
    }

    fn release_parent(&mut self) {
        self.flush_sessions();
        if let Some(parent) = self.parent.take() {
            let mut handle = ObjectHandle::from(parent.handle);
            let _ = match parent.which {
                Parent::Primary(_) => self.context.flush_context(handle),
                Parent::Persistent(_) => self.context.tr_close(&mut handle),
            };
        }
    }

    /// Flushes the least recently used key. Returns false if no key is loaded or the key cannot be flushed.
    fn flush_oldest_key(&mut self) -> bool {
        if self.keys.is_empty() {
            return false;
        }
        let (_, handle) = self.keys.remove(0);
        self.context.flush_context(handle.into()).is_ok()
    }
}

/// The failure of one attempt at a command.
pub(super) enum Attempt {
    /// The state of the connection was stale and has been dropped; another attempt starts with a new connection.
    Stale,
    /// The command failed; another attempt would fail too.
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
