use super::{Exporter, ExporterError, HashAlgorithm, Protocol};
use crate::crypto::{MAX_HASH_LEN, SecretBytes, wipe};
use core::fmt;

/// The maximum length of an exporter label in TLS 1.3, in bytes. `HkdfLabel.label` holds 255 bytes, of which the prefix
/// `"tls13 "` takes six (RFC 8446 section 7.1).
pub const MAX_LABEL: usize = 249;

/// The exporter secret of a TLS 1.3 connection, with the last step of the key schedule (RFC 8446 and RFC 9846, section 7.5).
///
/// The secret has 32 or 48 bytes, depending on the hash of the negotiated cipher suite. Wiped when dropped.
pub struct ExporterSecret {
    secret: SecretBytes<MAX_HASH_LEN>,
    hash: HashAlgorithm,
}

impl ExporterSecret {
    /// Creates the exporter secret of a connection with a SHA-256 cipher suite (`TLS_AES_128_GCM_SHA256`,
    /// `TLS_CHACHA20_POLY1305_SHA256`).
    #[must_use]
    pub fn sha256(exporter_secret: &[u8; 32]) -> Self {
        Self::new(exporter_secret, HashAlgorithm::SHA256)
    }

    /// Creates the exporter secret of a connection with a SHA-384 cipher suite (`TLS_AES_256_GCM_SHA384`).
    #[must_use]
    pub fn sha384(exporter_secret: &[u8; 48]) -> Self {
        Self::new(exporter_secret, HashAlgorithm::SHA384)
    }

    /// Derives the exporter secret as Derive-Secret(main secret, "exp master", ClientHello...server Finished) with SHA-256
    /// (RFC 8446 section 7.1).
    ///
    /// This constructor is for a TLS stack that provides the main secret (the master secret in RFC 8446) and the hash of the
    /// transcript up to and including the server's Finished.
    #[must_use]
    pub fn from_main_secret_sha256(main_secret: &[u8; 32], transcript_hash: &[u8; 32]) -> Self {
        Self::from_main_secret(main_secret, transcript_hash, HashAlgorithm::SHA256)
    }

    /// Derives the exporter secret as [`ExporterSecret::from_main_secret_sha256`] does, with SHA-384.
    #[must_use]
    pub fn from_main_secret_sha384(main_secret: &[u8; 48], transcript_hash: &[u8; 48]) -> Self {
        Self::from_main_secret(main_secret, transcript_hash, HashAlgorithm::SHA384)
    }

    fn from_main_secret(main_secret: &[u8], transcript_hash: &[u8], hash: HashAlgorithm) -> Self {
        let mut secret = SecretBytes::<MAX_HASH_LEN>::default();
        let out = secret.get_mut(..hash.output_len()).unwrap_or_default();
        // Cannot fail: neither the context nor the output is too long.
        let _ = expand_label(hash, main_secret, b"exp master", transcript_hash, out);
        Self { secret, hash }
    }

    fn new(exporter_secret: &[u8], hash: HashAlgorithm) -> Self {
        let mut secret = SecretBytes::<MAX_HASH_LEN>::default();
        if let Some(secret) = secret.get_mut(..exporter_secret.len()) {
            secret.copy_from_slice(exporter_secret);
        }
        Self { secret, hash }
    }
}

impl Exporter for ExporterSecret {
    fn protocol(&self) -> Protocol {
        Protocol::Tls13
    }

    fn hash(&self) -> Option<HashAlgorithm> {
        Some(self.hash)
    }

    fn export_keying_material(
        &self,
        label: &[u8],
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ExporterError> {
        let secret = (self.secret.get(..self.hash.output_len())).unwrap_or_default();
        let exported = export(self.hash, secret, label, context.unwrap_or_default(), out);
        if exported.is_err() {
            wipe(out);
        }
        exported
    }
}

impl fmt::Debug for ExporterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExporterSecret({}, hidden)", self.hash)
    }
}

/// Computes TLS-Exporter(label, context, length) =
/// HKDF-Expand-Label(Derive-Secret(Secret, label, ""), "exporter", Hash(context), length) (RFC 8446 section 7.5).
fn export(
    hash: HashAlgorithm,
    exporter_secret: &[u8],
    label: &[u8],
    context: &[u8],
    out: &mut [u8],
) -> Result<(), ExporterError> {
    let hash_len = hash.output_len();
    if label.len() > MAX_LABEL {
        return Err(ExporterError::LabelTooLong {
            actual: label.len(),
        });
    }
    let max = hash_len.saturating_mul(255);
    if out.is_empty() || out.len() > max {
        return Err(ExporterError::OutputLength {
            actual: out.len(),
            max,
        });
    }
    let mut buffer = SecretBytes::<MAX_HASH_LEN>::default();
    let derived = buffer.get_mut(..hash_len).unwrap_or_default();
    let context = hash.hash(context);
    let context = context.get(..hash_len).unwrap_or_default();
    expand_label(hash, exporter_secret, label, hash.empty_hash(), derived)?;
    expand_label(hash, derived, b"exporter", context, out)
}

/// Computes HKDF-Expand-Label (RFC 8446 section 7.1).
fn expand_label(
    hash: HashAlgorithm,
    secret: &[u8],
    label: &[u8],
    context: &[u8],
    out: &mut [u8],
) -> Result<(), ExporterError> {
    let too_long = ExporterError::OutputLength {
        actual: out.len(),
        max: usize::from(u16::MAX),
    };
    let label_too_long = ExporterError::LabelTooLong {
        actual: label.len(),
    };
    let [high, low] = u16::try_from(out.len())
        .map_err(|_| too_long)?
        .to_be_bytes();
    let label_length = u8::try_from(label.len().saturating_add(6)).map_err(|_| label_too_long)?;
    let context_length = [u8::try_from(context.len()).map_err(|_| ExporterError::Stack)?];
    let head = [high, low, label_length, b't', b'l', b's', b'1', b'3', b' '];
    let info = [head.as_slice(), label, &context_length, context];
    if hash.hkdf_expand(secret, info, out) {
        Ok(())
    } else {
        Err(too_long)
    }
}
