//! The connections of a server, and who has to go when there are too many.

use super::{Limits, activity::Activity};
use std::{
    cmp::Reverse,
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// All connections of a server.
pub(super) struct Connections {
    most: usize,
    most_per_address: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next: u64,
    all: HashMap<u64, (IpAddr, Arc<Activity>)>,
    per_address: HashMap<IpAddr, usize>,
}

/// The place of a connection; free again when it is dropped.
pub(super) struct Place {
    number: u64,
    connections: Arc<Connections>,
    pub(super) activity: Arc<Activity>,
}

impl Connections {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            most: limits.connections.max(1),
            most_per_address: limits.connections_per_address.max(1),
            open: Mutex::default(),
        })
    }

    /// A place for a new connection, if need be that of the one that has been idle for longest. `None` if all have requests under way.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let address = network_of(peer);
        let mut open = self.open();
        let from_there = open.per_address.get(&address).copied().unwrap_or(0);
        if from_there >= self.most_per_address {
            open.evict(|other| *other == address)?;
        }
        if open.all.len() >= self.most {
            open.evict(|_| true)?;
        }
        let number = open.next;
        open.next += 1;
        let activity = Arc::new(Activity::new());
        open.all.insert(number, (address, Arc::clone(&activity)));
        *open.per_address.entry(address).or_default() += 1;
        Some(Place {
            number,
            connections: Arc::clone(self),
            activity,
        })
    }

    /// Closes the connection that has been idle for longest, if there is one.
    pub(super) fn evict_one(&self) {
        let _ = self.open().evict(|_| true);
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn evict(&mut self, is: impl Fn(&IpAddr) -> bool) -> Option<()> {
        let idle = self
            .all
            .iter()
            .filter(|(_, (address, _))| is(address))
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

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.open().remove(self.number);
    }
}

/// Returns the network that counts as one address: of IPv6 the 64 bits that a site is given at least.
fn network_of(address: IpAddr) -> IpAddr {
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

    fn connections(most: usize, most_per_address: usize) -> Arc<Connections> {
        Connections::new(&Limits {
            connections: most,
            connections_per_address: most_per_address,
            ..Limits::default()
        })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_gives_its_place() {
        let all = connections(3, 3);
        let later = async || tokio::time::advance(std::time::Duration::from_secs(1)).await;
        let first = all.admit(ip("192.0.2.1")).unwrap();
        later().await;
        let second = all.admit(ip("192.0.2.2")).unwrap();
        later().await;
        let third = all.admit(ip("192.0.2.3")).unwrap();
        // The first has a request under way, so the second goes.
        let under_way = first.activity.request();
        let fourth = all.admit(ip("192.0.2.4")).unwrap();
        assert!(!all.open().all.contains_key(&second.number));
        let others = [&third, &fourth].map(|place| place.activity.request());
        assert!(all.admit(ip("192.0.2.5")).is_none());
        drop((under_way, others));
        assert!(all.admit(ip("192.0.2.5")).is_some());
    }

    #[test]
    fn addresses_have_limits_of_their_own() {
        let all = connections(100, 2);
        let places: Vec<_> = [
            "2001:db8::1",
            "2001:db8::2",
            "2001:db8:0:1::1",
            "::ffff:192.0.2.1",
        ]
        .map(|address| all.admit(ip(address)).unwrap())
        .into();
        // A third of that network has the first one's place.
        let _third = all.admit(ip("2001:db8::3")).unwrap();
        let open: Vec<_> = places
            .iter()
            .map(|place| all.open().all.contains_key(&place.number))
            .collect();
        assert_eq!(open.iter().filter(|open| **open).count(), 3);
        assert!(open[2] && open[3]);
        let busy = [
            all.admit(ip("192.0.2.1")).unwrap(),
            all.admit(ip("192.0.2.1")).unwrap(),
        ];
        let _under_way = busy.each_ref().map(|place| place.activity.request());
        assert!(all.admit(ip("192.0.2.1")).is_none());
        drop(busy);
        assert!(all.admit(ip("192.0.2.1")).is_some());
    }
}
