//! The section `[proof.blessing]`: a principal with Vanadium's blessings.

use crate::{ConfigError, Key, read_text};
use chanbind_core::wire::Reader;
use heapless::Vec;

/// The tag of the section.
pub const TAG: u8 = 0x84;

/// The number of roots that a device can recognize.
pub const MAX_ROOTS: usize = 4;

/// The number of patterns for servers.
pub const MAX_SERVERS: usize = 4;

/// The number of discharges.
pub const MAX_DISCHARGES: usize = 4;

/// The maximum length of the blessings and discharges together, in bytes.
pub const MAX_BLESSINGS_LEN: usize = 1536;

/// A device that proves itself by blessings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section<'c> {
    /// The blessings that the device shows to servers: VOM, with the definitions of the types.
    pub blessings: &'c [u8],
    /// Discharges of their third-party caveats: VOM, with the definitions of the types.
    pub discharges: Vec<&'c [u8], MAX_DISCHARGES>,
    /// The public keys of the roots, SubjectPublicKeyInfo in DER, with the pattern for the names that each may give.
    pub roots: Vec<(&'c [u8], &'c str), MAX_ROOTS>,
    /// The patterns for names of servers that are trusted.
    pub servers: Vec<&'c str, MAX_SERVERS>,
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
        Ok(Self {
            blessings: reader.sized16()?,
            discharges: list(&mut reader, |reader| Ok(reader.sized16()?))?,
            roots: list(&mut reader, |reader| {
                Ok((reader.sized16()?, read_text(reader)?))
            })?,
            servers: list(&mut reader, read_text)?,
            key: Key::read(&mut reader)?,
        })
    }
}

/// Reads a count and so many entries.
fn list<'c, T, const N: usize>(
    reader: &mut Reader<'c>,
    mut read: impl FnMut(&mut Reader<'c>) -> Result<T, ConfigError>,
) -> Result<Vec<T, N>, ConfigError> {
    let mut all = Vec::new();
    for _ in 0..reader.u8()? {
        let pushed = all.push(read(reader)?);
        pushed.map_err(|_| ConfigError::Malformed)?;
    }
    Ok(all)
}

#[cfg(feature = "build")]
pub(crate) mod file {
    use super::{MAX_BLESSINGS_LEN, MAX_DISCHARGES, MAX_ROOTS, MAX_SERVERS};
    use crate::build::{Context, Failure, KeyTable};
    use base64::{Engine, prelude::BASE64_URL_SAFE};
    use chanbind_core::{
        blessing::{EncodedBlessings, Pattern, PublicKey},
        wire::{Full, Writer},
    };
    use serde::Deserialize;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(crate) struct Section {
        blessings: String,
        #[serde(default)]
        discharges: Vec<String>,
        roots: Vec<String>,
        servers: Vec<String>,
        key: KeyTable,
    }

    impl Section {
        pub(crate) fn encode(&self, context: &Context<'_>) -> Result<Vec<u8>, Failure> {
            let blessings = decode("blessings", &self.blessings)?;
            check_blessings(&blessings)?;
            let discharges = self.discharges.iter().map(|one| decode("discharges", one));
            let discharges = discharges.collect::<Result<Vec<_>, _>>()?;
            let all = discharges.iter().chain([&blessings]);
            let len: usize = all.map(Vec::len).sum();
            if len > MAX_BLESSINGS_LEN {
                return Err(format!(
                    "proof.blessing.blessings: {len} bytes with the discharges: the firmware has room for {MAX_BLESSINGS_LEN}; give it fewer names"
                )
                .into());
            }
            let roots = self.roots.iter().map(|line| root(line));
            let roots = roots.collect::<Result<Vec<_>, _>>()?;
            for server in &self.servers {
                let pattern = Pattern(server);
                if !pattern.is_valid() || pattern.matches_everyone() {
                    return Err(format!(
                        "proof.blessing.servers: {server:?}: write a name like factory:gateway, which stands for its extensions too; ... would trust every server"
                    )
                    .into());
                }
            }
            for (name, least, len, most) in [
                ("discharges", 0, discharges.len(), MAX_DISCHARGES),
                ("roots", 1, roots.len(), MAX_ROOTS),
                ("servers", 1, self.servers.len(), MAX_SERVERS),
            ] {
                if !(least..=most).contains(&len) {
                    return Err(
                        format!("proof.blessing.{name}: {len}: give {least} to {most}").into(),
                    );
                }
            }
            let key = self.key.decode("proof.blessing.key")?;
            context.encode(|writer: &mut Writer<'_>| {
                writer.sized16(&blessings)?;
                writer.u8(count(&discharges)?)?;
                discharges
                    .iter()
                    .try_for_each(|discharge| writer.sized16(discharge))?;
                writer.u8(count(&roots)?)?;
                for (public_key, pattern) in &roots {
                    writer.sized16(public_key)?;
                    writer.sized16(pattern.as_bytes())?;
                }
                writer.u8(count(&self.servers)?)?;
                for server in &self.servers {
                    writer.sized16(server.as_bytes())?;
                }
                key.write(writer)
            })
        }
    }

    fn count<T>(all: &[T]) -> Result<u8, Full> {
        u8::try_from(all.len()).map_err(|_| Full)
    }

    fn decode(name: &str, text: &str) -> Result<Vec<u8>, Failure> {
        BASE64_URL_SAFE.decode(text.trim()).map_err(|error| {
            format!("proof.blessing.{name}: {error}: write base64url with padding, as `chanbind principal` does")
                .into()
        })
    }

    /// Checks that the blessings are for a key that firmware can use. The device does not check its own blessings.
    fn check_blessings(encoded: &[u8]) -> Result<(), Failure> {
        let wrong = |error: &dyn std::fmt::Display| format!("proof.blessing.blessings: {error}");
        let encoded = EncodedBlessings::parse(encoded).map_err(|error| wrong(&error))?;
        let is_p256 = encoded
            .blessings()
            .with_leaf(|key| Ok(is_p256(key)))
            .map_err(|error| wrong(&error))?;
        if !is_p256 {
            let text = "the key is not on P-256: create the principal with --key-type tpm";
            return Err(wrong(&text).into());
        }
        Ok(())
    }

    fn is_p256(public_key: &[u8]) -> bool {
        PublicKey::parse(public_key, &chanbind_core::blessing::Algorithms::DEFAULT).is_some()
    }

    /// Reads a root: a public key in base64url, and a pattern.
    fn root(line: &str) -> Result<(Vec<u8>, String), Failure> {
        let wrong = "write a public key on P-256 in base64url and a pattern, as in the file roots of a principal; the pattern ... is not allowed";
        let (key, pattern) = line.split_once(' ').unwrap_or((line, ""));
        let key = decode("roots", key)?;
        let pattern = Pattern(pattern.trim());
        if !is_p256(&key) || !pattern.is_valid() || pattern.matches_everyone() {
            return Err(format!("proof.blessing.roots: {line:?}: {wrong}").into());
        }
        Ok((key, pattern.0.to_owned()))
    }
}
