//! Which clients there are, and their keys.

use base64::{Engine, prelude::BASE64_STANDARD};
use chanbind_core::{
    kdf::HmacSha256,
    otp::{ClientId, ClientIdError},
};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};
use zeroize::Zeroizing;

#[cfg(feature = "tpm")]
use crate::tpm::{Parent, TpmKey};
#[cfg(feature = "tpm")]
use std::hash::{BuildHasher, RandomState};

/// What a gateway derives a client's expected key with.
#[derive(Clone)]
#[non_exhaustive]
pub enum ClientKey {
    /// The client's HMAC key, as software holds it.
    Secret(Arc<HmacSha256>),
    /// The client's HMAC key in the gateway's own TPM.
    #[cfg(feature = "tpm")]
    Tpm(TpmKey),
}

impl ClientKey {
    /// An HMAC-SHA256 key in software.
    #[must_use]
    pub fn secret(key: &[u8]) -> Self {
        Self::Secret(Arc::new(HmacSha256::new(key)))
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "ClientKey::Secret(hidden)",
            #[cfg(feature = "tpm")]
            Self::Tpm(_) => "ClientKey::Tpm",
        })
    }
}

/// The clients of a gateway and their keys.
///
/// As a file it is TOML, and a secret:
///
/// ```toml
/// [clients.client1]
/// hmac_sha256 = "bXlfYXBpX2tleQ=="   # the key, in base64
/// ```
///
/// All keys are of one kind, in software or in a TPM, so that the decoy for unknown clients takes as long as a real key.
pub struct Registry {
    clients: HashMap<String, ClientKey>,
    decoy: Decoy,
}

/// What stands in for the key of an unknown client.
enum Decoy {
    /// A key in software that nobody knows.
    Secret(ClientKey),
    /// One of the clients' keys in the TPM, by the unknown id, so that unknown ids spread over the TPM's slots as known ones
    /// do. Its answer does not count.
    #[cfg(feature = "tpm")]
    Tpm(ClientKey, Vec<ClientKey>, RandomState),
}

impl Registry {
    /// Keys by client id.
    ///
    /// # Errors
    /// [`RegistryError`] for an id that is none, for no clients at all, and for keys of two kinds.
    pub fn new(
        clients: impl IntoIterator<Item = (String, ClientKey)>,
    ) -> Result<Self, RegistryError> {
        let mut known = HashMap::new();
        for (id, key) in clients {
            ClientId::new(&id).map_err(|error| RegistryError::ClientId {
                id: id.clone(),
                error,
            })?;
            if known.contains_key(&id) {
                return Err(RegistryError::Twice { id });
            }
            known.insert(id, key);
        }
        let clients = known;
        let mut kinds = clients.values().map(ClientKey::kind);
        let first = kinds.next().ok_or(RegistryError::Empty)?;
        if kinds.any(|kind| kind != first) {
            return Err(RegistryError::Mixed);
        }
        let decoy = match first {
            #[cfg(feature = "tpm")]
            Kind::Tpm { .. } => {
                let keys: Vec<_> = clients.values().cloned().collect();
                let first = keys.first().cloned().ok_or(RegistryError::Empty)?;
                Decoy::Tpm(first, keys, RandomState::new())
            }
            Kind::Secret => {
                let mut key = Zeroizing::new([0; 32]);
                getrandom::fill(key.as_mut_slice())
                    .map_err(|error| RegistryError::Random(error.to_string()))?;
                Decoy::Secret(ClientKey::secret(key.as_slice()))
            }
        };
        Ok(Self { clients, decoy })
    }

    /// Keys from a registry file.
    ///
    /// # Errors
    /// [`RegistryError`]
    pub fn from_toml(text: &str) -> Result<Self, RegistryError> {
        let file: File = toml::from_str(text).map_err(|error| {
            // The parser's own words quote values, which here are keys.
            let place = Place::of(text, error.span().map_or(0, |span| span.start));
            RegistryError::Toml(place)
        })?;
        let clients = file.clients.into_iter().map(|(id, entry)| {
            let key = BASE64_STANDARD
                .decode(entry.hmac_sha256.as_bytes())
                .map(Zeroizing::new)
                .ok()
                .filter(|key| !key.is_empty())
                .ok_or_else(|| RegistryError::Key { id: id.clone() })?;
            Ok((id, ClientKey::secret(&key)))
        });
        Self::new(clients.collect::<Result<Vec<_>, _>>()?)
    }

