use base64::{Engine, prelude::BASE64_URL_SAFE};
use chanbind_core::blessing::{self, Algorithms, EncodedBlessings, Pattern, PublicKey};
use std::fmt;

/// The roots that a principal recognizes: public keys, and the names that they may give.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Roots(Vec<Root>);

#[derive(Clone, PartialEq, Eq)]
struct Root {
    public_key: Vec<u8>,
    pattern: String,
}

/// The error of adding a root.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootError {
    /// The public key is not one.
    #[error(
        "the public key of the root is not a SubjectPublicKeyInfo of a supported algorithm, in base64url"
    )]
    Key,
    /// The pattern is invalid.
    #[error(
        "the pattern {0:?} of a root is invalid: write a name like factory:line3, which stands for its extensions too; ... is not allowed"
    )]
    Pattern(String),
    /// The blessings are invalid.
    #[error("{0}")]
    Blessings(#[from] blessing::BlessingError),
}

impl Roots {
    /// Creates an empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a root: its public key, SubjectPublicKeyInfo in DER, and the pattern for the names that it may give.
    ///
    /// # Errors
    /// [`RootError`]
    pub fn add(&mut self, public_key: &[u8], pattern: &str) -> Result<(), RootError> {
        if PublicKey::parse(public_key, &super::ALGORITHMS).is_none() {
            return Err(RootError::Key);
        }
        let parsed = Pattern(pattern);
        if !parsed.is_valid() || parsed.matches_everyone() {
            return Err(RootError::Pattern(pattern.to_owned()));
        }
        let root = Root {
            public_key: public_key.to_vec(),
            pattern: pattern.to_owned(),
        };
        if !self.0.contains(&root) {
            self.0.push(root);
        }
        Ok(())
    }

    /// Adds the roots of blessings: of each chain the first key, for the first name in it.
    ///
    /// # Errors
    /// [`RootError`]
    pub fn add_roots_of(
        &mut self,
        encoded: &[u8],
        algorithms: &Algorithms,
    ) -> Result<(), RootError> {
        let encoded = EncodedBlessings::parse(encoded)?;
        encoded.blessings().verify(algorithms)?;
        let mut roots = Vec::new();
        encoded.blessings().for_each(&mut |place, certificate| {
            if place.index == 0 && !certificate.extension.is_empty() {
                let name = certificate.extension.to_owned();
                roots.push((certificate.public_key.to_vec(), name));
            }
            Ok(())
        })?;
        for (public_key, name) in roots {
            self.add(&public_key, &name)?;
        }
        Ok(())
    }

    /// Reads lines of a public key in base64url, which the tool `principal` prints, and a pattern. Empty lines and those with `#` in front are ignored.
    ///
    /// # Errors
    /// [`RootError`]
    pub fn parse(text: &str) -> Result<Self, RootError> {
        let mut roots = Self::new();
        for line in text.lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, pattern) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let key = BASE64_URL_SAFE.decode(key).map_err(|_| RootError::Key)?;
            roots.add(&key, pattern.trim())?;
        }
        Ok(roots)
    }

    /// Iterates over public keys and patterns.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &str)> {
        self.0
            .iter()
            .map(|root| (&*root.public_key, &*root.pattern))
    }

    /// Returns whether there are no roots.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Writes the lines that [`Roots::parse`] reads.
impl fmt::Display for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (public_key, pattern) in self.iter() {
            writeln!(f, "{} {pattern}", BASE64_URL_SAFE.encode(public_key))?;
        }
        Ok(())
    }
}

impl blessing::Roots for Roots {
    fn are_of(&self, public_key: &[u8], name: &str) -> bool {
        self.iter()
            .any(|(root, pattern)| root == public_key && Pattern(pattern).is_matched_by_name(name))
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns: Vec<_> = self.0.iter().map(|root| &root.pattern).collect();
        write!(f, "Roots({patterns:?})")
    }
}
