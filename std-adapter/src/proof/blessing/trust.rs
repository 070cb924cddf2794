use super::{ALGORITHMS, Principal};
use chanbind_core::blessing::{
    AccessList, AccessListWarning, BlessingError, CaveatError, CheckContext, Discharges,
    EncodedBlessings, NameList, Pattern, Time, Timestamp, VerifiedBlessings,
};
use std::time::{SystemTime, UNIX_EPOCH};

/// The peers that a principal trusts: patterns for their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PeerPatterns {
    /// The patterns that admit.
    pub admit: Vec<String>,
    /// The patterns that exclude.
    pub exclude: Vec<String>,
}

impl PeerPatterns {
    /// Admits peers with a name that one of the patterns matches.
    #[must_use]
    pub fn admit(patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            admit: patterns.into_iter().map(Into::into).collect(),
            exclude: Vec::new(),
        }
    }

    /// Excludes names that one of the patterns matches.
    #[must_use]
    pub fn exclude(mut self, patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.exclude = patterns.into_iter().map(Into::into).collect();
        self
    }

    /// Returns whether a peer with these names is admitted ([`AccessList::admits`]).
    #[must_use]
    pub fn admits(&self, names: &NameList) -> bool {
        self.with(|list| list.admits(names))
    }

    /// Returns the names by which a peer is admitted ([`AccessList::admitted`]).
    #[must_use]
    pub fn admitted(&self, names: &NameList) -> Vec<String> {
        self.with(|list| list.admitted(names).map(str::to_owned).collect())
    }

    /// Returns whether a peer with this one name would be admitted.
    pub(super) fn admits_name(&self, name: &str) -> bool {
        let mut names = NameList::new();
        names.push(name).is_ok() && self.admits(&names)
    }

    /// Returns the danger in the patterns, for the operator.
    #[must_use]
    pub fn warning(&self) -> Option<AccessListWarning> {
        self.with(|list| list.warning())
    }

    fn with<T>(&self, f: impl FnOnce(&AccessList<'_>) -> T) -> T {
        let admit: Vec<_> = self.admit.iter().map(|one| Pattern(one)).collect();
        let exclude: Vec<_> = self.exclude.iter().map(|one| Pattern(one)).collect();
        f(&AccessList {
            admit: &admit,
            exclude: &exclude,
        })
    }
}

/// Returns the time of the system's clock.
pub(super) fn now() -> Time {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Time::At(Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanoseconds: since.subsec_nanos(),
    })
}

/// The names of a peer.
pub(super) struct PeerNames {
    /// The names that count.
    pub(super) names: NameList,
    /// The names that do not, with reasons for an operator.
    pub(super) rejected: Vec<String>,
    /// The numbers and names of chains with a recognized root for which a discharge is missing.
    pub(super) undischarged: Vec<(usize, String)>,
}

/// Calls `f` with the context for the caveats of a peer of `principal` now.
pub(super) fn with_context<T>(
    principal: &Principal,
    discharges: &dyn Discharges,
    method: &str,
    f: impl FnOnce(&CheckContext<'_>) -> Result<T, BlessingError>,
) -> Result<T, BlessingError> {
    let encoded = EncodedBlessings::parse(principal.blessings())?;
    let local_names = encoded.blessings().local_names(principal.roots())?;
    f(&CheckContext {
        time: now(),
        method,
        method_tags: &[],
        local_names: &local_names,
        discharges,
        algorithms: &ALGORITHMS,
    })
}

/// Returns whether another discharge could mend the error.
pub(super) fn is_undischarged(error: impl Into<BlessingError>) -> bool {
    matches!(
        error.into(),
        BlessingError::Caveat(CaveatError::NoDischarge | CaveatError::Discharge)
    )
}

/// Returns the names of a peer that count at `principal` now, and the reasons why others do not.
pub(super) fn names_of_peer(
    principal: &Principal,
    peer: &VerifiedBlessings<'_>,
    discharges: &dyn Discharges,
    method: &str,
) -> Result<PeerNames, BlessingError> {
    let mut rejected = Vec::new();
    let mut undischarged = Vec::new();
    let names = with_context(principal, discharges, method, |context| {
        peer.names(principal.roots(), context, &mut |chain, name, reason| {
            if is_undischarged(reason) {
                undischarged.push((chain, name.to_owned()));
            }
            rejected.push(format!("{name:?}: {reason}"));
        })
    })?;
    Ok(PeerNames {
        names,
        rejected,
        undischarged,
    })
}
