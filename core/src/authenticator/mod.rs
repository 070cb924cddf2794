//! Exported Authenticators (RFC 9261): either side of a TLS connection proves that it has the key of a certificate, on this connection,
//! at any time after the handshake.
//!
//! Bytes in, bytes out: how they travel is the application's affair; [`http`] is how chanbind has them travel in HTTP. Both roles, handshakes with SHA-256 and with SHA-384, requested authenticators, those that a server sends unasked, and the
//! empty one that declines.
//!
//! An [`Endpoint`] is one end of one connection. A request is good for one answer ([`PendingRequest`] is used up), no context is used
//! twice on a connection, and what only one side can do, the other's type does not have. The key stays where it is: an [`Unsigned`]
//! authenticator says what is to be signed, and takes the signature back.
//!
//! ```
//! use chanbind_core::{
//!     authenticator::{CertificateChain, Client, Endpoint, Request, RequestParameters, Server},
//!     crypto::ecdsa::Signature,
//!     exporter::Exporter,
//!     x509::{Anchors, PathRules, SignatureScheme, Time, Usage},
//! };
//! # fn both(client_end: &dyn Exporter, server_end: &dyn Exporter, ca: &[u8], certificate: &[u8], random: [u8; 16], now: u64,
//! #     tpm_sign: impl Fn(&[u8; 32]) -> Signature) -> Result<(), Box<dyn core::error::Error>> {
//! // The server asks, with a context that nobody can foresee.
//! let mut server = Endpoint::<Server>::new(server_end)?;
//! let parameters = RequestParameters::new(&random, &[SignatureScheme::ECDSA_SECP256R1_SHA256]);
//! let pending = server.request(&parameters, [0; 64])?;
//! let sent = pending.as_bytes();
//! # let sent = &sent.to_vec();
//!
//! // The client answers; its key is in a TPM.
//! let mut client = Endpoint::<Client>::new(client_end)?;
//! let request = Request::parse(sent)?;
//! let certificates = [certificate];
//! let chain = CertificateChain::new(&certificates, SignatureScheme::ECDSA_SECP256R1_SHA256);
//! let mut buffer = [0; 1024];
//! let unsigned = client.authenticate(&request, &chain, &mut buffer)?;
//! let signature = tpm_sign(&unsigned.sha256());
//! let authenticator = unsigned.sign_ecdsa(&signature)?;
//!
//! // The server knows who that is.
//! let anchors = Anchors::new(&[ca])?;
//! let rules = PathRules::new(&anchors, Usage::ClientAuth, Time::At(now));
//! let validated = server.validate(pending, authenticator, &rules)?;
//! for name in validated.leaf().subject_alt_names() {
//!     // ...
//! }
//! # Ok(())
//! # }
//! ```

mod chain;
mod contexts;
mod endpoint;
mod endpoint_keys;
mod error;
mod extension;
pub mod http;
mod message;
mod request;
mod selection;
mod solicitation;
mod unsigned;
mod validated;

pub use chain::{CertificateChain, Offered};
pub use endpoint::{Client, DEFAULT_CONTEXTS, Endpoint, PendingRequest, Role, Server};
pub use error::{
    AuthenticateError, ChannelError, MalformedMessage, RequestError, Unsuitable, ValidateError,
};
pub use extension::{Extension, ExtensionType, Extensions, MAX_EXTENSIONS};
pub use message::{Authenticator, CertificateEntry, Certified, Entries};
pub use request::{MAX_CONTEXT_LEN, OidFilter, Request, RequestParameters};
pub use unsigned::Unsigned;
pub use validated::Validated;
