use super::{CertifiedIdentity, MAX_REQUESTS, RequestTrustError, Trust};
use chanbind_core::{
    authenticator::{
        Authenticator, ChannelError, Endpoint, PendingRequest, Request, Server, ValidateError,
    },
    exporter::Exporter,
};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The unanswered requests of one connection: one for each [`Trust`] that its paths need. With one more the first is forgotten.
const MAX_PENDING: usize = 8;

/// The requests and proofs of one connection, shared by all verifiers of this kind: a client may answer the request of one path with the
/// request for another.
pub(super) struct Session {
    state: Mutex<Result<State, ChannelError>>,
}

pub(super) struct State {
    endpoint: Endpoint<Server, MAX_REQUESTS>,
    pending: Vec<Pending>,
    /// By the number of the trust for which it was proved.
    proved: Vec<(u64, CertifiedIdentity)>,
}

struct Pending {
    trust: Trust,
    request: PendingRequest<Server, Vec<u8>>,
}

impl Session {
    pub(super) fn new(exporter: &dyn Exporter) -> Self {
        let state = Endpoint::with_contexts(exporter).map(|endpoint| State {
            endpoint,
            pending: Vec::new(),
            proved: Vec::new(),
        });
        Self {
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Result<State, ChannelError>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `f` on the state of the connection.
    ///
    /// # Errors
    /// [`ChannelError`] if the channel gives no authenticators.
    pub(super) fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> Result<T, ChannelError> {
        match &mut *self.lock() {
            Ok(state) => Ok(f(state)),
            Err(error) => Err(*error),
        }
    }

    /// Returns true if an identity for which `is` returns true has been proved here.
    pub(super) fn has_proved(&self, is: &dyn Fn(&CertifiedIdentity) -> bool) -> bool {
        let proved = self.with(|state| state.proved.clone()).unwrap_or_default();
        proved.iter().any(|(_, identity)| is(identity))
    }
}

impl State {
    pub(super) fn endpoint(&mut self) -> &mut Endpoint<Server, MAX_REQUESTS> {
        &mut self.endpoint
    }

    /// Returns what was proved for `trust`.
    pub(super) fn proved(&self, trust: &Trust) -> Option<CertifiedIdentity> {
        let mut all = self.proved.iter();
        all.find(|(id, _)| *id == trust.id())
            .map(|(_, identity)| identity.clone())
    }

    /// Forgets what was proved for `trust`.
    pub(super) fn forget(&mut self, trust: &Trust) {
        self.proved.retain(|(id, _)| *id != trust.id());
    }

    /// Returns the request that is unanswered for `trust`, or a new one.
    pub(super) fn request(&mut self, trust: &Trust) -> Result<Vec<u8>, RequestTrustError> {
        let mut unanswered = self.pending.iter();
        if let Some(pending) = unanswered.find(|pending| pending.trust.id() == trust.id()) {
            return Ok(pending.request.as_bytes().to_vec());
        }
        let request = trust.request(&mut self.endpoint, None)?;
        let bytes = request.as_bytes().to_vec();
        if self.pending.len() >= MAX_PENDING {
            self.pending.remove(0);
        }
        self.pending.push(Pending {
            trust: trust.clone(),
            request,
        });
        Ok(bytes)
    }

    /// Validates an authenticator against the request that it answers, which it uses up; an empty one against all requests.
    pub(super) fn present(
        &mut self,
        authenticator: &[u8],
    ) -> Result<CertifiedIdentity, ValidateError> {
        let parsed = Authenticator::parse(authenticator)?;
        let mut all = self.pending.iter();
        match parsed.context() {
            Some(context) => {
                let answered = |pending: &Pending| pending.request.context() == context;
                let at = all.position(answered).ok_or(ValidateError::Context)?;
                let Pending { trust, request } = self.pending.remove(at);
                let validated = (self.endpoint).validate(request, authenticator, &trust.rules())?;
                let (identity, _) = trust.identify(&validated)?;
                self.forget(&trust);
                self.proved.push((trust.id(), identity.clone()));
                Ok(identity)
            }
            None => {
                let endpoint = &self.endpoint;
                let declined =
                    |pending: &Pending| endpoint.is_declined(&pending.request, authenticator);
                let at = all.position(declined).ok_or(ValidateError::Finished)?;
                self.pending.remove(at);
                Err(ValidateError::Empty)
            }
        }
    }

    /// Declines a request of the client's.
    pub(super) fn decline(
        &mut self,
        request: &Request<'_>,
    ) -> Result<Vec<u8>, chanbind_core::authenticator::AuthenticateError> {
        let mut out = [0; 64];
        Ok(self.endpoint.decline(request, &mut out)?.to_vec())
    }
}
