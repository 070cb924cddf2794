//! HTTP Mutual authentication (RFC 8120) with the key agreement KAM3 (RFC 8121): a password proves both sides to each other without being shown
//! to either.
//!
//! The client proves that it knows the password, the server that it has the value J of the same password. Neither learns enough to play the other
//! later, and a listener cannot try passwords at home. Both proofs enter a value of the connection ([`HostValidation`]): with
//! [`Validation::TlsExporter`] they are worth nothing on another TLS connection.
//!
//! | part | contents |
//! |---|---|
//! | [`Algorithm`] | groups and hashes; a firmware image links those that it names |
//! | [`Realm`], [`StoredCredential`] | what a password is for, and what a server keeps of it |
//! | [`Origin`], [`Validation`], [`HostValidation`] | servers, and the bindings of proofs to connections |
//! | [`ClientExchange`], [`ClientSession`] | the client's key exchange and session |
//! | [`ServerSession`] | the server's |
//! | [`MutualServer`] | a whole server in fixed memory, for firmware |
//! | [`MutualProver`] | the client as a machine for any driver ([`crate::proof`]) |
//!
//! `docs/proofs/MUTUAL.md` describes what travels, with test vectors.
//!
//! # Example
//!
//! Both sides in memory. On the wire each message is the value of a header field.
//!
//! ```
//! use chanbind_core::{
//!     exporter::ExporterSecret,
//!     mutual::{
//!         Algorithm, ClientExchange, Credentials, Decoy, HostValidation, MAX_MESSAGE_LEN, Realm, ServerSession, SessionId,
//!         StoredCredential, Verdict,
//!     },
//! };
//!
//! fn main() -> Result<(), Box<dyn core::error::Error>> {
//!     # fn random() -> [u8; 64] { core::array::from_fn(|i| i as u8 ^ 0x5a) }
//!     let realm = Realm::new(Algorithm::P256_SHA256, "https://gateway.example", "technicians")?;
//!     let stored = StoredCredential::register(&realm, "john", "correct horse")?;
//!     let connection = HostValidation::tls_exporter(&ExporterSecret::sha256(&[7; 32]))?;
//!
//!     // The client begins, the server answers with its value.
//!     let pi = realm.credential("john", "correct horse")?;
//!     let exchange = ClientExchange::begin(realm.clone(), pi, &random())?;
//!     let mut buffer = [0; MAX_MESSAGE_LEN];
//!     let kex_c1 = Credentials::parse(exchange.write(connection.method(), "john", &mut buffer)?).ok_or("another scheme")??;
//!     let decoy = Decoy::new(&realm, &random())?;
//!     let j = stored.j(&realm, "john")?;
//!     let mut at_server = ServerSession::begin(&realm, &kex_c1, Some(j), &decoy, 1_000, &random())?;
//!     let sid = SessionId::from_slice(&random()[..16]).map_err(|_| "too long")?;
//!     let value = at_server.value().ok_or("over")?.clone();
//!     let mut at_client = exchange.finish(sid, value, at_server.limits(300))?;
//!
//!     // The client proves that it knows the password, then the server that it has J.
//!     let mut buffer = [0; MAX_MESSAGE_LEN];
//!     let (vfy_c, request) = at_client.write(&connection, &mut buffer)?;
//!     let vfy_c = Credentials::parse(vfy_c).ok_or("another scheme")??;
//!     let Verdict::Proved(proof) = at_server.verify(&vfy_c, &[connection.clone()]) else {
//!         return Err("refused".into());
//!     };
//!     let mut buffer = [0; MAX_MESSAGE_LEN];
//!     assert!(at_client.is_verified(&request, &connection, proof.write(&mut buffer)?));
//!     Ok(())
//! }
//! ```

mod algorithm;
mod client;
mod control;
mod error;
mod failure;
mod fields;
mod fixed_server;
mod kam3;
mod message;
mod nonces;
mod numbers;
mod origin;
mod prover;
mod realm;
mod server;
mod session_secret;
mod settings;
mod stored;
mod validation;
mod write;

pub use algorithm::{Algorithm, ITERATIONS, MAX_ELEMENT_LEN, NumberFormat};
pub use client::{ClientExchange, ClientSession, SessionLimits, Unverified};
pub use control::{AUTHENTICATION_CONTROL, Control, OPTIONAL_WWW_AUTHENTICATE};
pub use error::MutualError;
pub use failure::MutualFailure;
pub use fields::{MAX_SID_LEN, MessageError, Name, SessionId};
pub use fixed_server::{MutualServer, ServerAnswer, ServerLimits};
pub use message::{Credentials, Reason, SCHEME};
pub use nonces::NONCE_WINDOW;
pub use numbers::{Number, SecretNumber};
pub use origin::{MAX_HOST_LEN, MAX_ORIGIN_LEN, Origin};
pub use prover::MutualProver;
pub use realm::{
    MAX_PASSWORD_LEN, MAX_REALM_LEN, MAX_USER_LEN, Password, Realm, UserName, is_prepared,
};
pub use server::{
    AUTHENTICATION_INFO, Decoy, PROXY_AUTHENTICATION_INFO, ServerProof, ServerSession, Verdict,
};
pub use settings::{MutualSettings, UnverifiedResponses};
pub use stored::{MAX_STORED_LEN, StoredCredential};
pub use validation::{HostValidation, MAX_VALIDATION_LEN, TLS_EXPORTER, Validation};
pub use write::{MAX_MESSAGE_LEN, write_init};

/// The name of this kind of proof.
pub const KIND: &str = "mutual";
