use super::{AuthValue, Session};
use crate::{command::SessionType, error::FrameError, frame::Encrypts};
use aes::{
    Aes128, Block,
    cipher::{BlockEncrypt, KeyInit},
};
use chanbind_core::{
    crypto::{HmacSha256State, SecretBytes, equal, kdfa, sha256_of_parts, wipe},
    wire::Writer,
};

/// TPMA_SESSION
mod attributes {
    pub(super) const CONTINUE_SESSION: u8 = 0x01;
    pub(super) const DECRYPT: u8 = 0x20;
    pub(super) const ENCRYPT: u8 = 0x40;
    pub(super) const AUDIT: u8 = 0x80;
}

/// Something that authorizes a command: [`Password`] or [`SessionAuthorization`]. Nobody else can be one.
#[allow(private_interfaces, reason = "sealed: its methods speak of frames")]
pub trait Authorize: sealed::Sealed {
    /// The length of its area in a command.
    #[doc(hidden)]
    fn area_len(&self) -> usize;

    /// Writes its area, with zeroes for the HMAC at its end. Takes on the encryption that nobody has yet.
    #[doc(hidden)]
    fn begin(&mut self, out: &mut Writer<'_>, encrypts: &mut Encrypts) -> Result<(), FrameError>;

    /// Encrypts the contents of the command's first parameter, if that is its part.
    #[doc(hidden)]
    fn encrypt(&mut self, _: &mut [u8]) {}

    /// Puts the HMAC of the command at the end of `frame`, which is that of its area; `cp` is what cpHash is of.
    #[doc(hidden)]
    fn seal(&mut self, _cp: &[&[u8]], _frame: &mut [u8]) {}

    /// Holds the response against its area of it; `rp` is what rpHash is of.
    #[doc(hidden)]
    fn verify(&mut self, rp: &[&[u8]], area: &ResponseArea<'_>) -> Result<(), NotAuthentic>;

    /// Decrypts the contents of the response's first parameter, if that is its part.
    #[doc(hidden)]
    fn decrypt(&mut self, _: &mut [u8]) {}

    /// The command was not sent, or the chip refused it: nothing has moved on.
    #[doc(hidden)]
    fn refused(&mut self) {}
}

mod sealed {
    #[allow(unnameable_types, reason = "that is the purpose")]
    pub trait Sealed {}
    impl Sealed for super::Password<'_> {}
    impl Sealed for super::SessionAuthorization<'_, '_> {}
}

/// TPMS_AUTH_RESPONSE
pub(crate) struct ResponseArea<'r> {
    pub(crate) nonce: &'r [u8],
    pub(crate) attributes: u8,
    pub(crate) hmac: &'r [u8],
}

pub(crate) struct NotAuthentic;

/// A password, which crosses the bus as it is.
#[derive(Debug)]
pub struct Password<'a>(pub &'a AuthValue);

impl Password<'static> {
    /// No password.
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
        // No nonce, no attributes.
        out.put(&[0x40, 0x00, 0x00, 0x09, 0, 0, 0])?;
        Ok(out.sized16(self.0.as_bytes())?)
    }

    fn verify(&mut self, _: &[&[u8]], area: &ResponseArea<'_>) -> Result<(), NotAuthentic> {
        // Nothing here is authentic; but this is what a TPM answers.
        if area.nonce.is_empty() && area.hmac.is_empty() {
            Ok(())
        } else {
            Err(NotAuthentic)
        }
    }
}

/// Where the password of the entity that is used comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum AuthSource<'a> {
    /// No entity is used.
    None,
    Entity(&'a AuthValue),
    /// The same, and the first parameter is to become the password of a sequence.
    StartsSequence(&'a AuthValue),
    /// The sequence that the session started last.
    Sequence,
}

/// A [`Session`] in the service of one command.
#[derive(Debug)]
pub struct SessionAuthorization<'a, 'm> {
    session: &'a mut Session<'m>,
    /// The password of the entity that it authorizes, if it does.
    auth_source: AuthSource<'a>,
    attributes: u8,
    /// Whether this has put the session in doubt.
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

    /// sessionKey || authValue, or without (Part 1 sections 19.6.4 and 21.3): a policy proves the password only if it says so.
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
        // There is room: what is behind it in the key would be zeroes in any case.
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

    /// AES-128-CFB of Part 1 section 21.3: each block is added to the encryption of the cipher text before it.
    fn cfb(&self, newer: &[u8; 32], older: &[u8; 32], data: &mut [u8], decrypts: bool) {
        let key = kdfa(&self.key(true), b"CFB", newer, older, 256);
        let (Some(key), Some(iv)) = (key.first_chunk::<16>(), key.last_chunk::<16>()) else {
            // Never, for 32 is twice 16; nothing is sent in the clear in any case.
            return data.fill(0);
        };
        let cipher = Aes128::new(key.into());
        let mut feedback = Block::from(*iv);
        for chunk in data.chunks_mut(16) {
            cipher.encrypt_block(&mut feedback);
            for (byte, key) in chunk.iter_mut().zip(&mut feedback) {
                let cipher_text = if decrypts { *byte } else { *byte ^ *key };
                *byte ^= *key;
                *key = cipher_text;
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
        // A session must be there for something; to authenticate alone is to audit.
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
