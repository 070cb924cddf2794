//! The pace of new connections, whose handshakes cost most.

use super::{Limits, connections::network_of};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// The limits on new connections in a second. Seconds are counted from the first connection on.
pub(super) struct Pace {
    max: u32,
    max_per_address: u32,
    current: Mutex<Second>,
}

/// The connections of one second.
struct Second {
    end: Instant,
    all: u32,
    per_address: HashMap<IpAddr, u32>,
}

impl Pace {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            max: limits.handshakes_per_second,
            max_per_address: limits.handshakes_per_second_and_address,
            current: Mutex::new(Second {
                end: Instant::now(),
                all: 0,
                per_address: HashMap::new(),
            }),
        }
    }

    /// Waits until another connection may be accepted, and counts it.
    pub(super) async fn all(&self) {
        loop {
            let end = {
                let mut second = self.second();
                if self.max == 0 || second.all < self.max {
                    second.all = second.all.saturating_add(1);
                    return;
                }
                second.end
            };
            sleep_until(end).await;
        }
    }

    /// Returns whether a connection from this address is allowed now, and counts it.
    pub(super) fn allows(&self, address: IpAddr) -> bool {
        if self.max_per_address == 0 {
            return true;
        }
        let mut second = self.second();
        let count = second.per_address.entry(network_of(address)).or_default();
        *count = count.saturating_add(1);
        *count <= self.max_per_address
    }

    fn second(&self) -> MutexGuard<'_, Second> {
        let mut second = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if now >= second.end {
            second.end = now + Duration::from_secs(1);
            second.all = 0;
            second.per_address.clear();
        }
        second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(all: u32, per_address: u32) -> Pace {
        Pace::new(&Limits {
            handshakes_per_second: all,
            handshakes_per_second_and_address: per_address,
            ..Limits::default()
        })
    }

    #[tokio::test(start_paused = true)]
    async fn connections_wait_for_the_next_second() {
        let pace = pace(2, 0);
        let start = Instant::now();
        for seconds in [0, 0, 1, 1, 2] {
            pace.all().await;
            assert_eq!(start.elapsed().as_secs(), seconds);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_are_counted_apart() {
        let pace = pace(0, 2);
        let one = "192.0.2.1".parse().unwrap();
        let networks = ["2001:db8::1", "2001:db8::2"].map(|text| text.parse().unwrap());
        assert!(pace.allows(one) && pace.allows(one) && !pace.allows(one));
        assert!(pace.allows(networks[0]) && pace.allows(networks[1]) && !pace.allows(networks[0]));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(pace.allows(one) && pace.allows(networks[0]));
    }
}
