use chanbind_core::{
    crypto::ecdsa::P256,
    x509::{Anchors, PathRules, Time, Usage},
};
use core::fmt;
use embedded_tls::MaxFragmentLength;
#[cfg(feature = "client-certificates")]
use p256::ecdsa::SigningKey;

/// The configuration of a client: how it authenticates the server, and what it offers.
#[derive(Debug, Clone)]
pub struct Config<'a> {
    pub(crate) authentication: Authentication<'a>,
    /// The server_name extension; not sent for an IP address (RFC 6066 section 3).
    pub(crate) server_name: Option<&'a str>,
    #[cfg(feature = "client-certificates")]
    pub(crate) client: Option<ClientCertificate<'a>>,
    pub(crate) max_fragment_length: Option<MaxFragmentLength>,
    pub(crate) p256: &'static dyn P256,
}

#[derive(Clone)]
pub(crate) enum Authentication<'a> {
    /// A certificate for `name` whose path satisfies `rules`.
    Path {
        rules: PathRules<'a>,
        name: &'a str,
    },
    /// A certificate whose SubjectPublicKeyInfo has this SHA-256; nothing else in it is checked.
    Pin(&'a [u8; 32]),
    /// Knowledge of this pre-shared key.
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
    /// Accepts a server whose certificate is for `name`, a DNS name or an IP address, is valid at `time`, and chains to one of
    /// `anchors`, directly or through intermediate certificates.
    #[must_use]
    pub fn with_authority(name: &'a str, anchors: &'a Anchors<'a>, time: Time) -> Self {
        Self::with_path_rules(name, PathRules::new(anchors, Usage::ServerAuth, time))
    }

    /// Accepts a server whose certificate is for `name` and satisfies `rules`, for example with a pinned key in addition to the
    /// authority. The usage of `rules` is replaced by [`Usage::ServerAuth`].
    #[must_use]
    pub fn with_path_rules(name: &'a str, rules: PathRules<'a>) -> Self {
        let rules = rules.with_usage(Usage::ServerAuth);
        Self::new(Authentication::Path { rules, name }, Some(name))
    }

    /// Accepts a server whose certificate has the key with this pin (SHA-256 of its SubjectPublicKeyInfo, see
    /// [`chanbind_core::x509::spki_sha256`]). Nothing else in the certificate is checked: it may be self-signed, expired, or for
    /// another name. `server_name` is sent to the server (RFC 6066 section 3) unless it is an IP address.
    #[must_use]
    pub fn with_spki_pin(pin: &'a [u8; 32], server_name: Option<&'a str>) -> Self {
        Self::new(Authentication::Pin(pin), server_name)
    }

    /// Accepts a server that has the pre-shared key (RFC 8446 section 2.2), in combination with a key exchange. Certificates are
    /// not used.
    ///
    /// # Errors
    /// [`InvalidConfig::Psk`] if the identity is not 1 to 128 bytes long, if the key is shorter than 16 bytes, which could be
    /// found by brute force, or longer than 64, or if all its bytes are zero, which TLS treats as the absence of a key.
    pub fn with_psk(identity: &'a [u8], key: &'a [u8]) -> Result<Self, InvalidConfig> {
        let is_nonzero = key.iter().any(|&byte| byte != 0);
        if matches!(identity.len(), 1..=128) && matches!(key.len(), 16..=64) && is_nonzero {
            Ok(Self::new(Authentication::Psk { identity, key }, None))
        } else {
            Err(InvalidConfig::Psk)
        }
    }

    /// **Dangerous**: accepts any server, including an attacker in the middle, who can then read and change everything. Keying
    /// material exported on such a connection is shared with an unauthenticated peer.
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

    /// Sets the certificate that the client sends if the server requests one (feature `client-certificates`).
    #[cfg(feature = "client-certificates")]
    #[must_use]
    pub fn with_client_certificate(mut self, client: ClientCertificate<'a>) -> Self {
        self.client = Some(client);
        self
    }

    /// Asks the server for smaller records (RFC 6066 section 4). Not every server supports this: OpenSSL does; rustls does not,
    /// and must be configured instead. With a server that ignores it, a record that does not fit the read buffer is reported as
    /// [`crate::ConnectError::RecordTooLarge`].
    #[must_use]
    pub fn with_max_fragment_length(mut self, len: MaxFragmentLength) -> Self {
        self.max_fragment_length = Some(len);
        self
    }

    /// Replaces the implementation of P-256 that verifies signatures, including those in certificates.
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

/// A client's certificate and its private key.
#[cfg(feature = "client-certificates")]
#[derive(Clone)]
pub struct ClientCertificate<'a> {
    pub(crate) certificate: &'a [u8],
    pub(crate) key: SigningKey,
}

#[cfg(feature = "client-certificates")]
impl<'a> ClientCertificate<'a> {
    /// Creates a client certificate from DER, which must fit the write buffer, and a private key on P-256, 32 bytes big-endian.
    ///
    /// # Errors
    /// [`InvalidConfig::ClientKey`] if the key is zero or not less than the order of P-256.
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

/// The record buffers of a connection.
#[derive(Debug)]
pub struct Buffers<'b> {
    /// Holds one record of the server: [`Buffers::MAX_RECORD`] bytes, or [`Buffers::for_fragments`] if the server is known to send
    /// smaller ones. At least [`Buffers::MIN_WRITE`] bytes.
    pub read: &'b mut [u8],
    /// Holds one record of the client: 1,024 bytes are enough without a client certificate, which must fit with 256 bytes to
    /// spare. At least [`Buffers::MIN_WRITE`] bytes.
    pub write: &'b mut [u8],
}

impl<'b> Buffers<'b> {
    /// Returns both buffers. The write buffer is shortened so that no record exceeds `max_fragment_length` or the limit of TLS.
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

    /// The number of bytes that embedded-tls reserves in a write buffer.
    const WRITE_OVERHEAD: usize = 128;

    /// The shortest write buffer that [`connect`](crate::connect) accepts, in bytes. It does not accept a shorter read buffer
    /// either.
    pub const MIN_WRITE: usize = 512;

    /// Returns the length of a read buffer for a server that sends at most `fragment_len` bytes of content in a record.
    #[must_use]
    pub const fn for_fragments(fragment_len: usize) -> usize {
        // One byte for the type, 16 for the tag, and some for padding.
        fragment_len.saturating_add(64)
    }
}

/// The reason why a configuration is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidConfig {
    /// The pre-shared key or its identity is invalid.
    Psk,
    /// The client's private key is invalid.
    ClientKey,
}

impl fmt::Display for InvalidConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Psk => "invalid pre-shared key: use a key of 16 to 64 bytes, not all zero, and an identity of 1 to 128 bytes",
            Self::ClientKey => {
                "the client's private key is not a scalar of P-256: use 32 bytes, big-endian"
            }
        })
    }
}

impl core::error::Error for InvalidConfig {}

/// Returns true if `name` may appear in server_name, which excludes IP addresses.
fn is_dns_name(name: &str) -> bool {
    name.parse::<core::net::IpAddr>().is_err()
}
