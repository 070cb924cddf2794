//! The section `[proof.authenticator]`: Exported Authenticators (RFC 9261) of a certificate's key.

use crate::{ConfigError, Key};
use chanbind_core::wire::Reader;
use heapless::Vec;

/// The tag of the section.
pub const TAG: u8 = 0x82;

/// The number of certificates that a device can have: its own, and those between that and the authority.
pub const MAX_CERTIFICATES: usize = 3;

/// The maximum length of all certificates together, in bytes.
pub const MAX_CERTIFICATES_LEN: usize = 1600;

/// A device that proves itself by Exported Authenticators.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section<'c> {
    /// The device's certificates, DER, its own first.
    pub certificates: Vec<&'c [u8], MAX_CERTIFICATES>,
    /// The ECDSA key in the TPM.
    pub key: Key<'c>,
}

impl<'c> Section<'c> {
    /// Reads a section.
    ///
    /// # Errors
    /// [`ConfigError::Malformed`]
    pub fn parse(value: &'c [u8]) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(value);
        let mut certificates = Vec::new();
        for _ in 0..reader.u8()? {
            let pushed = certificates.push(reader.sized16()?);
            pushed.map_err(|_| ConfigError::Malformed)?;
        }
        Ok(Self {
            certificates,
            key: Key::read(&mut reader)?,
        })
    }
}

#[cfg(feature = "build")]
pub(crate) mod file {
    use super::{MAX_CERTIFICATES, MAX_CERTIFICATES_LEN};
    use crate::build::{Context, Failure, KeyTable};
    use chanbind_core::wire::{Full, Writer};
    use serde::Deserialize;
    use std::path::PathBuf;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Section {
        certificates: Vec<PathBuf>,
        key: KeyTable,
    }

    impl Section {
        pub(crate) fn encode(&self, context: &Context<'_>) -> Result<Vec<u8>, Failure> {
            let certificates = context.certificates(&self.certificates)?;
            if certificates.is_empty() || certificates.len() > MAX_CERTIFICATES {
                return Err(format!(
                    "proof.authenticator.certificates: {}: give the device's own and those between it and its authority, 1 to {MAX_CERTIFICATES}",
                    certificates.len()
                )
                .into());
            }
            let len: usize = certificates.iter().map(Vec::len).sum();
            if len > MAX_CERTIFICATES_LEN {
                return Err(format!(
                    "proof.authenticator.certificates: {len} bytes: the firmware has room for {MAX_CERTIFICATES_LEN}; have smaller ones issued, on P-256"
                )
                .into());
            }
            let key = self.key.decode("proof.authenticator.key")?;
            context.encode(|writer: &mut Writer<'_>| {
                writer.u8(u8::try_from(certificates.len()).map_err(|_| Full)?)?;
                for certificate in &certificates {
                    writer.sized16(certificate)?;
                }
                key.write(writer)
            })
        }
    }
}
