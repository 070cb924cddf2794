//! The wire format of commands and responses (TPM 2.0 Part 1 chapter 18): header, handles, authorizations, parameters.

use crate::{
    command::{Command, CommandCode, Entities, Handle},
    error::FrameError,
    session::{Authorize, Encrypts, ResponseArea},
};
use chanbind_core::wire::{Full, Reader, Truncated, Writer};
use core::ops::Range;

/// TPM_ST_NO_SESSIONS
const NO_SESSIONS: u16 = 0x8001;
/// TPM_ST_SESSIONS
const SESSIONS: u16 = 0x8002;
/// Length of a header in bytes: tag, size, code.
pub(crate) const HEADER_LEN: usize = 10;

/// The authorizations of a command: passwords and sessions in the order of its handles, then sessions that only encrypt.
pub(crate) type Authorizations<'a, 'b> = &'a mut [&'b mut dyn Authorize];

/// A [`Command`] without its response type, so that all commands share the same code.
pub(crate) trait Marshal {
    fn shape(&self) -> &'static Shape;
    fn entities(&self) -> Entities<'_>;
    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full>;
    fn flushes(&self) -> Option<Handle>;
}

/// The properties that all commands of one type have in common.
pub(crate) struct Shape {
    pub(crate) code: CommandCode,
    pub(crate) limit_ms: u32,
    pub(crate) authorizations: usize,
    pub(crate) response_handle: bool,
    pub(crate) encrypts: Encrypts,
}

impl Shape {
    /// Returns the shape of a command type.
    pub(crate) fn of<C: Command>() -> &'static Self {
        const {
            &Self {
                code: C::CODE,
                limit_ms: C::CODE.limit_ms(),
                authorizations: C::AUTHORIZATIONS,
                response_handle: C::RESPONSE_HANDLE,
                encrypts: Encrypts {
                    command: C::ENCRYPTS_COMMAND,
                    response: C::ENCRYPTS_RESPONSE,
                },
            }
        }
    }
}

impl<C: Command> Marshal for C {
    fn shape(&self) -> &'static Shape {
        Shape::of::<C>()
    }

    fn entities(&self) -> Entities<'_> {
        Command::entities(self)
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        Command::parameters(self, out)
    }

    fn flushes(&self) -> Option<Handle> {
        Command::flushes(self)
    }
}

/// Maximum number of authorizations that a TPM accepts in one command.
const MAX_SESSIONS: usize = 3;

/// Marshals a command to the front of `buffer` and returns its length in bytes.
pub(crate) fn encode(
    buffer: &mut [u8],
    command: &dyn Marshal,
    authorizations: Authorizations<'_, '_>,
) -> Result<usize, FrameError> {
    let shape = command.shape();
    if authorizations.len() < shape.authorizations || authorizations.len() > MAX_SESSIONS {
        return Err(FrameError::Authorizations {
            needed: shape.authorizations,
        });
    }
    let entities = command.entities();
    let mut out = Writer::new(buffer);
    out.u16(if authorizations.is_empty() {
        NO_SESSIONS
    } else {
        SESSIONS
    })?;
    out.u32(0)?;
    out.u32(shape.code.0)?;
    for entity in entities.iter().flatten() {
        out.u32(entity.handle().0)?;
    }
    let areas = out.len().saturating_add(4);
    if !authorizations.is_empty() {
        let len = authorizations
            .iter()
            .fold(0usize, |sum, one| sum.saturating_add(one.area_len()));
        out.u32(u32::try_from(len).map_err(|_| Full)?)?;
        let mut encrypts = shape.encrypts;
        for authorization in authorizations.iter_mut() {
            authorization.begin(&mut out, &mut encrypts)?;
        }
    }
    let start = out.len();
    command.parameters(&mut out)?;
    let len = out.finish().len();

    let size = u32::try_from(len).map_err(|_| FrameError::TooLong)?;
    let frame = buffer.get_mut(..len).ok_or(FrameError::TooLong)?;
    if let Some(field) = frame.get_mut(2..6) {
        field.copy_from_slice(&size.to_be_bytes());
    }
    let (head, parameters) = frame
        .split_at_mut_checked(start)
        .ok_or(FrameError::TooLong)?;
    if shape.encrypts.command {
        let first = first_sized(parameters).ok_or(FrameError::Malformed)?;
        // At most one of the authorizations encrypts.
        for authorization in authorizations.iter_mut() {
            authorization.encrypt(first);
        }
    }
    // The input of cpHash (Part 1 section 18.7).
    let code = shape.code.0.to_be_bytes();
    let name = |at: usize| match entities.get(at) {
        Some(Some(entity)) => entity.name().as_bytes(),
        _ => &[],
    };
    let cp = [&code, name(0), name(1), name(2), &*parameters];
    let mut end = areas;
    for authorization in authorizations.iter_mut() {
        end = end.saturating_add(authorization.area_len());
        authorization.seal(&cp, head.get_mut(..end).unwrap_or_default());
    }
    Ok(len)
}

