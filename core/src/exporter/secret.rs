use super::{Exporter, ExporterError, Protocol};
use core::fmt;
use hkdf::{Hkdf, HmacImpl, hmac::Hmac};
use sha2::{Digest, Sha256, Sha384};
use zeroize::{Zeroize, Zeroizing};

/// `HkdfLabel.label` holds 255 bytes, six of them `"tls13 "` (RFC 8446 section 7.1).
pub(super) const MAX_LABEL: usize = 249;

/// The exporter secret of a TLS 1.3 connection: what is left to do of the key schedule (RFC 8446 and 9846, section 7.5).
///
/// Holds 32 or 48 bytes by the hash of the negotiated cipher suite; wiped when dropped.
pub struct ExporterSecret(Secret);

enum Secret {
    Sha256(Zeroizing<[u8; 32]>),
    Sha384(Zeroizing<[u8; 48]>),
}

impl ExporterSecret {
    /// The exporter secret of a connection with a SHA-256 cipher suite (`TLS_AES_128_GCM_SHA256`,
    /// `TLS_CHACHA20_POLY1305_SHA256`).
    #[must_use]
    pub fn sha256(exporter_secret: &[u8; 32]) -> Self {
        Self(Secret::Sha256((*exporter_secret).into()))
    }

    /// The exporter secret of a connection with a SHA-384 cipher suite (`TLS_AES_256_GCM_SHA384`).
    #[must_use]
    pub fn sha384(exporter_secret: &[u8; 48]) -> Self {
        Self(Secret::Sha384((*exporter_secret).into()))
    }
}

impl Exporter for ExporterSecret {
    fn protocol(&self) -> Protocol {
        Protocol::Tls13
    }

    fn export_keying_material(
        &self,
        label: &[u8],
        context: Option<&[u8]>,
        out: &mut [u8],
    ) -> Result<(), ExporterError> {
        let context = context.unwrap_or_default();
        let exported = match &self.0 {
            Secret::Sha256(secret) => {
                export::<Sha256, Hmac<Sha256>>(&**secret, &SHA256_OF_NOTHING, label, context, out)
            }
            Secret::Sha384(secret) => {
                export::<Sha384, Hmac<Sha384>>(&**secret, &SHA384_OF_NOTHING, label, context, out)
            }
        };
        if exported.is_err() {
            out.zeroize();
        }
        exported
    }
}

impl fmt::Debug for ExporterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Secret::Sha256(_) => "ExporterSecret(SHA-256, hidden)",
            Secret::Sha384(_) => "ExporterSecret(SHA-384, hidden)",
        })
    }
}

/// TLS-Exporter(label, context, length) = HKDF-Expand-Label(Derive-Secret(Secret, label, ""), "exporter", Hash(context), length)
fn export<H, I>(
    exporter_secret: &[u8],
    hash_of_nothing: &[u8],
    label: &[u8],
    context: &[u8],
    out: &mut [u8],
) -> Result<(), ExporterError>
where
    H: Digest + digest::OutputSizeUser,
    I: HmacImpl<H>,
{
    let hash_len = hash_of_nothing.len();
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
    let mut buffer = Zeroizing::new([0; 48]);
    let derived = buffer.get_mut(..hash_len).unwrap_or_default();
    expand_label::<H, I>(exporter_secret, label, hash_of_nothing, derived)?;
    expand_label::<H, I>(derived, b"exporter", &H::digest(context), out)
}

/// HKDF-Expand-Label (RFC 8446 section 7.1).
fn expand_label<H, I>(
    secret: &[u8],
    label: &[u8],
    context: &[u8],
    out: &mut [u8],
) -> Result<(), ExporterError>
where
    H: Digest + digest::OutputSizeUser,
    I: HmacImpl<H>,
{
    let too_long = ExporterError::OutputLength {
        actual: out.len(),
        max: usize::from(u16::MAX),
    };
    let length = u16::try_from(out.len()).map_err(|_| too_long)?;
    let label_length =
        u8::try_from(label.len().saturating_add(6)).map_err(|_| ExporterError::LabelTooLong {
            actual: label.len(),
        })?;
    let context_length = u8::try_from(context.len()).map_err(|_| ExporterError::Stack)?;
    Hkdf::<H, I>::from_prk(secret)
        .map_err(|_| ExporterError::Stack)?
        .expand_multi_info(
            &[
                &length.to_be_bytes(),
                &[label_length],
                b"tls13 ",
                label,
                &[context_length],
                context,
            ],
            out,
        )
        .map_err(|_| too_long)
}

/// SHA-256 of the empty string, the context of every Derive-Secret here.
const SHA256_OF_NOTHING: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// SHA-384 of the empty string.
const SHA384_OF_NOTHING: [u8; 48] = [
    0x38, 0xb0, 0x60, 0xa7, 0x51, 0xac, 0x96, 0x38, 0x4c, 0xd9, 0x32, 0x7e, 0xb1, 0xb1, 0xe3, 0x6a,
    0x21, 0xfd, 0xb7, 0x11, 0x14, 0xbe, 0x07, 0x43, 0x4c, 0x0c, 0xc7, 0xbf, 0x63, 0xf6, 0xe1, 0xda,
    0x27, 0x4e, 0xde, 0xbf, 0xe7, 0x6f, 0x65, 0xfb, 0xd5, 0x1a, 0xd2, 0xf1, 0x48, 0x98, 0xb9, 0x5b,
];
