use super::Channel;
use crate::proof::{Identity, Refusal};
use axum::http::StatusCode;
use std::net::SocketAddr;

/// Is told what happens at a gateway: for metrics, and for what operators look at. See [`Server::observed`](super::Server::observed) and
/// [`ProofLayer::observed`](super::ProofLayer::observed).
///
/// The calls are made while connections and requests wait, so that an observer must be quick and must not block.
pub trait Observer: Send + Sync + 'static {
    /// Is told of an event.
    fn observe(&self, event: &Event<'_>);
}

/// An event at a gateway.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'e> {
    /// A connection was rejected before TLS.
    ConnectionRejected {
        /// The address that it came from.
        peer: SocketAddr,
        /// The limit that was reached.
        reason: &'static str,
    },
    /// A TLS handshake failed, or took too long.
    HandshakeFailed {
        /// The address of the client.
        peer: SocketAddr,
        /// The reason.
        reason: &'e str,
    },
    /// A connection is open.
    ConnectionOpened {
        /// The address of the client.
        peer: SocketAddr,
        /// The connection.
        channel: &'e Channel,
    },
    /// An open connection has been closed.
    ConnectionClosed {
        /// The address of the client.
        peer: SocketAddr,
        /// The connection.
        channel: &'e Channel,
    },
    /// A request without a proof was answered with the challenges of its rule.
    Asked {
        /// The address of the client.
        peer: Option<SocketAddr>,
    },
    /// A request has been admitted. There is an event for each identity that it has proved.
    Admitted {
        /// The address of the client.
        peer: Option<SocketAddr>,
        /// The connection.
        channel: &'e Channel,
        /// The identity.
        identity: &'e Identity,
        /// True for the first request of this identity on the connection.
        is_first: bool,
    },
    /// A request has been refused.
    Refused {
        /// The address of the client.
        peer: Option<SocketAddr>,
        /// The connection; `None` if the server did not name it.
        channel: Option<&'e Channel>,
        /// The reason.
        refusal: &'e Refusal,
    },
    /// An admitted request has not been answered by the server behind the gateway.
    NotPassedOn {
        /// The address of the client.
        peer: Option<SocketAddr>,
        /// The status of the answer.
        status: StatusCode,
    },
}
