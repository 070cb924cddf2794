use chanbind_core::exporter::Exporter;
use std::{
    any::Any,
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use tokio::sync::watch;

/// The TLS connection that a request came by, in the request's extensions. [`super::serve`] puts it there; a server of your own
/// creates one for each connection.
///
/// It gives keying material, keeps what verifiers know of the connection, and closes it.
#[derive(Clone)]
pub struct Channel {
    inner: Arc<Inner>,
}

struct Inner {
    number: u64,
    exporter: Box<dyn Exporter + Send + Sync>,
    states: Mutex<Vec<State>>,
    closed: watch::Sender<bool>,
}

/// A value that is kept with the connection.
struct State {
    owner: u64,
    value: Arc<dyn Any + Send + Sync>,
}

/// A [`Channel`] that does not keep the state of its connection alive.
#[derive(Clone)]
pub struct WeakChannel(Weak<Inner>);

impl WeakChannel {
    /// Returns whether the connection still exists.
    pub(crate) fn is_live(&self) -> bool {
        self.0.strong_count() > 0
    }

    /// Returns the channel, if the connection still exists.
    #[must_use]
    pub fn upgrade(&self) -> Option<Channel> {
        self.0.upgrade().map(|inner| Channel { inner })
    }
}

impl Channel {
    /// Creates the channel of one connection.
    #[must_use]
    pub fn new(exporter: impl Exporter + Send + Sync + 'static) -> Self {
        Self {
            inner: Arc::new(Inner {
                number: crate::unique::id(),
                exporter: Box::new(exporter),
                states: Mutex::default(),
                closed: watch::Sender::new(false),
            }),
        }
    }

    /// Returns the number of the connection, which no other one in this process has.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.inner.number
    }

    /// Returns the exporter of the connection.
    #[must_use]
    pub fn exporter(&self) -> &(dyn Exporter + Send + Sync) {
        &*self.inner.exporter
    }

    /// Closes the connection: [`super::serve`] drops it, whether its requests have been answered or not. A server of your own waits for
    /// [`Channel::closed`].
    pub fn close(&self) {
        self.inner.closed.send_replace(true);
    }

    /// Waits for a call of [`Channel::close`].
    pub async fn closed(&self) {
        let mut closed = self.inner.closed.subscribe();
        // The sender lives as long as this channel.
        let _ = closed.wait_for(|closed| *closed).await;
    }

    /// Returns true after a call of [`Channel::close`].
    #[must_use]
    pub fn is_closed(&self) -> bool {
        *self.inner.closed.borrow()
    }

    /// Returns a number for [`Channel::state`] that no other call in this process returns.
    #[must_use]
    pub fn new_owner() -> u64 {
        crate::unique::id()
    }

    /// Returns the state of type `T` that `owner` keeps with the connection, created by `init` at the first call. The number
    /// ([`Channel::new_owner`]) separates the values of several owners with the same type.
    pub fn state<T: Any + Send + Sync>(&self, owner: u64, init: impl FnOnce() -> T) -> Arc<T> {
        let mut states = self
            .inner
            .states
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut own = states.iter().filter(|state| state.owner == owner);
        if let Some(found) = own.find_map(|state| Arc::clone(&state.value).downcast().ok()) {
            return found;
        }
        let value = Arc::new(init());
        states.push(State {
            owner,
            value: Arc::clone(&value) as Arc<dyn Any + Send + Sync>,
        });
        value
    }

    /// Returns a handle that does not keep the state of the connection alive.
    #[must_use]
    pub fn downgrade(&self) -> WeakChannel {
        WeakChannel(Arc::downgrade(&self.inner))
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Channel")
    }
}

impl fmt::Debug for WeakChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakChannel")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chanbind_core::exporter::ExporterSecret;

    #[test]
    fn states_are_kept_apart_by_owner_and_type() {
        let channel = Channel::new(ExporterSecret::sha256(&[7; 32]));
        let one = channel.state(1, || 1_u32);
        assert_eq!(*channel.state(1, || 2_u32), 1);
        assert_eq!(*channel.state(2, || 3_u32), 3);
        assert_eq!(*channel.state(1, || 4_u64), 4);
        assert!(Arc::ptr_eq(&one, &channel.state(1, || 5_u32)));
        let weak = channel.downgrade();
        assert!(weak.upgrade().is_some());
        drop(channel);
        assert!(weak.upgrade().is_none());
    }
}
