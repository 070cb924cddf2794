//! Origins of servers, and the authentication scopes that cover them (RFC 8120 sections 5 and 7).

use super::{MutualError, numbers::decimal};
use core::fmt;
use heapless::String;

/// The longest host name, in bytes (RFC 1035 section 2.3.4).
pub const MAX_HOST_LEN: usize = 253;

/// The longest origin and the longest authentication scope, in bytes: `https://`, a host name, and a port.
pub const MAX_ORIGIN_LEN: usize = MAX_HOST_LEN + 14;

/// A server: scheme, host in lower case, and port.
#[derive(Clone, PartialEq, Eq)]
pub struct Origin {
    /// `scheme://host:port`.
    text: String<MAX_ORIGIN_LEN>,
    is_https: bool,
    /// The length of `scheme://host`.
    host_end: usize,
    port: u16,
}

impl Origin {
    /// Parses `http://host`, `https://host` or either with `:port`; letters of any case. An IPv6 address is in brackets.
    ///
    /// # Errors
    /// [`MutualError::Origin`] for anything else, also for a path or a user.
    pub fn parse(text: &str) -> Result<Self, MutualError> {
        for is_https in [true, false] {
            let scheme = scheme(is_https);
            if let Some((front, authority)) = text.split_at_checked(scheme.len())
                && front.eq_ignore_ascii_case(scheme)
            {
                return Self::new(is_https, authority);
            }
        }
        Err(MutualError::Origin)
    }

    /// Creates the origin of the server of a request from its authority, `host` or `host:port`.
    ///
    /// # Errors
    /// [`MutualError::Origin`] if `authority` has another form.
    pub fn new(is_https: bool, authority: &str) -> Result<Self, MutualError> {
        Self::of(is_https, authority).ok_or(MutualError::Origin)
    }

    fn of(is_https: bool, authority: &str) -> Option<Self> {
        let is_address = authority.starts_with('[');
        let end = if is_address { b']' } else { b':' };
        let mut bytes = authority.bytes();
        let len = match bytes.position(|byte| byte == end) {
            Some(position) if is_address => position.checked_add(1)?,
            Some(position) => position,
            None if is_address => return None,
            None => authority.len(),
        };
        let (host, port) = authority.split_at_checked(len)?;
        let inside = host.strip_prefix('[').unwrap_or(host);
        let inside = inside.strip_suffix(']').unwrap_or(inside);
        let is_valid = inside.bytes().all(|byte| match byte {
            b':' => is_address,
            b'.' => true,
            b'-' | b'_' => !is_address,
            _ if is_address => byte.is_ascii_hexdigit(),
            _ => byte.is_ascii_alphanumeric(),
        });
        if inside.is_empty() || !is_valid || host.len() > MAX_HOST_LEN {
            return None;
        }
        let port = match port.strip_prefix(':') {
            Some(digits) => parse_port(digits)?,
            None if port.is_empty() => default_port(is_https),
            None => return None,
        };
        let digits = decimal(u32::from(port));
        let mut text = String::new();
        let mut host_end = 0;
        for part in [scheme(is_https), host, ":", str::from_utf8(&digits).ok()?] {
            if part == ":" {
                host_end = text.len();
            }
            text.push_str(part).ok()?;
        }
        text.make_ascii_lowercase();
        Some(Self {
            text,
            is_https,
            host_end,
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
        let start = scheme(self.is_https).len();
        self.text.get(start..self.host_end).unwrap_or_default()
    }

    /// Returns the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the value vh of the validation `host`: scheme, host and port, which is always there (RFC 8120 section 7).
    #[must_use]
    pub fn validation(&self) -> &str {
        &self.text
    }

    /// Returns the authentication scope of the single-server type: the port is there unless it is the scheme's own.
    #[must_use]
    pub fn single_server_scope(&self) -> &str {
        let is_default = self.port == default_port(self.is_https);
        let end = if is_default {
            self.host_end
        } else {
            self.text.len()
        };
        self.text.get(..end).unwrap_or_default()
    }

    /// Returns true if the authentication scope covers this server (RFC 8120 section 5): it is the server, its host, or `*.` and a domain that
    /// the host is or is in.
    ///
    /// A domain of one label, like `*.com`, covers nothing. This crate has no list of other domains that belong to several organizations.
    #[must_use]
    pub fn is_covered_by(&self, scope: &str) -> bool {
        if scope.bytes().any(|byte| byte == b'/') {
            return scope == self.single_server_scope();
        }
        let host = self.host();
        let Some(domain) = scope.strip_prefix("*.") else {
            return scope == host;
        };
        let is_domain = match domain.as_bytes() {
            [b'.', ..] | [.., b'.'] => false,
            _ => domain.bytes().any(|byte| byte == b'.'),
        };
        // The last label of an address has digits alone.
        let mut label = host.bytes().rev().take_while(|byte| *byte != b'.');
        let is_address = host.starts_with('[') || label.all(|byte| byte.is_ascii_digit());
        let is_in = |rest: &str| rest.is_empty() || rest.ends_with('.');
        is_domain && !is_address && host.strip_suffix(domain).is_some_and(is_in)
    }
}

/// Returns the front of an origin.
fn scheme(is_https: bool) -> &'static str {
    if is_https { "https://" } else { "http://" }
}

fn default_port(is_https: bool) -> u16 {
    if is_https { 443 } else { 80 }
}

fn parse_port(digits: &str) -> Option<u16> {
    let mut port: Option<u16> = None;
    for digit in digits.bytes() {
        let digit = digit.is_ascii_digit().then_some(u16::from(digit & 0xf))?;
        let next = port.unwrap_or(0).checked_mul(10)?;
        port = Some(next.checked_add(digit)?);
    }
    port
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
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
