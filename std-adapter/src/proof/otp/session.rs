//! The state of one connection: the clients that it has named, their keys, and the token ids that were used.

use super::{
    Form, Settings,
    prover::derive,
    replay::SeenTokens,
    watches::{NoRuntime, Watched, Watches},
};
use crate::{
    gateway::{Channel, ClientKey, ClientRecord, Registry, RegistryError},
    proof::{Identity, KeyError, fingerprint},
};
use chanbind_core::{
    exporter::ExporterError,
    kdf::KdfError,
    otp::{ClientIdBuf, KeyDerivation, OneTimeKey, Purpose, api_key},
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};
use tokio::sync::{OnceCell, watch};

/// The clients whose keys are kept for one connection; with one more the first is forgotten. A device has one.
const MAX_CLIENTS: usize = 4;

#[derive(Default)]
pub(super) struct Session {
    clients: Mutex<VecDeque<Arc<Client>>>,
    /// The clients that are watched. They are for as long as the connection lasts, whatever other clients it names.
    watched: Mutex<Vec<Arc<str>>>,
    /// Keeps the watch alive when the verifier is gone: a gateway that reads its configuration again has a new one.
    watches: OnceLock<Arc<Watches>>,
    /// Not forgotten with a client: a peer that can send requests could have a client forgotten by naming others.
    seen: Mutex<SeenTokens>,
}

/// The keys of one client on one connection.
pub(super) struct Client {
    id: ClientIdBuf<Arc<str>>,
    record: ClientRecord,
    keys: DerivedKeys,
    /// Those of the second key, while the client changes its key.
    other: Option<DerivedKeys>,
    /// The identity that API keys prove, the same for all requests.
    identity: OnceLock<Identity>,
    /// The changes of the registry since the look-up, until the client is accepted: then a watch has them.
    changes: Mutex<Option<watch::Receiver<u64>>>,
}

/// The keys that are derived from one key for a connection, once they have been needed.
#[derive(Default)]
pub(super) struct DerivedKeys {
    api_key: OnceCell<api_key::Expected>,
    signing: OnceCell<OneTimeKey>,
    encryption: OnceCell<OneTimeKey>,
}

impl Session {
    pub(super) fn seen(&self) -> MutexGuard<'_, SeenTokens> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a client that the connection has named before. Forgets it if the registry has changed before it was accepted.
    pub(super) fn client(&self, id: &str) -> Option<Arc<Client>> {
        let mut clients = self.clients();
        let at = clients.iter().position(|client| client.id.as_str() == id)?;
        if clients.get(at)?.is_outdated() {
            clients.remove(at);
            return None;
        }
        clients.get(at).map(Arc::clone)
    }

    /// Watches over a client that was accepted: the channel is closed when the client is removed from the registry, disabled, or given
    /// another key. Does nothing if it is watched already.
    ///
    /// # Errors
    /// [`NoRuntime`] if there is no tokio runtime.
    pub(super) fn watch(
        &self,
        client: &Client,
        channel: &Channel,
        watches: &Arc<Watches>,
    ) -> Result<(), NoRuntime> {
        let mut changes = (client.changes.lock()).unwrap_or_else(PoisonError::into_inner);
        let Some(since) = changes.as_ref() else {
            return Ok(());
        };
        let mut watched = (self.watched.lock()).unwrap_or_else(PoisonError::into_inner);
        // Watched before and forgotten since, it has the same key: the channel would be closed otherwise.
        if !watched.contains(client.id.inner()) {
            let new = Watched {
                channel: channel.downgrade(),
                id: client.id.clone(),
                revision: client.record.revision(),
            };
            watches.add(new, since)?;
            watched.push(Arc::clone(client.id.inner()));
            let _ = self.watches.set(Arc::clone(watches));
        }
        *changes = None;
        Ok(())
    }

    /// Returns a client, and looks it up if the connection names it for the first time.
    pub(super) async fn find(
        &self,
        id: &ClientIdBuf<Arc<str>>,
        registry: &Arc<dyn Registry>,
    ) -> Result<Arc<Client>, RegistryError> {
        if let Some(client) = self.client(id.as_str()) {
            return Ok(client);
        }
        // Subscribed before the look-up, so that no change is missed.
        let changes = registry.changes();
        let record = registry.find(id.as_client_id()).await?;
        let mut clients = self.clients();
        // A request beside this one may have been quicker.
        if let Some(client) = clients.iter().find(|client| client.id == *id) {
            return Ok(Arc::clone(client));
        }
        if clients.len() >= MAX_CLIENTS {
            clients.pop_front();
        }
        let client = Arc::new(Client {
            id: id.clone(),
            other: record.other_key().map(|_| DerivedKeys::default()),
            record,
            keys: DerivedKeys::default(),
            identity: OnceLock::new(),
            changes: Mutex::new(Some(changes)),
        });
        clients.push_back(Arc::clone(&client));
        Ok(client)
    }

