//! Connections that change to another protocol, such as WebSocket.

use super::activity::{Activity, RequestGuard};
use std::{fmt, sync::Arc};
use tokio::sync::mpsc;

/// The permission to take a connection over with another protocol, in the extensions of each request that asks for one: by Upgrade, or by CONNECT.
/// The connection then keeps its place among those of the server, and its [`Channel`](crate::gateway::Channel) says when it must be closed.
#[derive(Clone)]
pub struct TunnelPermit {
    activity: Arc<Activity>,
    open: mpsc::Sender<()>,
}

/// A connection that has been taken over. Drop it when the other protocol has ended.
pub struct Tunnel {
    _request: RequestGuard,
    _open: mpsc::Sender<()>,
}

/// The tunnels of a connection.
pub(super) struct Tunnels(mpsc::Receiver<()>);

impl TunnelPermit {
    /// Creates the permission for a connection.
    pub(super) fn new(activity: &Arc<Activity>) -> (Self, Tunnels) {
        let (open, opened) = mpsc::channel(1);
        let permit = Self {
            activity: Arc::clone(activity),
            open,
        };
        (permit, Tunnels(opened))
    }

    /// Takes the connection over.
    #[must_use]
    pub fn open(self) -> Tunnel {
        Tunnel {
            _request: self.activity.begin_request(),
            _open: self.open,
        }
    }
}

impl Tunnels {
    /// Waits until all permissions and tunnels have been dropped.
    pub(super) async fn ended(&mut self) {
        while self.0.recv().await.is_some() {}
    }
}

impl fmt::Debug for TunnelPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TunnelPermit")
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tunnel")
    }
}
