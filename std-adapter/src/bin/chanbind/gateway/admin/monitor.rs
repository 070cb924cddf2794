//! The recent events at a gateway, in bounded memory.
//!
//! Requests of an admitted device count in what their connection holds, without a lock that connections share: the state of all is locked when
//! something begins or ends, is refused, or is shown.

use super::metrics::reason;
use chanbind::gateway::{Channel, Event, Identity};
use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// The devices that are remembered. Beyond that, the one that has not been seen for longest is forgotten.
const MAX_DEVICES: usize = 10_000;
/// The events that are remembered of a device.
const MAX_EVENTS: usize = 32;
/// The minutes that are remembered.
pub(super) const MINUTES: u64 = 24 * 60;

/// The recent events at a gateway.
pub(in super::super) struct Monitor {
    state: Mutex<State>,
    /// The number by which connections find what they hold.
    owner: u64,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) live: HashMap<u64, Arc<Live>>,
    pub(super) devices: HashMap<String, Arc<Device>>,
    /// Minutes in which something happened, in order. The last one is shared with connections.
    pub(super) minutes: VecDeque<Arc<Minute>>,
}

/// A connection that is open.
pub(super) struct Live {
    pub(super) peer: SocketAddr,
    pub(super) since: u64,
    requests: AtomicU64,
    proved: Mutex<Vec<Proved>>,
    /// The minute in which the last request was counted.
    minute: Mutex<Arc<Minute>>,
}

/// An identity that has been proved on a connection.
struct Proved {
    identity: Identity,
    device: Arc<Device>,
}

/// A device that has been seen.
#[derive(Default)]
pub(super) struct Device {
    last_seen: AtomicU64,
    admitted: AtomicU64,
    refused: AtomicU64,
    /// Times in seconds since 1970, and what happened.
    events: Mutex<VecDeque<(u64, String)>>,
}

/// The counts of one minute.
#[derive(Default)]
pub(super) struct Minute {
    pub(super) minute: u64,
    admitted: AtomicU64,
    refused: AtomicU64,
}

impl Minute {
    /// Returns the requests that were admitted and refused.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.admitted.load(Relaxed), self.refused.load(Relaxed))
    }
}

/// Returns the time in seconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for Monitor {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            owner: Channel::new_owner(),
        }
    }
}

impl Monitor {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn observe(&self, event: &Event<'_>) {
        match event {
            Event::ConnectionOpened { peer, channel } => {
                let live = self.live(channel, *peer);
                self.state().live.insert(channel.number(), live);
            }
            Event::ConnectionClosed { channel, .. } => {
                self.state().live.remove(&channel.number());
            }
            Event::Admitted {
                peer,
                channel,
                identity,
                is_first,
            } => self.admitted(*peer, channel, identity, *is_first),
            Event::Refused { peer, refusal, .. } => {
                let now = now();
                let mut state = self.state();
                state.minute(now).refused.fetch_add(1, Relaxed);
                let Some(subject) = refusal.claimed_subject() else {
                    return;
                };
                // Anyone can claim names, which must not drive devices out of memory.
                if state.devices.len() >= MAX_DEVICES && !state.devices.contains_key(subject) {
                    return;
                }
                let device = state.device(subject, now);
                device.last_seen.store(now, Relaxed);
                device.refused.fetch_add(1, Relaxed);
                let from = peer.map_or(String::new(), |peer| format!(" from {}", peer.ip()));
                let reason = reason(refusal.kind());
                device.note(now, format!("refused{from}, {reason}: {refusal}"));
            }
            _ => {}
        }
    }

    /// Returns what a connection holds. Only connections that are opened while this observes have a peer here.
    fn live(&self, channel: &Channel, peer: SocketAddr) -> Arc<Live> {
        channel.state(self.owner, || Live {
            peer,
            since: now(),
            requests: AtomicU64::new(0),
            proved: Mutex::default(),
            minute: Mutex::default(),
        })
    }

