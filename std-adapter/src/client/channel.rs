use crate::tls::SharedStream;
use chanbind_core::exporter::{Exporter, ExporterError, HashAlgorithm, Protocol};
use std::fmt;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The channel of a [`Connection`](super::Connection): its TLS, if it has any.
pub struct ClientChannel(pub(super) Option<SharedStream<TlsStream<TcpStream>>>);

impl ClientChannel {
    /// Returns whether the TLS session of the connection was resumed with a ticket of another one.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.0.as_ref().is_some_and(SharedStream::is_resumed)
    }

    /// Returns protocol version, cipher suite and key exchange, for people.
    pub(super) fn negotiated(&self) -> String {
        let tls = self.0.as_ref();
        tls.map_or("no TLS".to_owned(), SharedStream::negotiated)
    }
}

/// Without TLS no keying material is exported.
impl Exporter for ClientChannel {
    fn protocol(&self) -> Protocol {
        let without = Protocol::Tls12 {
            extended_master_secret: false,
        };
        self.0.as_ref().map_or(without, Exporter::protocol)
    }

    fn hash(&self) -> Option<HashAlgorithm> {
        self.0.as_ref()?.hash()
    }

    fn with_server_end_point(&self, use_it: &mut dyn FnMut(&[u8])) {
        if let Some(tls) = &self.0 {
            tls.with_server_end_point(use_it);
        }
    }

    fn export_keying_material(
        &self,
        label: &[u8],
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ExporterError> {
        match &self.0 {
            Some(tls) => tls.export_keying_material(label, context, out),
            None => {
                out.fill(0);
                Err(ExporterError::NoTls)
            }
        }
    }
}

impl fmt::Debug for ClientChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientChannel")
    }
}
