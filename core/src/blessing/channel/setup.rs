use super::{ChannelError, message::SETUP};
use crate::{
    blessing::vom::{self, octets, unsigned},
    wire::{Full, Reader},
};
use core::ops::RangeInclusive;

/// The maximum length of a Setup message, in bytes.
pub const MAX_SETUP_LEN: usize = 512;

/// A Setup message as it was sent.
pub(super) type SetupOctets = heapless::Vec<u8, MAX_SETUP_LEN>;

/// The versions of the protocol that an end offers and accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The lowest one.
    pub min: u64,
    /// The highest one.
    pub max: u64,
}

impl Versions {
    /// Version 14 alone: both ends sign both Setups.
    pub const DEFAULT: Self = Self { min: 14, max: 14 };

    /// Versions 11 to 14, for peers that have no version 14. Below it an attacker on the path can change the Setups without being noticed: their versions,
    /// endpoints, MTU and tokens.
    pub const DANGEROUS_ALL: Self = Self { min: 11, max: 14 };

    /// The versions that this implementation has.
    const SUPPORTED: RangeInclusive<u64> = 11..=14;

    /// Returns the version that both ends choose: the highest one of both.
    pub(super) fn choose(self, peer: Self) -> Result<u64, ChannelError> {
        let chosen = self.max.min(peer.max);
        let is_common = chosen >= self.min && chosen >= peer.min;
        if is_common && Self::SUPPORTED.contains(&chosen) {
            Ok(chosen)
        } else {
            Err(ChannelError::Version {
                min: peer.min,
                max: peer.max,
            })
        }
    }
}

/// The content of a Setup message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup<'a> {
    /// The versions.
    pub versions: Versions,
    /// The endpoint that is dialed, which an acceptor leaves out: `@6@tcp@127.0.0.1:8101@@…@s@@@`. It is not encrypted.
    pub remote_endpoint: &'a str,
    /// The endpoint of this end. It is not encrypted: leave out the names in it, or all of it, if others must not see them.
    pub local_endpoint: &'a str,
    /// The maximum length of the payload of a message, in bytes. Both ends use the smaller one.
    pub mtu: u64,
    /// The number of bytes that the peer may send in all flows together before it is told to go on. Both ends use the smaller one.
    pub shared_tokens: u64,
}

impl Setup<'_> {
    /// Version 14 alone, without endpoints, and with messages of 1,024 bytes.
    pub const DEFAULT: Self = Self {
        versions: Versions::DEFAULT,
        remote_endpoint: "",
        local_endpoint: "",
        mtu: 1024,
        shared_tokens: 1 << 20,
    };
}

/// The numbers of the options.
const KEY: u64 = 1;
const REMOTE_ENDPOINT: u64 = 2;
const LOCAL_ENDPOINT: u64 = 3;
const MTU: u64 = 4;
const SHARED_TOKENS: u64 = 5;

/// A Setup message of the peer.
#[derive(Debug)]
pub(super) struct PeerSetup {
    pub(super) versions: Versions,
    pub(super) key: [u8; 32],
    pub(super) mtu: u64,
    pub(super) shared_tokens: u64,
}

/// Writes a Setup message.
pub(super) fn write(
    setup: &Setup<'_>,
    key: &[u8; 32],
    out: &mut SetupOctets,
) -> Result<(), ChannelError> {
    out.clear();
    let _ = out.resize_default(MAX_SETUP_LEN);
    let mut writer = vom::Writer::new(out);
    writer.raw(&[SETUP])?;
    writer.unsigned(setup.versions.min)?;
    writer.unsigned(setup.versions.max)?;
    option(&mut writer, KEY, key)?;
    for (tag, text) in [
        (REMOTE_ENDPOINT, setup.remote_endpoint),
        (LOCAL_ENDPOINT, setup.local_endpoint),
    ] {
        if !text.is_empty() {
            option(&mut writer, tag, text.as_bytes())?;
        }
    }
    for (tag, value) in [(MTU, setup.mtu), (SHARED_TOKENS, setup.shared_tokens)] {
        if value != 0 {
            let mut number = [0; 9];
            let mut inner = vom::Writer::new(&mut number);
            inner.unsigned(value)?;
            option(&mut writer, tag, inner.finish())?;
        }
    }
    let len = writer.finish().len();
    out.truncate(len);
    Ok(())
}

fn option(writer: &mut vom::Writer<'_>, tag: u64, value: &[u8]) -> Result<(), Full> {
    writer.unsigned(tag)?;
    writer.octets(value)
}

/// Parses the peer's Setup, and keeps its encoding. That must be the one that the peer will sign, so integers are minimal, options ascend, and there is an MTU. Unknown
/// options may follow the known ones.
pub(super) fn parse(message: &[u8], encoded: &mut SetupOctets) -> Result<PeerSetup, ChannelError> {
    encoded.clear();
    encoded
        .extend_from_slice(message)
        .map_err(|_| ChannelError::Setup)?;
    let mut reader = Reader::new(message);
    let kind = reader.u8().map_err(|_| ChannelError::Malformed)?;
    if kind != SETUP {
        return Err(ChannelError::Unexpected { kind });
    }
    let number = |reader: &mut Reader<'_>| unsigned(reader).map_err(|_| ChannelError::Setup);
    let mut setup = PeerSetup {
        versions: Versions {
            min: number(&mut reader)?,
            max: number(&mut reader)?,
        },
        key: [0; 32],
        mtu: 0,
        shared_tokens: 0,
    };
    let mut last = 0;
    while !reader.is_empty() {
        let tag = number(&mut reader)?;
        let value = octets(&mut reader).map_err(|_| ChannelError::Setup)?;
        if tag <= last {
            return Err(ChannelError::Setup);
        }
        last = tag;
        match tag {
            KEY => setup.key = value.try_into().map_err(|_| ChannelError::EphemeralKey)?,
            MTU | SHARED_TOKENS => {
                let mut inner = Reader::new(value);
                let value = number(&mut inner)?;
                if value == 0 || !inner.is_empty() {
                    return Err(ChannelError::Setup);
                }
                if tag == MTU {
                    setup.mtu = value;
                } else {
                    setup.shared_tokens = value;
                }
            }
            REMOTE_ENDPOINT | LOCAL_ENDPOINT if value.is_empty() => {
                return Err(ChannelError::Setup);
            }
            _ => {}
        }
    }
    if setup.key == [0; 32] {
        return Err(ChannelError::EphemeralKey);
    }
    if setup.mtu == 0 {
        return Err(ChannelError::Setup);
    }
    Ok(setup)
}
