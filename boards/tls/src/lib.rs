//! A TLS 1.3 client for firmware, based on [`embedded-tls`](https://docs.rs/embedded-tls): no operating system, no allocator, no
//! `unsafe`.
//!
//! This crate adds to embedded-tls:
//!
//! - keying material exporters (RFC 8446 section 7.5): a [`Connection`] implements core's
//!   [`Exporter`](chanbind_core::exporter::Exporter);
//! - mandatory server authentication: only [`Config::dangerous_without_authentication`] connects to an unauthenticated server;
//! - a record filter: records that would make embedded-tls panic, or act on unauthenticated data, do not reach it.
//!
//! [`connect`] is async; [`blocking::connect`] is its blocking variant. Both take the transport, a [`Config`], a random number
//! generator and two buffers.
//!
//! ```no_run
//! use chanbind_core::{exporter::Exporter, x509::{Anchors, Time}};
//! use chanbind_embedded_tls::{Aes128GcmSha256, Buffers, Config, connect};
//! use embedded_io_async::{Read, Write};
//! use rand_core::{CryptoRng, RngCore};
//!
//! async fn open(
//!     tcp: impl Read + Write,
//!     rng: impl CryptoRng + RngCore,
//!     ca: &[u8],              // DER
//!     seconds_since_1970: u64,
//! ) -> Option<[u8; 32]> {
//!     let anchors = Anchors::new(&[ca]).ok()?;
//!     let config = Config::with_authority("gateway.example", &anchors, Time::At(seconds_since_1970));
//!     let (mut read, mut write) = ([0; Buffers::MAX_RECORD], [0; 1024]);
//!     let buffers = Buffers { read: &mut read, write: &mut write };
//!     let connection = connect::<Aes128GcmSha256, _, _>(tcp, &config, rng, buffers).await.ok()?;
//!
//!     let mut keying_material = [0; 32];
//!     connection.export_keying_material(b"EXPORTER-my_label", Some(b"client1"), &mut keying_material).ok()?;
//!     Some(keying_material)
//! }
//! ```
//!
//! # Limits
//!
//! The limits are those of embedded-tls 0.19: one cipher suite per connection, ECDHE on P-256, certificates with keys on P-256, no
//! HelloRetryRequest, no KeyUpdate, no handshake message that spans more than one record. Dropping a future of a connection before
//! completion ends the connection: the next call returns [`StreamError::Broken`].
//!
//! # Secrets
//!
//! The secrets that this crate holds are wiped on drop. The key schedule of embedded-tls, the caller's buffers and random number
//! generator, and copies that the compiler leaves on the stack are not wiped.
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
