use super::KeyingMaterial;
use crate::error_messages;
use crate::{
    exporter::{Exporter, ExporterError},
    kdf::Layout,
    wire::Writer,
};
use core::fmt;

/// The maximum length of a client id, in bytes.
pub const MAX_CLIENT_ID_LEN: usize = 255;

/// The parameters by which both ends derive a one-time key from a channel. Both ends must use the same profile.
///
/// The default is the profile of this project. Its label is for private use (RFC 5705 section 4), its contexts separate purposes
/// and clients, and its layout is that of SP 800-108.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile<'a> {
    /// The exporter label.
    pub exporter_label: &'a [u8],
    /// The rule for the exporter context.
    pub context: ContextRule<'a>,
    /// The layout of the key derivation from the exported keying material.
    pub layout: Layout<'a>,
}

impl Profile<'static> {
    /// The profile for the API key of the public Go demo "TPM One Time Password using TLS SessionKey": the label
    /// `EXPORTER-my_label`, the client id as context, and Vault's counter mode.
    pub const GO_DEMO_API_KEY: Self = Self {
        exporter_label: b"EXPORTER-my_label",
        context: ContextRule::ClientId,
        layout: Layout::VAULT,
    };

    /// The profile for the JWT of that demo: the label `EXPORTER-Channel-Binding`, the contexts `sig_key` and `enc_key`, and a
    /// single HMAC.
    ///
    /// Use this profile only to interoperate with that demo. The label is also that of the public channel binding `tls-exporter`,
    /// so only the contexts separate the keys from it, and the contexts do not contain the client id.
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
    /// Exports the 32 bytes from which the key for `purpose` is derived.
    ///
    /// # Errors
    /// [`ExporterError::NotUnique`] if the channel's secrets are not unique to it, and the errors of
    /// [`Exporter::export_keying_material`].
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

/// The purpose of a key. Each purpose has its own key, except with [`ContextRule::ClientId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// The device sends the key itself, once.
    ApiKey,
    /// The key signs a JWS.
    Signing,
    /// The key encrypts a JWE.
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

/// The rule by which the exporter context is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContextRule<'a> {
    /// The context is the client id, so that all purposes have the same key.
    ClientId,
    /// The context is fixed for each purpose, so that all clients that share an HMAC key have the same key.
    Fixed {
        /// The context of [`Purpose::ApiKey`].
        api_key: &'a [u8],
        /// The context of [`Purpose::Signing`].
        signing: &'a [u8],
        /// The context of [`Purpose::Encryption`].
        encryption: &'a [u8],
    },
    /// The context is `api-key`, `signing` or `encryption`, followed by a zero byte and the client id.
    PurposeAndClientId,
}

/// The name by which a gateway identifies a device: 1 to [`MAX_CLIENT_ID_LEN`] visible ASCII characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientId<'a>(pub(super) &'a str);

impl<'a> ClientId<'a> {
    /// Creates a client id after checking its length and its characters.
    ///
    /// # Errors
    /// [`ClientIdError`] if `id` is empty, is longer than [`MAX_CLIENT_ID_LEN`] bytes, or has a character other than visible
    /// ASCII.
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

    /// Returns the id as text.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
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

/// The error of an invalid client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientIdError {
    /// The client id is empty.
    Empty,
    /// The client id is longer than [`MAX_CLIENT_ID_LEN`].
    TooLong {
        /// The length of the client id, in bytes.
        actual: usize,
    },
    /// The client id contains a space, a control character or a character outside ASCII.
    NotVisibleAscii,
}

error_messages! { ClientIdError {
    Self::Empty => "the client id is empty: use 1 to 255 visible ASCII characters";
    Self::TooLong { actual } => "the client id has {} bytes: use at most {}", actual, MAX_CLIENT_ID_LEN;
    Self::NotVisibleAscii => "the client id has a character that is not visible ASCII: use letters, digits and punctuation without spaces";
}}

impl core::error::Error for ClientIdError {}
