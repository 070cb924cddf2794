use super::{Claims, TokenError, TokenRefusal};

/// What a verifier asks of a token's claims. The default asks for nothing: it has no clock.
///
/// Text is compared exactly: the caller brings a URI into the form that its devices write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy<'a> {
    /// The time, in seconds since 1970-01-01T00:00:00Z. With it `exp`, `nbf` and `iat` are checked where they are present.
    pub now: Option<u64>,
    /// Seconds by which the clocks may differ.
    pub leeway: u64,
    /// Whether `exp` must be present. Without [`Policy::now`] every token is then refused.
    pub require_expiry: bool,
    /// The most seconds since `iat`, which must then be present. Without [`Policy::now`] every token is then refused.
    pub max_age: Option<u64>,
    /// `iss` must be this.
    pub issuer: Option<&'a str>,
    /// `aud` must be or hold this.
    pub audience: Option<&'a str>,
    /// `htm` must be this.
    pub method: Option<&'a str>,
    /// `htu` must be this.
    pub uri: Option<&'a str>,
    /// What is asked of `jti`.
    pub token_id: Uniqueness<'a>,
}

/// What a verifier asks of `jti`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Uniqueness<'a> {
    /// Nothing.
    #[default]
    Any,
    /// It must be present and not empty; the caller remembers those that it has seen.
    Required,
    /// It must be this one, as the verifier's challenge said.
    Exactly(&'a str),
}

impl Policy<'_> {
    /// Holds the claims of a token whose key was found right against the policy.
    pub(super) fn check(&self, claims: &Claims<'_>) -> Result<(), TokenError> {
        let holds = |holds: bool, refusal| {
            if holds {
                Ok(())
            } else {
                Err(TokenError::Refused(refusal))
            }
        };
        let is =
            |required: Option<&str>, claim: Option<&str>| required.is_none() || required == claim;
        holds(self.not_expired(claims), TokenRefusal::Expired)?;
        if let Some(now) = self.now {
            let latest = now.saturating_add(self.leeway);
            let begun = |start: Option<u64>| start.is_none_or(|start| start <= latest);
            holds(
                begun(claims.not_before) && begun(claims.issued_at),
                TokenRefusal::NotYetValid,
            )?;
        }
        holds(self.is_fresh(claims), TokenRefusal::TooOld)?;
        holds(is(self.issuer, claims.issuer), TokenRefusal::Issuer)?;
        holds(is(self.audience, claims.audience), TokenRefusal::Audience)?;
        holds(is(self.method, claims.method), TokenRefusal::Method)?;
        holds(is(self.uri, claims.uri), TokenRefusal::Uri)?;
        let token_id = match self.token_id {
            Uniqueness::Any => true,
            Uniqueness::Required => claims.token_id.is_some_and(|id| !id.is_empty()),
            Uniqueness::Exactly(id) => claims.token_id == Some(id),
        };
        holds(token_id, TokenRefusal::TokenId)
    }

    /// The current time must be before `exp` (RFC 7519 section 4.1.4).
    fn not_expired(&self, claims: &Claims<'_>) -> bool {
        match (claims.expires_at, self.now) {
            (Some(end), Some(now)) => now < end.saturating_add(self.leeway),
            _ => !self.require_expiry,
        }
    }

    fn is_fresh(&self, claims: &Claims<'_>) -> bool {
        let Some(max_age) = self.max_age else {
            return true;
        };
        match (claims.issued_at, self.now) {
            (Some(start), Some(now)) => {
                now <= start.saturating_add(max_age).saturating_add(self.leeway)
            }
            _ => false,
        }
    }
}
