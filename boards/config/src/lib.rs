//! The configuration of a device: which gateway, which authority, which client, which key.
//!
//! A person writes `chanbind.toml`. The feature `build` turns it into [`CONFIG_LEN`] bytes for a board's build script, which puts
//! them into the image; the firmware reads them there by [`Config::parse`]. As they stand in one place of the image, beginning with
//! [`MAGIC`], an image that was built once can be given to many devices, each with its own ([`build::patch`]).
//!
//! Nothing in it is a secret, unless the TPM key has a password.
//!
//! ```toml
#![doc = include_str!("example.toml")]
//! ```
#![cfg_attr(not(feature = "build"), no_std)]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::as_conversions,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used,
    )
)]

#[cfg(feature = "build")]
pub mod build;

use chanbind_core::{
    crypto::sha256,
    error_messages,
    otp::ClientId,
    wire::{Reader, Truncated},
};
use core::fmt;

/// The bytes of a configuration, as they stand in an image: [`MAGIC`], how many follow, the fields, their SHA-256, zeroes.
pub const CONFIG_LEN: usize = 2560;

/// How they begin.
pub const MAGIC: &[u8; 16] = b"chanbind-config1";

/// The most authorities that a device trusts.
pub const MAX_AUTHORITIES: usize = 4;

/// The most certificates of a device's own, its leaf and those between that and the authority.
pub const MAX_CERTIFICATES: usize = 3;

/// The most bytes that they have together.
pub const MAX_CERTIFICATES_LEN: usize = 1600;

/// What makes a device this device, in the bytes that it was parsed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config<'c> {
    /// The gateway's DNS name or IP address.
    pub host: &'c str,
    /// Its TCP port.
    pub port: u16,
    /// The name that its certificate must have: as a rule the host.
    pub server_name: &'c str,
    /// What is asked for, by GET.
    pub path: &'c str,
    /// The name by which the gateway knows this device.
    pub client_id: ClientId<'c>,
    /// Certificates of the authorities, DER; the others are empty.
    authorities: [&'c [u8]; MAX_AUTHORITIES],
    authority_count: usize,
    /// What is known of the time.
    pub time: TimeSource,
    /// How it proves who it is.
    pub proof: Proof,
    /// Its own certificates, DER; the others are empty.
    certificates: [&'c [u8]; MAX_CERTIFICATES],
    certificate_count: usize,
    /// The TPM key that proves who this is.
    pub key: Key<'c>,
    /// Milliseconds from one request to the next.
    pub interval_ms: u32,
    /// Milliseconds that are waited after a first failure, doubled with each that follows.
    pub first_retry_ms: u32,
    /// Milliseconds that are waited at the most.
    pub longest_retry_ms: u32,
    /// Milliseconds that each step may take: DNS, TCP, TLS, the TPM, an answer.
    pub step_timeout_ms: u32,
}

/// Where a device has the time from, against which it holds certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeSource {
    /// The board's clock.
    Board,
    /// It is this or later, in seconds since 1970: when the image was built, as a rule.
    NotBefore(u64),
    /// Nothing is known, and expired certificates are accepted.
    DangerousUnknown,
}

/// How a device proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// By a one-time password that an HMAC key makes.
    ApiKey,
    /// By an Exported Authenticator (RFC 9261), of a certificate whose key is an ECDSA key.
    Authenticator,
}

/// A key in a TPM, as `chanbind provision --device-config` writes it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key<'c> {
    /// The name of the parent key.
    pub parent_name: &'c [u8],
    /// TPM2B_PRIVATE
    pub private: &'c [u8],
    /// TPM2B_PUBLIC
    pub public: &'c [u8],
    /// Empty without one.
    pub password: &'c [u8],
}

impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl<'c> Config<'c> {
    /// Reads what stands in the image.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn parse(bytes: &'c [u8]) -> Result<Self, ConfigError> {
        // Not compared: then the image would have it twice.
        let (_magic, fields) = bytes
            .split_at_checked(MAGIC.len())
            .ok_or(ConfigError::Malformed)?;
        let (fields, digest) = match Reader::new(fields).sized16()? {
            [] => return Err(ConfigError::Empty),
            fields => fields.split_last_chunk().ok_or(ConfigError::Malformed)?,
        };
        if sha256(fields) != *digest {
            return Err(ConfigError::Malformed);
        }
        let mut fields = Reader::new(fields);
        let mut config = Self {
            host: text(&mut fields)?,
            port: fields.u16()?,
            server_name: text(&mut fields)?,
            path: text(&mut fields)?,
            client_id: ClientId::new(text(&mut fields)?).map_err(|_| ConfigError::Malformed)?,
            authorities: [&[]; MAX_AUTHORITIES],
            authority_count: usize::from(fields.u8()?),
            time: TimeSource::DangerousUnknown,
            proof: Proof::ApiKey,
            certificates: [&[]; MAX_CERTIFICATES],
            certificate_count: 0,
            key: Key {
                parent_name: &[],
                private: &[],
                public: &[],
                password: &[],
            },
            interval_ms: 0,
            first_retry_ms: 0,
            longest_retry_ms: 0,
            step_timeout_ms: 0,
        };
        let authorities = config.authorities.get_mut(..config.authority_count);
        for authority in authorities.ok_or(ConfigError::Malformed)? {
            *authority = fields.sized16()?;
        }
        let seconds = |fields: &mut Reader<'_>| fields.array().map(u64::from_be_bytes);
        config.time = match fields.u8()? {
            0 => TimeSource::Board,
            1 => TimeSource::NotBefore(seconds(&mut fields)?),
            2 => TimeSource::DangerousUnknown,
            _ => return Err(ConfigError::Malformed),
        };
        config.proof = match fields.u8()? {
            0 => Proof::ApiKey,
            1 => Proof::Authenticator,
            _ => return Err(ConfigError::Malformed),
        };
        config.certificate_count = usize::from(fields.u8()?);
        let certificates = config.certificates.get_mut(..config.certificate_count);
        for certificate in certificates.ok_or(ConfigError::Malformed)? {
            *certificate = fields.sized16()?;
        }
        config.key = Key {
            parent_name: fields.sized16()?,
            private: fields.sized16()?,
            public: fields.sized16()?,
            password: fields.sized16()?,
        };
        config.interval_ms = fields.u32()?;
        config.first_retry_ms = fields.u32()?;
        config.longest_retry_ms = fields.u32()?;
        config.step_timeout_ms = fields.u32()?;
        if fields.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError::Malformed)
        }
    }

    /// Certificates of the authorities, DER.
    #[must_use]
    pub fn authorities(&self) -> &[&'c [u8]] {
        self.authorities
            .get(..self.authority_count)
            .unwrap_or_default()
    }

    /// The device's own certificates, DER, its leaf first; none where it proves itself by a password.
    #[must_use]
    pub fn certificates(&self) -> &[&'c [u8]] {
        self.certificates
            .get(..self.certificate_count)
            .unwrap_or_default()
    }
}

fn text<'c>(fields: &mut Reader<'c>) -> Result<&'c str, ConfigError> {
    str::from_utf8(fields.sized16()?).map_err(|_| ConfigError::Malformed)
}

/// Why there is no configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigError {
    /// There is none in the image.
    Empty,
    /// It is damaged, or of another version.
    Malformed,
}

impl From<Truncated> for ConfigError {
    fn from(_: Truncated) -> Self {
        Self::Malformed
    }
}

error_messages! { ConfigError {
    Self::Empty => "there is no configuration in the image: build it with CHANBIND_CONFIG=chanbind.toml, or put one in with `cargo x configure`";
    Self::Malformed => "the configuration in the image is damaged or of another version: build it again";
}}

impl core::error::Error for ConfigError {}
