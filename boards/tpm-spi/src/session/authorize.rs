use super::{AuthValue, Session};
use crate::{command::SessionType, error::FrameError};
use aes::{
    Aes128, Block,
    cipher::{BlockEncrypt, KeyInit},
};
use chanbind_core::{
    crypto::{HmacSha256State, SecretBytes, equal, kdfa, sha256_of_parts, wipe},
    wire::Writer,
};

/// The attributes of a session, TPMA_SESSION.
mod attributes {
    pub(super) const CONTINUE_SESSION: u8 = 0x01;
    pub(super) const DECRYPT: u8 = 0x20;
    pub(super) const ENCRYPT: u8 = 0x40;
    pub(super) const AUDIT: u8 = 0x80;
}

/// An authorization of a command: [`Password`] or [`SessionAuthorization`]. The trait is sealed.
#[allow(private_interfaces, reason = "sealed: its methods use private types")]
pub trait Authorize: sealed::Sealed {
    /// Returns the length of the authorization's area in a command, in bytes.
    #[doc(hidden)]
    fn area_len(&self) -> usize;

    /// Writes the area, with zeroes for the HMAC at its end. A session takes on the encryption that is left in `encrypts`, and
    /// removes it there.
    #[doc(hidden)]
    fn begin(&mut self, out: &mut Writer<'_>, encrypts: &mut Encrypts) -> Result<(), FrameError>;

    /// Encrypts the contents of the command's first parameter, if this authorization has taken that on.
    #[doc(hidden)]
    fn encrypt(&mut self, _: &mut [u8]) {}

    /// Writes the HMAC of the command to the end of `frame`, which ends with the area; `cp` is the input of cpHash.
    #[doc(hidden)]
    fn seal(&mut self, _cp: &[&[u8]], _frame: &mut [u8]) {}

    /// Verifies the response by the authorization's area in it; `rp` is the input of rpHash.
    #[doc(hidden)]
    fn verify(&mut self, rp: &[&[u8]], area: &ResponseArea<'_>) -> Result<(), NotAuthentic>;

    /// Decrypts the contents of the response's first parameter, if this authorization has taken that on.
    #[doc(hidden)]
    fn decrypt(&mut self, _: &mut [u8]) {}

    /// Records that the command was not sent or that the chip rejected it: the chip's nonce is unchanged.
    #[doc(hidden)]
    fn refused(&mut self) {}
}

mod sealed {
    #[allow(
        unnameable_types,
        reason = "prevents implementations outside this crate"
    )]
    pub trait Sealed {}
    impl Sealed for super::Password<'_> {}
    impl Sealed for super::SessionAuthorization<'_, '_> {}
}

/// The parameters that a session may encrypt: the first one of the command, and the first one of the response.
#[derive(Clone, Copy)]
pub(crate) struct Encrypts {
    pub(crate) command: bool,
    pub(crate) response: bool,
}

/// The area of an authorization in a response, TPMS_AUTH_RESPONSE.
pub(crate) struct ResponseArea<'r> {
    pub(crate) nonce: &'r [u8],
    pub(crate) attributes: u8,
    pub(crate) hmac: &'r [u8],
}

pub(crate) struct NotAuthentic;

/// An authorization by a password, which crosses the bus in the clear.
#[derive(Debug)]
pub struct Password<'a>(pub &'a AuthValue);

impl Password<'static> {
    /// Creates an authorization by an empty password.
    #[must_use]
    pub const fn empty() -> Self {
        static EMPTY: AuthValue = AuthValue::empty();
        Self(&EMPTY)
    }
}

#[allow(private_interfaces, reason = "sealed")]
impl Authorize for Password<'_> {
    fn area_len(&self) -> usize {
        self.0.as_bytes().len().saturating_add(9)
    }

    fn begin(&mut self, out: &mut Writer<'_>, _: &mut Encrypts) -> Result<(), FrameError> {
        // TPM_RS_PW, an empty nonce, no attributes.
        out.put(&[0x40, 0x00, 0x00, 0x09, 0, 0, 0])?;
        Ok(out.sized16(self.0.as_bytes())?)
    }

    fn verify(&mut self, _: &[&[u8]], area: &ResponseArea<'_>) -> Result<(), NotAuthentic> {
        // A response to a password is not authenticated; only its format can be checked.
        if area.nonce.is_empty() && area.hmac.is_empty() {
            Ok(())
        } else {
            Err(NotAuthentic)
        }
    }
}

