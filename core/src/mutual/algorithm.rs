use super::{Number, SecretNumber, kam3, numbers};
use core::fmt;

/// The largest natural length of an element of a group, in bytes: 33 with P-256 alone, 66 with the feature `mutual-p521`, 512 with
/// `mutual-dl`.
pub const MAX_ELEMENT_LEN: usize = if cfg!(feature = "mutual-dl") {
    512
} else if cfg!(feature = "mutual-p521") {
    66
} else {
    33
};

/// The iterations of PBKDF2 by which pi is derived: nIterPi of all algorithms (RFC 8121 section 3).
pub const ITERATIONS: u32 = 16_384;

/// An authentication algorithm (RFC 8121 section 3). A firmware image links only the algorithms that it names.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Algorithm(Id);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Id {
    P256Sha256,
    #[cfg(feature = "mutual-p521")]
    P521Sha512,
    #[cfg(feature = "mutual-dl")]
    Dl2048Sha256,
    #[cfg(feature = "mutual-dl")]
    Dl4096Sha512,
}

/// The representation of the numbers of an algorithm in header fields (RFC 8120 section 3.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberFormat {
    /// hex-fixed-number, sent as a token.
    Hex,
    /// base64-fixed-number, sent as a quoted string.
    #[cfg(feature = "mutual-dl")]
    Base64,
}

/// The functions of an algorithm over octets.
pub(super) trait Suite {
    fn token(&self) -> &'static str;
    fn element_len(&self) -> usize;
    fn hash_len(&self) -> usize;
    fn format(&self) -> NumberFormat;
    // Secrets are written to their place, so that no copies of them stay behind.
    /// Writes H of the concatenated parts.
    fn hash(&self, parts: &[&[u8]], out: &mut SecretNumber);
    /// Writes PBKDF2-HMAC-H with [`ITERATIONS`], of the length of the hash.
    fn stretch(&self, password: &[u8], salt: &[u8], pi: &mut SecretNumber);
    /// Writes a number from 1 to r-1 that is large enough for S_c1, from the random bytes. Returns false if they give none.
    #[must_use]
    fn scalar(&self, seed: &[u8; 64], out: &mut SecretNumber) -> bool;
    /// Returns J(pi).
    fn stored(&self, pi: &SecretNumber) -> Option<Number>;
    /// Returns K_c1; `None` if S_c1 is out of range, or if S_c1 * t_1 + pi has no inverse.
    fn client_value(&self, pi: &SecretNumber, client_secret: &SecretNumber) -> Option<Number>;
    /// Writes z at the client; `None` if K_s1 or z is out of range.
    fn client_z(
        &self,
        pi: &SecretNumber,
        client_secret: &SecretNumber,
        values: (&Number, &Number),
        z: &mut SecretNumber,
    ) -> Option<()>;
}

/// The functions that only servers need. They are apart, so that the firmware of a client does not link them.
pub(super) trait ServerSuite {
    /// Returns true if J is an element of the group.
    fn is_stored(&self, stored: &Number) -> bool;
    /// Returns K_s1; `None` if a value is out of range.
    fn server_value(
        &self,
        stored: &Number,
        server_secret: &SecretNumber,
        client_value: &Number,
    ) -> Option<Number>;
    /// Writes z at the server; `None` if a value is out of range.
    fn server_z(
        &self,
        server_secret: &SecretNumber,
        values: (&Number, &Number),
        z: &mut SecretNumber,
    ) -> Option<()>;
}

impl Algorithm {
    /// `iso-kam3-ec-p256-sha256`: P-256 with SHA-256.
    pub const P256_SHA256: Self = Self(Id::P256Sha256);

    /// `iso-kam3-ec-p521-sha512`: P-521 with SHA-512.
    #[cfg(feature = "mutual-p521")]
    pub const P521_SHA512: Self = Self(Id::P521Sha512);

    /// `iso-kam3-dl-2048-sha256`: the MODP group of 2048 bits (RFC 3526) with SHA-256.
    #[cfg(feature = "mutual-dl")]
    pub const DL2048_SHA256: Self = Self(Id::Dl2048Sha256);

    /// `iso-kam3-dl-4096-sha512`: the MODP group of 4096 bits (RFC 3526) with SHA-512.
    #[cfg(feature = "mutual-dl")]
    pub const DL4096_SHA512: Self = Self(Id::Dl4096Sha512);

    /// The algorithms of this build, the cheapest first.
    pub const ALL: &'static [Self] = &[
        Self::P256_SHA256,
        #[cfg(feature = "mutual-p521")]
        Self::P521_SHA512,
        #[cfg(feature = "mutual-dl")]
        Self::DL2048_SHA256,
        #[cfg(feature = "mutual-dl")]
        Self::DL4096_SHA512,
    ];

    /// Returns the token, in lower case.
    #[must_use]
    pub fn token(self) -> &'static str {
        self.suite().token()
    }

    /// Returns the natural length of K_c1, K_s1, J and z in bytes: 33, 66, 256 or 512.
    #[must_use]
    pub fn element_len(self) -> usize {
        self.suite().element_len()
    }

    /// Returns the length of the hash, and of VK_c and VK_s, in bytes: 32 or 64.
    #[must_use]
    pub fn hash_len(self) -> usize {
        self.suite().hash_len()
    }

    /// Returns the representation of `kc1`, `ks1`, `vkc` and `vks`.
    #[must_use]
    pub fn number_format(self) -> NumberFormat {
        self.suite().format()
    }

    pub(super) fn suite(self) -> &'static dyn Suite {
        match self.0 {
            Id::P256Sha256 => &kam3::P256_SHA256,
            #[cfg(feature = "mutual-p521")]
            Id::P521Sha512 => &kam3::P521_SHA512,
            #[cfg(feature = "mutual-dl")]
            Id::Dl2048Sha256 => &kam3::DL2048_SHA256,
            #[cfg(feature = "mutual-dl")]
            Id::Dl4096Sha512 => &kam3::DL4096_SHA512,
        }
    }

    pub(super) fn server_suite(self) -> &'static dyn ServerSuite {
        match self.0 {
            Id::P256Sha256 => &kam3::P256_SHA256,
            #[cfg(feature = "mutual-p521")]
            Id::P521Sha512 => &kam3::P521_SHA512,
            #[cfg(feature = "mutual-dl")]
            Id::Dl2048Sha256 => &kam3::DL2048_SHA256,
            #[cfg(feature = "mutual-dl")]
            Id::Dl4096Sha512 => &kam3::DL4096_SHA512,
        }
    }

    /// Writes H of the concatenated fields, and of the octet string `s` as VS(s).
    pub(super) fn hash(self, fields: [&[u8]; 5], s: &[u8], out: &mut SecretNumber) {
        let len = numbers::vs_len(s);
        let [one, two, three, four, five] = fields;
        (self.suite()).hash(&[one, two, three, four, five, &len, s], out);
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.token())
    }
}

impl fmt::Debug for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.token())
    }
}
