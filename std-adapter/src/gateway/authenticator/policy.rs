use crate::authenticator::Trust;
use std::fmt;

/// Which paths need an authenticator, and from whom.
///
/// Paths are those of the whole request, also for a layer inside of `Router::nest`. `a`, `/a/` and `/%61` are all `/a`; what stands
/// behind `?` is no path.
///
/// ```no_run
/// use chanbind::{authenticator::Trust, gateway::AuthenticatorPolicy};
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let devices = Trust::from_pem(&std::fs::read("device-ca.pem")?)?;
/// let operators = Trust::from_pem(&std::fs::read("operator-ca.pem")?)?;
/// let policy = AuthenticatorPolicy::new()
///     .require("/", &devices)
///     .require("/admin", &operators)
///     .exempt("/health");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct AuthenticatorPolicy {
    rules: Vec<(String, Option<Trust>)>,
}

impl AuthenticatorPolicy {
    /// Nothing needs one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// `path` and all below it need an authenticator of `trust`, but for what longer paths say.
    #[must_use]
    pub fn require(self, path: &str, trust: &Trust) -> Self {
        self.with(path, Some(trust.clone()))
    }

    /// `path` and all below it need none, but for what longer paths say.
    #[must_use]
    pub fn exempt(self, path: &str) -> Self {
        self.with(path, None)
    }

    fn with(mut self, path: &str, trust: Option<Trust>) -> Self {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let path = normal(path).trim_end_matches('/').to_owned();
        self.rules.retain(|(other, _)| *other != path);
        self.rules.push((path, trust));
        // The longest first.
        self.rules
            .sort_by_key(|(path, _)| std::cmp::Reverse(path.len()));
        self
    }

    /// Who is asked for on `path`.
    ///
    /// # Errors
    /// [`Ambiguous`]: whoever serves the path may see through `%61`, `//` and `..`, each in its own way, or may not, and it makes a
    /// difference here.
    pub(super) fn trust(&self, path: &str) -> Result<Option<&Trust>, Ambiguous> {
        let (plain, normal) = (self.rule(path), self.rule(&normal(path)));
        let is_one_for_all = match self.rules.as_slice() {
            [] => true,
            [(only, _)] => only.is_empty(),
            _ => false,
        };
        if plain != normal || (climbs(path) && !is_one_for_all) {
            return Err(Ambiguous);
        }
        let rule = plain.and_then(|at| self.rules.get(at));
        Ok(rule.and_then(|(_, trust)| trust.as_ref()))
    }

    /// The place of the rule for a path.
    fn rule(&self, path: &str) -> Option<usize> {
        let covers = |prefix: &str| {
            path.strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        // `/` alone has become empty and covers all, `*` of OPTIONS too.
        self.rules
            .iter()
            .position(|(prefix, _)| prefix.is_empty() || covers(prefix))
    }
}

/// A path can be read in two ways, for which different rules stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ambiguous;

/// Whether a path has dot segments, or backslashes, which some take for slashes, however often it is encoded: where those lead depends
/// on who follows them.
fn climbs(path: &str) -> bool {
    let mut bytes = path.as_bytes().to_vec();
    // Each round takes a `%` at least two bytes nearer to its end.
    loop {
        let text = String::from_utf8_lossy(&bytes);
        let climbs = text
            .split('/')
            .any(|segment| matches!(segment, "." | "..") || segment.contains('\\'));
        let again = decoded(&bytes);
        if climbs || again == bytes {
            return climbs;
        }
        bytes = again;
    }
}

/// The path with percent-encodings decoded, empty segments left out and dot segments resolved.
fn normal(path: &str) -> String {
    let bytes = decoded(path.as_bytes());
    let text = String::from_utf8_lossy(&bytes);
    let mut segments: Vec<&str> = Vec::new();
    for segment in text.split(['/', '\\']) {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    format!("/{}", segments.join("/"))
}

/// Percent-encodings decoded, once.
fn decoded(path: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&first, behind)) = rest.split_first() {
        let decoded = (first == b'%')
            .then(|| behind.get(..2))
            .flatten()
            .and_then(|digits| str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match decoded {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = behind;
            }
        }
    }
    bytes
}

impl fmt::Debug for AuthenticatorPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.rules.iter().map(|(path, trust)| (path, trust)))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_path_decides_in_every_reading() {
        let (one, two) = (Trust::of_nobody(), Trust::of_nobody());
        let policy = AuthenticatorPolicy::new()
            .require("/a", &one)
            .require("/a/b/", &two)
            .exempt("/a/open");
        for (path, expected) in [
            ("/", None),
            ("/a", Some(&one)),
            ("/a/", Some(&one)),
            ("/ab", None),
            ("/a/c", Some(&one)),
            ("/a/b", Some(&two)),
            ("/a/b/c", Some(&two)),
            ("/a/open", None),
            ("/a/openly", Some(&one)),
            ("/a/c%20d//e", Some(&one)),
            ("/a/b%20/x", Some(&one)),
            ("*", None),
        ] {
            let found = policy.trust(path).unwrap().map(Trust::id);
            assert_eq!(found, expected.map(Trust::id), "{path}");
        }
        for path in [
            "/%61",
            "//a",
            "/x/../a",
            "/x/%2e%2e/a/b",
            "/x\\..\\a",
            "/a/open/../c",
            "/a/b/../c",
            "/a/c/..%2Fopen",
            "/a/b/%2e%2e/b",
            "/./x",
            "/a/open/../c//../open",
            "/a/open/../x%5c..%5c..%5copen",
            "/a/open/../c/%2e%2e/open",
            "/a/open/%252e%252e/c",
        ] {
            assert_eq!(policy.trust(path).err(), Some(Ambiguous), "{path}");
        }
        // However a rule is written, it is that path's.
        for written in ["a", "/a/", "//a", "/%61", "/a?x", "a#x", "/x/../a"] {
            let policy = AuthenticatorPolicy::new().require(written, &one);
            let found = policy.trust("/a/b").unwrap().map(Trust::id);
            assert_eq!(found, Some(one.id()), "{written}");
        }
        let all = AuthenticatorPolicy::new().require("/", &one);
        for path in ["/", "*", "", "/x", "/x/../y"] {
            let found = all.trust(path).unwrap();
            assert_eq!(found.map(Trust::id), Some(one.id()), "{path}");
        }
    }
}