    fn admitted(
        &self,
        peer: Option<SocketAddr>,
        channel: &Channel,
        identity: &Identity,
        is_first: bool,
    ) {
        let now = now();
        let live = self.live(channel, peer.unwrap_or(([0, 0, 0, 0], 0).into()));
        live.requests.fetch_add(1, Relaxed);
        self.minute_of(&live, now).admitted.fetch_add(1, Relaxed);
        let device = self.device_of(&live, identity, now);
        device.last_seen.store(now, Relaxed);
        device.admitted.fetch_add(1, Relaxed);
        if is_first {
            let from = peer.map_or(String::new(), |peer| format!(" from {}", peer.ip()));
            device.note(now, format!("admitted by {}{from}", identity.kind()));
        }
    }

    /// Returns the counts of this minute. The locks of a connection are not held while that of all is taken: the pages take them in that order.
    fn minute_of(&self, live: &Live, now: u64) -> Arc<Minute> {
        let last = Arc::clone(&lock(&live.minute));
        if last.minute == now / 60 {
            return last;
        }
        let minute = self.state().minute(now);
        *lock(&live.minute) = Arc::clone(&minute);
        minute
    }

    /// Returns the device of an identity.
    fn device_of(&self, live: &Live, identity: &Identity, now: u64) -> Arc<Device> {
        if let Some(device) = live.device(identity) {
            return device;
        }
        let device = self.state().device(identity.subject(), now);
        let mut proved = lock(&live.proved);
        proved.push(Proved {
            identity: identity.clone(),
            device: Arc::clone(&device),
        });
        device
    }
}

impl State {
    /// Returns the counts of this minute.
    fn minute(&mut self, now: u64) -> Arc<Minute> {
        let minute = now / 60;
        if let Some(last) = self.minutes.back()
            && last.minute == minute
        {
            return Arc::clone(last);
        }
        let is_old = |first: &Arc<Minute>| first.minute + MINUTES <= minute;
        while self.minutes.front().is_some_and(is_old)
            || u64::try_from(self.minutes.len()).is_ok_and(|len| len >= MINUTES)
        {
            self.minutes.pop_front();
        }
        let last = Arc::new(Minute {
            minute,
            ..Minute::default()
        });
        self.minutes.push_back(Arc::clone(&last));
        last
    }

    /// Returns what is known of a device.
    fn device(&mut self, name: &str, now: u64) -> Arc<Device> {
        if let Some(device) = self.devices.get(name) {
            return Arc::clone(device);
        }
        if self.devices.len() >= MAX_DEVICES {
            let oldest = self
                .devices
                .iter()
                .min_by_key(|(_, device)| device.last_seen());
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.devices.remove(&oldest);
            }
        }
        let device = Arc::new(Device {
            last_seen: now.into(),
            ..Device::default()
        });
        self.devices.insert(name.to_owned(), Arc::clone(&device));
        device
    }
}

impl Live {
    fn device(&self, identity: &Identity) -> Option<Arc<Device>> {
        let proved = lock(&self.proved);
        let mut known = proved.iter();
        known.find_map(|one| {
            let is_same = one.identity.is_same_subject(identity);
            is_same.then(|| Arc::clone(&one.device))
        })
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Returns subject and kind of what has been proved.
    pub(super) fn identities(&self) -> Vec<(String, &'static str)> {
        let proved = lock(&self.proved);
        let named = proved
            .iter()
            .map(|one| (one.identity.subject().to_owned(), one.identity.kind()));
        named.collect()
    }
}

impl Device {
    pub(super) fn last_seen(&self) -> u64 {
        self.last_seen.load(Relaxed)
    }

    pub(super) fn admitted(&self) -> u64 {
        self.admitted.load(Relaxed)
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    fn note(&self, now: u64, what: String) {
        let mut events = lock(&self.events);
        if events.len() >= MAX_EVENTS {
            events.pop_front();
        }
        events.push_back((now, what));
    }

    /// Returns what happened, the last event first.
    pub(super) fn events(&self) -> Vec<(u64, String)> {
        lock(&self.events).iter().rev().cloned().collect()
    }
}
