use chanbind_core::{
    crypto::sha256,
    wire::{Reader, Truncated},
};
use core::fmt;

/// The handle of an entity, TPM_HANDLE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Handle(pub u32);

impl Handle {
    /// TPM_RH_OWNER: the storage hierarchy.
    pub const OWNER: Self = Self(0x4000_0001);
    /// TPM_RH_NULL: no hierarchy, no entity.
    pub const NULL: Self = Self(0x4000_0007);
    /// TPM_RS_PW: a password instead of a session.
    pub const PASSWORD: Self = Self(0x4000_0009);
    /// TPM_RH_LOCKOUT: the entity whose authorization resets the dictionary attack counter.
    pub const LOCKOUT: Self = Self(0x4000_000a);
    /// TPM_RH_ENDORSEMENT: the privacy hierarchy.
    pub const ENDORSEMENT: Self = Self(0x4000_000b);
    /// TPM_RH_PLATFORM: the platform's hierarchy.
    pub const PLATFORM: Self = Self(0x4000_000c);

    /// Returns true for a transient object, which a reset of the chip removes.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        self.0 >> 24 == 0x80
    }

    /// Returns true for a session: an HMAC session or a policy session.
    #[must_use]
    pub const fn is_session(self) -> bool {
        matches!(self.0 >> 24, 0x02 | 0x03)
    }

    /// Returns true for a persistent object, which the chip keeps over a reset.
    #[must_use]
    pub const fn is_persistent(self) -> bool {
        self.0 >> 24 == 0x81
    }
}

/// The name of an entity (TPM 2.0 Part 1 chapter 16): the handle itself, or the hash algorithm and the hash of its public area.
/// This crate supports names of at most 34 bytes, the length of a SHA-256 name.
///
/// A name identifies the key to pin: it is infeasible to create another key with the same name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name {
    bytes: [u8; Self::MAX_LEN],
    len: u8,
}

impl Name {
    /// Maximum length of a name in bytes: the length of a SHA-256 name.
    pub const MAX_LEN: usize = 34;

    /// The empty name, which sequences have.
    pub(crate) const EMPTY: Self = Self {
        bytes: [0; Self::MAX_LEN],
        len: 0,
    };

    /// Creates a name from its bytes: for SHA-256, `000b` and 32 bytes, as `chanbind provision` prints it.
    ///
    /// # Errors
    /// [`UnsupportedName`] if `name` is longer than [`Name::MAX_LEN`] bytes.
    pub fn new(name: &[u8]) -> Result<Self, UnsupportedName> {
        let mut bytes = [0; Self::MAX_LEN];
        bytes
            .get_mut(..name.len())
            .ok_or(UnsupportedName)?
            .copy_from_slice(name);
        Ok(Self {
            bytes,
            len: u8::try_from(name.len()).map_err(|_| UnsupportedName)?,
        })
    }

    /// Computes the name of an object from its public area, a TPMT_PUBLIC without the two bytes of size.
    ///
    /// # Errors
    /// [`UnsupportedName`] if the area names another hash algorithm than SHA-256.
    pub fn of_public(public_area: &[u8]) -> Result<Self, UnsupportedName> {
        Self::of_area(public_area, 2)
    }

    /// Computes the name of an NV index from its public area, a TPMS_NV_PUBLIC without the two bytes of size.
    ///
    /// # Errors
    /// [`UnsupportedName`] if the area names another hash algorithm than SHA-256.
    pub fn of_nv_public(public_area: &[u8]) -> Result<Self, UnsupportedName> {
        Self::of_area(public_area, 4)
    }

    /// Computes a name: nameAlg, which is at offset `at`, and the hash of the area by this algorithm (Part 1 chapter 16).
    fn of_area(public_area: &[u8], at: usize) -> Result<Self, UnsupportedName> {
        let sha256_id = AlgorithmId::SHA256.0.to_be_bytes();
        let algorithm = public_area.get(at..).unwrap_or_default();
        if !algorithm.starts_with(&sha256_id) {
            return Err(UnsupportedName);
        }
        let mut name = [0; 34];
        let (algorithm, digest) = name.split_at_mut(2);
        algorithm.copy_from_slice(&sha256_id);
        digest.copy_from_slice(&sha256(public_area));
        Self::new(&name)
    }

