use super::{
    path::Readings,
    requirement::{Requirement, Tree, index},
};
use crate::proof::Verifier;
use std::{fmt, sync::Arc};

/// The paths of a service, and the proofs that each needs.
///
/// The path is the one that the service inside of the layer sees: it is judged and used. In a rule, `a`, `/a/` and `/%61` are all `/a`, and a
/// query is ignored. The longest rule that covers a path decides. A path without a rule needs no proof: begin with a rule for `/`.
///
/// The server of the path may read it in another way than these rules do. Where a policy has rules for paths, a path is therefore rejected with 400
/// if it has control bytes, backslashes, encoded separators, double encodings or dot segments (with parameters too), or if another rule would
/// hold for it decoded, without parameters (`;x=1`), without spaces and dots at the end of a segment, or in another case. Not seen are
/// readings that are a server's own: rewriting behind the layer, Unicode look-alikes and normalization, short names of files.
///
/// # Examples
///
/// ```no_run
/// use chanbind::{
///     gateway::{Policy, RegistryFile, Requirement},
///     proof::{authenticator::{AuthenticatorVerifier, Trust}, otp::{OtpVerifier, Settings}},
/// };
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let otp = OtpVerifier::new(RegistryFile::open("registry.toml".as_ref())?, Settings::default());
/// let devices = AuthenticatorVerifier::new(Trust::from_pem(&std::fs::read("device-ca.pem")?)?);
/// let operators = AuthenticatorVerifier::new(Trust::from_pem(&std::fs::read("operator-ca.pem")?)?);
/// let policy = Policy::new()
///     .require("/", Requirement::from(&otp).or(&devices))
///     .require("/admin", operators)
///     .exempt("/health");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Policy {
    rules: Vec<Rule>,
    hosts: Vec<(String, Policy)>,
}

/// A requirement for a path and everything below it.
#[derive(Clone)]
pub(super) struct Rule {
    path: String,
    folded: String,
    /// The verifiers of the requirement; none if the path is exempt.
    pub(super) verifiers: Arc<[Arc<dyn Verifier>]>,
    pub(super) tree: Tree,
    /// True if a request without any proof goes through.
    pub(super) is_optional: bool,
}

impl Rule {
    /// Returns true if nothing is verified.
    pub(super) fn is_exempt(&self) -> bool {
        self.verifiers.is_empty() && self.is_optional
    }
}

impl Policy {
    /// Creates a policy by which no path needs a proof.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Requires proofs for `path` and all below it, except where a longer path has a rule of its own.
    #[must_use]
    pub fn require(self, path: &str, requirement: impl Into<Requirement>) -> Self {
        self.with(path, Some(&requirement.into()), false)
    }

    /// Verifies proofs for `path` and all below it where a request has some, and lets requests without any through. No client is asked: a
    /// kind of proof that needs a challenge cannot be given here for the first time.
    #[must_use]
    pub fn optional(self, path: &str, requirement: impl Into<Requirement>) -> Self {
        self.with(path, Some(&requirement.into()), true)
    }

    /// Requires nothing for `path` and all below it, except where a longer path has a rule of its own.
    #[must_use]
    pub fn exempt(self, path: &str) -> Self {
        self.with(path, None, true)
    }

    /// Adds rules for the requests to a host: a DNS name or IP address without port, compared without regard to case and to a dot at the
    /// end. Where `policy` has no rule for a path, the rules outside apply; hosts within `policy` are ignored. Requests that name no
    /// host, or several, or a user, are rejected with 400 then.
    #[must_use]
    pub fn host(mut self, host: &str, policy: Self) -> Self {
        let host = bare_host(host);
        self.hosts.retain(|(other, _)| *other != host);
        self.hosts.push((host, policy));
        self
    }

