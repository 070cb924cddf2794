use core::fmt;

/// A signature scheme of TLS 1.3, identified by its code point (RFC 8446 section 4.2.3).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignatureScheme(pub u16);

impl SignatureScheme {
    /// `ecdsa_secp256r1_sha256`, which every device supports.
    pub const ECDSA_SECP256R1_SHA256: Self = Self(0x0403);
    /// `ecdsa_secp384r1_sha384`
    pub const ECDSA_SECP384R1_SHA384: Self = Self(0x0503);
    /// `ecdsa_secp521r1_sha512`
    pub const ECDSA_SECP521R1_SHA512: Self = Self(0x0603);
    /// `rsa_pss_rsae_sha256`
    pub const RSA_PSS_RSAE_SHA256: Self = Self(0x0804);
    /// `rsa_pss_rsae_sha384`
    pub const RSA_PSS_RSAE_SHA384: Self = Self(0x0805);
    /// `rsa_pss_rsae_sha512`
    pub const RSA_PSS_RSAE_SHA512: Self = Self(0x0806);
    /// `ed25519`
    pub const ED25519: Self = Self(0x0807);
    /// `rsa_pkcs1_sha256`, for certificates only.
    pub const RSA_PKCS1_SHA256: Self = Self(0x0401);
    /// `rsa_pkcs1_sha384`, for certificates only.
    pub const RSA_PKCS1_SHA384: Self = Self(0x0501);
    /// `rsa_pkcs1_sha512`, for certificates only.
    pub const RSA_PKCS1_SHA512: Self = Self(0x0601);

    /// Returns whether TLS 1.3 permits this scheme for signatures in handshake messages (RFC 8446 section 4.2.3).
    ///
    /// The code points of TLS 1.2, which combine a hash and a signature algorithm, are not permitted, except for ECDSA with the
    /// hash that belongs to its curve. PKCS #1 is permitted in certificates only.
    #[must_use]
    pub fn is_for_messages(self) -> bool {
        match self {
            Self::ECDSA_SECP256R1_SHA256
            | Self::ECDSA_SECP384R1_SHA384
            | Self::ECDSA_SECP521R1_SHA512 => true,
            // The code points 0x..20 are PKCS #1 for legacy clients.
            Self(other) => {
                let [hash, signature] = other.to_be_bytes();
                !(hash <= 6 && (signature <= 3 || signature == 0x20))
            }
        }
    }

    /// Returns the maximum length of a signature, in bytes. For RSA, this is the length with a key of 4,096 bits.
    #[must_use]
    pub fn max_signature_len(self) -> usize {
        match self {
            Self::ECDSA_SECP256R1_SHA256 => 72,
            Self::ECDSA_SECP384R1_SHA384 => 104,
            Self::ECDSA_SECP521R1_SHA512 => 139,
            Self::ED25519 => 64,
            _ => 512,
        }
    }

    /// Returns the name of the scheme in RFC 8446 or in IANA's registry, or `None` if the code point is unknown.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::ECDSA_SECP256R1_SHA256 => "ecdsa_secp256r1_sha256",
            Self::ECDSA_SECP384R1_SHA384 => "ecdsa_secp384r1_sha384",
            Self::ECDSA_SECP521R1_SHA512 => "ecdsa_secp521r1_sha512",
            Self::RSA_PSS_RSAE_SHA256 => "rsa_pss_rsae_sha256",
            Self::RSA_PSS_RSAE_SHA384 => "rsa_pss_rsae_sha384",
            Self::RSA_PSS_RSAE_SHA512 => "rsa_pss_rsae_sha512",
            Self::ED25519 => "ed25519",
            Self::RSA_PKCS1_SHA256 => "rsa_pkcs1_sha256",
            Self::RSA_PKCS1_SHA384 => "rsa_pkcs1_sha384",
            Self::RSA_PKCS1_SHA512 => "rsa_pkcs1_sha512",
            Self(0x0201) => "rsa_pkcs1_sha1",
            Self(0x0203) => "ecdsa_sha1",
            Self(0x0808) => "ed448",
            Self(0x0809) => "rsa_pss_pss_sha256",
            Self(0x080a) => "rsa_pss_pss_sha384",
            Self(0x080b) => "rsa_pss_pss_sha512",
            Self(0x0904) => "mldsa44",
            Self(0x0905) => "mldsa65",
            Self(0x0906) => "mldsa87",
            _ => return None,
        })
    }
}

impl fmt::Display for SignatureScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#06x}", self.0),
        }
    }
}

impl fmt::Debug for SignatureScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for SignatureScheme {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=u16:#06x}", self.0);
    }
}
