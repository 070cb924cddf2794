//! Watching over the clients of live connections: one task for all of them.

use crate::gateway::{LiveList, OfChannel, Registry, WeakChannel};
use chanbind_core::otp::ClientIdBuf;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    runtime::Handle,
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// Closes connections when their clients are removed from the registry, disabled, or given another key.
pub(super) struct Watches {
    registry: Arc<dyn Registry>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    watched: LiveList<Watched>,
    task: Option<AbortOnDrop>,
}

/// A client that was accepted on a connection.
#[derive(Clone)]
pub(super) struct Watched {
    pub(super) channel: WeakChannel,
    pub(super) id: ClientIdBuf<Arc<str>>,
    /// The revision of the key by which it was accepted.
    pub(super) revision: u64,
}

impl OfChannel for Watched {
    fn channel(&self) -> &WeakChannel {
        &self.channel
    }
}

/// No tokio runtime runs the verifier.
#[derive(Debug)]
pub(super) struct NoRuntime;

/// The pause after a failed look-up.
const RETRY: Duration = Duration::from_secs(1);
/// The look-ups that are in progress at a time after a change.
const AT_ONCE: usize = 16;

impl Watches {
    pub(super) fn new(registry: Arc<dyn Registry>) -> Arc<Self> {
        Arc::new(Self {
            registry,
            state: Mutex::default(),
        })
    }

    /// Watches over a client. `changes` is from before its look-up, so that no change is missed.
    ///
    /// # Errors
    /// [`NoRuntime`] if there is no tokio runtime.
    pub(super) fn add(
        self: &Arc<Self>,
        watched: Watched,
        changes: &watch::Receiver<u64>,
    ) -> Result<(), NoRuntime> {
        let runtime = Handle::try_current().map_err(|_| NoRuntime)?;
        self.registry.seen(watched.id.as_client_id());
        {
            let mut state = self.state();
            state.watched.push(watched.clone());
            // A runtime that has ended has taken its task with it.
            if state.task.as_ref().is_none_or(|task| task.0.is_finished()) {
                let task = runtime.spawn(follow(Arc::downgrade(self), self.registry.changes()));
                state.task = Some(AbortOnDrop(task));
            }
        }
        // From before it was in the list.
        if changes.has_changed().unwrap_or(false) {
            let registry = Arc::clone(&self.registry);
            runtime.spawn(async move {
                let mut rest = vec![watched];
                while !rest.is_empty() {
                    rest = check(&*registry, rest).await;
                    tokio::time::sleep(RETRY).await;
                }
            });
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks all of these up, and closes the connections of those that have changed. Returns those that could not be looked up.
    async fn check(&self, watched: Vec<Watched>) -> Vec<Watched> {
        let mut tasks = JoinSet::new();
        for part in watched.chunks(watched.len().div_ceil(AT_ONCE).max(1)) {
            let (registry, part) = (Arc::clone(&self.registry), part.to_vec());
            tasks.spawn(async move { check(&*registry, part).await });
        }
        tasks.join_all().await.concat()
    }
}

/// Checks all clients after each change of the registry, and again those that could not be looked up.
async fn follow(watches: Weak<Watches>, mut changes: watch::Receiver<u64>) {
    let mut failed = None;
    while let Some(watches) = watches.upgrade() {
        let due = failed.take();
        let due = due.unwrap_or_else(|| watches.state().watched.iter().cloned().collect());
        let again = watches.check(due).await;
        drop(watches);
        tokio::select! {
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            () = tokio::time::sleep(RETRY), if !again.is_empty() => failed = Some(again),
        }
    }
}

/// Looks these up, one after another. Returns those that could not be looked up.
async fn check(registry: &dyn Registry, part: Vec<Watched>) -> Vec<Watched> {
    let mut failed = Vec::new();
    for watched in part {
        match registry.find(watched.id.as_client_id()).await {
            Ok(record) if record.is_known() && record.revision() == watched.revision => {}
            Ok(_) => {
                if let Some(channel) = watched.channel.upgrade() {
                    tracing::info!(
                        client = watched.id.as_str(),
                        "connection closed: the client was removed from the registry or changed"
                    );
                    channel.close();
                }
            }
            Err(error) => {
                tracing::error!(client = watched.id.as_str(), %error, "look-up after a change of the registry failed: trying again");
                failed.push(watched);
            }
        }
    }
    failed
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
