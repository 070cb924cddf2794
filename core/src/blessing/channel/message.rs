//! The messages after the handshake, as they are before they are sealed.

use super::ChannelError;
use crate::{
    blessing::vom::{self, unsigned},
    wire::{Full, Reader},
};

pub(super) const SETUP: u8 = 0x7e;
pub(super) const TEAR_DOWN: u8 = 0x7d;
const ENTER_LAME_DUCK: u8 = 0x7c;
const ACK_LAME_DUCK: u8 = 0x7b;
const OPEN_FLOW: u8 = 0x79;
const RELEASE: u8 = 0x78;
pub(super) const DATA: u8 = 0x77;
const HEALTH_CHECK_REQUEST: u8 = 0x73;
const HEALTH_CHECK_RESPONSE: u8 = 0x72;

/// The flow on which blessings and discharges are sent.
pub(super) const BLESSINGS_FLOW: u64 = 1;

/// The maximum number of bytes that a frame has beside the payload of its message: header, seal, type, and five integers.
pub const MAX_OVERHEAD: usize = 3 + super::seal::SEAL_LEN + 1 + 5 * 9;

/// The flags of Data and OpenFlow messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DataFlags {
    /// The sender sends nothing more on this flow, and takes nothing more.
    pub closes: bool,
}

const CLOSE: u64 = 1;
/// The payload follows in the next frame, and is not sealed.
const UNSEALED_PAYLOAD: u64 = 2;
const SIDE_CHANNEL: u64 = 4;

impl DataFlags {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ChannelError> {
        let flags = unsigned(reader)?;
        // A payload that is not sealed is not taken, whatever it is.
        if flags & UNSEALED_PAYLOAD != 0 || flags > (CLOSE | SIDE_CHANNEL) {
            return Err(ChannelError::Malformed);
        }
        Ok(Self {
            closes: flags & CLOSE != 0,
        })
    }

    fn value(self) -> u64 {
        if self.closes { CLOSE } else { 0 }
    }
}

/// A message.
#[derive(Debug, Clone, Copy)]
pub(super) enum Message<'a> {
    TearDown {
        text: &'a [u8],
    },
    EnterLameDuck,
    AckLameDuck,
    OpenFlow {
        id: u64,
        initial_counters: u64,
        blessings_key: u64,
        discharge_key: u64,
        flags: DataFlags,
        payload: &'a [u8],
    },
    /// Pairs of a flow and the number of bytes that may be sent in addition.
    Release {
        pairs: Reader<'a>,
    },
    Data {
        flow: u64,
        flags: DataFlags,
        payload: &'a [u8],
    },
    HealthCheckRequest,
    HealthCheckResponse,
    /// An Auth message, with its type.
    Auth(&'a [u8]),
    /// Another message.
    Other(u8),
}

impl<'a> Message<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, ChannelError> {
        let mut reader = Reader::new(message);
        let kind = reader.u8().map_err(|_| ChannelError::Malformed)?;
        Ok(match kind {
            TEAR_DOWN => Self::TearDown {
                text: reader.rest(),
            },
            ENTER_LAME_DUCK => Self::EnterLameDuck,
            ACK_LAME_DUCK => Self::AckLameDuck,
            OPEN_FLOW => Self::OpenFlow {
                id: unsigned(&mut reader)?,
                initial_counters: unsigned(&mut reader)?,
                blessings_key: unsigned(&mut reader)?,
                discharge_key: unsigned(&mut reader)?,
                flags: DataFlags::read(&mut reader)?,
                payload: reader.rest(),
            },
            RELEASE => Self::Release { pairs: reader },
            DATA => Self::Data {
                flow: unsigned(&mut reader)?,
                flags: DataFlags::read(&mut reader)?,
                payload: reader.rest(),
            },
            HEALTH_CHECK_REQUEST => Self::HealthCheckRequest,
            HEALTH_CHECK_RESPONSE => Self::HealthCheckResponse,
            kind if crate::blessing::AuthMessage::is_type(kind) => Self::Auth(message),
            kind => Self::Other(kind),
        })
    }

    pub(super) fn write(&self, writer: &mut vom::Writer<'_>) -> Result<(), Full> {
        match self {
            Self::TearDown { text } => {
                writer.raw(&[TEAR_DOWN])?;
                writer.raw(text)
            }
            Self::EnterLameDuck => writer.raw(&[ENTER_LAME_DUCK]),
            Self::AckLameDuck => writer.raw(&[ACK_LAME_DUCK]),
            Self::OpenFlow {
                id,
                initial_counters,
                blessings_key,
                discharge_key,
                flags,
                payload,
            } => {
                writer.raw(&[OPEN_FLOW])?;
                for number in [*id, *initial_counters, *blessings_key, *discharge_key] {
                    writer.unsigned(number)?;
                }
                writer.unsigned(flags.value())?;
                writer.raw(payload)
            }
            Self::Release { pairs } => {
                writer.raw(&[RELEASE])?;
                writer.raw(pairs.rest())
            }
            Self::Data {
                flow,
                flags,
                payload,
            } => {
                writer.raw(&[DATA])?;
                writer.unsigned(*flow)?;
                writer.unsigned(flags.value())?;
                writer.raw(payload)
            }
            Self::HealthCheckRequest => writer.raw(&[HEALTH_CHECK_REQUEST]),
            Self::HealthCheckResponse => writer.raw(&[HEALTH_CHECK_RESPONSE]),
            Self::Auth(message) => writer.raw(message),
            Self::Other(kind) => writer.raw(&[*kind]),
        }
    }
}

/// Reads the next pair of a Release message.
pub(super) fn release(pairs: &mut Reader<'_>) -> Result<Option<(u64, u64)>, ChannelError> {
    if pairs.is_empty() {
        return Ok(None);
    }
    Ok(Some((unsigned(pairs)?, unsigned(pairs)?)))
}
