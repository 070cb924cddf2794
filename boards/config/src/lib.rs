// The first definition of a link counts: here items lead to their documentation, and in the README to docs.rs.
//! [`CONFIG_LEN`]: crate::CONFIG_LEN
//! [`Config::parse`]: crate::Config::parse
//! [`MAGIC`]: crate::MAGIC
//!
#![doc = include_str!("../README.md")]
//!
//! # All settings
//!
//! ```toml
#![doc = include_str!("example.toml")]
//! ```
//!
//! # Format
//!
//! [`MAGIC`], a version (one byte), the length of the rest (two bytes, big-endian), fields, and their SHA-256; zeroes up to [`CONFIG_LEN`]. A field
//! is a tag (one byte), a length (two bytes, big-endian) and a value. A tag from 0x80 on is the section of a kind of proof
//! ([`proof`]); its kind reads the value. Firmware refuses tags that it does not know: it was built without a feature that the
//! configuration needs.
#![cfg_attr(not(feature = "build"), no_std)]
#![forbid(unsafe_code)]

#[cfg(feature = "build")]
pub mod build;
mod login;
pub mod proof;

pub use login::Login;

use chanbind_core::{
    crypto::sha256,
    error_messages,
    wire::{Reader, Truncated},
};
use core::fmt;
use heapless::Vec;

/// The length of a configuration in an image, in bytes.
pub const CONFIG_LEN: usize = 2560;

/// The first bytes of a configuration.
pub const MAGIC: &[u8; 16] = b"chanbind-config:";

/// The version of the format.
pub const VERSION: u8 = 2;

/// The number of authorities that a device can trust.
pub const MAX_AUTHORITIES: usize = 4;

/// The maximum length of a device's name, in bytes.
pub const MAX_NAME_LEN: usize = 255;

/// Tags of the fields.
pub(crate) mod tag {
    pub(crate) const HOST: u8 = 1;
    pub(crate) const PORT: u8 = 2;
    pub(crate) const SERVER_NAME: u8 = 3;
    pub(crate) const PATH: u8 = 4;
    pub(crate) const NAME: u8 = 5;
    pub(crate) const AUTHORITY: u8 = 6;
    pub(crate) const TIME: u8 = 7;
    pub(crate) const TIMERS: u8 = 8;
    pub(crate) const LOGIN: u8 = 9;
    /// The first tag of a kind of proof.
    pub(crate) const PROOFS: u8 = 0x80;
}

/// The configuration of a device, in the bytes that it was parsed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config<'c> {
    /// The gateway's DNS name or IP address.
    pub host: &'c str,
    /// The gateway's TCP port.
    pub port: u16,
    /// The name that the gateway's certificate must have; usually the host.
    pub server_name: &'c str,
    /// The path of requests, beginning with `/`.
    pub path: &'c str,
    /// The name of the device, 1 to [`MAX_NAME_LEN`] bytes: for logs, and for the MAC address of parts without one.
    pub name: &'c str,
    /// The certificates of the authorities, DER.
    pub authorities: Vec<&'c [u8], MAX_AUTHORITIES>,
    /// The source of the time by which certificates are verified.
    pub time: TimeSource,
    /// The server for technicians, if the board has one.
    pub login: Option<Login<'c>>,
    /// The section of its proof.
    pub proof: Section<'c>,
    /// The milliseconds from one request to the next.
    pub interval_ms: u32,
    /// The milliseconds to wait after a first failure; they double with each further one.
    pub first_retry_ms: u32,
    /// The longest time to wait, in milliseconds.
    pub longest_retry_ms: u32,
    /// The limit of each step, in milliseconds: DNS, TCP, TLS, the TPM, a response.
    pub step_timeout_ms: u32,
}

/// The source of time by which a device verifies certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeSource {
    /// The board's clock.
    Board,
    /// The time is this or later, in seconds since 1970; usually the time at which the image was built.
    NotBefore(u64),
    /// The time is unknown, and expired certificates are accepted.
    DangerousUnknown,
}

/// The section of a kind of proof, which the kind reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Section<'c> {
    /// The tag of the kind; see [`proof::name`].
    pub tag: u8,
    /// The content.
    pub value: &'c [u8],
}

