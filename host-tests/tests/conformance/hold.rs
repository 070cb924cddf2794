//! A place where a slow key or a slow look-up waits until the test releases it.

use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time::timeout};

/// A barrier that can be closed and opened. Clones share it.
#[derive(Clone)]
pub(crate) struct Hold(Arc<Inner>);

struct Inner {
    is_held: watch::Sender<bool>,
    waiting: watch::Sender<usize>,
}

impl Hold {
    /// Creates an open barrier.
    pub(crate) fn open() -> Self {
        Self(Arc::new(Inner {
            is_held: watch::Sender::new(false),
            waiting: watch::Sender::new(0),
        }))
    }

    /// Closes the barrier.
    pub(crate) fn hold(&self) {
        self.0.is_held.send_replace(true);
    }

    /// Opens the barrier.
    pub(crate) fn release(&self) {
        self.0.is_held.send_replace(false);
    }

    /// Waits until the barrier is open. A future that is dropped waits no longer.
    pub(crate) async fn pass(&self) {
        let mut is_held = self.0.is_held.subscribe();
        let waiting = &self.0.waiting;
        waiting.send_modify(|waiting| *waiting += 1);
        let _leave = Leave(waiting);
        is_held.wait_for(|is_held| !is_held).await.unwrap();
    }

    /// Waits until this number of futures wait at the barrier.
    pub(crate) async fn until_waiting(&self, number: usize) {
        let mut waiting = self.0.waiting.subscribe();
        let reached = waiting.wait_for(|waiting| *waiting == number);
        timeout(LIMIT, reached).await.unwrap().unwrap();
    }
}

struct Leave<'h>(&'h watch::Sender<usize>);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| *waiting -= 1);
    }
}

/// The time in which a test's peer does what it must do.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);
