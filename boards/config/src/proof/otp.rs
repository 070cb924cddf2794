//! The section `[proof.otp]`: one-time passwords of an HMAC key.

use crate::{ConfigError, Key, read_text};
use chanbind_core::{otp::ClientId, wire::Reader};

/// The tag of the section.
pub const TAG: u8 = 0x81;

/// A device that proves itself by one-time passwords, in the form of an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Section<'c> {
    /// The name by which the gateway knows the device.
    pub client_id: ClientId<'c>,
    /// The HMAC key in the TPM.
    pub key: Key<'c>,
}

impl<'c> Section<'c> {
    /// Reads a section.
    ///
    /// # Errors
    /// [`ConfigError::Malformed`]
    pub fn parse(value: &'c [u8]) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(value);
        let id = read_text(&mut reader)?;
        Ok(Self {
            client_id: ClientId::new(id).map_err(|_| ConfigError::Malformed)?,
            key: Key::read(&mut reader)?,
        })
    }
}

#[cfg(feature = "build")]
pub(crate) mod file {
    use crate::build::{Context, Failure, KeyTable};
    use chanbind_core::{otp::ClientId, wire::Writer};
    use serde::Deserialize;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Section {
        client_id: Option<String>,
        key: KeyTable,
    }

    impl Section {
        pub(crate) fn encode(&self, context: &Context<'_>) -> Result<Vec<u8>, Failure> {
            let id = self.client_id.as_deref().unwrap_or(context.name);
            ClientId::new(id).map_err(|error| format!("proof.otp.client_id {id:?}: {error}"))?;
            let key = self.key.decode("proof.otp.key")?;
            context.encode(|writer: &mut Writer<'_>| {
                writer.sized16(id.as_bytes())?;
                key.write(writer)
            })
        }
    }
}
