use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::{Extensions, StatusCode, request::Parts},
};
use std::{any::Any, convert::Infallible, fmt, sync::Arc};

/// The identity that a request has proved: in the request's extensions, and an axum extractor.
///
/// As an extractor, `Identity` gives the first of several, and answers 500 where the policy asks for none; `Option<Identity>` gives `None`
/// there. [`Identities`] gives all.
#[derive(Clone)]
pub struct Identity {
    inner: Arc<Inner>,
}

/// The parts of an identity. They are shared: every request of a connection has the same ones.
#[derive(Clone)]
struct Inner {
    subject: Arc<str>,
    kind: &'static str,
    realm: Option<Arc<str>>,
    certificates: Arc<[Vec<u8>]>,
    groups: Arc<[String]>,
    details: Arc<dyn Any + Send + Sync>,
}

impl Identity {
    /// Creates an identity. `details` is what the kind knows beyond the subject.
    #[must_use]
    pub fn new(
        subject: impl Into<Arc<str>>,
        kind: &'static str,
        details: impl Any + Send + Sync,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                subject: subject.into(),
                kind,
                realm: None,
                certificates: Arc::default(),
                groups: Arc::default(),
                details: Arc::new(details),
            }),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        change(Arc::make_mut(&mut self.inner));
        self
    }

    /// Names the realm that the subject belongs to, of a kind that has several: the same name in two realms is not the same subject.
    #[must_use]
    pub fn of_realm(self, realm: impl Into<Arc<str>>) -> Self {
        self.with(|inner| inner.realm = Some(realm.into()))
    }

    /// Adds the groups that the gateway knows the subject to be in.
    #[must_use]
    pub fn with_groups(self, groups: impl Into<Arc<[String]>>) -> Self {
        self.with(|inner| inner.groups = groups.into())
    }

    /// Returns the groups of the subject, of kinds whose registry has groups.
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.inner.groups
    }

    /// Adds the certificates by which the subject is known, DER, its own first.
    #[must_use]
    pub fn with_certificates(self, certificates: impl Into<Arc<[Vec<u8>]>>) -> Self {
        self.with(|inner| inner.certificates = certificates.into())
    }

    /// Returns the certificates that the client has shown, DER, its own first; none of kinds without certificates.
    #[must_use]
    pub fn certificates(&self) -> &[Vec<u8>] {
        &self.inner.certificates
    }

    /// Returns the realm of the subject; `None` for kinds that have one set of clients.
    #[must_use]
    pub fn realm(&self) -> Option<&str> {
        self.inner.realm.as_deref()
    }

    /// Returns the name of the client: of a one-time password the client id, of a certificate its first URI or DNS name, its common
    /// name or its key.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.inner.subject
    }

    /// Returns the kind of proof: `otp`, `authenticator`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.inner.kind
    }

    /// Returns what the kind knows beyond the subject, if it is a `T`: for example [`otp::Details`](super::otp::Details).
    #[must_use]
    pub fn details<T: Any>(&self) -> Option<&T> {
        self.inner.details.downcast_ref()
    }

    /// Returns true if both name the same subject, of the same realm, by the same kind of proof.
    #[must_use]
    pub fn is_same_subject(&self, other: &Self) -> bool {
        // The requests of a connection usually have one identity, which its verifier keeps.
        if Arc::ptr_eq(&self.inner, &other.inner) {
            return true;
        }
        let (one, other) = (&*self.inner, &*other.inner);
        one.kind == other.kind && one.realm == other.realm && one.subject == other.subject
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({:?}, {})", self.subject(), self.kind())
    }
}

/// All identities that a request has proved, in the order of its rule; none where the policy asks for none. It is an axum extractor; other
/// services call [`Identities::of`], because a request with one identity has no list in its extensions.
#[derive(Debug, Clone, Default)]
pub struct Identities(All);

#[derive(Debug, Clone)]
enum All {
    /// The case of most requests.
    One(Identity),
    Several(Arc<[Identity]>),
}

impl Default for All {
    fn default() -> Self {
        Self::Several(Arc::default())
    }
}

impl From<Identity> for Identities {
    fn from(identity: Identity) -> Self {
        Self(All::One(identity))
    }
}

impl From<Vec<Identity>> for Identities {
    fn from(identities: Vec<Identity>) -> Self {
        match <[Identity; 1]>::try_from(identities) {
            Ok([one]) => one.into(),
            Err(several) => Self(All::Several(several.into())),
        }
    }
}

impl Identities {
    /// Returns what a request with these extensions has proved.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Self {
        let several = extensions.get::<Self>().cloned();
        let one = || extensions.get::<Identity>().cloned().map(Self::from);
        several.or_else(one).unwrap_or_default()
    }

    /// Puts the identities into a request, over what others have put there. One identity stands there without a list.
    pub(crate) fn put(self, extensions: &mut Extensions) {
        match self.as_slice().first() {
            Some(first) => extensions.insert(first.clone()),
            None => extensions.remove(),
        };
        if self.as_slice().len() > 1 {
            extensions.insert(self);
        } else {
            extensions.remove::<Self>();
        }
    }

    /// Iterates over the identities.
    pub fn iter(&self) -> impl Iterator<Item = &Identity> {
        self.as_slice().iter()
    }

    fn as_slice(&self) -> &[Identity] {
        match &self.0 {
            All::One(identity) => std::slice::from_ref(identity),
            All::Several(identities) => identities,
        }
    }

    /// Returns whether these are the same subjects, with the same certificates, in the same order.
    pub(crate) fn are_same(&self, other: &Self) -> bool {
        let (own, others) = (self.as_slice(), other.as_slice());
        let mut pairs = own.iter().zip(others);
        own.len() == others.len()
            && pairs.all(|(one, other)| {
                one.is_same_subject(other) && one.certificates() == other.certificates()
            })
    }

    /// Returns the first identity that has details of type `T`, and these.
    #[must_use]
    pub fn find<T: Any>(&self) -> Option<(&Identity, &T)> {
        self.iter()
            .find_map(|identity| Some((identity, identity.details()?)))
    }
}

/// Returns the details of type `T` that a request has proved, for the extractors of the kinds.
pub(crate) fn proved_details<T: Any + Clone>(parts: &Parts) -> Option<T> {
    let identities = Identities::of(&parts.extensions);
    let (_, details) = identities.find::<T>()?;
    Some(details.clone())
}

impl<S: Sync> FromRequestParts<S> for Identities {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Identity {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(parts.extensions.get().cloned())
    }
}

impl<S: Sync> FromRequestParts<S> for Identity {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        parts.extensions.get().cloned().ok_or_else(|| {
            tracing::error!(
                path = parts.uri.path(),
                "a handler needs an identity where the policy asks for none: require a proof for this path, or take Option<Identity>"
            );
            StatusCode::INTERNAL_SERVER_ERROR
        })
    }
}
