use super::{MAX_USER_LEN, Realm, fields};
use crate::http_auth::{Value, challenges, params};
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
    pub logout_timeout: Option<u64>,
    /// `username`: the only user whom the server accepts, as a hint for the person who is asked.
    pub username: Option<String<MAX_USER_LEN>>,
}

impl Control {
    /// Reads one value of Authentication-Control. Entries for other schemes and realms are ignored, and so are parameters with invalid values.
    #[must_use]
    pub fn parse(value: &str, realm: &Realm) -> Self {
        let mut control = Self::default();
        for entry in challenges(value).filter(|entry| entry.is(super::SCHEME)) {
            let mut known: [Option<Value<'_>>; 3] = [None; 3];
            for param in params(entry.params) {
                let Ok((name, value)) = param else { break };
                let names = ["realm", "logout-timeout", "username"];
                let place = names.iter().zip(&mut known);
                for (one, place) in place {
                    if one.eq_ignore_ascii_case(name) {
                        *place = Some(value);
                    }
                }
            }
            let [Some(name), timeout, username] = known else {
                continue;
            };
            if !name.is(realm.name().as_bytes()) {
                continue;
            }
            if let Some(timeout) = timeout.and_then(fields::integer) {
                control.logout_timeout = Some(timeout);
            }
            let username = username.and_then(fields::bytes);
            if let Some(Ok(username)) = username.map(String::from_utf8) {
                control.username = Some(username);
            }
        }
        control
    }
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
