//! The sections of the kinds of proof.

pub mod authenticator;
pub mod blessing;
pub mod mutual;
pub mod otp;

/// The kinds of proof that a configuration can have, by the tags of their sections.
const KINDS: [(u8, &str); 4] = [
    (otp::TAG, "otp"),
    (authenticator::TAG, "authenticator"),
    (mutual::TAG, "mutual"),
    (blessing::TAG, "blessing"),
];

/// Returns the name of the kind of proof with this tag: also of kinds that a firmware is built without.
#[must_use]
pub fn name(tag: u8) -> Option<&'static str> {
    KINDS
        .iter()
        .find(|(known, _)| *known == tag)
        .map(|(_, name)| *name)
}

/// Sections as they stand in a configuration file, and their encoding.
#[cfg(feature = "build")]
pub(crate) mod file {
    use super::{authenticator, blessing, mutual, otp};
    use crate::build::{Context, Failure};
    use serde::Deserialize;

    /// A section for each kind of proof; a device has one.
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Proofs {
        otp: Option<otp::file::Section>,
        authenticator: Option<authenticator::file::Section>,
        mutual: Option<mutual::file::Section>,
        blessing: Option<blessing::file::Section>,
    }

    impl Proofs {
        /// Encodes the section that the file has.
        pub(crate) fn encode(&self, context: &Context<'_>) -> Result<(u8, Vec<u8>), Failure> {
            let mut all = Vec::new();
            if let Some(section) = &self.otp {
                all.push((otp::TAG, section.encode(context)?));
            }
            if let Some(section) = &self.authenticator {
                all.push((authenticator::TAG, section.encode(context)?));
            }
            if let Some(section) = &self.mutual {
                all.push((mutual::TAG, section.encode(context)?));
            }
            if let Some(section) = &self.blessing {
                all.push((blessing::TAG, section.encode(context)?));
            }
            if all.len() > 1 {
                return Err("two kinds of proof: keep one section [proof.KIND]".into());
            }
            all.pop().ok_or_else(|| {
                "no proof: add what `chanbind provision --device-config` writes, a section [proof.KIND]".into()
            })
        }
    }
}
