//! The connections of a server. If there are too many, the one that has been idle for longest is closed.

use super::{Limits, activity::Activity};
use std::{
    cmp::Reverse,
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// All connections of a server.
pub(super) struct Connections {
    max: usize,
    max_per_address: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next: u64,
    all: HashMap<u64, (IpAddr, Arc<Activity>)>,
    per_address: HashMap<IpAddr, usize>,
}

/// The slot of a connection. Dropping it frees the slot.
pub(super) struct ConnectionSlot {
    number: u64,
    connections: Arc<Connections>,
    pub(super) activity: Arc<Activity>,
}

impl Connections {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            max: limits.connections.max(1),
            max_per_address: limits.connections_per_address.max(1),
            open: Mutex::default(),
        })
    }

    /// Returns a slot for a new connection from `peer`. If a limit is reached, evicts the connection that has been idle for
    /// longest. Returns `None` if all connections that count have requests in progress.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<ConnectionSlot> {
        let address = network_of(peer);
        let mut open = self.open();
        let from_address = open.per_address.get(&address).copied().unwrap_or(0);
        if from_address >= self.max_per_address {
            open.evict(|other| *other == address)?;
        }
        if open.all.len() >= self.max {
            open.evict(|_| true)?;
        }
        let number = open.next;
        open.next += 1;
        let activity = Arc::new(Activity::new());
        open.all.insert(number, (address, Arc::clone(&activity)));
        *open.per_address.entry(address).or_default() += 1;
        Some(ConnectionSlot {
            number,
            connections: Arc::clone(self),
            activity,
        })
    }

    /// Closes the connection that has been idle for longest, if any connection is idle.
    pub(super) fn evict_one(&self) {
        let _ = self.open().evict(|_| true);
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Evicts the connection that has been idle for longest, of those whose address matches. Returns `None` if none of them is
    /// idle.
    fn evict(&mut self, matches: impl Fn(&IpAddr) -> bool) -> Option<()> {
        let idle = self
            .all
            .iter()
            .filter(|(_, (address, _))| matches(address))
            .filter_map(|(number, (_, activity))| Some((*number, activity.idle()?)));
        let (number, _) = idle.max_by_key(|(number, idle)| (*idle, Reverse(*number)))?;
        let activity = self.remove(number)?;
        activity.evict();
        Some(())
    }

    fn remove(&mut self, number: u64) -> Option<Arc<Activity>> {
        let (address, activity) = self.all.remove(&number)?;
        if let Some(count) = self.per_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&address);
            }
        }
        Some(activity)
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.connections.open().remove(self.number);
    }
}

/// Returns the network that counts as one address: for IPv6 the first 64 bits, because a site has at least a /64 network.
pub(super) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(max: usize, max_per_address: usize) -> Arc<Connections> {
        Connections::new(&Limits {
            connections: max,
            connections_per_address: max_per_address,
            ..Limits::default()
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn evicts_longest_idle_connection() {
        let all = connections(3, 3);
        let later = async || tokio::time::advance(std::time::Duration::from_secs(1)).await;
        let first = all.admit(ip("192.0.2.1")).unwrap();
        later().await;
        let second = all.admit(ip("192.0.2.2")).unwrap();
        later().await;
        let third = all.admit(ip("192.0.2.3")).unwrap();
        // The first connection has a request in progress, so the second one is evicted.
        let requests = first.activity.begin_request();
        let fourth = all.admit(ip("192.0.2.4")).unwrap();
        assert!(!all.open().all.contains_key(&second.number));
        let others = [&third, &fourth].map(|slot| slot.activity.begin_request());
        assert!(all.admit(ip("192.0.2.5")).is_none());
        drop((requests, others));
        assert!(all.admit(ip("192.0.2.5")).is_some());
    }

    #[test]
    fn limits_connections_per_address() {
        let all = connections(100, 2);
        let slots: Vec<_> = [
            "2001:db8::1",
            "2001:db8::2",
            "2001:db8:0:1::1",
            "::ffff:192.0.2.1",
        ]
        .map(|address| all.admit(ip(address)).unwrap())
        .into();
        // A third connection from the first network evicts one of the other two.
        let _third = all.admit(ip("2001:db8::3")).unwrap();
        let open: Vec<_> = slots
            .iter()
            .map(|slot| all.open().all.contains_key(&slot.number))
            .collect();
        assert_eq!(open.iter().filter(|open| **open).count(), 3);
        assert!(open[2] && open[3]);
        let busy = [
            all.admit(ip("192.0.2.1")).unwrap(),
            all.admit(ip("192.0.2.1")).unwrap(),
        ];
        let _requests = busy.each_ref().map(|slot| slot.activity.begin_request());
        assert!(all.admit(ip("192.0.2.1")).is_none());
        drop(busy);
        assert!(all.admit(ip("192.0.2.1")).is_some());
    }
}
