//! The messages that are received (RFC 8120 section 4).

use super::{
    Algorithm, MessageError, Number, Realm, SessionId, SessionLimits, Validation,
    fields::{self, Fields, Name},
};
use crate::{
    http_auth::{Challenges, Value, challenges, credentials},
    proof::ResponseHead,
};
use heapless::String;

/// The name of the authentication scheme.
pub const SCHEME: &str = "Mutual";

/// The reason in a 401-INIT or 401-STALE (RFC 8120 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reason {
    /// `initial`: the request had no proof.
    Initial,
    /// `stale-session`: the server does not know the session any more.
    StaleSession,
    /// `auth-failed`: the user or the password is wrong. So is read what is not known.
    AuthFailed,
    /// `reauth-needed`: the application wants a new proof.
    ReauthNeeded,
    /// `invalid-parameters`: the server has not tried, because of the parameters.
    InvalidParameters,
    /// `internal-error`: the server has not tried, because of a fault of its own.
    InternalError,
    /// `user-unknown`.
    UserUnknown,
    /// `invalid-credential`: the password is wrong.
    InvalidCredential,
    /// `authz-failed`: the proof is right, and the user may not do this.
    AuthzFailed,
}

impl Reason {
    const ALL: [(Self, &'static str); 9] = [
        (Self::Initial, "initial"),
        (Self::StaleSession, "stale-session"),
        (Self::AuthFailed, "auth-failed"),
        (Self::ReauthNeeded, "reauth-needed"),
        (Self::InvalidParameters, "invalid-parameters"),
        (Self::InternalError, "internal-error"),
        (Self::UserUnknown, "user-unknown"),
        (Self::InvalidCredential, "invalid-credential"),
        (Self::AuthzFailed, "authz-failed"),
    ];

    /// Returns the token.
    #[must_use]
    pub fn token(self) -> &'static str {
        let mut all = Self::ALL.iter();
        all.find(|(one, _)| *one == self)
            .map_or("", |(_, token)| token)
    }

    fn of(value: Value<'_>) -> Self {
        let mut all = Self::ALL.iter();
        all.find(|(_, token)| value.is_token(token))
            .map_or(Self::AuthFailed, |(reason, _)| *reason)
    }
}

impl core::fmt::Display for Reason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.token())
    }
}

/// The parameters by which both sides name what they agree on.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    algorithm: Value<'a>,
    validation: Value<'a>,
    /// None if the message leaves it out. Then section 4.1 says that it is the server itself, and section 5 that it is its host.
    auth_scope: Option<Value<'a>>,
    realm: Value<'a>,
}

impl<'a> Terms<'a> {
    fn of(fields: &Fields<'a>) -> Result<Self, MessageError> {
        fields.check_version()?;
        let realm = fields.must(Name::Realm)?;
        if realm.form() == crate::http_auth::Form::Extended {
            return Err(MessageError::Invalid(Name::Realm));
        }
        Ok(Self {
            algorithm: fields.must(Name::Algorithm)?,
            validation: fields.must(Name::Validation)?,
            auth_scope: fields.get(Name::AuthScope),
            realm,
        })
    }

    /// Returns true if the terms are these. A scope that is left out is the one that `default_scope` gives.
    pub(super) fn are(&self, realm: &Realm, validation: Validation, default_scope: &str) -> bool {
        self.are_of(realm, default_scope) && self.validates_by(validation)
    }

    /// Returns true if the terms name this realm.
    fn are_of(&self, realm: &Realm, default_scope: &str) -> bool {
        let scope = match self.auth_scope {
            Some(scope) => scope.is(realm.auth_scope().as_bytes()),
            None => default_scope == realm.auth_scope(),
        };
        self.algorithm.is_token(realm.algorithm().token())
            && scope
            && self.realm.is(realm.name().as_bytes())
    }

    /// Returns true if the validation is this one.
    pub(super) fn validates_by(&self, validation: Validation) -> bool {
        self.validation.is_token(validation.token())
    }

    /// Returns the realm; `None` if the algorithm is not among `algorithms`, or a text is too long or invalid.
    pub(super) fn realm(&self, algorithms: &[Algorithm], default_scope: &str) -> Option<Realm> {
        let mut all = algorithms.iter();
        let algorithm = all.find(|one| self.algorithm.is_token(one.token()))?;
        let name = String::from_utf8(fields::bytes(self.realm)?).ok()?;
        let scope = match self.auth_scope {
            Some(scope) => String::from_utf8(fields::bytes(scope)?).ok()?,
            None => String::try_from(default_scope).ok()?,
        };
        Realm::of(*algorithm, scope, name).ok()
    }
}

/// A challenge of a server.
pub(super) struct Challenged<'a> {
    pub(super) terms: Terms<'a>,
    pub(super) message: ServerMessage<'a>,
}

/// The message in a challenge.
pub(super) enum ServerMessage<'a> {
    /// 401-INIT or 401-STALE.
    Init(Reason),
    /// 401-KEX-S1.
    KexS1 {
        sid: SessionId,
        ks1: Value<'a>,
        limits: SessionLimits,
    },
}

impl<'a> Challenged<'a> {
    /// Takes the parameters of a challenge; `None` if they are those of no message.
    #[inline(never)]
    pub(super) fn of(fields: &Fields<'a>) -> Option<Self> {
        if fields.client_kinds() != 0 || fields.server_kinds() != 1 {
            return None;
        }
        let terms = Terms::of(fields).ok()?;
        let message = if let Some(reason) = fields.get(Name::Reason) {
            ServerMessage::Init(Reason::of(reason))
        } else {
            let integer = |name| fields::integer(fields.get(name)?);
            ServerMessage::KexS1 {
                ks1: fields.get(Name::Ks1)?,
                limits: SessionLimits {
                    nc_max: integer(Name::NcMax)?,
                    nc_window: integer(Name::NcWindow)?,
                    time: integer(Name::Time)?,
                },
                sid: fields::session_id(fields).ok()?,
            }
        };
        Some(Self { terms, message })
    }
}

