//! The recent events at a gateway, in bounded memory.
//!
//! Requests of an admitted device count in what their connection holds, without a lock that connections share. These counts are added to those of all
//! once a minute, when the connection ends, and when something is shown.

use super::metrics::reason;
use chanbind::gateway::{Channel, Event, Identity};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
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
    /// The minutes in which something happened, since 1970.
    pub(super) minutes: BTreeMap<u64, Minute>,
    /// The admitted requests by the kind of proof, since they were last taken.
    admitted: BTreeMap<&'static str, u64>,
}

/// A connection that is open.
pub(super) struct Live {
    pub(super) peer: SocketAddr,
    pub(super) since: u64,
    /// Not locked by itself while the state of all is locked after it: the pages lock them in the other order.
    tally: Mutex<Tally>,
}

/// The counts of a connection.
#[derive(Default)]
struct Tally {
    /// True while the connection is among those of [`State::live`], so that its counts will be collected.
    is_listed: bool,
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
    pub(super) admitted: u64,
    pub(super) refused: u64,
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
    /// Returns the state, with the counts of all connections.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        let mut state = lock(&self.state);
        state.collect_all();
        state
    }

    /// Returns the requests that were admitted since the last call, by the kind of proof.
    pub(super) fn take_admitted(&self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut self.state().admitted)
    }

    pub(super) fn observe(&self, event: &Event<'_>) {
        match event {
            Event::ConnectionOpened { peer, channel } => {
                let live = self.live(channel, *peer);
                live.tally().is_listed = true;
                lock(&self.state).live.insert(channel.number(), live);
            }
            Event::ConnectionClosed { channel, .. } => {
                let mut state = lock(&self.state);
                if let Some(live) = state.live.remove(&channel.number()) {
                    live.tally().is_listed = false;
                    state.collect(&live);
                }
            }
            Event::Admitted {
                peer,
                channel,
                identity,
                is_first,
            } => self.admitted(now(), *peer, channel, identity, *is_first),
            Event::Refused { peer, refusal, .. } => {
                let now = now();
                let mut state = lock(&self.state);
                state.minute(now / 60).refused += 1;
                let Some(subject) = refusal.claimed_subject() else {
                    return;
                };
                // Anyone can claim names, which must not drive devices out of memory.
                if state.devices.len() >= MAX_DEVICES && !state.devices.contains_key(subject) {
                    return;
                }
                let device = state.device(subject, now);
                device.last_seen.fetch_max(now, Relaxed);
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
            tally: Mutex::default(),
        })
    }

    fn admitted(
        &self,
        now: u64,
        peer: Option<SocketAddr>,
        channel: &Channel,
        identity: &Identity,
        is_first: bool,
    ) {
        let live = self.live(channel, peer.unwrap_or(([0, 0, 0, 0], 0).into()));
        if !is_first && live.count(identity, now) {
            return;
        }
        let mut state = lock(&self.state);
        state.collect(&live);
        let device = state.device(identity.subject(), now);
        if is_first {
            let from = peer.map_or(String::new(), |peer| format!(" from {}", peer.ip()));
            device.note(now, format!("admitted by {}{from}", identity.kind()));
        }
        live.count_with(identity, device, now);
        if !live.tally().is_listed {
            state.collect(&live);
        }
    }
}

impl State {
    /// Adds what a connection has counted.
    fn collect(&mut self, live: &Live) {
        let mut tally = live.tally();
        let (mut sum, last_seen) = (0, tally.last_seen);
        for proved in &mut tally.proved {
            let admitted = std::mem::take(&mut proved.admitted);
            if admitted == 0 {
                continue;
            }
            sum += admitted;
            proved.device.admitted.fetch_add(admitted, Relaxed);
            proved.device.last_seen.fetch_max(last_seen, Relaxed);
            *self.admitted.entry(proved.identity.kind()).or_default() += admitted;
        }
        if sum > 0 {
            self.minute(last_seen / 60).admitted += sum;
        }
    }

    fn collect_all(&mut self) {
        let all = std::mem::take(&mut self.live);
        all.values().for_each(|live| self.collect(live));
        self.live = all;
    }

    /// Returns the counts of a minute.
    fn minute(&mut self, minute: u64) -> &mut Minute {
        let newest = self.minutes.last_key_value();
        let newest = newest.map_or(minute, |(newest, _)| minute.max(*newest));
        let first = newest.saturating_sub(MINUTES - 1);
        while let Some(oldest) = self.minutes.first_entry()
            && *oldest.key() < first
        {
            oldest.remove();
        }
        self.minutes.entry(minute).or_default()
    }

