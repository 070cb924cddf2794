use crate::authenticator::{AskError, CertifiedIdentity, MAX_REQUESTS, Trust};
use chanbind_core::{
    authenticator::{Authenticator, ChannelError, Endpoint, PendingRequest, Server, ValidateError},
    exporter::Exporter,
};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Requests of one connection that are unanswered, at most: one for each [`Trust`] that its requests need. One more and the first is
/// forgotten.
const MAX_PENDING: usize = 8;

/// What was asked for and what was proved on one connection.
pub(in crate::gateway) struct OnConnection {
    endpoint: Mutex<Endpoint<Server, MAX_REQUESTS>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pending: Vec<Pending>,
    /// By the number of the trust that it was proved for.
    proved: Vec<(u64, CertifiedIdentity)>,
    /// The layers that know of this connection, by their numbers.
    layers: Vec<u64>,
}

struct Pending {
    trust: Trust,
    request: PendingRequest<Server, Vec<u8>>,
}

impl OnConnection {
    pub(in crate::gateway) fn new(exporter: &dyn Exporter) -> Result<Self, ChannelError> {
        Ok(Self {
            endpoint: Mutex::new(Endpoint::with_contexts(exporter)?),
            state: Mutex::default(),
        })
    }

    pub(super) fn endpoint(&self) -> &Mutex<Endpoint<Server, MAX_REQUESTS>> {
        &self.endpoint
    }

    /// Whether the layer with this number sees the connection for the first time.
    pub(super) fn is_new_to(&self, layer: u64) -> bool {
        let mut state = self.state();
        let is_new = !state.layers.contains(&layer);
        if is_new {
            state.layers.push(layer);
        }
        is_new
    }

    /// What was proved to `trust`.
    pub(super) fn proved(&self, trust: &Trust) -> Option<CertifiedIdentity> {
        let state = self.state();
        let mut all = state.proved.iter();
        all.find(|(id, _)| *id == trust.id())
            .map(|(_, identity)| identity.clone())
    }

    /// Believes it no more.
    pub(super) fn forget(&self, trust: &Trust) {
        self.state().proved.retain(|(id, _)| *id != trust.id());
    }

    /// Whether somebody for whom `is` holds has proved itself here.
    pub(super) fn has_proved(&self, is: &dyn Fn(&CertifiedIdentity) -> bool) -> bool {
        // Not under the lock: who asks may ask for more.
        let proved = self.state().proved.clone();
        proved.iter().any(|(_, identity)| is(identity))
    }

    /// The request that is unanswered for `trust`, or a new one.
    pub(super) fn request(&self, trust: &Trust) -> Result<Vec<u8>, AskError> {
        let mut state = self.state();
        let mut unanswered = state.pending.iter();
        if let Some(pending) = unanswered.find(|pending| pending.trust.id() == trust.id()) {
            return Ok(pending.request.as_bytes().to_vec());
        }
        let request = trust.request(&self.endpoint, None)?;
        let bytes = request.as_bytes().to_vec();
        if state.pending.len() >= MAX_PENDING {
            state.pending.remove(0);
        }
        state.pending.push(Pending {
            trust: trust.clone(),
            request,
        });
        Ok(bytes)
    }

    /// Holds an authenticator against the request that it answers, which it uses up; an empty one against all.
    pub(super) fn present(&self, authenticator: &[u8]) -> Result<CertifiedIdentity, ValidateError> {
        match Authenticator::parse(authenticator)?.context() {
            Some(context) => {
                let mut state = self.state();
                let mut all = state.pending.iter();
                let at = all.position(|pending| pending.request.context() == context);
                let pending = state.pending.remove(at.ok_or(ValidateError::Context)?);
                let identity = self.validate(pending.request, &pending.trust, authenticator)?;
                state.proved.retain(|(id, _)| *id != pending.trust.id());
                state.proved.push((pending.trust.id(), identity.clone()));
                Ok(identity)
            }
            None => {
                let mut state = self.state();
                let mut all = state.pending.iter();
                let endpoint = self.endpoint.lock().unwrap_or_else(PoisonError::into_inner);
                let at = all.position(|one| endpoint.is_declined(&one.request, authenticator));
                state.pending.remove(at.ok_or(ValidateError::Finished)?);
                Err(ValidateError::Empty)
            }
        }
    }

    fn validate(
        &self,
        request: PendingRequest<Server, Vec<u8>>,
        trust: &Trust,
        authenticator: &[u8],
    ) -> Result<CertifiedIdentity, ValidateError> {
        let mut endpoint = self.endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        trust
            .validate(|rules| endpoint.validate(request, authenticator, rules))
            .map(|(identity, _)| identity)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
