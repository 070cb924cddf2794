//! The state of one connection: the clients that it has named, their keys, and the token ids that were used.

use super::{Form, Settings, prover::derive, replay::SeenTokens};
use crate::{
    gateway::{Channel, ClientRecord, Registry, RegistryError, WeakChannel},
    proof::{KeyError, fingerprint},
};
use chanbind_core::{
    exporter::ExporterError,
    kdf::KdfError,
    otp::{ClientIdBuf, KeyDerivation, OneTimeKey, Purpose, api_key},
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{
    sync::{OnceCell, watch},
    task::JoinHandle,
};

/// The clients whose keys are kept for one connection; with one more the first is forgotten. A device has one.
const MAX_CLIENTS: usize = 4;

#[derive(Default)]
pub(super) struct Session {
    clients: Mutex<VecDeque<Arc<Client>>>,
    /// Not forgotten with a client: a peer that can send requests could have a client forgotten by naming others.
    seen: Mutex<SeenTokens>,
}

/// The keys of one client on one connection.
pub(super) struct Client {
    id: ClientIdBuf<Arc<str>>,
    record: ClientRecord,
    api_key: OnceCell<api_key::Expected>,
    signing: OnceCell<OneTimeKey>,
    encryption: OnceCell<OneTimeKey>,
    _watch: Option<AbortOnDrop>,
}

impl Session {
    pub(super) fn seen(&self) -> MutexGuard<'_, SeenTokens> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a client that the connection has named before.
    pub(super) fn client(&self, id: &str) -> Option<Arc<Client>> {
        let clients = self.clients();
        let mut named = clients.iter().filter(|client| client.id.as_str() == id);
        named.next().map(Arc::clone)
    }

    /// Returns a client, and looks it up if the connection names it for the first time.
    pub(super) async fn find(
        &self,
        id: &ClientIdBuf<Arc<str>>,
        channel: &Channel,
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
        let watch = record.is_known().then(|| {
            let watch = Watch {
                channel: channel.downgrade(),
                registry: Arc::clone(registry),
                id: id.clone(),
                revision: record.revision(),
            };
            AbortOnDrop(tokio::spawn(watch.run(changes)))
        });
        if clients.len() >= MAX_CLIENTS {
            clients.pop_front();
        }
        let client = Arc::new(Client {
            id: id.clone(),
            record,
            api_key: OnceCell::new(),
            signing: OnceCell::new(),
            encryption: OnceCell::new(),
            _watch: watch,
        });
        clients.push_back(Arc::clone(&client));
        Ok(client)
    }

    fn clients(&self) -> MutexGuard<'_, VecDeque<Arc<Client>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes a connection when its client is removed from the registry, disabled, or given another key.
struct Watch {
    channel: WeakChannel,
    registry: Arc<dyn Registry>,
    id: ClientIdBuf<Arc<str>>,
    revision: u64,
}

impl Watch {
    async fn run(self, mut changes: watch::Receiver<u64>) {
        while changes.changed().await.is_ok() {
            let record = match self.registry.find(self.id.as_client_id()).await {
                Ok(record) => record,
                Err(error) => {
                    tracing::error!(client = self.id.as_str(), %error, "look-up after a change of the registry failed");
                    continue;
                }
            };
            if !record.is_known() || record.revision() != self.revision {
                if let Some(channel) = self.channel.upgrade() {
                    tracing::info!(
                        client = self.id.as_str(),
                        "connection closed: the client was removed from the registry or changed"
                    );
                    channel.close();
                }
                return;
            }
        }
    }
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Client {
    /// Returns true if the registry has the client; otherwise its keys are a decoy's.
    pub(super) fn is_known(&self) -> bool {
        self.record.is_known()
    }

    pub(super) fn id(&self) -> &Arc<str> {
        self.id.inner()
    }

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

    /// Derives the keys that passwords of this form are verified with, unless they are there.
    pub(super) async fn derive(
        &self,
        form: Form,
        channel: &Channel,
        settings: &Settings,
    ) -> Result<(), KeyDerivationError> {
        let derive = |purpose| self.derive_one(purpose, channel, settings);
        match form {
            Form::ApiKey => {
                let expected = async || -> Result<_, KeyDerivationError> {
                    Ok(api_key::Expected::new(&derive(Purpose::ApiKey).await?))
                };
                self.api_key.get_or_try_init(expected).await?;
            }
            Form::Jws | Form::Nested => {
                let signing = || derive(Purpose::Signing);
                self.signing.get_or_try_init(signing).await?;
                if form == Form::Nested {
                    let encryption = || derive(Purpose::Encryption);
                    self.encryption.get_or_try_init(encryption).await?;
                }
            }
        }
        Ok(())
    }

    async fn derive_one(
        &self,
        purpose: Purpose,
        channel: &Channel,
        settings: &Settings,
    ) -> Result<OneTimeKey, KeyDerivationError> {
        let client = self.id.as_client_id();
        let derivation =
            KeyDerivation::new(&settings.profile, purpose, client, channel.exporter())?;
        let ekm = fingerprint(derivation.keying_material().as_bytes());
        let key = derive(derivation, self.record.key()).await?;
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
