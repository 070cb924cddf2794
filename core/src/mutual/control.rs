use super::{
    MAX_USER_LEN, Realm,
    fields::{self, Fields, Name},
};
use crate::http_auth::challenges;
use heapless::String;

/// The field in which a server guides its clients (RFC 8053 section 4).
pub const AUTHENTICATION_CONTROL: &str = "authentication-control";

/// The field in which a server offers authentication that it does not demand (RFC 8053 section 3).
pub const OPTIONAL_WWW_AUTHENTICATE: &str = "optional-www-authenticate";

/// The contents of Authentication-Control for one realm, as far as it concerns a client that has its password already: such a client
/// ignores `no-auth` and the locations (RFC 8053 sections 4.3 and 4.4), and has no windows to style.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Control {
    /// `logout-timeout`: the seconds after which the client forgets session and credentials; 0 is at once. Only a response that was verified may say so.
    pub logout_timeout: Option<u32>,
    /// `username`: the only user whom the server accepts, as a hint for the person who is asked.
    pub username: Option<String<MAX_USER_LEN>>,
}

impl Control {
    /// Reads one value of Authentication-Control. Entries for other schemes and realms, and malformed ones, are ignored, and so are parameters with
    /// invalid values.
    #[must_use]
    pub fn parse(value: &str, realm: &Realm) -> Self {
        let mut control = Self::default();
        for entry in challenges(value).filter(|entry| entry.is(super::SCHEME)) {
            let Ok(entry) = Fields::parse(entry.params) else {
                continue;
            };
            if is_of(&entry, realm) {
                let timeout = logout_timeout(&entry, realm);
                control.logout_timeout = timeout.or(control.logout_timeout);
                control.username = entry.text(Name::Username).ok().or(control.username);
            }
        }
        control
    }
}

/// Returns [`Control::logout_timeout`] of one entry of Authentication-Control.
pub(super) fn logout_timeout(entry: &Fields<'_>, realm: &Realm) -> Option<u32> {
    let timeout = fields::integer(entry.get(Name::LogoutTimeout)?);
    timeout.filter(|_| is_of(entry, realm))
}

fn is_of(entry: &Fields<'_>, realm: &Realm) -> bool {
    let name = entry.get(Name::Realm);
    name.is_some_and(|name| name.is(realm.name().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutual::Algorithm;

    #[test]
    fn entries_are_found_by_scheme_and_realm() {
        let realm = Realm::new(Algorithm::P256_SHA256, "h", "a realm").unwrap();
        let control = |logout_timeout, username: Option<&str>| Control {
            logout_timeout,
            username: username.map(|name| String::try_from(name).unwrap()),
        };
        for (value, expected) in [
            ("", control(None, None)),
            (
                "Mutual realm=\"a realm\", logout-timeout=300",
                control(Some(300), None),
            ),
            (
                "Basic realm=\"a realm\", logout-timeout=1, mutual username*=UTF-8''Ren%C3%A9e, realm=\"a realm\", no-auth=true",
                control(None, Some("Renée")),
            ),
            ("Mutual realm=other, logout-timeout=1", control(None, None)),
            ("Mutual logout-timeout=1", control(None, None)),
            (
                "Mutual realm=\"a realm\", logout-timeout=\"0\", username=\"admin\"",
                control(Some(0), Some("admin")),
            ),
            (
                "Mutual realm=\"a realm\", logout-timeout=01",
                control(None, None),
            ),
        ] {
            assert_eq!(Control::parse(value, &realm), expected, "{value}");
        }
    }
}