    /// The entry of one client, as [`Registry::from_toml`] reads it.
    #[must_use]
    pub fn entry(client: ClientId<'_>, key: &[u8]) -> Zeroizing<String> {
        let key = Zeroizing::new(BASE64_STANDARD.encode(key));
        // A client id has no control characters, so a basic string with two escapes holds any of them.
        let id = client.as_str().replace('\\', "\\\\").replace('"', "\\\"");
        Zeroizing::new(format!(
            "[clients.\"{id}\"]\nhmac_sha256 = \"{}\"\n",
            key.as_str()
        ))
    }

    /// The number of clients.
    #[must_use]
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// Whether there are no clients; never so.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// The client's key, or the decoy; and whether the client is known.
    pub(super) fn find(&self, client: &str) -> (&ClientKey, bool) {
        match self.clients.get(client) {
            Some(key) => (key, true),
            None => (self.decoy.of(client), false),
        }
    }
}

impl Decoy {
    #[cfg_attr(
        not(feature = "tpm"),
        expect(
            unused_variables,
            reason = "a decoy in software is the same for every id"
        )
    )]
    fn of(&self, client: &str) -> &ClientKey {
        match self {
            Self::Secret(key) => key,
            #[cfg(feature = "tpm")]
            Self::Tpm(first, keys, hasher) => {
                let hash = usize::try_from(hasher.hash_one(client) >> 32).unwrap_or(0);
                keys.get(hash % keys.len().max(1)).unwrap_or(first)
            }
        }
    }
}

/// What a look-up costs, as far as a stopwatch could tell.
#[derive(PartialEq)]
enum Kind {
    Secret,
    #[cfg(feature = "tpm")]
    Tpm {
        parent: Parent,
        policy: usize,
    },
}

impl ClientKey {
    fn kind(&self) -> Kind {
        match self {
            Self::Secret(_) => Kind::Secret,
            #[cfg(feature = "tpm")]
            Self::Tpm(key) => Kind::Tpm {
                parent: key.file().parent,
                policy: key.file().policy.len(),
            },
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({} clients)", self.clients.len())
    }
}

/// A place in a registry's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1 on.
    pub line: usize,
    /// The column in characters, from 1 on.
    pub column: usize,
    /// The client whose table it is in, by the header `[clients.NAME]` before it.
    pub client: Option<String>,
}

impl Place {
    fn of(text: &str, at: usize) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        // The error may be in the header itself, so that whole line counts.
        let rest = text.get(before.len()..).unwrap_or_default();
        let to_its_end = rest.split('\n').next().map_or(0, str::len);
        let seen = text.get(..before.len() + to_its_end).unwrap_or(before);
        let name = seen.lines().rev().find_map(|line| {
            let header = line.trim().strip_prefix("[clients.")?;
            header.split(']').next()
        });
        Self {
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            client: name.map(|name| name.trim_matches('"').to_owned()),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)?;
        match &self.client {
            Some(client) => write!(f, ", client {client:?}"),
            None => Ok(()),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    clients: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    hmac_sha256: Zeroizing<String>,
}

/// The error of reading a registry. No value of the file appears in it: they are keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// The text is not the TOML of a registry.
    #[error(
        "the registry cannot be read ({0}): each client needs a table [clients.NAME] of its own with hmac_sha256 = \"BASE64\" and nothing else, as `chanbind provision` prints it"
    )]
    Toml(Place),
    /// No clients.
    #[error("the registry has no clients: add what `chanbind provision` prints")]
    Empty,
    /// An invalid client id.
    #[error("client {id:?} in the registry: {error}")]
    ClientId {
        /// The id.
        id: String,
        /// What is wrong with it.
        error: ClientIdError,
    },
    /// One id for two clients.
    #[error("client {id:?} stands twice in the registry: remove one of its entries")]
    Twice {
        /// The id.
        id: String,
    },
    /// An invalid key.
    #[error(
        "the key of client {id:?} in the registry is empty or not base64: copy what `chanbind provision` printed"
    )]
    Key {
        /// The client.
        id: String,
    },
    /// Keys of two kinds.
    #[error(
        "the registry mixes keys in software with keys in a TPM, or TPM keys with different parents or policies, which lets a stopwatch tell clients apart: use one kind"
    )]
    Mixed,
    /// No random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(String),
}