    /// Returns what is known of a device.
    fn device(&mut self, name: &str, now: u64) -> Arc<Device> {
        if let Some(device) = self.devices.get(name) {
            return Arc::clone(device);
        }
        if self.devices.len() >= MAX_DEVICES {
            self.collect_all();
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
    fn tally(&self) -> MutexGuard<'_, Tally> {
        lock(&self.tally)
    }

    /// Counts a request, unless the counts of all are needed for it.
    fn count(&self, identity: &Identity, now: u64) -> bool {
        let mut tally = self.tally();
        let is_same_minute = tally.last_seen / 60 == now / 60;
        tally.is_listed && is_same_minute && tally.count(identity, now)
    }

    /// Counts a request of a device that may be new here.
    fn count_with(&self, identity: &Identity, device: Arc<Device>, now: u64) {
        let mut tally = self.tally();
        // A request beside this one may have been quicker.
        if !tally.count(identity, now) {
            tally.proved.push(Proved {
                identity: identity.clone(),
                device,
                admitted: 0,
            });
            tally.count(identity, now);
        }
    }

    pub(super) fn requests(&self) -> u64 {
        self.tally().requests
    }

    /// Returns subject and kind of what has been proved.
    pub(super) fn identities(&self) -> Vec<(String, &'static str)> {
        let tally = self.tally();
        let named = tally
            .proved
            .iter()
            .map(|one| (one.identity.subject().to_owned(), one.identity.kind()));
        named.collect()
    }
}

impl Tally {
    fn count(&mut self, identity: &Identity, now: u64) -> bool {
        let mut known = self.proved.iter_mut();
        let Some(proved) = known.find(|one| one.identity.is_same_subject(identity)) else {
            return false;
        };
        proved.admitted += 1;
        self.requests += 1;
        self.last_seen = now;
        true
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

#[cfg(test)]
mod tests {
    use super::*;
    use chanbind::protocol::exporter::ExporterSecret;

    const MINUTE: u64 = 29_000_000;

    fn channel() -> Channel {
        Channel::new(ExporterSecret::sha256(&[7; 32]))
    }

    fn peer() -> SocketAddr {
        ([192, 0, 2, 1], 5000).into()
    }

    fn identity(subject: &str) -> Identity {
        Identity::new(subject, "otp", ())
    }

    impl Monitor {
        fn open(&self, channel: &Channel) {
            let peer = peer();
            self.observe(&Event::ConnectionOpened { peer, channel });
        }

        fn admit(&self, second: u64, channel: &Channel, subject: &str, is_first: bool) {
            let identity = identity(subject);
            self.admitted(second, Some(peer()), channel, &identity, is_first);
        }

        fn minutes(&self) -> Vec<(u64, u64)> {
            let state = self.state();
            let minutes = state.minutes.iter();
            minutes.map(|(at, counts)| (*at, counts.admitted)).collect()
        }
    }

    #[test]
    fn requests_are_counted_in_their_minute_whenever_they_are_collected() {
        let (monitor, start) = (Monitor::default(), MINUTE * 60);
        let (one, other) = (channel(), channel());
        monitor.open(&one);
        monitor.open(&other);
        monitor.admit(start, &one, "pump", true);
        for second in 1..5 {
            monitor.admit(start + second, &one, "pump", false);
        }
        // The other connection says first that a minute has passed.
        monitor.admit(start + 60, &other, "fan", true);
        monitor.admit(start + 125, &one, "pump", false);
        assert_eq!(
            monitor.minutes(),
            [(MINUTE, 5), (MINUTE + 1, 1), (MINUTE + 2, 1)]
        );
        let state = monitor.state();
        let device = &state.devices["pump"];
        assert_eq!((device.admitted(), device.last_seen()), (6, start + 125));
        assert_eq!(state.live[&one.number()].requests(), 6);
        drop(state);
        assert_eq!(monitor.take_admitted(), BTreeMap::from([("otp", 7)]));
        assert_eq!(monitor.take_admitted(), BTreeMap::new());
    }

    #[test]
    fn nothing_is_lost_with_a_connection() {
        let (monitor, start, channel) = (Monitor::default(), MINUTE * 60, channel());
        // Before it is listed, while it is, and after it has ended.
        monitor.admit(start, &channel, "pump", true);
        monitor.open(&channel);
        monitor.admit(start, &channel, "pump", false);
        let (peer, channel) = (peer(), &channel);
        monitor.observe(&Event::ConnectionClosed { peer, channel });
        monitor.admit(start, channel, "pump", false);
        assert_eq!(monitor.minutes(), [(MINUTE, 3)]);
        assert_eq!(monitor.state().devices["pump"].admitted(), 3);
        assert!(monitor.state().live.is_empty());
    }

    #[test]
    fn a_device_stands_once_on_its_connection() {
        let (monitor, channel) = (Monitor::default(), channel());
        monitor.open(&channel);
        // The first two requests of an HTTP/2 connection may both be the first one.
        monitor.admit(MINUTE * 60, &channel, "pump", true);
        monitor.admit(MINUTE * 60, &channel, "pump", true);
        let live = Arc::clone(&monitor.state().live[&channel.number()]);
        assert_eq!(live.identities(), [("pump".to_owned(), "otp")]);
    }

    #[test]
    fn a_day_of_minutes_is_remembered() {
        let (monitor, channel) = (Monitor::default(), channel());
        monitor.open(&channel);
        monitor.admit(MINUTE * 60, &channel, "pump", true);
        for minute in [1, MINUTES - 1, MINUTES] {
            monitor.admit((MINUTE + minute) * 60, &channel, "pump", false);
        }
        let minutes = monitor.minutes().into_iter().map(|(at, _)| at - MINUTE);
        assert_eq!(minutes.collect::<Vec<_>>(), [1, MINUTES - 1, MINUTES]);
    }

    #[test]
    fn the_device_that_was_not_seen_for_longest_is_forgotten() {
        let (monitor, start) = (Monitor::default(), MINUTE * 60);
        let channels: Vec<_> = (0..MAX_DEVICES).map(|_| channel()).collect();
        for (number, channel) in channels.iter().enumerate() {
            monitor.open(channel);
            monitor.admit(start, channel, &format!("device{number}"), true);
        }
        // Not collected yet: it must be before one is chosen.
        for (number, channel) in channels.iter().enumerate().skip(1) {
            monitor.admit(start + 1, channel, &format!("device{number}"), false);
        }
        monitor.admit(start + 2, &channel(), "new", true);
        let state = monitor.state();
        assert_eq!(state.devices.len(), MAX_DEVICES);
        assert!(state.devices.contains_key("new"));
        assert!(!state.devices.contains_key("device0"));
    }
}
