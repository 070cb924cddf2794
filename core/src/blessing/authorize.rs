//! The decisions about a peer: roots, access lists, and the authorizers of Vanadium.

use super::{NameList, Pattern};

/// The roots that a principal recognizes: the public keys that may give names, and which ones.
pub trait Roots {
    /// Returns whether the key, a SubjectPublicKeyInfo in DER, may be the first of a chain with this name.
    fn are_of(&self, public_key: &[u8], name: &str) -> bool;
}

/// A root: a public key and a pattern for the names that it may give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Root<'a> {
    /// The SubjectPublicKeyInfo in DER.
    pub public_key: &'a [u8],
    /// The pattern. `...` is no pattern for a root, and matches nothing here.
    pub pattern: Pattern<'a>,
}

impl Roots for &[Root<'_>] {
    fn are_of(&self, public_key: &[u8], name: &str) -> bool {
        self.iter().any(|root| {
            root.public_key == public_key
                && !root.pattern.matches_everyone()
                && root.pattern.is_matched_by_name(name)
        })
    }
}

/// A list of patterns that admit, and of patterns that exclude.
///
/// As at upstream, a name that an excluding pattern matches is dropped, and one of the names that are left must match an admitting pattern. The pattern
/// `...` admits every peer, whatever the other list says: one without names too. [`AccessList::warning`] names such lists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccessList<'a> {
    /// The patterns that admit.
    pub admit: &'a [Pattern<'a>],
    /// The patterns that exclude.
    pub exclude: &'a [Pattern<'a>],
}

/// A danger in an access list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessListWarning {
    /// `...` admits every peer, although there are patterns that exclude.
    ExcludesNone,
    /// `...` admits every peer, also one without names.
    AdmitsEveryone,
    /// A pattern is invalid: it admits none, and excludes none.
    InvalidPattern,
}

crate::error_messages! { AccessListWarning {
    Self::ExcludesNone => "the pattern ... admits every peer, also one without names: the patterns that exclude have no effect";
    Self::AdmitsEveryone => "the pattern ... admits every peer, also one without names";
    Self::InvalidPattern => "a pattern is invalid, and has no effect";
}}

impl AccessList<'_> {
    /// Returns whether a peer with these names is admitted.
    #[must_use]
    pub fn admits(&self, names: &NameList) -> bool {
        self.admit.iter().any(|pattern| {
            pattern.matches_everyone()
                || names
                    .iter()
                    .any(|name| !self.excludes(name) && pattern.is_matched_by_name(name))
        })
    }

    /// Returns the names by which a peer is admitted: those that an admitting pattern matches and no excluding one. The others are the peer's too, and the
    /// operator has not asked for them.
    pub fn admitted<'n>(&self, names: &'n NameList) -> impl Iterator<Item = &'n str> {
        names.iter().filter(|name| {
            let is_admitted = |pattern: &Pattern<'_>| pattern.is_matched_by_name(name);
            !self.excludes(name) && self.admit.iter().any(is_admitted)
        })
    }

    fn excludes(&self, name: &str) -> bool {
        self.exclude
            .iter()
            .any(|pattern| pattern.is_matched_by_name(name))
    }

    /// Returns what is dangerous in the list, for the operator.
    #[must_use]
    pub fn warning(&self) -> Option<AccessListWarning> {
        let mut all = self.admit.iter().chain(self.exclude);
        if all.any(|pattern| !pattern.is_valid()) {
            return Some(AccessListWarning::InvalidPattern);
        }
        let everyone = self.admit.iter().any(Pattern::matches_everyone);
        everyone.then_some(if self.exclude.is_empty() {
            AccessListWarning::AdmitsEveryone
        } else {
            AccessListWarning::ExcludesNone
        })
    }
}

/// Returns whether Vanadium's default authorizer admits a peer: a name of one side, as a pattern, is matched by a name of the other.
#[must_use]
pub fn default_authorizes(local: &NameList, remote: &NameList) -> bool {
    local.iter().any(|name| Pattern(name).is_matched_by(remote))
        || remote.iter().any(|name| Pattern(name).is_matched_by(local))
}

/// Returns whether Vanadium's endpoint authorizer admits a server: a name in its endpoint, as a pattern, is matched by a name of the server.
pub fn endpoint_authorizes<'n>(
    mut endpoint_names: impl Iterator<Item = &'n str>,
    remote: &NameList,
) -> bool {
    endpoint_names.any(|name| Pattern(name).is_matched_by(remote))
}
