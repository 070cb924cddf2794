//! The recent events at a gateway, in bounded memory.
//!
//! Requests of an admitted device count in what their connection holds, without a lock that connections share. These counts are added to those of all
//! by the first request of another minute, when the connection ends, and when something is shown.

mod live;

use super::metrics::reason;
use chanbind::gateway::{Channel, Event, Identity};
use live::{Counts, Live};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// The devices that are remembered. For more of them, those that were not admitted for longest are forgotten.
const MAX_DEVICES: usize = 10_000;
/// The devices that are forgotten at a time: choosing them takes a look at all.
const FORGOTTEN: usize = MAX_DEVICES / 16;
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

/// A device that has been seen.
#[derive(Default)]
pub(super) struct Device {
    last_seen: AtomicU64,
    /// The time of the last request that was admitted. Anyone can have a name refused.
    last_admitted: AtomicU64,
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

/// Records a time, unless a later one stands there. One that is still to come was of a clock that has been set since.
fn record(last: &AtomicU64, at: u64, now: u64) {
    let before = Some(last.load(Relaxed)).filter(|before| *before <= now);
    last.store(at.max(before.unwrap_or(0)), Relaxed);
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
    /// Returns the state, with the counts of all connections. They are collected without its lock, which new connections need.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state_at(now())
    }

    fn state_at(&self, now: u64) -> MutexGuard<'_, State> {
        let all: Vec<_> = lock(&self.state).live.values().cloned().collect();
        let counts: Vec<_> = all.iter().flat_map(|live| live.take()).collect();
        let mut state = lock(&self.state);
        counts.iter().for_each(|counts| state.add(counts, now));
        state
    }

    /// Returns the requests that were admitted since the last call, by the kind of proof.
    pub(super) fn take_admitted(&self) -> BTreeMap<&'static str, u64> {
        std::mem::take(&mut self.state().admitted)
    }

    pub(super) fn observe(&self, event: &Event<'_>) {
        self.observe_at(now(), event);
    }

    fn observe_at(&self, now: u64, event: &Event<'_>) {
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
                    state.collect(&live, now);
                }
            }
            Event::Admitted {
                peer,
                channel,
                identity,
                is_first,
            } => self.admitted(now, *peer, channel, identity, *is_first),
            Event::Refused { peer, refusal, .. } => {
                let mut state = lock(&self.state);
                state.minute(now, now).refused += 1;
                let Some(subject) = refusal.claimed_subject() else {
                    return;
                };
                // Anyone can claim names, which must not drive devices out of memory.
                if state.devices.len() >= MAX_DEVICES && !state.devices.contains_key(subject) {
                    return;
                }
                let device = state.device(subject, now);
                record(&device.last_seen, now, now);
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
        channel.state(self.owner, || Live::new(peer, now()))
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
        state.collect(&live, now);
        let known = live.device(identity).filter(|_| !is_first);
        let device = known.unwrap_or_else(|| state.device(identity.subject(), now));
        if is_first {
            let from = peer.map_or(String::new(), |peer| format!(" from {}", peer.ip()));
            device.note(now, format!("admitted by {}{from}", identity.kind()));
        }
        live.count_with(identity, device, now);
        if !live.tally().is_listed {
            state.collect(&live, now);
        }
    }
}

impl State {
    /// Adds what a connection has counted.
    fn collect(&mut self, live: &Live, now: u64) {
        for counts in live.take() {
            self.add(&counts, now);
        }
    }

    fn add(&mut self, counts: &Counts, now: u64) {
        let device = &counts.device;
        device.admitted.fetch_add(counts.admitted, Relaxed);
        record(&device.last_admitted, counts.last_seen, now);
        record(&device.last_seen, counts.last_seen, now);
        *self.admitted.entry(counts.kind).or_default() += counts.admitted;
        self.minute(counts.last_seen, now).admitted += counts.admitted;
    }

    /// Returns the counts of the minute of a time. Those that are of no minute of the last day are forgotten: the clock may have been wrong.
    fn minute(&mut self, at: u64, now: u64) -> &mut Minute {
        let first = (now / 60).saturating_sub(MINUTES - 1);
        while let Some(oldest) = self.minutes.first_entry()
            && *oldest.key() < first
        {
            oldest.remove();
        }
        while let Some(newest) = self.minutes.last_entry()
            && *newest.key() > now / 60
        {
            newest.remove();
        }
        self.minutes.entry(at / 60).or_default()
    }

    /// Returns what is known of a device.
    fn device(&mut self, name: &str, now: u64) -> Arc<Device> {
        if let Some(device) = self.devices.get(name) {
            return Arc::clone(device);
        }
        if self.devices.len() >= MAX_DEVICES {
            self.forget(now);
        }
        let device = Arc::new(Device {
            last_seen: now.into(),
            ..Device::default()
        });
        self.devices.insert(name.to_owned(), Arc::clone(&device));
        device
    }

