// The first definition of a link counts: here items lead to their documentation, and in the README to docs.rs.
//! [`Connection`]: crate::Connection
//! [`Exporter`]: chanbind_core::exporter::Exporter
//! [`Config::dangerous_without_authentication`]: crate::Config::dangerous_without_authentication
//! [`connect`]: crate::connect
//! [`blocking::connect`]: crate::blocking::connect
//! [`Config`]: crate::Config
//! [`StreamError::Broken`]: crate::StreamError::Broken
//!
#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

pub mod blocking;
mod config;
mod connection;
mod error;
mod handshake;
mod record_filter;
mod slots;
mod transcript;
mod verify;

#[cfg(feature = "client-certificates")]
pub use config::ClientCertificate;
pub use config::{Buffers, Config, InvalidConfig};
pub use connection::{Connection, connect, connect_in};
pub use embedded_tls::MaxFragmentLength;
pub use error::{ConnectError, StreamError};
pub use slots::{DefaultSlots, HandshakeSlots, SlotTable, Table};
pub use transcript::{Aes128GcmSha256, Aes256GcmSha384, Suite};
