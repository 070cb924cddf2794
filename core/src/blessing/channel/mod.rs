//! Vanadium's own channel: two principals authenticate each other over TCP without TLS, in one round trip less.
//!
//! A frame is a message, with its length in front. Both ends send Setup in clear; all other messages are sealed with a NaCl box of the two ephemeral keys
//! in the Setups. The acceptor proves its blessings first, and the dialer decides whether it shows its own. The binding that both sign is the encoding
//! of both Setups.
//!
//! All types here are machines without I/O. The driver reads a frame ([`frame_len`]), gives its body to the machine, and writes the frames that the machine
//! has put into the driver's buffer.
//!
//! ```text
//! dialer:   Dialer::begin ── setup ── WaitAuth ── receive ── Acquainted ── trust / refuse ── prove ── Connection
//! acceptor: Acceptor::begin ── setup ── prove ── WaitClient ── receive ── Connection
//! ```
//!
//! By default only version 14 is offered and accepted. In older versions the Setups are not signed: an attacker who lowers the versions in both of them
//! is not noticed ([`Versions::DANGEROUS_ALL`]).

mod connection;
mod frame;
mod handshake;
mod message;
mod peer;
mod present;
mod seal;
mod sealed;
mod setup;

pub use connection::{Connection, Event, MAX_FLOWS};
pub use frame::{FRAME_HEADER_LEN, frame_len};
pub use handshake::{Acceptor, Acquainted, Dialer, Progress, WaitAuth, WaitClient, WaitProof};
pub use message::{DataFlags, MAX_OVERHEAD};
use peer::PeerBlessings;
pub use peer::PeerDischarges;
pub use present::Presented;
pub use sealed::ChannelMemory;
pub use setup::{MAX_SETUP_LEN, Setup, Versions};

use super::{BlessingError, VomError};
use crate::{error_messages, wire::Full};

/// The error of a channel. The connection must be closed then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelError {
    /// A message is malformed.
    Malformed,
    /// A message of another type is expected.
    Unexpected {
        /// The type.
        kind: u8,
    },
    /// A frame is longer than the driver's buffer.
    FrameTooLong {
        /// The length of the frame's body, in bytes.
        len: usize,
    },
    /// A frame does not open: it was changed, or it is not for this connection.
    Seal,
    /// The ends have no version in common.
    Version {
        /// The lowest version of the peer.
        min: u64,
        /// The highest version of the peer.
        max: u64,
    },
    /// The ephemeral key of the peer is missing, of low order, or this end's own.
    EphemeralKey,
    /// The peer's Setup has no MTU, or its encoding is not canonical: the ends would not have the same binding.
    Setup,
    /// The peer's signature over the binding is invalid.
    Binding,
    /// The peer refers to blessings or discharges that it has not sent, or sends them under a number that it has used.
    Key,
    /// The peer's blessings are invalid.
    Blessings(BlessingError),
    /// The peer's blessings are for another key than those of the handshake.
    OtherKey,
    /// The peer has sent more blessings than the memory holds.
    TooManyBlessings,
    /// A flow has an identifier that the peer may not use.
    Flow {
        /// The identifier.
        id: u64,
    },
    /// The peer sends more than it may before it is told to go on.
    Tokens,
    /// The peer has ended the connection.
    TearDown,
    /// The buffer for frames is too short.
    BufferTooSmall,
}

error_messages! { ChannelError {
    Self::Malformed => "a message of the peer is malformed";
    Self::Unexpected { kind } => "the peer sent a message of type {} out of order", kind;
    Self::FrameTooLong { len } => "the peer sent a frame of {} bytes: make the buffer larger, or offer a smaller MTU", len;
    Self::Seal => "a frame of the peer was changed on its way, or is not for this connection";
    Self::Version { min, max } => "the peer has versions {} to {} of the protocol, none of which is allowed here", min, max;
    Self::EphemeralKey => "the peer's ephemeral key is missing or unusable";
    Self::Setup => "the peer's Setup message is not canonical, or has no MTU";
    Self::Binding => "the peer has not signed the binding of this connection by the key of its blessings";
    Self::Key => "the peer refers to blessings or discharges that it has not sent";
    Self::Blessings(error) => "{}", error;
    Self::OtherKey => "the peer presents blessings for another key than the one of the handshake";
    Self::TooManyBlessings => "the peer presents more blessings than the memory holds: make it larger";
    Self::Flow { id } => "the peer may not use a flow with the identifier {}", id;
    Self::Tokens => "the peer sends more than it may";
    Self::TearDown => "the peer has ended the connection";
    Self::BufferTooSmall => "the buffer for frames is too short: give a larger one";
}}

impl core::error::Error for ChannelError {}

impl From<VomError> for ChannelError {
    fn from(_: VomError) -> Self {
        Self::Malformed
    }
}

impl From<Full> for ChannelError {
    fn from(_: Full) -> Self {
        Self::BufferTooSmall
    }
}

impl From<BlessingError> for ChannelError {
    fn from(error: BlessingError) -> Self {
        Self::Blessings(error)
    }
}