/// The source of the password of the entity that a command uses.
#[derive(Debug, Clone, Copy)]
pub(super) enum AuthSource<'a> {
    /// The session does not authorize the use of an entity.
    None,
    /// The session authorizes the use of an entity with this password.
    Entity(&'a AuthValue),
    /// As `Entity`; the first parameter of the command is replaced with the password of a new sequence.
    StartsSequence(&'a AuthValue),
    /// The session authorizes the use of the sequence that it started last.
    Sequence,
}

/// A [`Session`] as an authorization of one command.
#[derive(Debug)]
pub struct SessionAuthorization<'a, 'm> {
    session: &'a mut Session<'m>,
    auth_source: AuthSource<'a>,
    attributes: u8,
    /// True if this authorization has put the session in doubt.
    begun: bool,
}

impl<'a, 'm> SessionAuthorization<'a, 'm> {
    pub(super) fn new(session: &'a mut Session<'m>, auth_source: AuthSource<'a>) -> Self {
        Self {
            session,
            auth_source,
            attributes: attributes::CONTINUE_SESSION,
            begun: false,
        }
    }

    /// Returns the key sessionKey || authValue, or sessionKey alone (Part 1 sections 19.6.4 and 21.3): a policy session proves
    /// knowledge of the password only if its policy requires it.
    fn key(&self, with_auth_value: bool) -> HmacSha256State {
        let sequence;
        let auth_value = match self.auth_source {
            AuthSource::Entity(value) | AuthSource::StartsSequence(value) if with_auth_value => {
                value.as_bytes()
            }
            AuthSource::Sequence if with_auth_value => {
                sequence = self.session.sequence_password();
                sequence.as_slice()
            }
            _ => &[],
        };
        let mut key = SecretBytes::<{ 32 + AuthValue::MAX_LEN }>::default();
        // Both always fit. The zeroes behind them do not change the HMAC, which pads its key with zeroes.
        let mut out = Writer::new(&mut *key);
        let _ = out.put(&*self.session.key);
        let _ = out.put(auth_value);
        HmacSha256State::new(&*key)
    }

    fn hmac(
        &self,
        signed: &[&[u8]],
        newer: &[u8; 32],
        older: &[u8; 32],
        attributes: u8,
    ) -> [u8; 32] {
        let proves_password = match self.session.session_type {
            SessionType::Hmac => true,
            SessionType::Policy => self.session.needs_auth_value,
        };
        self.key(proves_password).mac_of_parts(&[
            &sha256_of_parts(signed),
            newer,
            older,
            &[attributes],
        ])
    }

    /// Encrypts or decrypts `data` in place with AES-128-CFB (Part 1 section 21.3): each block is combined by XOR with the
    /// encryption of the previous ciphertext block.
    fn cfb(&self, newer: &[u8; 32], older: &[u8; 32], data: &mut [u8], decrypts: bool) {
        let key = kdfa(&self.key(true), b"CFB", newer, older, 256);
        let (Some(key), Some(iv)) = (key.first_chunk::<16>(), key.last_chunk::<16>()) else {
            // Unreachable, because the key has 32 bytes. In any case, nothing is sent in the clear.
            return data.fill(0);
        };
        let cipher = Aes128::new(key.into());
        let mut feedback = Block::from(*iv);
        for chunk in data.chunks_mut(16) {
            cipher.encrypt_block(&mut feedback);
            for (byte, key) in chunk.iter_mut().zip(&mut feedback) {
                let ciphertext = if decrypts { *byte } else { *byte ^ *key };
                *byte ^= *key;
                *key = ciphertext;
            }
        }
        wipe(&mut feedback);
    }
}

#[allow(private_interfaces, reason = "sealed")]
impl Authorize for SessionAuthorization<'_, '_> {
    fn area_len(&self) -> usize {
        4 + 2 + 32 + 1 + 2 + 32
    }

    fn begin(&mut self, out: &mut Writer<'_>, encrypts: &mut Encrypts) -> Result<(), FrameError> {
        self.begun = false;
        if !self.session.is_usable() {
            return Err(FrameError::SessionInDoubt);
        }
        self.session.in_doubt = true;
        self.begun = true;
        self.session.next_nonce();
        let mut purpose = 0;
        if core::mem::take(&mut encrypts.command) {
            purpose |= attributes::DECRYPT;
        }
        if core::mem::take(&mut encrypts.response) {
            purpose |= attributes::ENCRYPT;
        }
        // A session must have a purpose. One that only authenticates the response is an audit session.
        if purpose == 0 && matches!(self.auth_source, AuthSource::None) {
            purpose = attributes::AUDIT;
        }
        self.attributes = attributes::CONTINUE_SESSION | purpose;
        out.u32(self.session.handle().0)?;
        out.sized16(&self.session.nonce_caller)?;
        out.u8(self.attributes)?;
        Ok(out.sized16(&[0; 32])?)
    }

    fn encrypt(&mut self, data: &mut [u8]) {
        if self.attributes & attributes::DECRYPT != 0 {
            let session = &*self.session;
            if let AuthSource::StartsSequence(_) = self.auth_source {
                let _ = Writer::new(data).put(&*session.sequence_password());
            }
            self.cfb(&session.nonce_caller, &session.nonce_tpm, data, false);
        }
    }

    fn seal(&mut self, cp: &[&[u8]], frame: &mut [u8]) {
        let session = &*self.session;
        let hmac = self.hmac(
            cp,
            &session.nonce_caller,
            &session.nonce_tpm,
            self.attributes,
        );
        if let Some(place) = frame.last_chunk_mut() {
            *place = hmac;
        }
    }

    fn verify(&mut self, rp: &[&[u8]], area: &ResponseArea<'_>) -> Result<(), NotAuthentic> {
        let nonce_tpm = <&[u8; 32]>::try_from(area.nonce).map_err(|_| NotAuthentic)?;
        let hmac = self.hmac(rp, nonce_tpm, &self.session.nonce_caller, area.attributes);
        if !equal(&hmac, area.hmac) || area.attributes & attributes::CONTINUE_SESSION == 0 {
            return Err(NotAuthentic);
        }
        self.session.nonce_tpm = *nonce_tpm;
        self.session.in_doubt = false;
        Ok(())
    }

    fn decrypt(&mut self, data: &mut [u8]) {
        if self.attributes & attributes::ENCRYPT != 0 {
            let session = &*self.session;
            self.cfb(&session.nonce_tpm, &session.nonce_caller, data, true);
        }
    }

    fn refused(&mut self) {
        self.session.in_doubt &= !self.begun;
    }
}
