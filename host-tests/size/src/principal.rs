//! A client of blessings.

use crate::bytes;
use chanbind_core::blessing::{
    AccessList, Algorithms, ClientPrincipal, DischargeList, NameList, Pattern, Root, Roots, Time,
    Timestamp,
};

/// A principal whose blessings the optimizer cannot predict.
pub struct Principal {
    roots: Known,
    algorithms: Algorithms,
}

/// The root that it recognizes.
struct Known([Root<'static>; 1]);

impl Roots for Known {
    fn are_of(&self, public_key: &[u8], name: &str) -> bool {
        self.0.as_slice().are_of(public_key, name)
    }
}

impl Principal {
    pub fn new() -> Self {
        Self {
            roots: Known([Root {
                public_key: bytes(91),
                pattern: Pattern("factory"),
            }]),
            algorithms: Algorithms::DEFAULT,
        }
    }
}

impl ClientPrincipal for Principal {
    fn blessings(&self) -> &[u8] {
        bytes(900)
    }

    fn discharges(&self) -> DischargeList<'_> {
        [bytes(300)].into_iter().collect()
    }

    fn roots(&self) -> &dyn Roots {
        &self.roots
    }

    fn trusts(&self, names: &NameList) -> bool {
        let list = AccessList {
            admit: &[Pattern("factory:gateway")],
            exclude: &[],
        };
        list.admits(names)
    }

    fn algorithms(&self) -> &Algorithms {
        &self.algorithms
    }

    fn time(&self, clock: Option<u64>) -> Time {
        Time::NotBefore(Timestamp {
            seconds: i64::try_from(clock.unwrap_or(1_700_000_000)).unwrap_or(i64::MAX),
            nanoseconds: 0,
        })
    }
}
