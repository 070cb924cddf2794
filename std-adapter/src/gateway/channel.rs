//! One connection, as the gateway's layer sees it: what it exports, and the keys that were derived from that.

use super::{ClientKey, Registry, authenticator::OnConnection, replay::SeenTokens};
use crate::proof::{Settings, fingerprint};
use chanbind_core::{
    authenticator::ChannelError,
    exporter::{Exporter, ExporterError},
    kdf::DeriveError,
    otp::{ClientId, KeyingMaterial, OneTimeKey, Purpose, api_key},
};
use std::{
    collections::VecDeque,
    convert::Infallible,
    fmt,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
};
use tokio::sync::{OnceCell, watch};

/// The clients whose keys are kept for one connection; one more and the first is forgotten. A device has one.
const MAX_CLIENTS: usize = 4;

/// The TLS connection that a request came by, in the request's extensions. [`super::serve`] puts it there; a server of your own
/// makes one for each connection.
#[derive(Clone)]
pub struct Channel {
    inner: Arc<Inner>,
}

struct Inner {
    exporter: Box<dyn Exporter + Send + Sync>,
    clients: Mutex<VecDeque<Arc<ClientOnChannel>>>,
    seen: Mutex<SeenTokens>,
    authenticators: OnceLock<OnConnection>,
    closed: watch::Sender<bool>,
}

/// A [`Channel`] that does not keep its connection's memory.
pub(super) struct WeakChannel(Weak<Inner>);

impl WeakChannel {
    pub(super) fn upgrade(&self) -> Option<Channel> {
        self.0.upgrade().map(|inner| Channel { inner })
    }
}

/// What is expected of one client on one connection.
pub(super) struct ClientOnChannel {
    id: Arc<str>,
    layer: u64,
    known: bool,
    api_key: OnceCell<api_key::Expected>,
    signing: OnceCell<OneTimeKey>,
    encryption: OnceCell<OneTimeKey>,
}

impl Channel {
    /// The channel of one connection.
    #[must_use]
    pub fn new(exporter: impl Exporter + Send + Sync + 'static) -> Self {
        Self {
            inner: Arc::new(Inner {
                exporter: Box::new(exporter),
                clients: Mutex::default(),
                seen: Mutex::default(),
                authenticators: OnceLock::new(),
                closed: watch::Sender::new(false),
            }),
        }
    }

    /// What the channel exports.
    #[must_use]
    pub fn exporter(&self) -> &(dyn Exporter + Send + Sync) {
        &*self.inner.exporter
    }

    /// Has the connection closed: [`super::serve`] drops it, answered or not. A server of your own waits for [`Channel::closed`].
    pub fn close(&self) {
        self.inner.closed.send_replace(true);
    }

    /// Waits until somebody says [`Channel::close`].
    pub async fn closed(&self) {
        let mut closed = self.inner.closed.subscribe();
        // The sender lives as long as this channel.
        let _ = closed.wait_for(|closed| *closed).await;
    }

    /// Whether somebody has said [`Channel::close`].
    #[must_use]
    pub fn is_closed(&self) -> bool {
        *self.inner.closed.borrow()
    }

    pub(super) fn downgrade(&self) -> WeakChannel {
        WeakChannel(Arc::downgrade(&self.inner))
    }

    /// The requests and proofs of certificates on this connection.
    pub(super) fn authenticators(&self) -> Result<&OnConnection, ChannelError> {
        if let Some(there) = self.inner.authenticators.get() {
            return Ok(there);
        }
        let made = OnConnection::new(self.exporter())?;
        // Whoever comes second takes the first one's.
        Ok(self.inner.authenticators.get_or_init(|| made))
    }

    /// The token ids that were used on this connection. They are not forgotten with a client: whoever can send requests could
    /// have one forgotten by naming others.
    pub(super) fn seen(&self) -> &Mutex<SeenTokens> {
        &self.inner.seen
    }

