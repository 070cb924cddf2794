//! The section `[login]`: the server for technicians of a board (`chanbind_device::technician`).

use crate::{ConfigError, read_text};
use chanbind_core::wire::Reader;
use core::fmt;

/// The realm of a board's server, and its user.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Login<'c> {
    /// The board as the technician's client sees it, like `http://pump7.local`.
    pub origin: &'c str,
    /// The authentication scope.
    pub auth_scope: &'c str,
    /// The name of the realm.
    pub realm: &'c str,
    /// The name of the user.
    pub user: &'c str,
    /// The stored credential of the user, as `chanbind provision mutual` prints it: not the password.
    pub credential: &'c str,
}

impl<'c> Login<'c> {
    pub(crate) fn parse(value: &'c [u8]) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(value);
        Ok(Self {
            origin: read_text(&mut reader)?,
            auth_scope: read_text(&mut reader)?,
            realm: read_text(&mut reader)?,
            user: read_text(&mut reader)?,
            credential: read_text(&mut reader)?,
        })
    }
}

impl fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({}, {:?}, hidden)", self.origin, self.user)
    }
}

#[cfg(feature = "build")]
pub(crate) mod file {
    use crate::build::{Context, Failure};
    use chanbind_core::{
        mutual::{Algorithm, Origin, Realm, StoredCredential},
        wire::Writer,
    };
    use serde::Deserialize;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Section {
        origin: String,
        realm: String,
        user: String,
        credential: String,
        auth_scope: Option<String>,
    }

    impl Section {
        pub(crate) fn encode(&self, context: &Context<'_>) -> Result<Vec<u8>, Failure> {
            let origin = Origin::parse(&self.origin).map_err(|_| {
                format!(
                    "login.origin = {:?}: write it like http://pump7.local",
                    self.origin
                )
            })?;
            let scope = self.auth_scope.as_deref().unwrap_or(origin.host());
            if !origin.is_covered_by(scope) {
                return Err(format!(
                    "login.auth_scope = {scope:?} does not cover {origin}: leave it out, or write its host"
                )
                .into());
            }
            let realm = Realm::new(Algorithm::P256_SHA256, scope, &self.realm);
            let realm = realm.map_err(|error| format!("login.realm: {error}"))?;
            let credential = StoredCredential::parse(&self.credential);
            let credential = credential.map_err(|error| {
                format!("login.credential: {error}: copy it from what `chanbind provision mutual` printed")
            })?;
            credential
                .j(&realm, &self.user)
                .map_err(|error| format!("login.credential: {error}"))?;
            let texts = [
                &self.origin,
                scope,
                &self.realm,
                &self.user,
                &self.credential,
            ];
            context.encode(|writer: &mut Writer<'_>| {
                let mut texts = texts.iter();
                texts.try_for_each(|text| writer.sized16(text.as_bytes()))
            })
        }
    }
}
