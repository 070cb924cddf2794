//! The counts of a connection.

use super::{Device, lock};
use chanbind::gateway::Identity;
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

/// A connection that is open.
pub(in super::super) struct Live {
    pub(in super::super) peer: SocketAddr,
    pub(in super::super) since: u64,
    /// The state of all is not locked while this is: it is locked in the other order.
    tally: Mutex<Tally>,
}

/// The counts of a connection.
#[derive(Default)]
pub(super) struct Tally {
    /// True while the connection is among those of the state, so that its counts will be collected.
    pub(super) is_listed: bool,
    requests: u64,
    /// The time of the last request, in seconds since 1970. Counts that have not been collected are of its minute.
    last_seen: u64,
    proved: Vec<Proved>,
}

/// An identity that has been proved on a connection.
struct Proved {
    identity: Identity,
    device: Arc<Device>,
    /// The requests that have not been collected.
    admitted: u64,
}

/// The requests of one device on one connection, in one minute.
pub(super) struct Counts {
    pub(super) device: Arc<Device>,
    pub(super) kind: &'static str,
    pub(super) admitted: u64,
    pub(super) last_seen: u64,
}

impl Live {
    pub(super) fn new(peer: SocketAddr, since: u64) -> Self {
        Self {
            peer,
            since,
            tally: Mutex::default(),
        }
    }

    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        lock(&self.tally)
    }

    /// Counts a request, unless the counts of all are needed for it.
    pub(super) fn count(&self, identity: &Identity, now: u64) -> bool {
        let mut tally = self.tally();
        let is_same_minute = tally.last_seen / 60 == now / 60;
        tally.is_listed && is_same_minute && tally.count(identity, now)
    }

    /// Counts a request of a device that may be new here.
    pub(super) fn count_with(&self, identity: &Identity, device: Arc<Device>, now: u64) {
        let mut tally = self.tally();
        // A request beside this one may have been quicker.
        match tally.proved(identity) {
            Some(proved) => proved.device = device,
            None => tally.proved.push(Proved {
                identity: identity.clone(),
                device,
                admitted: 0,
            }),
        }
        tally.count(identity, now);
    }

    /// Returns the device of an identity that has been proved here.
    pub(super) fn device(&self, identity: &Identity) -> Option<Arc<Device>> {
        let mut tally = self.tally();
        let proved = tally.proved(identity)?;
        Some(Arc::clone(&proved.device))
    }

    /// Takes what has been counted.
    pub(super) fn take(&self) -> Vec<Counts> {
        let mut tally = self.tally();
        let last_seen = tally.last_seen;
        let counted = tally.proved.iter_mut().filter(|proved| proved.admitted > 0);
        let counts = counted.map(|proved| Counts {
            device: Arc::clone(&proved.device),
            kind: proved.identity.kind(),
            admitted: std::mem::take(&mut proved.admitted),
            last_seen,
        });
        counts.collect()
    }

    pub(in super::super) fn requests(&self) -> u64 {
        self.tally().requests
    }

    /// Returns whether a subject with this name has been proved.
    pub(in super::super) fn has_proved(&self, name: &str) -> bool {
        let tally = self.tally();
        tally
            .proved
            .iter()
            .any(|one| one.identity.subject() == name)
    }

    /// Returns subject and kind of what has been proved.
    pub(in super::super) fn identities(&self) -> Vec<(String, &'static str)> {
        let tally = self.tally();
        let named = tally
            .proved
            .iter()
            .map(|one| (one.identity.subject().to_owned(), one.identity.kind()));
        named.collect()
    }
}

impl Tally {
    fn proved(&mut self, identity: &Identity) -> Option<&mut Proved> {
        let mut known = self.proved.iter_mut();
        known.find(|one| one.identity.is_same_subject(identity))
    }

    fn count(&mut self, identity: &Identity, now: u64) -> bool {
        let Some(proved) = self.proved(identity) else {
            return false;
        };
        proved.admitted += 1;
        self.requests += 1;
        self.last_seen = now;
        true
    }
}