    /// What the layer with number `layer` expects of a client. Another layer may have another registry, and other settings.
    pub(super) fn client(&self, id: &str, layer: u64, registry: &Registry) -> Arc<ClientOnChannel> {
        let mut clients = self
            .inner
            .clients
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients
            .iter()
            .find(|client| client.layer == layer && *client.id == *id)
        {
            return Arc::clone(client);
        }
        if clients.len() >= MAX_CLIENTS {
            clients.pop_front();
        }
        let client = Arc::new(ClientOnChannel {
            id: id.into(),
            layer,
            known: registry.find(id).1,
            api_key: OnceCell::new(),
            signing: OnceCell::new(),
            encryption: OnceCell::new(),
        });
        clients.push_back(Arc::clone(&client));
        client
    }
}

impl ClientOnChannel {
    /// Whether the registry has the client; otherwise its keys are a decoy's.
    pub(super) fn is_known(&self) -> bool {
        self.known
    }

    /// The client's id.
    pub(super) fn id(&self) -> &Arc<str> {
        &self.id
    }

    /// The API key that is expected, if it is derived.
    pub(super) fn api_key(&self) -> Option<&api_key::Expected> {
        self.api_key.get()
    }

    /// The key that signs, if it is derived.
    pub(super) fn signing(&self) -> Option<&OneTimeKey> {
        self.signing.get()
    }

    /// The key that encrypts, if it is derived.
    pub(super) fn encryption(&self) -> Option<&OneTimeKey> {
        self.encryption.get()
    }

    /// Derives the key for `purpose`, at the first call.
    pub(super) async fn derive(
        &self,
        purpose: Purpose,
        channel: &Channel,
        registry: &Registry,
        settings: &Settings,
    ) -> Result<(), KeyError> {
        let derive = || self.derive_now(purpose, channel, registry, settings);
        match purpose {
            Purpose::ApiKey => {
                let expected = || async { Ok(api_key::Expected::new(&derive().await?)) };
                self.api_key.get_or_try_init(expected).await.map(|_| ())
            }
            Purpose::Signing => self.signing.get_or_try_init(derive).await.map(|_| ()),
            Purpose::Encryption => self.encryption.get_or_try_init(derive).await.map(|_| ()),
        }
    }

    async fn derive_now(
        &self,
        purpose: Purpose,
        channel: &Channel,
        registry: &Registry,
        settings: &Settings,
    ) -> Result<OneTimeKey, KeyError> {
        let client = ClientId::new(&self.id).map_err(|_| KeyError::Client)?;
        let material = settings
            .profile
            .keying_material(&channel.exporter(), purpose, client)
            .map_err(KeyError::Exporter)?;
        let key = derive(settings, &material, registry.find(&self.id).0).await?;
        tracing::debug!(
            client = &*self.id,
            known = self.known,
            ?purpose,
            ekm = fingerprint(material.as_bytes()),
            key = fingerprint(key.as_bytes()),
            "one-time key derived"
        );
        Ok(key)
    }
}

async fn derive(
    settings: &Settings,
    material: &KeyingMaterial,
    key: &ClientKey,
) -> Result<OneTimeKey, KeyError> {
    match key {
        ClientKey::Secret(key) => {
            OneTimeKey::derive_async(&settings.profile, material, &mut &**key)
                .await
                .map_err(|error: DeriveError<Infallible>| KeyError::Derive(error.to_string()))
        }
        #[cfg(feature = "tpm")]
        ClientKey::Tpm(key) => {
            OneTimeKey::derive_async(&settings.profile, material, &mut key.clone())
                .await
                .map_err(|error| KeyError::Derive(error.to_string()))
        }
    }
}

/// Why no key can be expected: for the operator.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyError {
    #[error("the client id is none")]
    Client,
    #[error("it was forgotten again, for other clients on the connection")]
    Missing,
    #[error("{0}")]
    Exporter(ExporterError),
    #[error("{0}")]
    Derive(String),
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Channel")
    }
}
