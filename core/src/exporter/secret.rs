use super::{Exporter, ExporterError, HashAlgorithm, Protocol};
use crate::crypto::{MAX_HASH_LEN, SecretBytes, hkdf_expand, sha256, wipe};
use core::fmt;
use hkdf::Hkdf;
use sha2::{Digest, Sha256, Sha384};

/// The maximum length of an exporter label in TLS 1.3, in bytes. `HkdfLabel.label` holds 255 bytes, of which the prefix
/// `"tls13 "` takes six (RFC 8446 section 7.1).
pub const MAX_LABEL: usize = 249;

/// The exporter secret of a TLS 1.3 connection, with the last step of the key schedule (RFC 8446 and RFC 9846, section 7.5).
///
/// The secret has 32 or 48 bytes, depending on the hash of the negotiated cipher suite. Wiped when dropped.
pub struct ExporterSecret {
    secret: SecretBytes<MAX_HASH_LEN>,
    hash: HashAlgorithm,
    /// The exporter function for the hash of the cipher suite. A function pointer, so that firmware with one cipher suite links
    /// one hash.
    export: Export,
}

type Export = fn(&[u8], &[u8], &[u8], &mut [u8]) -> Result<(), ExporterError>;

impl ExporterSecret {
    /// Creates the exporter secret of a connection with a SHA-256 cipher suite (`TLS_AES_128_GCM_SHA256`,
    /// `TLS_CHACHA20_POLY1305_SHA256`).
    #[must_use]
    pub fn sha256(exporter_secret: &[u8; 32]) -> Self {
        Self::new(exporter_secret, HashAlgorithm::SHA256, export::<Sha256>)
    }

    /// Creates the exporter secret of a connection with a SHA-384 cipher suite (`TLS_AES_256_GCM_SHA384`).
    #[must_use]
    pub fn sha384(exporter_secret: &[u8; 48]) -> Self {
        Self::new(exporter_secret, HashAlgorithm::SHA384, export::<Sha384>)
    }

    /// Derives the exporter secret as Derive-Secret(main secret, "exp master", ClientHello...server Finished) with SHA-256
    /// (RFC 8446 section 7.1).
    ///
    /// This constructor is for a TLS stack that provides the main secret (the master secret in RFC 8446) and the hash of the
    /// transcript up to and including the server's Finished.
    #[must_use]
    pub fn from_main_secret_sha256(main_secret: &[u8; 32], transcript_hash: &[u8; 32]) -> Self {
        let mut secret = SecretBytes::<32>::default();
        // Cannot fail: the context and the output have 32 bytes each, and neither is too long.
        let _ = expand_label::<Sha256>(main_secret, b"exp master", transcript_hash, &mut *secret);
        Self::sha256(&secret)
    }

    /// Derives the exporter secret as [`ExporterSecret::from_main_secret_sha256`] does, with SHA-384.
    #[must_use]
    pub fn from_main_secret_sha384(main_secret: &[u8; 48], transcript_hash: &[u8; 48]) -> Self {
        let mut secret = SecretBytes::<48>::default();
        let _ = expand_label::<Sha384>(main_secret, b"exp master", transcript_hash, &mut *secret);
        Self::sha384(&secret)
    }

    fn new(exporter_secret: &[u8], hash: HashAlgorithm, export: Export) -> Self {
        let mut secret = SecretBytes::<MAX_HASH_LEN>::default();
        if let Some(secret) = secret.get_mut(..exporter_secret.len()) {
            secret.copy_from_slice(exporter_secret);
        }
        Self {
            secret,
            hash,
            export,
        }
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
        let exported = (self.export)(secret, label, context.unwrap_or_default(), out);
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

/// The operations of the key schedule with the hash of a cipher suite.
trait ScheduleHash {
    /// The hash of the empty string, which is the context of every Derive-Secret in this module.
    const EMPTY_HASH: &'static [u8];

    /// Returns the hash of an exporter's context.
    fn hash_context(context: &[u8]) -> impl AsRef<[u8]>;

    /// Computes HKDF-Expand (RFC 5869 section 2.3). Returns `false` if `out` needs more than 255 blocks.
    fn expand(secret: &[u8], info: [&[u8]; 4], out: &mut [u8]) -> bool;
}

impl ScheduleHash for Sha256 {
    const EMPTY_HASH: &'static [u8] = &SHA256_OF_EMPTY;

    fn hash_context(context: &[u8]) -> impl AsRef<[u8]> {
        sha256(context)
    }

    fn expand(secret: &[u8], info: [&[u8]; 4], out: &mut [u8]) -> bool {
        hkdf_expand(secret, info, out)
    }
}

impl ScheduleHash for Sha384 {
    const EMPTY_HASH: &'static [u8] = &SHA384_OF_EMPTY;

    fn hash_context(context: &[u8]) -> impl AsRef<[u8]> {
        Self::digest(context)
    }

    fn expand(secret: &[u8], info: [&[u8]; 4], out: &mut [u8]) -> bool {
        Hkdf::<Self>::from_prk(secret).is_ok_and(|hkdf| hkdf.expand_multi_info(&info, out).is_ok())
    }
}

/// Computes TLS-Exporter(label, context, length) =
/// HKDF-Expand-Label(Derive-Secret(Secret, label, ""), "exporter", Hash(context), length) (RFC 8446 section 7.5).
fn export<H: ScheduleHash>(
    exporter_secret: &[u8],
    label: &[u8],
    context: &[u8],
    out: &mut [u8],
) -> Result<(), ExporterError> {
    let hash_len = H::EMPTY_HASH.len();
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
    let context = H::hash_context(context);
    expand_label::<H>(exporter_secret, label, H::EMPTY_HASH, derived)?;
    expand_label::<H>(derived, b"exporter", context.as_ref(), out)
}

/// Computes HKDF-Expand-Label (RFC 8446 section 7.1).
fn expand_label<H: ScheduleHash>(
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
    if H::expand(secret, info, out) {
        Ok(())
    } else {
        Err(too_long)
    }
}

/// The SHA-256 hash of the empty string.
const SHA256_OF_EMPTY: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// The SHA-384 hash of the empty string.
const SHA384_OF_EMPTY: [u8; 48] = [
    0x38, 0xb0, 0x60, 0xa7, 0x51, 0xac, 0x96, 0x38, 0x4c, 0xd9, 0x32, 0x7e, 0xb1, 0xb1, 0xe3, 0x6a,
    0x21, 0xfd, 0xb7, 0x11, 0x14, 0xbe, 0x07, 0x43, 0x4c, 0x0c, 0xc7, 0xbf, 0x63, 0xf6, 0xe1, 0xda,
    0x27, 0x4e, 0xde, 0xbf, 0xe7, 0x6f, 0x65, 0xfb, 0xd5, 0x1a, 0xd2, 0xf1, 0x48, 0x98, 0xb9, 0x5b,
];
