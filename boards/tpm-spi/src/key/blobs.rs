use super::WrongKey;
use crate::command::{AlgorithmId, ECC_NIST_P256, Name, read_point};
use chanbind_core::{crypto::ecdsa::PublicPoint, wire::Reader};

/// A key that a TPM has wrapped. It consists of two blobs, neither of which is secret: `private` and `public` of the key file that
/// `chanbind provision` writes (`chanbind::tpm::KeyFile`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyBlobs<'k> {
    private: &'k [u8],
    public: &'k [u8],
}

impl<'k> KeyBlobs<'k> {
    /// Creates a key from its TPM2B_PRIVATE and TPM2B_PUBLIC, each with its two bytes of size. Returns `None` if a size does not
    /// match the length of its blob.
    #[must_use]
    pub fn new(private: &'k [u8], public: &'k [u8]) -> Option<Self> {
        for blob in [private, public] {
            let mut reader = Reader::new(blob);
            reader.sized16().ok()?;
            if !reader.is_empty() {
                return None;
            }
        }
        Some(Self { private, public })
    }

    pub(super) fn private(&self) -> &'k [u8] {
        self.private
    }

    pub(super) fn public(&self) -> &'k [u8] {
        self.public
    }

    /// Returns the TPMT_PUBLIC, without the two bytes of size.
    pub(super) fn public_area(&self) -> &'k [u8] {
        self.public.get(2..).unwrap_or_default()
    }
}

/// The kinds of key that [`super::TpmKeys`] can use.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Hmac,
    Signing,
}

impl Kind {
    /// Checks that a public area is of this kind and that the key can be used with a password. Returns the name and the point of
    /// the key; the point of an HMAC key is zero.
    pub(super) fn check(self, public_area: &[u8]) -> Result<(Name, PublicPoint), WrongKey> {
        let (attributes, name, point) = self.parse(public_area).ok_or(WrongKey::Kind)?;
        if attributes & USER_WITH_AUTH == 0 {
            return Err(WrongKey::Policy);
        }
        Ok((name, point))
    }

    fn parse(self, public_area: &[u8]) -> Option<(u32, Name, PublicPoint)> {
        let mut reader = Reader::new(public_area);
        let (algorithm, name_algorithm) = (reader.u16().ok()?, reader.u16().ok()?);
        let attributes = reader.u32().ok()?;
        reader.sized16().ok()?;
        let wanted = match self {
            Self::Hmac => AlgorithmId::KEYED_HASH,
            Self::Signing => AlgorithmId::ECC,
        };
        if algorithm != wanted.0
            || name_algorithm != AlgorithmId::SHA256.0
            || attributes & SIGN == 0
            || attributes & RESTRICTED != 0
        {
            return None;
        }
        let point = match self {
            Self::Hmac => {
                check_scheme(&mut reader, AlgorithmId::HMAC)?;
                reader.sized16().ok()?;
                PublicPoint {
                    x: [0; 32],
                    y: [0; 32],
                }
            }
            Self::Signing => {
                let symmetric = reader.u16().ok()?;
                check_scheme(&mut reader, AlgorithmId::ECDSA)?;
                let curve = reader.u16().ok()?;
                let kdf = reader.u16().ok()?;
                if (symmetric, curve, kdf)
                    != (AlgorithmId::NULL.0, ECC_NIST_P256, AlgorithmId::NULL.0)
                {
                    return None;
                }
                read_point(&mut reader).ok()?
            }
        };
        let name = Name::of_public(public_area).ok()?;
        reader.is_empty().then_some((attributes, name, point))
    }
}

/// Reads a scheme. It must be `wanted` with SHA-256, or the null scheme, with which the command selects the scheme.
fn check_scheme(reader: &mut Reader<'_>, wanted: AlgorithmId) -> Option<()> {
    let scheme = reader.u16().ok()?;
    let is_right = scheme == AlgorithmId::NULL.0
        || (scheme == wanted.0 && reader.u16().ok()? == AlgorithmId::SHA256.0);
    is_right.then_some(())
}

/// Attributes of an object, TPMA_OBJECT.
const USER_WITH_AUTH: u32 = 0x0000_0040;
const RESTRICTED: u32 = 0x0001_0000;
const SIGN: u32 = 0x0004_0000;