/// Returns the response code from the header of a response: 0 for success. Fails if the size in the header is not the length of
/// the response.
pub(crate) fn response_code(response: &[u8]) -> Result<u32, Truncated> {
    let mut header = Reader::new(response);
    header.u16()?;
    let size = header.u32()?;
    if usize::try_from(size) != Ok(response.len()) {
        return Err(Truncated);
    }
    header.u32()
}

/// Opens a response with code 0 and returns its handle and the range of its parameters.
///
/// Verifies the response with every authorization before any part of it is used, then decrypts the first parameter.
pub(crate) fn open(
    response: &mut [u8],
    shape: &Shape,
    authorizations: Authorizations<'_, '_>,
) -> Result<(Handle, Range<usize>), FrameError> {
    let mut reader = Reader::new(response);
    let tag = reader.u16()?;
    reader.take(8)?;
    let handle = Handle(if shape.response_handle {
        reader.u32()?
    } else {
        0
    });
    let end = response.len();
    if authorizations.is_empty() {
        if tag != NO_SESSIONS {
            return Err(FrameError::Malformed);
        }
        let start = end.saturating_sub(reader.rest().len());
        return Ok((handle, start..end));
    }
    if tag != SESSIONS {
        // An attacker on the bus may have removed the sessions from the response.
        return Err(FrameError::NotAuthentic);
    }
    let len = usize::try_from(reader.u32()?).map_err(|_| Truncated)?;
    let start = end.saturating_sub(reader.rest().len());
    let parameters = reader.take(len)?;
    // The input of rpHash (Part 1 section 18.8); the response code is 0.
    let code = shape.code.0.to_be_bytes();
    let rp = [&[0; 4], code.as_slice(), parameters];
    for authorization in authorizations.iter_mut() {
        let area = ResponseArea {
            nonce: reader.sized16()?,
            attributes: reader.u8()?,
            hmac: reader.sized16()?,
        };
        authorization
            .verify(&rp, &area)
            .map_err(|_| FrameError::NotAuthentic)?;
    }
    if !reader.is_empty() {
        return Err(FrameError::Malformed);
    }
    let parameters = start..start.saturating_add(len);
    if shape.encrypts.response
        && let Some(bytes) = response.get_mut(parameters.clone())
    {
        let first = first_sized(bytes).ok_or(FrameError::Malformed)?;
        for authorization in authorizations.iter_mut() {
            authorization.decrypt(first);
        }
    }
    Ok((handle, parameters))
}

/// Returns the contents of the TPM2B at the front of the parameters.
fn first_sized(parameters: &mut [u8]) -> Option<&mut [u8]> {
    parameters
        .split_first_chunk_mut()
        .and_then(|(size, rest)| rest.get_mut(..usize::from(u16::from_be_bytes(*size))))
}
