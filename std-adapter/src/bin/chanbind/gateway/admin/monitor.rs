//! The recent events at a gateway, in bounded memory.

use super::metrics::reason;
use chanbind::gateway::Event;
use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

/// The devices that are remembered. Beyond that, the one that has not been seen for longest is forgotten.
const MAX_DEVICES: usize = 10_000;
/// The events that are remembered of a device.
const MAX_EVENTS: usize = 32;
/// The minutes that are remembered.
pub(super) const MINUTES: u64 = 24 * 60;

/// The recent events at a gateway.
#[derive(Default)]
pub(in super::super) struct Monitor(Mutex<State>);

#[derive(Default)]
pub(super) struct State {
    pub(super) live: HashMap<u64, Live>,
    pub(super) devices: HashMap<String, Device>,
    /// Minutes in which something happened, in order.
    pub(super) minutes: VecDeque<Minute>,
}

/// A connection that is open.
pub(super) struct Live {
    pub(super) peer: SocketAddr,
    pub(super) since: u64,
    pub(super) requests: u64,
    /// Subject and kind of what has been proved on it.
    pub(super) identities: Vec<(String, &'static str)>,
}

/// A device that has been seen.
#[derive(Default)]
pub(super) struct Device {
    pub(super) last_seen: u64,
    pub(super) admitted: u64,
    pub(super) refused: u64,
    /// Times in seconds since 1970, and what happened.
    pub(super) events: VecDeque<(u64, String)>,
}

/// The counts of one minute.
#[derive(Default)]
pub(super) struct Minute {
    pub(super) minute: u64,
    pub(super) admitted: u64,
    pub(super) refused: u64,
}

/// Returns the time in seconds since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

impl Monitor {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn observe(&self, event: &Event<'_>) {
        let now = now();
        let mut state = self.state();
        match event {
            Event::ConnectionOpened { peer, channel } => {
                let live = Live {
                    peer: *peer,
                    since: now,
                    requests: 0,
                    identities: Vec::new(),
                };
                state.live.insert(channel.number(), live);
            }
            Event::ConnectionClosed { channel, .. } => {
                state.live.remove(&channel.number());
            }
            Event::Admitted {
                peer,
                channel,
                identity,
                is_first,
            } => {
                state.count(now, |minute| minute.admitted += 1);
                if let Some(live) = state.live.get_mut(&channel.number()) {
                    live.requests += 1;
                    if *is_first {
                        let name = identity.subject().to_owned();
                        live.identities.push((name, identity.kind()));
                    }
                }
                state.change(identity.subject(), now, |device| {
                    device.admitted += 1;
                    if *is_first {
                        let from =
                            peer.map_or(String::new(), |peer| format!(" from {}", peer.ip()));
                        device.note(now, format!("admitted by {}{from}", identity.kind()));
                    }
                });
            }
            Event::Refused { peer, refusal, .. } => {
                state.count(now, |minute| minute.refused += 1);
                let Some(subject) = refusal.claimed_subject() else {
                    return;
                };
                // Anyone can claim names, which must not drive devices out of memory.
                if state.devices.len() >= MAX_DEVICES && !state.devices.contains_key(subject) {
                    return;
                }
                state.change(subject, now, |device| {
                    device.refused += 1;
                    let from = peer.map_or(String::new(), |peer| format!(" from {}", peer.ip()));
                    device.note(
                        now,
                        format!("refused{from}, {}: {refusal}", reason(refusal.kind())),
                    );
                });
            }
            _ => {}
        }
    }
}

impl State {
    /// Counts something in this minute.
    fn count(&mut self, now: u64, count: impl FnOnce(&mut Minute)) {
        let minute = now / 60;
        let is_new = self.minutes.back().is_none_or(|last| last.minute != minute);
        if is_new {
            while self
                .minutes
                .front()
                .is_some_and(|first| first.minute + MINUTES <= minute)
                || u64::try_from(self.minutes.len()).is_ok_and(|len| len >= MINUTES)
            {
                self.minutes.pop_front();
            }
            self.minutes.push_back(Minute {
                minute,
                ..Minute::default()
            });
        }
        if let Some(last) = self.minutes.back_mut() {
            count(last);
        }
    }

    /// Changes what is known of a device. Its name is copied only when it is new.
    fn change(&mut self, name: &str, now: u64, change: impl FnOnce(&mut Device)) {
        if let Some(device) = self.devices.get_mut(name) {
            device.last_seen = now;
            change(device);
            return;
        }
        if self.devices.len() >= MAX_DEVICES {
            let oldest = self
                .devices
                .iter()
                .min_by_key(|(_, device)| device.last_seen);
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                self.devices.remove(&oldest);
            }
        }
        let mut device = Device {
            last_seen: now,
            ..Device::default()
        };
        change(&mut device);
        self.devices.insert(name.to_owned(), device);
    }
}

impl Device {
    fn note(&mut self, now: u64, what: String) {
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back((now, what));
    }
}
