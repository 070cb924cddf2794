use chanbind_core::{
    crypto::ecdsa::P256,
    x509::{Anchors, PathRules, Time, Usage},
};
use core::fmt;
use embedded_tls::MaxFragmentLength;
#[cfg(feature = "client-certificates")]
use p256::ecdsa::SigningKey;

/// Whom to connect to, and how it is known that it is them.
#[derive(Debug, Clone)]
pub struct Config<'a> {
    pub(crate) authentication: Authentication<'a>,
    /// The name that is asked for, unless it is an IP address (RFC 6066 section 3).
    pub(crate) server_name: Option<&'a str>,
    #[cfg(feature = "client-certificates")]
    pub(crate) client: Option<ClientCertificate<'a>>,
    pub(crate) max_fragment_length: Option<MaxFragmentLength>,
    pub(crate) p256: &'static dyn P256,
}

#[derive(Clone)]
pub(crate) enum Authentication<'a> {
    /// A certificate with this name, by a path as these rules ask for.
    Path {
        rules: PathRules<'a>,
        name: &'a str,
    },
    /// A certificate with the key whose SubjectPublicKeyInfo has this SHA-256, whatever else it says.
    Pin(&'a [u8; 32]),
    /// Whoever has this key.
    Psk {
        identity: &'a [u8],
        key: &'a [u8],
    },
    None,
}

impl fmt::Debug for Authentication<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path { name, .. } => write!(f, "certificate of {name}"),
            Self::Pin(_) => f.write_str("pinned key"),
            Self::Psk { .. } => f.write_str("pre-shared key (hidden)"),
            Self::None => f.write_str("none"),
        }
    }
}

impl<'a> Config<'a> {
    /// A server whose certificate is for `name`, a DNS name or an IP address, and is signed by one of `anchors`, directly or by
    /// way of others; good at `time`.
    #[must_use]
    pub fn with_authority(name: &'a str, anchors: &'a Anchors<'a>, time: Time) -> Self {
        Self::with_path_rules(name, PathRules::new(anchors, Usage::ServerAuth, time))
    }

    /// A server whose certificate is for `name`, and as `rules` ask for: with a pinned key beside the authority, say. It must be a
    /// server's, whatever usage the rules ask for.
    #[must_use]
    pub fn with_path_rules(name: &'a str, rules: PathRules<'a>) -> Self {
        let rules = rules.with_usage(Usage::ServerAuth);
        Self::new(Authentication::Path { rules, name }, Some(name))
    }

    /// A server whose certificate has the key with this pin (SHA-256 of its SubjectPublicKeyInfo, see
    /// [`chanbind_core::x509::spki_sha256`]). Nothing else of the certificate is looked at: it may be self-signed, expired, or
    /// for another name. `server_name` is what is asked for (RFC 6066 section 3).
    #[must_use]
    pub fn with_spki_pin(pin: &'a [u8; 32], server_name: Option<&'a str>) -> Self {
        Self::new(Authentication::Pin(pin), server_name)
    }

    /// A server that has the pre-shared key (RFC 8446 section 2.2), with a key exchange beside it; certificates are not looked at.
    ///
    /// # Errors
    /// [`InvalidConfig::Psk`] for an identity that is empty or has more than 128 bytes, for a key of less than 16 bytes, which could be
    /// found by trying, or of more than 64, and for one of zeroes, which TLS takes for no key at all.
    pub fn with_psk(identity: &'a [u8], key: &'a [u8]) -> Result<Self, InvalidConfig> {
        let is_something = key.iter().any(|&byte| byte != 0);
        if matches!(identity.len(), 1..=128) && matches!(key.len(), 16..=64) && is_something {
            Ok(Self::new(Authentication::Psk { identity, key }, None))
        } else {
            Err(InvalidConfig::Psk)
        }
    }

    /// **Dangerous**: any server, also one in the middle, which then can read and change everything. What is exported on such a
    /// connection is shared with whoever is at its other end.
    #[must_use]
    pub fn dangerous_without_authentication(server_name: Option<&'a str>) -> Self {
        Self::new(Authentication::None, server_name)
    }

    fn new(authentication: Authentication<'a>, server_name: Option<&'a str>) -> Self {
        Self {
            authentication,
            server_name: server_name.filter(|name| is_dns_name(name)),
            #[cfg(feature = "client-certificates")]
            client: None,
            max_fragment_length: None,
            p256: chanbind_core::crypto::ecdsa::RUST_CRYPTO,
        }
    }

