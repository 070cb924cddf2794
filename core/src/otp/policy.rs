use super::{Claims, TokenError, TokenRefusal};

/// The requirements of a verifier for the claims of a token. The default has no clock and no requirements.
///
/// Text is compared exactly. The caller must convert a URI to the form that its devices write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy<'a> {
    /// The current time, in seconds since 1970-01-01T00:00:00Z. If it is set, `exp`, `nbf` and `iat` are checked if present.
    pub now: Option<u64>,
    /// The maximum difference between the clocks, in seconds.
    pub leeway: u64,
    /// True if `exp` must be present. Every token is then refused if [`Policy::now`] is not set.
    pub require_expiry: bool,
    /// The maximum time since `iat` in seconds. If it is set, `iat` must be present, and every token is refused if [`Policy::now`]
    /// is not set.
    pub max_age: Option<u64>,
    /// The required value of `iss`.
    pub issuer: Option<&'a str>,
    /// The required value of `aud`, or of one of its elements.
    pub audience: Option<&'a str>,
    /// The required value of `htm`.
    pub method: Option<&'a str>,
    /// The required value of `htu`.
    pub uri: Option<&'a str>,
    /// The requirement for `jti`.
    pub token_id: Uniqueness<'a>,
}

/// The requirement of a verifier for `jti`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Uniqueness<'a> {
    /// `jti` may be absent or have any value.
    #[default]
    Any,
    /// `jti` must be present and not empty. The caller must reject values that it has seen before.
    Required,
    /// `jti` must have this value, for example from a challenge of the verifier.
    Exactly(&'a str),
}

impl Policy<'_> {
    /// Checks the claims of a token whose signature was verified against the policy.
    pub(super) fn check(&self, claims: &Claims<'_>) -> Result<(), TokenError> {
        let require = |is_met: bool, refusal| {
            if is_met {
                Ok(())
            } else {
                Err(TokenError::Refused(refusal))
            }
        };
        let matches =
            |required: Option<&str>, claim: Option<&str>| required.is_none() || required == claim;
        require(self.is_unexpired(claims), TokenRefusal::Expired)?;
        if let Some(now) = self.now {
            let latest = now.saturating_add(self.leeway);
            let has_begun = |start: Option<u64>| start.is_none_or(|start| start <= latest);
            require(
                has_begun(claims.not_before) && has_begun(claims.issued_at),
                TokenRefusal::NotYetValid,
            )?;
        }
        require(self.is_fresh(claims), TokenRefusal::TooOld)?;
        require(matches(self.issuer, claims.issuer), TokenRefusal::Issuer)?;
        require(
            matches(self.audience, claims.audience),
            TokenRefusal::Audience,
        )?;
        require(matches(self.method, claims.method), TokenRefusal::Method)?;
        require(matches(self.uri, claims.uri), TokenRefusal::Uri)?;
        let token_id_is_accepted = match self.token_id {
            Uniqueness::Any => true,
            Uniqueness::Required => claims.token_id.is_some_and(|id| !id.is_empty()),
            Uniqueness::Exactly(id) => claims.token_id == Some(id),
        };
        require(token_id_is_accepted, TokenRefusal::TokenId)
    }

    /// Returns whether the current time is before `exp` (RFC 7519 section 4.1.4).
    fn is_unexpired(&self, claims: &Claims<'_>) -> bool {
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
