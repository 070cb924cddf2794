//! The type definitions that upstream's encoder writes before values of these types, without the version byte.

use crate::crypto::sha256;

/// The definitions for [`BLESSINGS_TYPE`].
pub(crate) const BLESSINGS: &[u8] = include_bytes!("blessings.types");
/// `v.io/v23/security.WireBlessings`
pub(crate) const BLESSINGS_TYPE: u64 = 41;

/// The definitions for [`DISCHARGE_TYPE`].
pub(crate) const DISCHARGE: &[u8] = include_bytes!("discharge.types");
/// `v.io/v23/security.WireDischarge`
pub(crate) const DISCHARGE_TYPE: u64 = 41;

/// The definitions for [`FLOW_TYPE`].
#[cfg(feature = "blessing-channel")]
pub(crate) const FLOW: &[u8] = include_bytes!("flow.types");
/// `v.io/x/ref/runtime/internal/flow/conn.BlessingsFlowMessage`
#[cfg(feature = "blessing-channel")]
pub(crate) const FLOW_TYPE: u64 = 41;

/// The definitions for `time.Time`, whose type is 41.
pub(crate) const TIME: &[u8] = include_bytes!("time.types");
/// The definitions for a list of `v.io/v23/security.BlessingPattern`, whose type is 41.
pub(crate) const PATTERNS: &[u8] = include_bytes!("patterns.types");
/// The definitions for `v.io/v23/security.publicKeyThirdPartyCaveatParam`, whose type is 41.
pub(crate) const THIRD_PARTY: &[u8] = include_bytes!("third_party.types");
/// Definitions with which an encoding must begin, by their SHA-256. A client over TLS encodes nothing, and so its firmware has no copy of them.
pub(crate) struct Required {
    len: usize,
    sha256: [u8; 32],
}

/// Those of [`BLESSINGS`].
pub(crate) const REQUIRED_FOR_BLESSINGS: Required = Required {
    len: BLESSINGS.len(),
    sha256: [
        0xbc, 0xcf, 0xbf, 0xca, 0x20, 0x07, 0x92, 0x46, 0xec, 0xaa, 0xff, 0x26, 0x17, 0x68, 0xd9,
        0x31, 0x9b, 0x0a, 0x4d, 0x50, 0xde, 0xcd, 0x4f, 0x9a, 0xf2, 0xeb, 0xb7, 0xa6, 0xd6, 0xa8,
        0x03, 0x40,
    ],
};

/// Those of [`DISCHARGE`].
pub(crate) const REQUIRED_FOR_DISCHARGE: Required = Required {
    len: DISCHARGE.len(),
    sha256: [
        0x2b, 0xaa, 0xa4, 0xa5, 0x2e, 0x0a, 0xeb, 0x27, 0xd9, 0xc3, 0xa0, 0x49, 0x08, 0x32, 0x0c,
        0x95, 0x48, 0x04, 0xf0, 0xe8, 0xe0, 0x2b, 0xe2, 0xb7, 0xaf, 0x14, 0xd2, 0xeb, 0xb0, 0x14,
        0x97, 0x56,
    ],
};

impl Required {
    /// Returns whether an encoding begins with the version, these definitions and no others, and a value of the first type.
    pub(crate) fn are_in(&self, encoded: &[u8]) -> bool {
        let without_version = encoded.strip_prefix(&[super::VERSION]).unwrap_or_default();
        let split = without_version.split_at_checked(self.len);
        split.is_some_and(|(definitions, value)| {
            value.first() == Some(&FIRST_TYPE_OCTET) && sha256(definitions) == self.sha256
        })
    }
}

/// The built-in type of a bool.
pub(crate) const BOOL_TYPE: u64 = 1;
/// The built-in type of a list of strings.
pub(crate) const STRINGS_TYPE: u64 = 40;
/// The first type that a stream defines: the one of its values, because upstream numbers outer types first.
pub(crate) const FIRST_TYPE: u64 = 41;
/// The encoding of [`FIRST_TYPE`] before a value: as a signed number.
const FIRST_TYPE_OCTET: u8 = 82;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_definitions_are_those_that_are_written() {
        for (required, definitions) in [
            (REQUIRED_FOR_BLESSINGS, BLESSINGS),
            (REQUIRED_FOR_DISCHARGE, DISCHARGE),
        ] {
            assert_eq!(required.len, definitions.len());
            assert_eq!(required.sha256, sha256(definitions));
        }
    }
}