    fn with(mut self, path: &str, requirement: Option<&Requirement>, is_optional: bool) -> Self {
        let Readings {
            decoded, folded, ..
        } = Self::place(path);
        let [path, folded] = [decoded, folded].map(|path| path.trim_end_matches('/').to_owned());
        self.rules.retain(|rule| rule.path != path);
        let mut verifiers = Vec::new();
        let tree = requirement.map_or(Tree::Any(Vec::new()), |requirement| {
            requirement.collect(&mut verifiers);
            requirement.compile(&verifiers)
        });
        self.rules.push(Rule {
            path,
            folded,
            verifiers: verifiers.into(),
            tree,
            is_optional,
        });
        self
    }

    /// Returns the verifiers of all rules, each once.
    #[must_use]
    pub fn verifiers(&self) -> Vec<Arc<dyn Verifier>> {
        let mut all = Vec::new();
        let of_hosts = self.hosts.iter().flat_map(|(_, policy)| &policy.rules);
        for rule in self.rules.iter().chain(of_hosts) {
            for verifier in rule.verifiers.iter() {
                if index(&all, verifier).is_none() {
                    all.push(Arc::clone(verifier));
                }
            }
        }
        all
    }

    /// Returns true if there is a rule for this very path, in any spelling that rules treat alike; a rule for a path above it does not count.
    #[must_use]
    pub fn has_rule(&self, path: &str) -> bool {
        let path = Self::place(path).decoded;
        self.rules
            .iter()
            .any(|rule| rule.path == path.trim_end_matches('/'))
    }

    /// Returns the readings of a rule's path.
    fn place(path: &str) -> Readings {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        // A router's pattern for everything below a path: rules are that anyway.
        let path = match path.rsplit_once('/') {
            Some((above, last)) if last == "*" || last.starts_with("{*") => above,
            _ => path,
        };
        Readings::of(path)
    }

    /// Returns the rule for a request: of the policy of its host, or else of this one. `None` if no rule covers it, and the request
    /// needs no proof.
    ///
    /// # Errors
    /// [`Unreadable`] if servers may disagree on the host or the path, and it makes a difference here.
    pub(super) fn rule_of<'r>(
        &self,
        authority: impl FnOnce() -> Option<&'r str>,
        path: &str,
    ) -> Result<Option<&Rule>, Unreadable> {
        let of_host = self.of_host(authority).map_err(|NoHost| Unreadable::Host)?;
        if let Some(policy) = of_host
            && let Some(rule) = policy
                .rule_for(path)
                .map_err(|Ambiguous| Unreadable::Path)?
        {
            return Ok(Some(rule));
        }
        self.rule_for(path).map_err(|Ambiguous| Unreadable::Path)
    }

    /// Returns the policy of the host that a request names, if it has one.
    ///
    /// # Errors
    /// [`NoHost`] if hosts make a difference, and the request names none or several.
    fn of_host<'r>(
        &self,
        authority: impl FnOnce() -> Option<&'r str>,
    ) -> Result<Option<&Self>, NoHost> {
        if self.hosts.is_empty() {
            return Ok(None);
        }
        let authority = authority().ok_or(NoHost)?;
        // With a user, servers differ in what they take for the host.
        if authority.contains('@') {
            return Err(NoHost);
        }
        let host = bare_host(host_of(authority));
        let mut hosts = self.hosts.iter();
        Ok(hosts
            .find(|(other, _)| *other == host)
            .map(|(_, policy)| policy))
    }

    /// Returns whether paths make a difference for any host, as with all policies but one rule for everything.
    pub(super) fn depends_on_paths(&self) -> bool {
        self.has_paths() || self.hosts.iter().any(|(_, policy)| policy.has_paths())
    }

    fn has_paths(&self) -> bool {
        match self.rules.as_slice() {
            [] => false,
            [only] => !only.path.is_empty(),
            _ => true,
        }
    }

    /// Returns the rule for `path`; `None` if it has none and needs no proof.
    ///
    /// # Errors
    /// [`Ambiguous`] if other servers may read the path in another way, and it makes a difference here, or cannot be told.
    fn rule_for(&self, path: &str) -> Result<Option<&Rule>, Ambiguous> {
        let rule = self.rule(path, |rule| &rule.path);
        if self.has_paths() {
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
        Ok(rule)
    }

    /// Returns the longest rule that covers a path.
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

/// Returns a host in lower case and without the dot at the end of a fully qualified name.
fn bare_host(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    match host.strip_suffix('.') {
        Some(bare) => bare.to_owned(),
        None => host,
    }
}

/// Returns an authority without its port.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|byte| byte.is_ascii_digit()) && !host.is_empty() =>
        {
            host
        }
        _ => authority,
    }
}

