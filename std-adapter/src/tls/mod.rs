//! TLS by rustls, as channels that export keying material.
//!
//! [`client_config`] and [`server_config`] are TLS 1.3 only and offer X25519MLKEM768 first; a configuration of your own does
//! as well. [`RustlsExporter`] is core's `Exporter` for any rustls connection; [`SharedStream`] is for a tokio-rustls stream
//! that an HTTP library has taken over.
//!
//! ```no_run
//! # async fn example(stream: tokio_rustls::client::TlsStream<tokio::net::TcpStream>) -> Result<(), Box<dyn std::error::Error>> {
//! use chanbind::{core::binding::ChannelBinding, tls::RustlsExporter};
//!
//! let (_, connection) = stream.get_ref();
//! let binding = ChannelBinding::tls_exporter(&RustlsExporter::new(connection))?;
//! # Ok(())
//! # }
//! ```

mod config;
mod exporter;
mod stream;

pub(crate) use config::certificates_from_pem;
pub use config::{
    TlsConfigError, client_config, crypto_provider, roots_from_pem, server_config,
    server_config_from_pem, signature_algorithms,
};
pub use exporter::{RustlsExporter, Tls12};
pub use stream::SharedStream;