/// Iterates over the challenges of this scheme in the fields of a response with one name, or over the entries of Authentication-Control.
pub(super) struct Received<'h> {
    head: &'h dyn ResponseHead,
    name: &'h str,
    nth: usize,
    value: Challenges<'h>,
}

impl<'h> Received<'h> {
    pub(super) fn new(head: &'h dyn ResponseHead, name: &'h str) -> Self {
        Self {
            head,
            name,
            nth: 0,
            value: challenges(""),
        }
    }
}

impl<'h> Iterator for Received<'h> {
    type Item = Fields<'h>;

    #[inline(never)]
    fn next(&mut self) -> Option<Fields<'h>> {
        loop {
            for challenge in self.value.by_ref() {
                if challenge.is(SCHEME)
                    && let Ok(fields) = Fields::parse(challenge.params)
                {
                    return Some(fields);
                }
            }
            let value = self.head.field(self.name, self.nth)?;
            self.nth = self.nth.saturating_add(1);
            self.value = challenges(str::from_utf8(value).unwrap_or_default());
        }
    }
}

/// The parameters of a 200-VFY-S message.
pub(super) struct VfyS<'a> {
    pub(super) sid: SessionId,
    pub(super) vks: Value<'a>,
}

impl<'a> VfyS<'a> {
    /// Parses a value of Authentication-Info; `None` if it is malformed or belongs to another scheme.
    ///
    /// RFC 7615 has no scheme name there. Figure 1 of RFC 8120 shows one, so that it is skipped.
    pub(super) fn parse(value: &'a str) -> Option<Self> {
        let mut named = challenges(value).filter(|found| found.is(SCHEME));
        let fields = Fields::parse(named.next().map_or(value, |found| found.params)).ok()?;
        let vks = fields.get(Name::Vks)?;
        fields.check_version().ok()?;
        if fields.client_kinds() != 0 || fields.server_kinds() != 1 {
            return None;
        }
        let sid = fields::session_id(&fields).ok()?;
        Some(Self { sid, vks })
    }
}

/// The credentials of a client.
pub struct Credentials<'a> {
    pub(super) terms: Terms<'a>,
    pub(super) message: ClientMessage<'a>,
}

/// The message in a client's credentials.
pub(super) enum ClientMessage<'a> {
    /// req-KEX-C1.
    KexC1 {
        user: String<{ super::MAX_USER_LEN }>,
        kc1: Value<'a>,
    },
    /// req-VFY-C.
    VfyC {
        sid: SessionId,
        nc: u32,
        vkc: Value<'a>,
    },
}

impl<'a> Credentials<'a> {
    /// Parses a value of Authorization; `None` if it has credentials of another scheme.
    ///
    /// # Errors
    /// [`MessageError`] if it is neither a req-KEX-C1 nor a req-VFY-C.
    pub fn parse(value: &'a str) -> Option<Result<Self, MessageError>> {
        let found = credentials(value)?;
        found.is(SCHEME).then(|| Self::of(found.params))
    }

    fn of(params: &'a str) -> Result<Self, MessageError> {
        let fields = Fields::parse(params)?;
        // A `reason` says nothing in a client's message, and is ignored.
        if fields.server_values() != 0 || fields.client_kinds() != 1 {
            return Err(MessageError::Kind);
        }
        let terms = Terms::of(&fields)?;
        let message = if let Some(kc1) = fields.get(Name::Kc1) {
            let user = fields.text(Name::User)?;
            ClientMessage::KexC1 { user, kc1 }
        } else {
            let vkc = fields.get(Name::Vkc).ok_or(MessageError::Kind)?;
            ClientMessage::VfyC {
                sid: fields::session_id(&fields)?,
                nc: fields.integer(Name::Nc)?,
                vkc,
            }
        };
        Ok(Self { terms, message })
    }

    /// Returns the session that the credentials are for; `None` if they begin a key exchange.
    #[must_use]
    pub fn session(&self) -> Option<&SessionId> {
        match &self.message {
            ClientMessage::KexC1 { .. } => None,
            ClientMessage::VfyC { sid, .. } => Some(sid),
        }
    }

    /// Returns the user whom the credentials name; `None` if they are for a session.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        match &self.message {
            ClientMessage::KexC1 { user, .. } => Some(user),
            ClientMessage::VfyC { .. } => None,
        }
    }

    /// Returns true if the credentials are for this realm, by any validation method.
    #[must_use]
    pub fn are_of(&self, realm: &Realm) -> bool {
        self.terms.are_of(realm, "")
    }

    /// Returns true if the credentials are for this realm, by this validation method.
    #[must_use]
    pub fn are_for(&self, realm: &Realm, validation: Validation) -> bool {
        // Section 4.2: what the server sent, and this server always sends the scope.
        self.terms.are(realm, validation, "")
    }
}

/// Returns a number in the representation of the algorithm.
pub(super) fn element(algorithm: Algorithm, value: Value<'_>) -> Option<Number> {
    fields::number(value, algorithm.number_format(), algorithm.element_len())
}

/// Returns a VK in the representation of the algorithm.
pub(super) fn verification(algorithm: Algorithm, value: Value<'_>) -> Option<Number> {
    fields::number(value, algorithm.number_format(), algorithm.hash_len())
}
