//! Templates of primary keys. A chip creates the same key from the same template every time, until it is cleared.

use chanbind_core::wire::{Full, Writer};

/// A TPM2B_PUBLIC from which TPM2_CreatePrimary creates a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Template {
    area: &'static [u8],
    /// The field `unique`, if it is not part of `area`: for each of its TPM2Bs, the number of zeroes that it contains.
    unique: &'static [u16],
}

impl Template {
    /// Creates a template from a whole TPMT_PUBLIC, without the two bytes of size. Use it for keys of other kinds, such as the
    /// endorsement key of the TCG's EK Credential Profile and the attestation keys of its "TPM 2.0 Keys for Device Identity and
    /// Attestation".
    #[must_use]
    pub const fn new(public_area: &'static [u8]) -> Self {
        Self {
            area: public_area,
            unique: &[],
        }
    }

    /// Template H-2 of the TCG's EK Credential Profile with an empty `unique`, ECC P-256: the parent in key files of
    /// `chanbind provision`, OpenSSL's provider and tpm2-tools.
    pub const H2: Self = Self {
        area: &ECC_P256,
        unique: &[0, 0],
    };
    /// The storage root key of the TCG's TPM 2.0 Provisioning Guidance, ECC P-256: H-2 with a `unique` of twice 32 zeroes.
    pub const SRK_ECC_P256: Self = Self {
        area: &ECC_P256,
        unique: &[32, 32],
    };
    /// The storage root key of the TCG's TPM 2.0 Provisioning Guidance, RSA-2048. This crate cannot salt sessions with it, and a
    /// chip may take minutes to create it.
    pub const SRK_RSA_2048: Self = Self {
        area: &RSA_2048,
        unique: &[256],
    };

    /// Appends the TPM2B_PUBLIC.
    pub(super) fn write(self, out: &mut Writer<'_>) -> Result<(), Full> {
        let size = self.unique.iter().fold(self.area.len(), |sum, &zeroes| {
            sum.saturating_add(2).saturating_add(zeroes.into())
        });
        out.u16(u16::try_from(size).map_err(|_| Full)?)?;
        out.put(self.area)?;
        for &zeroes in self.unique {
            out.u16(zeroes)?;
            out.zeroes(zeroes.into())?;
        }
        Ok(())
    }
}

/// ECC, SHA-256, fixedTPM | fixedParent | sensitiveDataOrigin | userWithAuth | noDA | restricted | decrypt, no policy,
/// AES-128-CFB, no scheme, P-256, no KDF.
const ECC_P256: [u8; 22] = [
    0x00, 0x23, 0x00, 0x0b, 0x00, 0x03, 0x04, 0x72, 0x00, 0x00, 0x00, 0x06, 0x00, 0x80, 0x00, 0x43,
    0x00, 0x10, 0x00, 0x03, 0x00, 0x10,
];

/// RSA, SHA-256, the same attributes, AES-128-CFB, no scheme, 2048 bits, exponent 65537.
const RSA_2048: [u8; 24] = [
    0x00, 0x01, 0x00, 0x0b, 0x00, 0x03, 0x04, 0x72, 0x00, 0x00, 0x00, 0x06, 0x00, 0x80, 0x00, 0x43,
    0x00, 0x10, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00,
];
