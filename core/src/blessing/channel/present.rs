//! Frames: of blessings and discharges, and of any sealed message.

use super::{
    ChannelError,
    frame::{FRAME_HEADER_LEN, header},
    message::{BLESSINGS_FLOW, DataFlags, Message},
    seal::{SEAL_LEN, Seal},
};
use crate::blessing::{Blessings, Discharge, vom};

/// Blessings to be sent, and discharges for their third-party caveats.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// The blessings.
    pub blessings: Blessings<'a>,
    /// The discharges: VOM, with the definitions of the types.
    pub discharges: &'a [&'a [u8]],
}

/// Numbers of blessings and discharges that were written.
pub(super) struct Written {
    pub(super) blessings: u64,
    pub(super) discharges: u64,
}

/// Writes frames with blessings and discharges on the blessings flow.
pub(super) fn write_presented(
    seal: &mut Seal,
    presented: &Presented<'_>,
    is_first: bool,
    next_key: &mut u64,
    mtu: u64,
    out: &mut [u8],
) -> Result<(Written, usize), ChannelError> {
    let blessings = *next_key;
    let discharges = match presented.discharges {
        [] => 0,
        _ => blessings.saturating_add(1),
    };
    let len = write_stream(seal, mtu, out, &mut |writer| {
        if is_first {
            writer.begin(vom::FLOW)?;
        }
        let mut result = Ok(());
        writer.value(vom::FLOW_TYPE, |writer| {
            writer.unsigned(0)?;
            writer.unsigned(0)?;
            result = presented.blessings.write(writer);
            writer.unsigned_field(1, blessings)?;
            writer.end()
        })?;
        result?;
        write_discharges(writer, presented.discharges, discharges, blessings)
    })?;
    *next_key = blessings.max(discharges).saturating_add(1);
    Ok((
        Written {
            blessings,
            discharges,
        },
        len,
    ))
}

/// Writes discharges with their number and that of their blessings, if there are any.
pub(super) fn write_discharges(
    writer: &mut vom::Writer<'_>,
    discharges: &[&[u8]],
    key: u64,
    blessings_key: u64,
) -> Result<(), ChannelError> {
    if discharges.is_empty() {
        return Ok(());
    }
    let mut result = Ok(());
    writer.value(vom::FLOW_TYPE, |writer| {
        writer.unsigned(1)?;
        writer.unsigned(0)?;
        writer.count(discharges.len())?;
        for encoded in discharges {
            result = result.and_then(|()| Discharge::copy(encoded, writer));
        }
        writer.unsigned_field(1, key)?;
        writer.unsigned_field(2, blessings_key)?;
        writer.end()
    })?;
    Ok(result?)
}

/// Writes frames with what `write` appends to the blessings stream, and returns their length.
pub(super) fn write_stream(
    seal: &mut Seal,
    mtu: u64,
    out: &mut [u8],
    write: &mut dyn FnMut(&mut vom::Writer<'_>) -> Result<(), ChannelError>,
) -> Result<usize, ChannelError> {
    // The stream is written to one half of the buffer, and its frames to the other.
    let half = out.len() / 2;
    let (frames, scratch) = out.split_at_mut(half);
    let mut writer = vom::Writer::new(scratch);
    write(&mut writer)?;
    let stream = writer.finish();
    let piece = usize::try_from(mtu).unwrap_or(usize::MAX).max(1);
    let mut len = 0;
    for payload in stream.chunks(piece) {
        let message = Message::Data {
            flow: BLESSINGS_FLOW,
            flags: DataFlags::default(),
            payload,
        };
        write_sealed(seal, &message, frames, &mut len)?;
    }
    Ok(len)
}

/// Writes a frame with a sealed message.
pub(super) fn write_sealed(
    seal: &mut Seal,
    message: &Message<'_>,
    out: &mut [u8],
    len: &mut usize,
) -> Result<(), ChannelError> {
    let frame = out.get_mut(*len..).unwrap_or_default();
    let (head, body) = frame
        .split_at_mut_checked(FRAME_HEADER_LEN)
        .ok_or(ChannelError::BufferTooSmall)?;
    let place = body
        .get_mut(SEAL_LEN..)
        .ok_or(ChannelError::BufferTooSmall)?;
    let mut writer = vom::Writer::new(place);
    message.write(&mut writer)?;
    let body_len = writer.len().saturating_add(SEAL_LEN);
    let body = body.get_mut(..body_len).unwrap_or_default();
    seal.seal(body)?;
    head.copy_from_slice(&header(body_len)?);
    *len = len
        .saturating_add(FRAME_HEADER_LEN)
        .saturating_add(body_len);
    Ok(())
}
