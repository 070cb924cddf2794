//! Origins of servers, and the authentication scopes that cover them (RFC 8120 sections 5 and 7).

use super::MutualError;
use core::fmt::{self, Write};
use heapless::String;

/// The longest host name, in bytes (RFC 1035 section 2.3.4).
pub const MAX_HOST_LEN: usize = 253;

/// The longest origin and the longest authentication scope, in bytes: `https://`, a host name, and a port.
pub const MAX_ORIGIN_LEN: usize = MAX_HOST_LEN + 14;

/// A server: scheme, host in lower case, and port.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin {
    is_https: bool,
    host: String<MAX_HOST_LEN>,
    port: u16,
}

impl Origin {
    /// Parses `http://host`, `https://host` or either with `:port`; letters of any case. An IPv6 address is in brackets.
    ///
    /// # Errors
    /// [`MutualError::Origin`] for anything else, also for a path or a user.
    pub fn parse(text: &str) -> Result<Self, MutualError> {
        let (scheme, authority) = text.split_once("://").ok_or(MutualError::Origin)?;
        let is_https = scheme.eq_ignore_ascii_case("https");
        if !is_https && !scheme.eq_ignore_ascii_case("http") {
            return Err(MutualError::Origin);
        }
        Self::new(is_https, authority)
    }

    /// Creates the origin of the server of a request from its authority, `host` or `host:port`.
    ///
    /// # Errors
    /// [`MutualError::Origin`] if `authority` has another form.
    pub fn new(is_https: bool, authority: &str) -> Result<Self, MutualError> {
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let address = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let is_valid = match address {
            Some(address) => address
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte)),
            None => host.bytes().all(is_name),
        };
        if host.is_empty() || !is_valid {
            return Err(MutualError::Origin);
        }
        let default = if is_https { 443 } else { 80 };
        let port = match port {
            None => default,
            Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
                port.parse().map_err(|_| MutualError::Origin)?
            }
            Some(_) => return Err(MutualError::Origin),
        };
        let mut lower = String::try_from(host).map_err(|_| MutualError::Origin)?;
        lower.make_ascii_lowercase();
        Ok(Self {
            is_https,
            host: lower,
            port,
        })
    }

    /// Returns true for https.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// Returns the host, in lower case.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    fn scheme(&self) -> &'static str {
        if self.is_https { "https" } else { "http" }
    }

    /// Returns the value vh of the validation `host`: scheme, host and port, which is always there (RFC 8120 section 7).
    #[must_use]
    pub fn validation(&self) -> String<MAX_ORIGIN_LEN> {
        let mut text = String::new();
        // Cannot fail: the parts have their limits.
        let _ = write!(text, "{}://{}:{}", self.scheme(), self.host, self.port);
        text
    }

    /// Returns the authentication scope of the single-server type: the port is there unless it is the scheme's own.
    #[must_use]
    pub fn single_server_scope(&self) -> String<MAX_ORIGIN_LEN> {
        let mut text = String::new();
        let default = if self.is_https { 443 } else { 80 };
        let _ = write!(text, "{}://{}", self.scheme(), self.host);
        if self.port != default {
            let _ = write!(text, ":{}", self.port);
        }
        text
    }

    /// Returns true if the authentication scope covers this server (RFC 8120 section 5): it is the server, its host, or `*.` and a domain that
    /// the host is or is in.
    ///
    /// A domain of one label, like `*.com`, covers nothing. This crate has no list of other domains that belong to several organizations.
    #[must_use]
    pub fn is_covered_by(&self, scope: &str) -> bool {
        if scope.contains("://") {
            return scope == self.single_server_scope();
        }
        let Some(domain) = scope.strip_prefix("*.") else {
            return scope == self.host;
        };
        let is_domain = domain.contains('.') && !domain.ends_with('.') && !domain.starts_with('.');
        let is_address = |host: &str| {
            let last = host.rsplit('.').next().unwrap_or_default();
            host.starts_with('[') || last.bytes().all(|byte| byte.is_ascii_digit())
        };
        let is_in = |rest: &str| rest.is_empty() || rest.ends_with('.');
        is_domain && !is_address(&self.host) && self.host.strip_suffix(domain).is_some_and(is_in)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.validation())
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_parsed() {
        for (text, validation, scope) in [
            (
                "https://WWW.Example.com",
                "https://www.example.com:443",
                "https://www.example.com",
            ),
            ("http://h:080", "http://h:80", "http://h"),
            ("HTTP://h:8080", "http://h:8080", "http://h:8080"),
            ("https://h:80", "https://h:80", "https://h:80"),
            (
                "https://[::1]:8443",
                "https://[::1]:8443",
                "https://[::1]:8443",
            ),
            ("https://[::1]", "https://[::1]:443", "https://[::1]"),
        ] {
            let origin = Origin::parse(text).unwrap();
            assert_eq!(origin.validation(), validation);
            assert_eq!(origin.single_server_scope(), scope);
        }
        for text in [
            "",
            "h",
            "ftp://h",
            "https://",
            "https://h:",
            "https://h:65536",
            "https://h:+1",
            "https://h/",
            "https://u@h",
            "https://[::1",
            "https://[g]",
            "https://h h",
            "https://é",
        ] {
            assert_eq!(Origin::parse(text), Err(MutualError::Origin), "{text}");
        }
    }

    #[test]
    fn scopes_cover_what_the_rfc_says() {
        let server = Origin::parse("https://www.sales.example.com:8443").unwrap();
        for (scope, expected) in [
            ("https://www.sales.example.com:8443", true),
            ("https://www.sales.example.com", false),
            ("http://www.sales.example.com:8443", false),
            ("https://WWW.sales.example.com:8443", false),
            ("www.sales.example.com", true),
            ("sales.example.com", false),
            ("*.www.sales.example.com", true),
            ("*.sales.example.com", true),
            ("*.example.com", true),
            ("*.ample.com", false),
            ("*.com", false),
            ("*.", false),
            ("*", false),
            ("*..com", false),
            ("", false),
        ] {
            assert_eq!(server.is_covered_by(scope), expected, "{scope}");
        }
        let server = Origin::parse("https://example.com").unwrap();
        assert!(server.is_covered_by("*.example.com"));
        assert!(server.is_covered_by("https://example.com"));
        assert!(!server.is_covered_by("https://example.com:443"));
        let address = Origin::parse("https://10.0.0.1").unwrap();
        assert!(address.is_covered_by("10.0.0.1"));
        assert!(!address.is_covered_by("*.0.0.1"));
    }
}
