//! Exported Authenticators (RFC 9261): either side of a TLS connection proves, at any time after the handshake, that it has the
//! key of a certificate. The proof is valid on this connection only.
//!
//! The functions read and write bytes; the application transports them. The module [`http`] encodes them for HTTP header fields.
//! Both roles are supported, handshakes with SHA-256 and SHA-384, requested authenticators, spontaneous authenticators of a
//! server, and the empty authenticator, which declines a request.
//!
//! An [`Endpoint`] is one end of one connection. A request can be answered once ([`PendingRequest`] is consumed), and no context
//! can be used twice on a connection. Operations of only one role exist only in the type of this role. The private key is not
//! passed to this module: an [`Unsigned`] authenticator returns the content to be signed and takes the signature.
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
//! // The server sends a request with an unpredictable context.
//! let mut server = Endpoint::<Server>::new(server_end)?;
//! let parameters = RequestParameters::new(&random, &[SignatureScheme::ECDSA_SECP256R1_SHA256]);
//! let pending = server.request(&parameters, [0; 64])?;
//! let sent = pending.as_bytes();
//! # let sent = &sent.to_vec();
//!
//! // The client answers the request. Its key is in a TPM.
//! let mut client = Endpoint::<Client>::new(client_end)?;
//! let request = Request::parse(sent)?;
//! let certificates = [certificate];
//! let chain = CertificateChain::new(&certificates, SignatureScheme::ECDSA_SECP256R1_SHA256);
//! let mut buffer = [0; 1024];
//! let unsigned = client.authenticate(&request, &chain, &mut buffer)?;
//! let signature = tpm_sign(&unsigned.sha256());
//! let authenticator = unsigned.sign_ecdsa(&signature)?;
//!
//! // The server validates the authenticator and reads the identity of the client.
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
mod prover;
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
pub use prover::{ClientIdentity, KIND, ProveError, Prover};
pub use request::{MAX_CONTEXT_LEN, OidFilter, Request, RequestParameters};
pub use unsigned::{Suspended, Unsigned};
pub use validated::Validated;
