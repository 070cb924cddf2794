use super::{ClientKey, ClientRecord, LookUp, Place, Registry, RegistryError, key::Cost};
use base64::{Engine, prelude::BASE64_STANDARD};
use chanbind_core::otp::ClientId;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Arc, PoisonError, RwLock},
};
use tokio::sync::watch;
use zeroize::Zeroizing;

/// The clients of a gateway and their keys, in memory.
///
/// As a file it is TOML, and a secret:
///
/// ```toml
/// [clients.client1]
/// hmac_sha256 = "bXlfYXBpX2tleQ=="   # the key, in base64
///
/// [clients.client2]
/// hmac_sha256 = "c2Vjb25kX2tleQ=="
/// enabled = false                    # treated as unknown
/// groups = ["line3"]                 # which rules can name
/// ```
///
/// All keys are of one kind, in software or in a TPM, so that the decoy for unknown clients takes as long as a real key.
pub struct ClientTable {
    clients: HashMap<String, ClientRecord>,
    decoy: Decoy,
    shortest_key: Option<(String, usize)>,
}

/// The substitute for the key of an unknown client.
enum Decoy {
    /// A random key in software.
    Secret(ClientKey),
    /// One of the clients' keys in the TPM, by the unknown id, so that unknown ids spread over the TPM's slots as known ones
    /// do. Its answer does not count.
    #[cfg(feature = "tpm")]
    Tpm(ClientKey, Vec<ClientKey>, RandomState),
}

impl ClientTable {
    /// Creates a table from keys by client id. There may be none.
    ///
    /// # Errors
    /// [`RegistryError::ClientId`], [`RegistryError::Twice`], [`RegistryError::Mixed`] for keys of two kinds, [`RegistryError::Random`].
    pub fn new(
        clients: impl IntoIterator<Item = (String, ClientKey)>,
    ) -> Result<Self, RegistryError> {
        // A TPM's keys have no bytes here to make a revision of: with another table they are new ones.
        let revision = crate::unique::id();
        let mut table = HashMap::new();
        for (id, key) in clients {
            insert(&mut table, id, ClientRecord::new(key, revision))?;
        }
        Self::of(table, None)
    }

    /// Reads a table from TOML. There may be no clients.
    ///
    /// # Errors
    /// As [`ClientTable::new`], [`RegistryError::Toml`] with the place of the error, and [`RegistryError::Key`].
    pub fn from_toml(text: &str) -> Result<Self, RegistryError> {
        let file: File = toml::from_str(text).map_err(|error| {
            // The parser's own words quote values, which here are keys.
            let place = Place::of(text, error.span().map_or(0, |span| span.start));
            RegistryError::Toml(place)
        })?;
        let mut table = HashMap::new();
        let mut shortest: Option<(String, usize)> = None;
        for (id, entry) in file.clients {
            let key = BASE64_STANDARD
                .decode(entry.hmac_sha256.as_bytes())
                .map(Zeroizing::new)
                .ok()
                .filter(|key| !key.is_empty())
                .ok_or_else(|| RegistryError::Key { id: id.clone() })?;
            if shortest.as_ref().is_none_or(|(_, len)| key.len() < *len) {
                shortest = Some((id.clone(), key.len()));
            }
            let record = ClientRecord {
                key: ClientKey::secret(&key),
                other: None,
                revision: revision(&key, &entry.groups),
                groups: entry.groups.into(),
                is_known: entry.enabled,
            };
            insert(&mut table, id, record)?;
        }
        Self::of(table, shortest)
    }

    fn of(
        clients: HashMap<String, ClientRecord>,
        shortest_key: Option<(String, usize)>,
    ) -> Result<Self, RegistryError> {
        let mut costs = clients.values().map(|record| record.key.cost());
        let first = costs.next().unwrap_or(Cost::Software);
        if costs.any(|cost| cost != first) {
            return Err(RegistryError::Mixed);
        }
        let decoy = match first {
            #[cfg(feature = "tpm")]
            Cost::Tpm { .. } => {
                let keys: Vec<_> = clients.values().map(|record| record.key.clone()).collect();
                let first = keys.first().cloned().ok_or(RegistryError::Empty)?;
                Decoy::Tpm(first, keys, RandomState::new())
            }
            Cost::Software => {
                let mut key = Zeroizing::new([0; 32]);
                getrandom::fill(key.as_mut_slice())
                    .map_err(|error| RegistryError::Random(error.to_string()))?;
                Decoy::Secret(ClientKey::secret(key.as_slice()))
            }
        };
        Ok(Self {
            clients,
            decoy,
            shortest_key,
        })
    }

    /// Returns the entry of one client, as [`ClientTable::from_toml`] reads it.
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

    /// Returns the number of clients, disabled ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.clients.len()
    }

    /// Returns whether there is this client, enabled or not.
    #[must_use]
    pub fn contains(&self, client: &str) -> bool {
        self.clients.contains_key(client)
    }

    /// Returns true if there are no clients.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    /// Returns a client with the shortest key that was read from TOML, and the length of that key in bytes.
    #[must_use]
    pub fn shortest_key(&self) -> Option<(&str, usize)> {
        let (id, len) = self.shortest_key.as_ref()?;
        Some((id, *len))
    }

    fn find(&self, client: &str) -> ClientRecord {
        match self.clients.get(client).filter(|record| record.is_known) {
            Some(record) => record.clone(),
            None => ClientRecord::decoy(self.decoy.of(client).clone()),
        }
    }
}

fn insert(
    table: &mut HashMap<String, ClientRecord>,
    id: String,
    record: ClientRecord,
) -> Result<(), RegistryError> {
    if let Err(error) = ClientId::new(&id) {
        return Err(RegistryError::ClientId { id, error });
    }
    if table.contains_key(&id) {
        return Err(RegistryError::Twice { id });
    }
    table.insert(id, record);
    Ok(())
}

/// Returns a number that changes with key and groups, and that tells nothing of them outside this process.
fn revision(key: &[u8], groups: &[String]) -> u64 {
    static HASHER: std::sync::OnceLock<RandomState> = std::sync::OnceLock::new();
    HASHER.get_or_init(RandomState::new).hash_one((key, groups))
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

/// A registry in memory, whose table can be replaced while connections are live.
pub struct MemoryRegistry {
    table: RwLock<Arc<ClientTable>>,
    changes: watch::Sender<u64>,
}

impl MemoryRegistry {
    /// Creates a registry.
    #[must_use]
    pub fn new(table: ClientTable) -> Arc<Self> {
        Arc::new(Self {
            table: RwLock::new(Arc::new(table)),
            changes: watch::Sender::new(0),
        })
    }

    /// Replaces the table. Live connections of clients that are not in the new one, that are disabled there, or that have another key
    /// are closed.
    pub fn replace(&self, table: ClientTable) {
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Returns the table.
    #[must_use]
    pub fn table(&self) -> Arc<ClientTable> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Registry for MemoryRegistry {
    fn find<'a>(&'a self, client: ClientId<'a>) -> LookUp<'a> {
        let record = self.table().find(client.as_str());
        Box::pin(std::future::ready(Ok(record)))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

impl fmt::Debug for ClientTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientTable({} clients)", self.clients.len())
    }
}

impl fmt::Debug for MemoryRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryRegistry({:?})", self.table())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    clients: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    hmac_sha256: Zeroizing<String>,
    #[serde(default = "enabled")]
    enabled: bool,
    #[serde(default)]
    groups: Vec<String>,
}

fn enabled() -> bool {
    true
}
