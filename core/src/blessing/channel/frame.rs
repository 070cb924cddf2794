use super::ChannelError;

/// The number of bytes before the body of a frame.
pub const FRAME_HEADER_LEN: usize = 3;

/// A frame's header is this number minus the length of the body.
const COMPLEMENT: u32 = 0x00ff_ffff;

/// Returns the length of a frame's body, from its header.
///
/// # Errors
/// [`ChannelError::FrameTooLong`] if it is longer than `max`.
pub fn frame_len(header: [u8; FRAME_HEADER_LEN], max: usize) -> Result<usize, ChannelError> {
    let [a, b, c] = header;
    let value = COMPLEMENT ^ u32::from_be_bytes([0, a, b, c]);
    let len = usize::try_from(value).unwrap_or(usize::MAX);
    if len > max {
        return Err(ChannelError::FrameTooLong { len });
    }
    Ok(len)
}

/// Returns the header of a frame with a body of this length.
pub(super) fn header(len: usize) -> Result<[u8; FRAME_HEADER_LEN], ChannelError> {
    let len = u32::try_from(len).map_err(|_| ChannelError::BufferTooSmall)?;
    if len > COMPLEMENT {
        return Err(ChannelError::BufferTooSmall);
    }
    let [_, a, b, c] = (COMPLEMENT ^ len).to_be_bytes();
    Ok([a, b, c])
}