    /// Forgets the devices that were not admitted for longest.
    fn forget(&mut self, now: u64) {
        let all: Vec<_> = self.live.values().cloned().collect();
        all.iter().for_each(|live| self.collect(live, now));
        let devices = self.devices.iter();
        let mut oldest: Vec<_> = devices
            .map(|(name, device)| (device.last_admitted.load(Relaxed), device.last_seen(), name))
            .collect();
        if oldest.len() > FORGOTTEN {
            oldest.select_nth_unstable(FORGOTTEN);
            oldest.truncate(FORGOTTEN);
        }
        let names: Vec<_> = oldest.into_iter().map(|(.., name)| name.clone()).collect();
        for name in names {
            self.devices.remove(&name);
        }
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
    const START: u64 = MINUTE * 60;

    fn channel() -> Channel {
        Channel::new(ExporterSecret::sha256(&[7; 32]))
    }

    fn peer() -> SocketAddr {
        ([192, 0, 2, 1], 5000).into()
    }

    impl Monitor {
        fn open(&self, channel: &Channel) {
            let peer = peer();
            self.observe_at(START, &Event::ConnectionOpened { peer, channel });
        }

        fn admit(&self, second: u64, channel: &Channel, subject: &str, is_first: bool) {
            let identity = Identity::new(subject, "otp", ());
            self.admitted(second, Some(peer()), channel, &identity, is_first);
        }

        fn minutes(&self, now: u64) -> Vec<(u64, u64)> {
            let state = self.state_at(now);
            let minutes = state.minutes.iter();
            minutes.map(|(at, counts)| (*at, counts.admitted)).collect()
        }
    }

    #[test]
    fn requests_are_counted_in_their_minute_whenever_they_are_collected() {
        let monitor = Monitor::default();
        let (one, other) = (channel(), channel());
        monitor.open(&one);
        monitor.open(&other);
        monitor.admit(START, &one, "pump", true);
        for second in 1..5 {
            monitor.admit(START + second, &one, "pump", false);
        }
        // The other connection says first that a minute has passed.
        monitor.admit(START + 60, &other, "fan", true);
        monitor.admit(START + 125, &one, "pump", false);
        assert_eq!(
            monitor.minutes(START + 130),
            [(MINUTE, 5), (MINUTE + 1, 1), (MINUTE + 2, 1)]
        );
        let state = monitor.state_at(START + 130);
        let device = &state.devices["pump"];
        assert_eq!((device.admitted(), device.last_seen()), (6, START + 125));
        assert_eq!(state.live[&one.number()].requests(), 6);
        drop(state);
        assert_eq!(monitor.take_admitted(), BTreeMap::from([("otp", 7)]));
        assert_eq!(monitor.take_admitted(), BTreeMap::new());
    }

    #[test]
    fn nothing_is_lost_with_a_connection() {
        let (monitor, channel) = (Monitor::default(), channel());
        // Before it is listed, while it is, and after it has ended.
        monitor.admit(START, &channel, "pump", true);
        monitor.open(&channel);
        monitor.admit(START, &channel, "pump", false);
        let (peer, channel) = (peer(), &channel);
        monitor.observe_at(START, &Event::ConnectionClosed { peer, channel });
        monitor.admit(START, channel, "pump", false);
        assert_eq!(monitor.minutes(START), [(MINUTE, 3)]);
        let state = monitor.state_at(START);
        assert_eq!(state.devices["pump"].admitted(), 3);
        assert!(state.live.is_empty());
    }

    #[test]
    fn a_device_stands_once_on_its_connection() {
        let (monitor, channel) = (Monitor::default(), channel());
        monitor.open(&channel);
        // The first two requests of an HTTP/2 connection may both be the first one.
        monitor.admit(START, &channel, "pump", true);
        monitor.admit(START, &channel, "pump", true);
        let live = Arc::clone(&monitor.state_at(START).live[&channel.number()]);
        assert_eq!(live.identities(), [("pump".to_owned(), "otp")]);
    }

    #[test]
    fn a_day_of_minutes_is_remembered() {
        let (monitor, channel) = (Monitor::default(), channel());
        monitor.open(&channel);
        monitor.admit(START, &channel, "pump", true);
        for minute in [1, MINUTES - 1, MINUTES] {
            monitor.admit(START + minute * 60, &channel, "pump", false);
        }
        let minutes = monitor.minutes(START + MINUTES * 60).into_iter();
        let minutes = minutes.map(|(at, _)| at - MINUTE);
        assert_eq!(minutes.collect::<Vec<_>>(), [1, MINUTES - 1, MINUTES]);
    }

    #[test]
    fn a_clock_that_was_wrong_leaves_nothing_behind() {
        let (monitor, channel) = (Monitor::default(), channel());
        monitor.open(&channel);
        monitor.admit(START + 100 * MINUTES * 60, &channel, "pump", true);
        monitor.admit(START, &channel, "pump", false);
        monitor.admit(START + 60, &channel, "pump", false);
        assert_eq!(monitor.minutes(START + 60), [(MINUTE, 1), (MINUTE + 1, 1)]);
        let state = monitor.state_at(START + 60);
        assert_eq!(state.devices["pump"].last_seen(), START + 60);
    }

    #[test]
    fn the_devices_that_were_not_admitted_for_longest_are_forgotten() {
        let monitor = Monitor::default();
        let name = |number| format!("device{number}");
        let channels: Vec<_> = (0..MAX_DEVICES).map(|_| channel()).collect();
        for (number, channel) in channels.iter().enumerate() {
            monitor.open(channel);
            monitor.admit(START, channel, &name(number), true);
        }
        // Not collected yet: they must be before any are chosen.
        for (number, channel) in channels.iter().enumerate().skip(FORGOTTEN) {
            monitor.admit(START + 1, channel, &name(number), false);
        }
        monitor.admit(START + 2, &channel(), "new", true);
        let devices = |now| monitor.state_at(now).devices.len();
        let has = |name: &str| monitor.state_at(START + 2).devices.contains_key(name);
        assert_eq!(devices(START + 2), MAX_DEVICES - FORGOTTEN + 1);
        assert!(has("new") && has(&name(FORGOTTEN)));
        assert!((0..FORGOTTEN).all(|number| !has(&name(number))));
        // A connection goes on with what it holds: the next minute does not bring the device back, for which another one would have to go.
        monitor.admit(START + 60, &channels[0], &name(0), false);
        assert_eq!(devices(START + 60), MAX_DEVICES - FORGOTTEN + 1);
    }
}
