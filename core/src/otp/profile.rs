use super::KeyingMaterial;
use crate::{
    exporter::{Exporter, ExporterError},
    kdf::Layout,
    wire::Writer,
};
use core::fmt;

/// The longest client id, in bytes.
pub const MAX_CLIENT_ID_LEN: usize = 255;

/// How both ends come from a channel to a key: they must agree on it.
///
/// The default is this project's own. Its label is private use by RFC 5705 section 4, its contexts separate purposes and
/// clients, and its layout is that of SP 800-108.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile<'a> {
    /// The exporter label.
    pub exporter_label: &'a [u8],
    /// The exporter context.
    pub context: ContextRule<'a>,
    /// How the exported keying material goes through the PRF.
    pub layout: Layout<'a>,
}

impl Profile<'static> {
    /// The API key of the public Go demo "TPM One Time Password using TLS SessionKey": label `EXPORTER-my_label`, the client
    /// id as context, Vault's counter mode.
    pub const GO_DEMO_API_KEY: Self = Self {
        exporter_label: b"EXPORTER-my_label",
        context: ContextRule::ClientId,
        layout: Layout::VAULT,
    };

    /// The JWT of that demo: label `EXPORTER-Channel-Binding`, contexts `sig_key` and `enc_key`, plain HMAC.
    ///
    /// The label is the one of the public channel binding `tls-exporter`, kept apart from it by the contexts alone; the
    /// client id is not in the context. Use it to talk to that demo only.
    pub const GO_DEMO_JWT: Self = Self {
        exporter_label: b"EXPORTER-Channel-Binding",
        context: ContextRule::Fixed {
            api_key: b"api_key",
            signing: b"sig_key",
            encryption: b"enc_key",
        },
        layout: Layout::Hmac,
    };
}

impl Default for Profile<'_> {
    fn default() -> Self {
        Self {
            exporter_label: b"EXPERIMENTAL-chanbind-one-time-key",
            context: ContextRule::PurposeAndClientId,
            layout: Layout::sp800_108(b"chanbind one-time key"),
        }
    }
}

impl Profile<'_> {
    /// Exports the 32 bytes that the key derivation for `purpose` starts from.
    ///
    /// # Errors
    /// As [`Exporter::export_keying_material`].
    pub fn keying_material(
        &self,
        channel: &impl Exporter,
        purpose: Purpose,
        client: ClientId<'_>,
    ) -> Result<KeyingMaterial, ExporterError> {
        if !channel.protocol().has_unique_secrets() {
            return Err(ExporterError::NotUnique);
        }
        let mut buffer = [0; MAX_PURPOSE_LEN + 1 + MAX_CLIENT_ID_LEN];
        let context = match self.context {
            ContextRule::ClientId => client.as_bytes(),
            ContextRule::Fixed {
                api_key,
                signing,
                encryption,
            } => match purpose {
                Purpose::ApiKey => api_key,
                Purpose::Signing => signing,
                Purpose::Encryption => encryption,
            },
            ContextRule::PurposeAndClientId => {
                let mut writer = Writer::new(&mut buffer);
                for part in [purpose.name(), &[0], client.as_bytes()] {
                    writer
                        .put(part)
                        .map_err(|_| ExporterError::ContextTooLong {
                            actual: client.as_bytes().len(),
                        })?;
                }
                writer.finish()
            }
        };
        let mut material = KeyingMaterial::default();
        channel.export_keying_material(self.exporter_label, Some(context), material.as_mut())?;
        Ok(material)
    }
}

/// What a key is for. Under every rule but [`ContextRule::ClientId`] each purpose has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Sent as it is, once, by the device.
    ApiKey,
    /// Signs a JWS.
    Signing,
    /// Encrypts a JWE.
    Encryption,
}

impl Purpose {
    fn name(self) -> &'static [u8] {
        match self {
            Self::ApiKey => b"api-key",
            Self::Signing => b"signing",
            Self::Encryption => b"encryption",
        }
    }
}

const MAX_PURPOSE_LEN: usize = 10;

/// What goes into the exporter as context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContextRule<'a> {
    /// The client id: one key for all purposes.
    ClientId,
    /// Fixed bytes for each purpose: one key for all clients that share an HMAC key.
    Fixed {
        /// The context of [`Purpose::ApiKey`].
        api_key: &'a [u8],
        /// The context of [`Purpose::Signing`].
        signing: &'a [u8],
        /// The context of [`Purpose::Encryption`].
        encryption: &'a [u8],
    },
    /// `api-key`, `signing` or `encryption`, then 00, then the client id.
    PurposeAndClientId,
}

/// The name under which a gateway knows a device: 1 to [`MAX_CLIENT_ID_LEN`] visible ASCII characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientId<'a>(&'a str);

impl<'a> ClientId<'a> {
    /// Checks a client id.
    ///
    /// # Errors
    /// [`ClientIdError`]
    pub fn new(id: &'a str) -> Result<Self, ClientIdError> {
        if id.is_empty() {
            return Err(ClientIdError::Empty);
        }
        if id.len() > MAX_CLIENT_ID_LEN {
            return Err(ClientIdError::TooLong { actual: id.len() });
        }
        if !id.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ClientIdError::NotVisibleAscii);
        }
        Ok(Self(id))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &'a str {
        self.0
    }

    fn as_bytes(&self) -> &'a [u8] {
        self.0.as_bytes()
    }
}

impl<'a> TryFrom<&'a str> for ClientId<'a> {
    type Error = ClientIdError;

    fn try_from(id: &'a str) -> Result<Self, ClientIdError> {
        Self::new(id)
    }
}

impl fmt::Display for ClientId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Why a client id cannot be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientIdError {
    /// It has no characters.
    Empty,
    /// It is longer than [`MAX_CLIENT_ID_LEN`].
    TooLong {
        /// Bytes given.
        actual: usize,
    },
    /// It has a space, a control character or one outside ASCII.
    NotVisibleAscii,
}

impl fmt::Display for ClientIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the client id is empty: give 1 to 255 visible ASCII characters"),
            Self::TooLong { actual } => write!(
                f,
                "the client id has {actual} bytes: give at most {MAX_CLIENT_ID_LEN}"
            ),
            Self::NotVisibleAscii => f.write_str(
                "the client id has a character that is not visible ASCII: use letters, digits and punctuation without spaces",
            ),
        }
    }
}

impl core::error::Error for ClientIdError {}