impl<'c> Config<'c> {
    /// Reads a configuration from an image.
    ///
    /// # Errors
    /// [`ConfigError::Empty`] for an image without a configuration, [`ConfigError::Version`] and [`ConfigError::UnknownField`] for one that
    /// this firmware does not know, [`ConfigError::Malformed`] for one that is damaged.
    pub fn parse(bytes: &'c [u8]) -> Result<Self, ConfigError> {
        // The magic bytes are not compared: the image would then contain them twice.
        let (_magic, rest) = bytes
            .split_at_checked(MAGIC.len())
            .ok_or(ConfigError::Malformed)?;
        let mut rest = Reader::new(rest);
        let (version, body) = (rest.u8()?, rest.sized16()?);
        if body.is_empty() {
            return Err(ConfigError::Empty);
        }
        if version != VERSION {
            return Err(ConfigError::Version { actual: version });
        }
        let (fields, digest) = body.split_last_chunk().ok_or(ConfigError::Malformed)?;
        if sha256(fields) != *digest {
            return Err(ConfigError::Malformed);
        }
        let mut config = Self {
            host: "",
            port: 0,
            server_name: "",
            path: "/",
            name: "",
            authorities: Vec::new(),
            time: TimeSource::DangerousUnknown,
            login: None,
            proof: Section { tag: 0, value: &[] },
            interval_ms: 0,
            first_retry_ms: 0,
            longest_retry_ms: 0,
            step_timeout_ms: 0,
        };
        let mut fields = Reader::new(fields);
        while !fields.is_empty() {
            let (tag, value) = (fields.u8()?, fields.sized16()?);
            config.set(tag, value)?;
        }
        if config.host.is_empty() || config.name.is_empty() || config.proof.tag == 0 {
            return Err(ConfigError::Malformed);
        }
        Ok(config)
    }

    fn set(&mut self, tag: u8, value: &'c [u8]) -> Result<(), ConfigError> {
        let text = || text(value);
        let mut reader = Reader::new(value);
        match tag {
            tag::HOST => self.host = text()?,
            tag::PORT => self.port = reader.u16()?,
            tag::SERVER_NAME => self.server_name = text()?,
            tag::PATH => self.path = text()?,
            tag::NAME => self.name = text()?,
            tag::AUTHORITY => {
                let pushed = self.authorities.push(value);
                pushed.map_err(|_| ConfigError::Malformed)?;
            }
            tag::TIME => {
                self.time = match reader.u8()? {
                    0 => TimeSource::Board,
                    1 => TimeSource::NotBefore(u64::from_be_bytes(reader.array()?)),
                    2 => TimeSource::DangerousUnknown,
                    _ => return Err(ConfigError::Malformed),
                }
            }
            tag::TIMERS => {
                for timer in [
                    &mut self.interval_ms,
                    &mut self.first_retry_ms,
                    &mut self.longest_retry_ms,
                    &mut self.step_timeout_ms,
                ] {
                    *timer = reader.u32()?;
                }
            }
            tag::LOGIN => self.login = Some(Login::parse(value)?),
            tag @ tag::PROOFS.. if self.proof.tag == 0 => self.proof = Section { tag, value },
            tag::PROOFS.. => return Err(ConfigError::Malformed),
            _ => return Err(ConfigError::UnknownField { tag }),
        }
        Ok(())
    }
}

/// A key in a TPM, as `chanbind provision --device-config` writes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key<'c> {
    /// The name of the parent key.
    pub parent_name: &'c [u8],
    /// The TPM2B_PRIVATE of the key.
    pub private: &'c [u8],
    /// The TPM2B_PUBLIC of the key.
    pub public: &'c [u8],
    /// The password of the key; empty without one.
    pub password: &'c [u8],
}

/// Reads a text that is preceded by its length in two bytes.
pub(crate) fn read_text<'c>(from: &mut Reader<'c>) -> Result<&'c str, ConfigError> {
    text(from.sized16()?)
}

fn text(bytes: &[u8]) -> Result<&str, ConfigError> {
    str::from_utf8(bytes).map_err(|_| ConfigError::Malformed)
}

impl<'c> Key<'c> {
    pub(crate) fn read(from: &mut Reader<'c>) -> Result<Self, Truncated> {
        Ok(Self {
            parent_name: from.sized16()?,
            private: from.sized16()?,
            public: from.sized16()?,
            password: from.sized16()?,
        })
    }
}

impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl fmt::Debug for Section<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(proof::name(self.tag).unwrap_or("unknown proof"))
    }
}

/// The error of reading a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The image has no configuration.
    Empty,
    /// The configuration has another version of the format.
    Version {
        /// The version that it has.
        actual: u8,
    },
    /// The configuration has a field that this firmware does not know.
    UnknownField {
        /// The tag of the field.
        tag: u8,
    },
    /// The configuration is damaged.
    Malformed,
}

impl From<Truncated> for ConfigError {
    fn from(_: Truncated) -> Self {
        Self::Malformed
    }
}

error_messages! { ConfigError {
    Self::Empty => "the image has no configuration: build it with CHANBIND_CONFIG=chanbind.toml, or add one with `cargo x configure`";
    Self::Version { actual } => "the configuration has version {} of its format, and this firmware reads version {}: write it again", actual, VERSION;
    Self::UnknownField { tag } => "the configuration has the field {}, which this firmware does not know: build the firmware again", tag;
    Self::Malformed => "the configuration in the image is damaged: write it again";
}}

impl core::error::Error for ConfigError {}