    /// Returns the bytes of the name.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    const fn of_handle(handle: Handle) -> Self {
        let [a, b, c, d] = handle.0.to_be_bytes();
        let mut bytes = [0; Self::MAX_LEN];
        let (front, _) = bytes.split_at_mut(4);
        front.copy_from_slice(&[a, b, c, d]);
        Self { bytes, len: 4 }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Name(")?;
        for byte in self.as_bytes() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// The error for a name that is longer than 34 bytes, or that uses another hash algorithm than SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct UnsupportedName;

impl fmt::Display for UnsupportedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name is not a SHA-256 name: use keys and parents with nameAlg SHA-256")
    }
}

impl core::error::Error for UnsupportedName {}

/// An entity that a command refers to: its handle, and its name, which authorizations cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entity {
    handle: Handle,
    name: Name,
}

impl Entity {
    /// The storage hierarchy.
    pub const OWNER: Self = Self::named_by_handle(Handle::OWNER);
    /// The null entity, which stands for no entity.
    pub const NULL: Self = Self::named_by_handle(Handle::NULL);
    /// The entity whose authorization resets the dictionary attack counter.
    pub const LOCKOUT: Self = Self::named_by_handle(Handle::LOCKOUT);
    /// The privacy hierarchy.
    pub const ENDORSEMENT: Self = Self::named_by_handle(Handle::ENDORSEMENT);
    /// The platform's hierarchy.
    pub const PLATFORM: Self = Self::named_by_handle(Handle::PLATFORM);

    /// Creates the entity of a hierarchy, a PCR or a session, whose names are their handles.
    #[must_use]
    pub const fn named_by_handle(handle: Handle) -> Self {
        Self {
            handle,
            name: Name::of_handle(handle),
        }
    }

    /// Creates the entity of an object from its handle and name.
    #[must_use]
    pub const fn object(handle: Handle, name: Name) -> Self {
        Self { handle, name }
    }

    /// Creates the entity of a PCR from its number.
    #[must_use]
    pub const fn pcr(number: u8) -> Self {
        let [a, b, c, _] = [0u8; 4];
        Self::named_by_handle(Handle(u32::from_be_bytes([a, b, c, number])))
    }

    /// Returns the handle.
    #[must_use]
    pub const fn handle(&self) -> Handle {
        self.handle
    }

    /// Returns the name.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }
}

/// The identifier of an algorithm, TPM_ALG_ID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AlgorithmId(pub u16);

#[allow(missing_docs, reason = "the names are those of the specification")]
impl AlgorithmId {
    pub const HMAC: Self = Self(0x0005);
    pub const AES: Self = Self(0x0006);
    pub const KEYED_HASH: Self = Self(0x0008);
    pub const SHA1: Self = Self(0x0004);
    pub const SHA256: Self = Self(0x000b);
    pub const SHA384: Self = Self(0x000c);
    pub const NULL: Self = Self(0x0010);
    pub const ECDSA: Self = Self(0x0018);
    pub const ECC: Self = Self(0x0023);
    pub const CFB: Self = Self(0x0043);
}

/// The curve identifier TPM_ECC_NIST_P256.
pub(crate) const ECC_NIST_P256: u16 = 0x0003;

/// Reads a coordinate of at most 32 bytes. A TPM may omit leading zeroes; they are added.
pub(crate) fn coordinate(reader: &mut Reader<'_>) -> Result<[u8; 32], Truncated> {
    let bytes = reader.sized16()?;
    let mut full = [0; 32];
    let start = full.len().checked_sub(bytes.len()).ok_or(Truncated)?;
    full.get_mut(start..)
        .ok_or(Truncated)?
        .copy_from_slice(bytes);
    Ok(full)
}
