use crate::{authenticator::Trust, gateway::path::Readings};
use std::fmt;

/// The paths that need an authenticator, and the trust that each needs.
///
/// The path is the one that the service inside of the layer sees: it is judged and used. In a rule, `a`, `/a/` and `/%61` are all `/a`, and what
/// stands behind `?` is left out.
///
/// The server of the path may read it in another way than these rules do. Where a policy has rules for paths, a path is therefore rejected with 400
/// if it has control bytes, backslashes, encoded separators, double encodings or dot segments (with parameters too), or if another rule would
/// hold for it decoded, without parameters (`;x=1`), without spaces and dots at the end of a segment, or in another case. Not seen are
/// readings that are a server's own: rewriting behind the layer, Unicode look-alikes and normalization, short names of files.
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
    rules: Vec<Rule>,
}

impl AuthenticatorPolicy {
    /// Creates a policy by which nothing needs one.
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
        // A router's pattern for everything below a path: rules are that anyway.
        let path = match path.rsplit_once('/') {
            Some((above, last)) if last == "*" || last.starts_with("{*") => above,
            _ => path,
        };
        let Readings {
            decoded, folded, ..
        } = Readings::of(path);
        let [path, folded] = [decoded, folded].map(|path| path.trim_end_matches('/').to_owned());
        self.rules.retain(|rule| rule.path != path);
        self.rules.push(Rule {
            path,
            folded,
            trust,
        });
        self
    }

    /// Returns whether paths make a difference, as with all policies but one rule for everything.
    pub(super) fn depends_on_paths(&self) -> bool {
        match self.rules.as_slice() {
            [] => false,
            [only] => !only.path.is_empty(),
            _ => true,
        }
    }

    /// Who is asked for on `path`.
    ///
    /// # Errors
    /// [`Ambiguous`] if other servers may read the path in another way, and it makes a difference here, or cannot be told.
    pub(super) fn trust(&self, path: &str) -> Result<Option<&Trust>, Ambiguous> {
        let rule = self.rule(path, |rule| &rule.path);
        if self.depends_on_paths() {
            let readings = Readings::of(path);
            let decoded = self.rule(&readings.decoded, |rule| &rule.path);
            let folded = self.rule(&readings.folded, |rule| &rule.folded);
            // Rules that differ in case alone are told apart by it.
            let is_one = rule.map(|rule| &rule.path) == decoded.map(|rule| &rule.path)
                && rule.map(|rule| &rule.folded) == folded.map(|rule| &rule.folded);
            if !is_one || readings.is_doubtful {
                return Err(Ambiguous);
            }
        }
        Ok(rule.and_then(|rule| rule.trust.as_ref()))
    }

    /// The rule for a path: the longest that covers it.
    fn rule(&self, path: &str, of: impl Fn(&Rule) -> &String) -> Option<&Rule> {
        let covers = |prefix: &str| {
            path.strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        // `/` alone has become empty and covers all, `*` of OPTIONS too.
        let all = self.rules.iter().filter(|rule| {
            let prefix = of(rule);
            prefix.is_empty() || covers(prefix)
        });
        all.max_by_key(|rule| of(rule).len())
    }
}

/// A requirement for a path and everything below it.
#[derive(Clone)]
struct Rule {
    path: String,
    folded: String,
    trust: Option<Trust>,
}

/// A path can be read in several ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ambiguous;

impl fmt::Debug for AuthenticatorPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.rules.iter().map(|rule| (&rule.path, &rule.trust)))
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
            ("*", None),
        ] {
            let found = policy.trust(path).unwrap().map(Trust::id);
            assert_eq!(found, expected.map(Trust::id), "{path}");
        }
        for path in [
            "/%61",
            "//a",
            "/a/b%20/x",
            "/a/B",
            "/A",
            "/a/b;x=1",
            "/a/open;/../c",
            "/a/open/..;/c",
            "/a/open/%2e%2e;/c",
            "/a/open/..%00",
            "/%2561",
            "/a/open/%0a",
            "/a/c%2fd",
            "/a/open.",
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
        for written in [
            "a",
            "/a/",
            "//a",
            "/%61",
            "/a?x",
            "a#x",
            "/x/../a",
            "/a/*",
            "/a/{*rest}",
        ] {
            let policy = AuthenticatorPolicy::new().require(written, &one);
            let found = policy.trust("/a/b").unwrap().map(Trust::id);
            assert_eq!(found, Some(one.id()), "{written}");
        }
        // The longest as it is read, not as it is written.
        let policy = AuthenticatorPolicy::new()
            .exempt("/a;version=public")
            .require("/a/b", &one);
        assert_eq!(policy.trust("/a;version=public/b").err(), Some(Ambiguous));
        let all = AuthenticatorPolicy::new().require("/", &one);
        for path in ["/", "*", "", "/x", "/x/../y"] {
            let found = all.trust(path).unwrap();
            assert_eq!(found.map(Trust::id), Some(one.id()), "{path}");
        }
    }
}
