//! Commands and responses as they cross the bus (TPM 2.0 Part 1 chapter 18): header, handles, authorizations, parameters.

use crate::{
    command::{Command, CommandCode, Entities, Handle},
    error::FrameError,
    session::{Authorize, ResponseArea},
};
use chanbind_core::wire::{Full, Reader, Truncated, Writer};
use core::ops::Range;
use sha2::{Digest, Sha256};

/// TPM_ST_NO_SESSIONS
pub(crate) const NO_SESSIONS: u16 = 0x8001;
/// TPM_ST_SESSIONS
const SESSIONS: u16 = 0x8002;
/// Tag, size, code.
pub(crate) const HEADER_LEN: usize = 10;

/// Who authorizes a command: passwords and sessions, in the order of the handles, then sessions that only encrypt.
pub(crate) type Authorizations<'a, 'b> = &'a mut [&'b mut dyn Authorize];

/// Marshals a command to the front of `buffer`; gives its length.
pub(crate) fn encode<C: Command>(
    buffer: &mut [u8],
    command: &C,
    authorizations: Authorizations<'_, '_>,
) -> Result<usize, FrameError> {
    if authorizations.len() < C::AUTHORIZATIONS || authorizations.len() > MAX_SESSIONS {
        return Err(FrameError::Authorizations {
            needed: C::AUTHORIZATIONS,
        });
    }
    let entities = command.entities();
    let encrypts = Encrypts {
        command: C::ENCRYPTS_COMMAND,
        response: C::ENCRYPTS_RESPONSE,
    };
    let mut out = Writer::new(buffer);
    let areas = begin(&mut out, C::CODE, &entities, encrypts, authorizations)?;
    let start = out.len();
    command.parameters(&mut out)?;
    let len = out.finish().len();
    let frame = buffer.get_mut(..len).ok_or(FrameError::TooLong)?;
    finish(
        frame,
        start,
        &areas,
        C::CODE,
        &entities,
        encrypts,
        authorizations,
    )?;
    Ok(len)
}

/// What a session could encrypt.
#[derive(Clone, Copy)]
pub(crate) struct Encrypts {
    pub(crate) command: bool,
    pub(crate) response: bool,
}

/// Where the HMACs stand, which can be computed last only.
type Areas = [Option<Range<usize>>; MAX_SESSIONS];

/// TPMs take three.
const MAX_SESSIONS: usize = 3;

fn begin(
    out: &mut Writer<'_>,
    code: CommandCode,
    entities: &Entities<'_>,
    encrypts: Encrypts,
    authorizations: Authorizations<'_, '_>,
) -> Result<Areas, Full> {
    let mut areas = Areas::default();
    let tag = if authorizations.is_empty() {
        NO_SESSIONS
    } else {
        SESSIONS
    };
    out.u16(tag)?;
    out.u32(0)?;
    out.u32(code.0)?;
    for entity in entities.iter().flatten() {
        out.u32(entity.handle().0)?;
    }
    if authorizations.is_empty() {
        return Ok(areas);
    }
    let mut len = 0usize;
    for authorization in authorizations.iter() {
        len = len.saturating_add(authorization.area_len());
    }
    out.u32(u32::try_from(len).map_err(|_| Full)?)?;
    let mut encrypts = encrypts;
    for (authorization, area) in authorizations.iter_mut().zip(&mut areas) {
        let hmac_len = authorization.begin(out, &mut encrypts)?;
        if hmac_len > 0 {
            *area = Some(out.len().saturating_sub(hmac_len)..out.len());
        }
    }
    Ok(areas)
}