    fn clients(&self) -> MutexGuard<'_, VecDeque<Arc<Client>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Client {
    /// Returns true if the registry has the client; otherwise its keys are a decoy's.
    pub(super) fn is_known(&self) -> bool {
        self.record.is_known()
    }

    /// Returns true if the registry has changed since the look-up, and no watch has seen it.
    fn is_outdated(&self) -> bool {
        let changes = (self.changes.lock()).unwrap_or_else(PoisonError::into_inner);
        (changes.as_ref()).is_some_and(|changes| changes.has_changed().unwrap_or(false))
    }

    pub(super) fn id(&self) -> &Arc<str> {
        self.id.inner()
    }

    /// Returns the groups of the client.
    pub(super) fn groups(&self) -> &Arc<[String]> {
        self.record.groups()
    }

    /// Returns what has been derived from the client's key, and from the second one if it has two.
    pub(super) fn keys(&self) -> impl Iterator<Item = &DerivedKeys> {
        std::iter::once(&self.keys).chain(&self.other)
    }

    /// Derives the keys that passwords of this form are verified with, unless they are there.
    pub(super) async fn derive(
        &self,
        form: Form,
        channel: &Channel,
        settings: &Settings,
    ) -> Result<(), KeyDerivationError> {
        let with = |keys, key| self.derive_with(keys, key, form, channel, settings);
        with(&self.keys, self.record.key()).await?;
        if let (Some(keys), Some(key)) = (&self.other, self.record.other_key()) {
            with(keys, key).await?;
        }
        Ok(())
    }

    async fn derive_with(
        &self,
        keys: &DerivedKeys,
        key: &ClientKey,
        form: Form,
        channel: &Channel,
        settings: &Settings,
    ) -> Result<(), KeyDerivationError> {
        let derive = |purpose| self.derive_one(key, purpose, channel, settings);
        match form {
            Form::ApiKey => {
                let expected = async || -> Result<_, KeyDerivationError> {
                    Ok(api_key::Expected::new(&derive(Purpose::ApiKey).await?))
                };
                keys.api_key.get_or_try_init(expected).await?;
            }
            Form::Jws | Form::Nested => {
                let signing = || derive(Purpose::Signing);
                keys.signing.get_or_try_init(signing).await?;
                if form == Form::Nested {
                    let encryption = || derive(Purpose::Encryption);
                    keys.encryption.get_or_try_init(encryption).await?;
                }
            }
        }
        Ok(())
    }

    /// Returns the identity that an API key proves.
    pub(super) fn identity(&self, new: impl FnOnce() -> Identity) -> Identity {
        self.identity.get_or_init(new).clone()
    }

    async fn derive_one(
        &self,
        key: &ClientKey,
        purpose: Purpose,
        channel: &Channel,
        settings: &Settings,
    ) -> Result<OneTimeKey, KeyDerivationError> {
        let client = self.id.as_client_id();
        let derivation =
            KeyDerivation::new(&settings.profile, purpose, client, channel.exporter())?;
        let ekm = fingerprint(derivation.keying_material().as_bytes());
        let key = derive(derivation, key).await?;
        tracing::debug!(
            client = self.id.as_str(),
            known = self.is_known(),
            ?purpose,
            ekm,
            key = fingerprint(key.as_bytes()),
            "one-time key derived"
        );
        Ok(key)
    }
}

impl DerivedKeys {
    /// Returns the API key that is expected, if it has been derived.
    pub(super) fn api_key(&self) -> Option<&api_key::Expected> {
        self.api_key.get()
    }

    /// Returns the key that signs tokens, if it has been derived.
    pub(super) fn signing(&self) -> Option<&OneTimeKey> {
        self.signing.get()
    }

    /// Returns the key that encrypts tokens, if it has been derived.
    pub(super) fn encryption(&self) -> Option<&OneTimeKey> {
        self.encryption.get()
    }
}

/// The reason why a one-time key could not be derived: for the operator.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyDerivationError {
    /// The channel exported no keying material.
    #[error("{0}")]
    Exporter(#[from] ExporterError),
    /// The key's holder failed.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// The key's answer has a wrong length.
    #[error("{0}")]
    Kdf(#[from] KdfError),
}
