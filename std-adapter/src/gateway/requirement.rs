use crate::proof::{Identity, Verifier};
use std::{fmt, sync::Arc};

/// The proofs that a path needs: of one verifier, of any of several ([`Requirement::or`], [`any_of`]), or of all of them
/// ([`Requirement::and`], [`all_of`]).
///
/// ```no_run
/// use chanbind::gateway::Requirement;
/// # fn example(otp: std::sync::Arc<chanbind::proof::otp::OtpVerifier>, certificate: std::sync::Arc<chanbind::proof::authenticator::AuthenticatorVerifier>) {
/// let either = Requirement::from(&otp).or(&certificate);
/// let both = Requirement::from(&otp).and(&certificate);
/// # }
/// ```
#[derive(Clone)]
pub struct Requirement(Node);

#[derive(Clone)]
enum Node {
    One(Arc<dyn Verifier>),
    Any(Vec<Requirement>),
    All(Vec<Requirement>),
    Among(Box<Requirement>, Arc<Audience>),
}

/// Subjects that a requirement admits: those that one of the patterns or one of the groups names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audience {
    /// Subjects. A `*` at the end stands for any rest.
    pub subjects: Vec<String>,
    /// Groups, as the registry has them.
    pub groups: Vec<String>,
}

impl Audience {
    /// Returns whether an identity is admitted.
    #[must_use]
    pub fn admits(&self, identity: &Identity) -> bool {
        let subject = identity.subject();
        let mut subjects = self.subjects.iter();
        let is_named = subjects.any(|pattern| match pattern.strip_suffix('*') {
            Some(start) => subject.starts_with(start),
            None => subject == pattern,
        });
        is_named
            || identity
                .groups()
                .iter()
                .any(|group| self.groups.contains(group))
    }
}

impl<V: Verifier> From<Arc<V>> for Requirement {
    fn from(verifier: Arc<V>) -> Self {
        Self(Node::One(verifier))
    }
}

impl<V: Verifier> From<&Arc<V>> for Requirement {
    fn from(verifier: &Arc<V>) -> Self {
        Self::from(Arc::clone(verifier))
    }
}

impl From<Arc<dyn Verifier>> for Requirement {
    fn from(verifier: Arc<dyn Verifier>) -> Self {
        Self(Node::One(verifier))
    }
}

/// Requires one of several proofs. An empty list can never be satisfied.
#[must_use]
pub fn any_of(requirements: impl IntoIterator<Item = impl Into<Requirement>>) -> Requirement {
    Requirement(Node::Any(
        requirements.into_iter().map(Into::into).collect(),
    ))
}

/// Requires several proofs together. An empty list can never be satisfied. The proofs may be of different subjects: a handler that needs one
/// subject compares the identities in [`Identities`](super::Identities).
#[must_use]
pub fn all_of(requirements: impl IntoIterator<Item = impl Into<Requirement>>) -> Requirement {
    Requirement(Node::All(
        requirements.into_iter().map(Into::into).collect(),
    ))
}

impl Requirement {
    /// Requires this or the other.
    #[must_use]
    pub fn or(self, other: impl Into<Self>) -> Self {
        any_of([self, other.into()])
    }

    /// Requires this and the other together.
    #[must_use]
    pub fn and(self, other: impl Into<Self>) -> Self {
        all_of([self, other.into()])
    }

    /// Admits only these subjects. Others that have proved who they are get a response with status 403.
    #[must_use]
    pub fn among(self, audience: Audience) -> Self {
        Self(Node::Among(Box::new(self), Arc::new(audience)))
    }

    /// Appends the verifiers, each once.
    pub(super) fn collect(&self, verifiers: &mut Vec<Arc<dyn Verifier>>) {
        match &self.0 {
            Node::One(verifier) => {
                if index(verifiers, verifier).is_none() {
                    verifiers.push(Arc::clone(verifier));
                }
            }
            Node::Any(all) | Node::All(all) => {
                all.iter().for_each(|one| one.collect(verifiers));
            }
            Node::Among(one, _) => one.collect(verifiers),
        }
    }

    /// Returns the tree over these verifiers.
    pub(super) fn compile(&self, verifiers: &[Arc<dyn Verifier>]) -> Tree {
        let each = |all: &[Self]| all.iter().map(|one| one.compile(verifiers)).collect();
        match &self.0 {
            Node::One(verifier) => {
                index(verifiers, verifier).map_or(Tree::Any(Vec::new()), Tree::Leaf)
            }
            // One alternative is no choice.
            Node::Any(all) | Node::All(all) if all.len() == 1 => all
                .first()
                .map_or(Tree::Any(Vec::new()), |one| one.compile(verifiers)),
            Node::Any(all) => Tree::Any(each(all)),
            Node::All(all) => Tree::All(each(all)),
            Node::Among(one, audience) => {
                Tree::Among(Box::new(one.compile(verifiers)), Arc::clone(audience))
            }
        }
    }
}

/// Returns the place of a verifier.
pub(super) fn index(verifiers: &[Arc<dyn Verifier>], one: &Arc<dyn Verifier>) -> Option<usize> {
    verifiers.iter().position(|other| Arc::ptr_eq(other, one))
}

/// A requirement over the verifiers of its rule, by their places in the list.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    Leaf(usize),
    Any(Vec<Tree>),
    All(Vec<Tree>),
    Among(Box<Tree>, Arc<Audience>),
}

impl Tree {
    /// Returns true if the requirement is satisfied, where `proved` gives for each verifier the identity that it has accepted. Appends
    /// the verifiers of all satisfied branches to `used`: a proof that counts in an unsatisfied branch only is not among them.
    pub(super) fn is_satisfied<'i>(
        &self,
        proved: &dyn Fn(usize) -> Option<&'i Identity>,
        used: &mut Vec<usize>,
    ) -> bool {
        match self {
            Self::Leaf(at) => {
                let is = proved(*at).is_some();
                if is && !used.contains(at) {
                    used.push(*at);
                }
                is
            }
            Self::Any(all) => {
                // All are looked at: each satisfied one adds to `used`.
                let satisfied = all.iter().filter(|one| one.is_satisfied(proved, used));
                satisfied.count() > 0
            }
            Self::All(all) => {
                let before = used.len();
                let are = !all.is_empty() && all.iter().all(|one| one.is_satisfied(proved, used));
                if !are {
                    used.truncate(before);
                }
                are
            }
            Self::Among(one, audience) => {
                one.is_satisfied(&|at| proved(at).filter(|one| audience.admits(one)), used)
            }
        }
    }

    /// Returns whether an audience is all that is missing.
    pub(super) fn lacks_audience(&self, is_proved: &dyn Fn(usize) -> bool) -> bool {
        match self {
            Self::Leaf(at) => is_proved(*at),
            Self::Any(all) => all.iter().any(|one| one.lacks_audience(is_proved)),
            Self::All(all) => {
                !all.is_empty() && all.iter().all(|one| one.lacks_audience(is_proved))
            }
            Self::Among(one, _) => one.lacks_audience(is_proved),
        }
    }
}

impl fmt::Debug for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Node::One(verifier) => f.write_str(verifier.kind()),
            Node::Any(all) => f.debug_tuple("any_of").field(all).finish(),
            Node::All(all) => f.debug_tuple("all_of").field(all).finish(),
            Node::Among(one, audience) => {
                f.debug_tuple("among").field(one).field(audience).finish()
            }
        }
    }
}