fn finish(
    frame: &mut [u8],
    start: usize,
    areas: &Areas,
    code: CommandCode,
    entities: &Entities<'_>,
    encrypts: Encrypts,
    authorizations: Authorizations<'_, '_>,
) -> Result<(), FrameError> {
    let size = u32::try_from(frame.len()).map_err(|_| FrameError::TooLong)?;
    if let Some(field) = frame.get_mut(2..6) {
        field.copy_from_slice(&size.to_be_bytes());
    }
    if areas.iter().all(Option::is_none) {
        return Ok(());
    }
    let (head, parameters) = frame
        .split_at_mut_checked(start)
        .ok_or(FrameError::TooLong)?;
    if encrypts.command
        && let Some(first) = first_sized(parameters)
    {
        // At most one of them has taken the encryption on.
        for authorization in authorizations.iter_mut() {
            authorization.encrypt(first);
        }
    }
    // cpHash (Part 1 section 18.7)
    let mut hash = Sha256::new();
    hash.update(code.0.to_be_bytes());
    for entity in entities.iter().flatten() {
        hash.update(entity.name().as_bytes());
    }
    hash.update(&*parameters);
    let hash = hash.finalize().into();
    for (authorization, area) in authorizations.iter_mut().zip(areas) {
        if let Some(field) = area.clone().and_then(|area| head.get_mut(area))
            && let Some(hmac) = authorization.seal(&hash)
            && field.len() == hmac.len()
        {
            field.copy_from_slice(&hmac);
        }
    }
    Ok(())
}

/// The header of a response, whose size must be `len`: its response code, 0 for success.
pub(crate) fn response_code(response: &[u8]) -> Result<u32, Truncated> {
    let mut header = Reader::new(response);
    header.u16()?;
    let size = header.u32()?;
    if usize::try_from(size) != Ok(response.len()) {
        return Err(Truncated);
    }
    header.u32()
}

/// Opens a response with code 0: every authorization is held against it before anything of it is believed, and the first
/// parameter is decrypted. Gives the handle, and where the parameters are.
pub(crate) fn open<C: Command>(
    response: &mut [u8],
    authorizations: Authorizations<'_, '_>,
) -> Result<(Handle, Range<usize>), FrameError> {
    open_frame(
        response,
        C::CODE,
        C::RESPONSE_HANDLE,
        C::ENCRYPTS_RESPONSE,
        authorizations,
    )
}

fn open_frame(
    response: &mut [u8],
    code: CommandCode,
    has_handle: bool,
    encrypts: bool,
    authorizations: Authorizations<'_, '_>,
) -> Result<(Handle, Range<usize>), FrameError> {
    let mut reader = Reader::new(response);
    let tag = reader.u16()?;
    reader.take(8)?;
    let handle = Handle(if has_handle { reader.u32()? } else { 0 });
    let end = response.len();
    if authorizations.is_empty() {
        if tag != NO_SESSIONS {
            return Err(FrameError::Malformed);
        }
        let start = end.saturating_sub(reader.rest().len());
        return Ok((handle, start..end));
    }
    if tag != SESSIONS {
        // Whoever sits on the bus may have taken the sessions off.
        return Err(FrameError::NotAuthentic);
    }
    let len = usize::try_from(reader.u32()?).map_err(|_| Truncated)?;
    let start = end.saturating_sub(reader.rest().len());
    let parameters = reader.take(len)?;
    // rpHash (Part 1 section 18.8); the response code is 0.
    let mut hash = Sha256::new();
    hash.update([0; 4]);
    hash.update(code.0.to_be_bytes());
    hash.update(parameters);
    let hash = hash.finalize().into();
    for authorization in authorizations.iter_mut() {
        let area = ResponseArea {
            nonce: reader.sized16()?,
            attributes: reader.u8()?,
            hmac: reader.sized16()?,
        };
        authorization
            .verify(&hash, &area)
            .map_err(|_| FrameError::NotAuthentic)?;
    }
    if !reader.is_empty() {
        return Err(FrameError::Malformed);
    }
    let parameters = start..start.saturating_add(len);
    if encrypts && let Some(first) = response.get_mut(parameters.clone()).and_then(first_sized) {
        for authorization in authorizations.iter_mut() {
            authorization.decrypt(first);
        }
    }
    Ok((handle, parameters))
}

/// The contents of the TPM2B that the parameters begin with.
fn first_sized(parameters: &mut [u8]) -> Option<&mut [u8]> {
    let (size, rest) = parameters.split_first_chunk_mut()?;
    rest.get_mut(..usize::from(u16::from_be_bytes(*size)))
}