/// The part of a request on which servers may disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It names no host, several, or a user.
    Host,
    /// The path can be read in several ways.
    Path,
}

/// A path can be read in several ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ambiguous;

/// A request names no host, several, or a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NoHost;

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = self.verifiers.iter().map(|verifier| verifier.kind());
        f.debug_list().entries(kinds).finish()
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.rules.iter().map(|rule| (&rule.path, rule)))
            .entries(self.hosts.iter().map(|(host, policy)| (host, policy)))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        gateway::{Channel, all_of, any_of},
        proof::{Identity, Recipient, Refusal, RequestHead, Verdict, Verification},
    };
    use axum::http::{HeaderMap, HeaderValue};

    /// A verifier that accepts nothing. Not of size zero: two are told apart by their addresses.
    struct Never(#[expect(dead_code)] u8);

    impl Verifier for Never {
        fn kind(&self) -> &'static str {
            "never"
        }

        fn verify(self: Arc<Self>, _: &Channel, _: &RequestHead<'_>) -> Verification {
            Verification::Ready(Verdict::Absent)
        }

        fn challenges(&self, _: &Channel) -> Result<Vec<HeaderValue>, Refusal> {
            Ok(vec![HeaderValue::from_static("Never")])
        }

        fn remove_proof(&self, _: Recipient, _: &mut HeaderMap) {}
    }

    /// The verifier of a rule with one, by its address.
    fn only(rule: Option<&Rule>) -> Option<*const ()> {
        let verifier = rule?.verifiers.first()?;
        Some(Arc::as_ptr(verifier).cast())
    }

    fn pointer(verifier: &Arc<Never>) -> *const () {
        Arc::as_ptr(verifier).cast()
    }

    fn never() -> Arc<Never> {
        Arc::new(Never(0))
    }

    #[test]
    fn the_longest_path_decides_in_every_reading() {
        let (one, two) = (never(), never());
        let policy = Policy::new()
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
            let found = only(policy.rule_for(path).unwrap());
            assert_eq!(found, expected.map(pointer), "{path}");
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
            assert_eq!(policy.rule_for(path).err(), Some(Ambiguous), "{path}");
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
            let policy = Policy::new().require(written, &one);
            let found = only(policy.rule_for("/a/b").unwrap());
            assert_eq!(found, Some(pointer(&one)), "{written}");
        }
        // The longest as it is read, not as it is written.
        let policy = Policy::new()
            .exempt("/a;version=public")
            .require("/a/b", &one);
        assert_eq!(
            policy.rule_for("/a;version=public/b").err(),
            Some(Ambiguous)
        );
        let all = Policy::new().require("/", &one);
        for path in ["/", "*", "", "/x", "/x/../y"] {
            let found = only(all.rule_for(path).unwrap());
            assert_eq!(found, Some(pointer(&one)), "{path}");
        }
    }
    #[test]
    fn a_requirement_is_a_tree_of_any_and_all() {
        let [one, two, three] = [never(), never(), never()];
        let policy = Policy::new().require(
            "/",
            all_of([Requirement::from(&one), any_of([&two, &three])]),
        );
        let rule = policy.rule_for("/").unwrap().unwrap();
        assert_eq!(rule.verifiers.len(), 3);
        for (proved, expected) in [
            (&[][..], false),
            (&[0], false),
            (&[1, 2], false),
            (&[0, 1], true),
            (&[0, 2], true),
        ] {
            let identity = Identity::new("pump", "never", ());
            let is = |at: usize| proved.contains(&at).then_some(&identity);
            assert_eq!(
                rule.tree.is_satisfied(&is, &mut Vec::new()),
                expected,
                "{proved:?}"
            );
        }
        for empty in [
            any_of([] as [Requirement; 0]),
            all_of([] as [Requirement; 0]),
        ] {
            let policy = Policy::new().require("/", empty);
            let rule = policy.rule_for("/").unwrap().unwrap();
            let identity = Identity::new("pump", "never", ());
            let is = |_| Some(&identity);
            assert!(!rule.is_exempt() && !rule.tree.is_satisfied(&is, &mut Vec::new()));
        }
        // One verifier twice is asked once.
        let policy = Policy::new().require("/", all_of([&one, &one]));
        assert_eq!(policy.rule_for("/").unwrap().unwrap().verifiers.len(), 1);
    }

    #[test]
    fn a_proof_counts_in_satisfied_branches_only() {
        let (one, two, three) = (never(), never(), never());
        let either = Requirement::from(&one).and(&two).or(&three);
        let policy = Policy::new().require("/", either);
        let rule = policy.rule_for("/").unwrap().unwrap();
        for (accepted, expected) in [
            (&[0, 2][..], &[2][..]),
            (&[0, 1], &[0, 1]),
            (&[0, 1, 2], &[0, 1, 2]),
            (&[0], &[]),
        ] {
            let mut used = Vec::new();
            let identity = Identity::new("pump", "never", ());
            let is = |at| accepted.contains(&at).then_some(&identity);
            let satisfied = rule.tree.is_satisfied(&is, &mut used);
            assert_eq!(satisfied, !expected.is_empty(), "{accepted:?}");
            assert_eq!(used, expected, "{accepted:?}");
        }
    }

    #[test]
    fn a_rule_is_found_in_any_spelling_of_its_path() {
        let policy = Policy::new().require("/admin/", never()).exempt("/a/b");
        for path in ["/admin", "/admin/*", "/%61dmin/", "/admin?x", "/a/{*rest}"] {
            assert_eq!(policy.has_rule(path), !path.starts_with("/a/"), "{path}");
        }
        assert!(!policy.has_rule("/"));
        assert!(Policy::new().exempt("/").has_rule("/*"));
    }

    #[test]
    fn a_host_has_rules_of_its_own_before_the_others() {
        let (one, two, three) = (never(), never(), never());
        let policy = Policy::new().require("/", &one).host(
            "Admin.example.",
            Policy::new().require("/admin", &two).exempt("/open"),
        );
        let found = |authority, path| Ok(only(policy.rule_of(|| authority, path)?));
        for authority in ["admin.example", "ADMIN.example:8443", "admin.example."] {
            for (path, expected) in [("/admin", &two), ("/other", &one)] {
                let found = found(Some(authority), path);
                assert_eq!(found, Ok(Some(pointer(expected))), "{authority} {path}");
            }
            let open = policy
                .rule_of(|| Some(authority), "/open")
                .unwrap()
                .unwrap();
            assert!(open.is_exempt());
        }
        for authority in ["other.example", "[::1]:8443", "127.0.0.1"] {
            let found = found(Some(authority), "/admin");
            assert_eq!(found, Ok(Some(pointer(&one))), "{authority}");
        }
        for (authority, path, expected) in [
            (None, "/", Unreadable::Host),
            (Some("user@admin.example"), "/", Unreadable::Host),
            (Some("admin.example"), "/ADMIN", Unreadable::Path),
        ] {
            assert_eq!(
                found(authority, path),
                Err(expected),
                "{authority:?} {path}"
            );
        }
        let everywhere = Policy::new().require("/", &three);
        assert!(everywhere.rule_of(|| None, "/").is_ok());
    }
}
