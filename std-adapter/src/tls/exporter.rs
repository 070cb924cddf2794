use chanbind_core::exporter::{Exporter, ExporterError, HashAlgorithm, MAX_LABEL, Protocol};
use rustls::{ConnectionCommon, ProtocolVersion, SideData, SupportedCipherSuite};
use std::fmt;
use zeroize::Zeroize;

/// The exporter of a rustls connection, on the client's or the server's side. Create it with `RustlsExporter::new(&connection)`.
pub struct RustlsExporter<'c, Side> {
    connection: &'c ConnectionCommon<Side>,
    tls12: Tls12,
}

/// The treatment of TLS 1.2 connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tls12 {
    /// Exporting from a TLS 1.2 connection fails.
    #[default]
    Refused,
    /// Exporting from a TLS 1.2 connection is allowed. rustls does not tell whether a connection uses the extended master secret,
    /// so the caller must ensure that the TLS configuration sets `require_ems`.
    ExtendedMasterSecretRequired,
}

impl<'c, Side> RustlsExporter<'c, Side> {
    /// Creates an exporter for TLS 1.3 connections. Exporting from another connection fails.
    #[must_use]
    pub fn new(connection: &'c ConnectionCommon<Side>) -> Self {
        Self::with_tls12(connection, Tls12::Refused)
    }

    /// Creates an exporter for TLS 1.3 connections and, depending on `tls12`, for TLS 1.2 connections.
    #[must_use]
    pub fn with_tls12(connection: &'c ConnectionCommon<Side>, tls12: Tls12) -> Self {
        Self { connection, tls12 }
    }
}

impl<Side: SideData> Exporter for RustlsExporter<'_, Side> {
    fn protocol(&self) -> Protocol {
        match self.connection.protocol_version() {
            // The version may be unknown before the handshake is complete. Exporting fails then in any case.
            Some(ProtocolVersion::TLSv1_3) | None => Protocol::Tls13,
            Some(_) => Protocol::Tls12 {
                extended_master_secret: self.tls12 == Tls12::ExtendedMasterSecretRequired,
            },
        }
    }

    fn hash(&self) -> Option<HashAlgorithm> {
        let hash = match self.connection.negotiated_cipher_suite()? {
            SupportedCipherSuite::Tls13(suite) => suite.common.hash_provider,
            SupportedCipherSuite::Tls12(suite) => suite.common.hash_provider,
        };
        match hash.algorithm() {
            rustls::crypto::hash::HashAlgorithm::SHA256 => Some(HashAlgorithm::SHA256),
            rustls::crypto::hash::HashAlgorithm::SHA384 => Some(HashAlgorithm::SHA384),
            _ => None,
        }
    }

    fn export_keying_material(
        &self,
        label: &[u8],
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ExporterError> {
        let exported = self.export(label, context, out);
        if exported.is_err() {
            out.zeroize();
        }
        exported
    }
}

impl<Side: SideData> RustlsExporter<'_, Side> {
    fn export(
        &self,
        label: &[u8],
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ExporterError> {
        if self.connection.is_handshaking() {
            return Err(ExporterError::HandshakeIncomplete);
        }
        if !self.protocol().has_unique_secrets() {
            return Err(ExporterError::NotUnique);
        }
        if label.len() > MAX_LABEL {
            return Err(ExporterError::LabelTooLong {
                actual: label.len(),
            });
        }
        if let Some(context) = context
            && context.len() > usize::from(u16::MAX)
        {
            return Err(ExporterError::ContextTooLong {
                actual: context.len(),
            });
        }
        let max = match self.connection.negotiated_cipher_suite() {
            Some(SupportedCipherSuite::Tls13(suite)) => {
                255 * suite.common.hash_provider.output_len()
            }
            _ => usize::from(u16::MAX),
        };
        if out.is_empty() || out.len() > max {
            return Err(ExporterError::OutputLength {
                actual: out.len(),
                max,
            });
        }
        self.connection
            .export_keying_material(out, label, context)
            .map(|_| ())
            .map_err(|_| ExporterError::Stack)
    }
}

impl<Side> fmt::Debug for RustlsExporter<'_, Side> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RustlsExporter")
    }
}