    /// Shown to a server that asks for it (feature `client-certificates`).
    #[cfg(feature = "client-certificates")]
    #[must_use]
    pub fn with_client_certificate(mut self, client: ClientCertificate<'a>) -> Self {
        self.client = Some(client);
        self
    }

    /// Asks the server for smaller records (RFC 6066 section 4). Not every server heeds it (OpenSSL does; rustls does not, and is
    /// to be configured): one that does not gets [`crate::ConnectError::RecordTooLarge`] when a record does not fit.
    #[must_use]
    pub fn with_max_fragment_length(mut self, len: MaxFragmentLength) -> Self {
        self.max_fragment_length = Some(len);
        self
    }

    /// Another implementation of P-256 for signatures, in certificates as well.
    #[must_use]
    pub fn with_p256(mut self, p256: &'static dyn P256) -> Self {
        self.p256 = p256;
        if let Authentication::Path { rules, name } = self.authentication {
            self.authentication = Authentication::Path {
                rules: rules.with_p256(p256),
                name,
            };
        }
        self
    }
}

/// What a client has to show: a certificate and its key.
#[cfg(feature = "client-certificates")]
#[derive(Clone)]
pub struct ClientCertificate<'a> {
    pub(crate) certificate: &'a [u8],
    pub(crate) key: SigningKey,
}

#[cfg(feature = "client-certificates")]
impl<'a> ClientCertificate<'a> {
    /// The certificate, DER, which must fit the write buffer; and the private key on P-256, 32 bytes.
    ///
    /// # Errors
    /// [`InvalidConfig::ClientKey`] for a key that is none.
    pub fn new(certificate: &'a [u8], private_key: &[u8; 32]) -> Result<Self, InvalidConfig> {
        let key = SigningKey::from_slice(private_key).map_err(|_| InvalidConfig::ClientKey)?;
        Ok(Self { certificate, key })
    }
}

#[cfg(feature = "client-certificates")]
impl fmt::Debug for ClientCertificate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientCertificate({} bytes)", self.certificate.len())
    }
}

/// The memory of a connection.
#[derive(Debug)]
pub struct Buffers<'b> {
    /// Holds one record of the server: [`Buffers::MAX_RECORD`] bytes, or [`Buffers::for_fragments`] where the server is known to
    /// send smaller ones.
    pub read: &'b mut [u8],
    /// Holds one record of the client: 1,024 bytes are comfortable; a client certificate must fit with 256 bytes to spare.
    pub write: &'b mut [u8],
}

impl<'b> Buffers<'b> {
    /// Both, the write buffer cut so that it does not make records longer than `max_fragment_length` allows, or TLS.
    pub(crate) fn split(
        self,
        max_fragment_length: Option<MaxFragmentLength>,
    ) -> (&'b mut [u8], &'b mut [u8]) {
        let fragment: usize = match max_fragment_length {
            None => 16_384,
            Some(MaxFragmentLength::Bits9) => 512,
            Some(MaxFragmentLength::Bits10) => 1_024,
            Some(MaxFragmentLength::Bits11) => 2_048,
            Some(MaxFragmentLength::Bits12) => 4_096,
        };
        let len = fragment.saturating_add(Self::WRITE_OVERHEAD);
        let len = len.min(self.write.len());
        (self.read, self.write.get_mut(..len).unwrap_or_default())
    }

    /// The longest record of TLS 1.3 without its header (RFC 8446 section 5.2).
    pub const MAX_RECORD: usize = 16_384 + 256;

    /// What embedded-tls keeps free in a write buffer.
    const WRITE_OVERHEAD: usize = 128;

    /// The shortest write buffer.
    pub const MIN_WRITE: usize = 512;

    /// The read buffer for a server that sends at most so many bytes of content in a record.
    #[must_use]
    pub const fn for_fragments(fragment_len: usize) -> usize {
        // One byte for the type, 16 for the tag, and some for padding.
        fragment_len.saturating_add(64)
    }
}

/// What cannot be a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidConfig {
    /// The pre-shared key, or its identity.
    Psk,
    /// The client's private key.
    ClientKey,
}

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Psk => "a pre-shared key has 16 to 64 bytes that are not all zero, and its identity 1 to 128",
            Self::ClientKey => {
                "the client's private key is no scalar of P-256: give 32 bytes, big-endian"
            }
        })
    }
}

impl core::error::Error for InvalidConfig {}

/// Whether it may stand in server_name: anything but an IP address.
fn is_dns_name(name: &str) -> bool {
    name.parse::<core::net::IpAddr>().is_err()
}
