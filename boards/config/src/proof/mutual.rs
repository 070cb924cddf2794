//! The section `[proof.mutual]`: HTTP Mutual authentication (RFC 8120) of a user with a password or PIN.

use crate::{ConfigError, read_text};
use chanbind_core::wire::Reader;
use core::fmt;

/// The tag of the section.
pub const TAG: u8 = 0x83;

/// A device that proves itself by a password, which is in the configuration: as safe as the flash that it is in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Section<'c> {
    /// The name of the TPM's parent key, by which the device recognises the TPM that gives it random numbers.
    pub parent_name: &'c [u8],
    /// The name of the user, as RFC 8265 prepares it.
    pub user: &'c str,
    /// The password, as RFC 8265 prepares it.
    pub password: &'c str,
}

impl<'c> Section<'c> {
    /// Reads a section.
    ///
    /// # Errors
    /// [`ConfigError::Malformed`]
    pub fn parse(value: &'c [u8]) -> Result<Self, ConfigError> {
        let mut reader = Reader::new(value);
        Ok(Self {
            parent_name: reader.sized16()?,
            user: read_text(&mut reader)?,
            password: read_text(&mut reader)?,
        })
    }
}

impl fmt::Debug for Section<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Section({:?}, hidden)", self.user)
    }
}

#[cfg(feature = "build")]
pub(crate) mod file {
    use crate::build::{Context, Failure};
    use chanbind_core::{
        mutual::{MAX_PASSWORD_LEN, MAX_USER_LEN, is_prepared},
        wire::Writer,
    };
    use serde::Deserialize;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Section {
        parent_name: String,
        user: String,
        password: String,
    }

    impl Section {
        pub(crate) fn encode(&self, context: &Context<'_>) -> Result<Vec<u8>, Failure> {
            let parent_name = hex::decode(&self.parent_name).map_err(|error| {
                format!("proof.mutual.parent_name: {error}: give hexadecimal digits")
            })?;
            for (name, text, max) in [
                ("user", &self.user, MAX_USER_LEN),
                ("password", &self.password, MAX_PASSWORD_LEN),
            ] {
                if text.len() > max || !is_prepared(text) {
                    return Err(format!(
                        "proof.mutual.{name}: write 1 to {max} bytes without control characters"
                    )
                    .into());
                }
            }
            context.encode(|writer: &mut Writer<'_>| {
                writer.sized16(&parent_name)?;
                writer.sized16(self.user.as_bytes())?;
                writer.sized16(self.password.as_bytes())
            })
        }
    }
}
