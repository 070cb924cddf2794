//! TLS with rustls: configurations, and the export of keying material from connections.
//!
//! [`client_config`] and [`server_config`] support TLS 1.3 only and prefer X25519MLKEM768. Other rustls configurations can be
//! used too. [`RustlsExporter`] implements core's `Exporter` for any rustls connection. [`SharedStream`] implements it for a
//! tokio-rustls stream that is owned by an HTTP library.
//!
//! ```no_run
//! # async fn example(stream: tokio_rustls::client::TlsStream<tokio::net::TcpStream>) -> Result<(), Box<dyn std::error::Error>> {
//! use chanbind::{protocol::binding::ChannelBinding, tls::RustlsExporter};
//!
//! let (_, connection) = stream.get_ref();
//! let binding = ChannelBinding::tls_exporter(&RustlsExporter::new(connection))?;
//! # Ok(())
//! # }
//! ```

mod certificate;
mod config;
mod exporter;
mod stream;

pub use certificate::ServerCertificate;
pub(crate) use config::certificates_from_pem;
pub use config::{
    TlsConfigError, client_config, crypto_provider, roots_from_pem, server_config,
    server_config_from_pem, server_config_with, signature_algorithms,
};
pub use exporter::{RustlsExporter, Tls12};
pub use stream::SharedStream;
