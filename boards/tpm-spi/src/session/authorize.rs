use super::{AuthValue, Session};
use crate::{
    command::{Handle, SessionType},
    frame::Encrypts,
};
use aes::{
    Aes128,
    cipher::{AsyncStreamCipher, KeyIvInit},
};
use chanbind_core::{
    crypto::{HmacSha256State, Wiped, equal, kdfa},
    wire::{Full, Writer},
};

/// TPMA_SESSION
mod attributes {
    pub(super) const CONTINUE_SESSION: u8 = 0x01;
    pub(super) const DECRYPT: u8 = 0x20;
    pub(super) const ENCRYPT: u8 = 0x40;
}

/// Something that authorizes a command: [`Password`] or [`SessionAuthorization`]. Nobody else can be one.
#[allow(private_interfaces, reason = "sealed: its methods speak of frames")]
pub trait Authorize: sealed::Sealed {
    /// The length of its area in a command.
    #[doc(hidden)]
    fn area_len(&self) -> usize;

    /// Writes its area, with zeroes for the HMAC, whose length it gives. Takes on the encryption that nobody has yet.
    #[doc(hidden)]
    fn begin(&mut self, out: &mut Writer<'_>, encrypts: &mut Encrypts) -> Result<usize, Full>;

    /// Encrypts the contents of the command's first parameter, if that is its part.
    #[doc(hidden)]
    fn encrypt(&mut self, _: &mut [u8]) {}

    /// The HMAC of the command.
    #[doc(hidden)]
    fn seal(&mut self, _cp_hash: &[u8; 32]) -> Option<[u8; 32]> {
        None
    }

    /// Holds the response against its area of it.
    #[doc(hidden)]
    fn verify(&mut self, rp_hash: &[u8; 32], area: &ResponseArea<'_>) -> Result<(), NotAuthentic>;

    /// Decrypts the contents of the response's first parameter, if that is its part.
    #[doc(hidden)]
    fn decrypt(&mut self, _: &mut [u8]) {}

    /// Whether it can be used at all.
    #[doc(hidden)]
    fn is_usable(&self) -> bool {
        true
    }

    /// The command is about to be sent.
    #[doc(hidden)]
    fn sent(&mut self) {}

    /// The chip refused the command: nothing has moved on.
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

    fn begin(&mut self, out: &mut Writer<'_>, _: &mut Encrypts) -> Result<usize, Full> {
        out.u32(Handle::PASSWORD.0)?;
        out.u16(0)?;
        out.u8(0)?;
        out.sized16(self.0.as_bytes())?;
        Ok(0)
    }

    fn verify(&mut self, _: &[u8; 32], area: &ResponseArea<'_>) -> Result<(), NotAuthentic> {
        // Nothing here is authentic; but this is what a TPM answers.
        if area.nonce.is_empty() && area.hmac.is_empty() {
            Ok(())
        } else {
            Err(NotAuthentic)
        }
    }
}

/// A [`Session`] in the service of one command.
#[derive(Debug)]
pub struct SessionAuthorization<'a, 'm> {
    session: &'a mut Session<'m>,
    /// Of the entity that it authorizes, if it does.
    auth_value: Option<&'a AuthValue>,
    attributes: u8,
}

impl<'a, 'm> SessionAuthorization<'a, 'm> {
    pub(super) fn new(session: &'a mut Session<'m>, auth_value: Option<&'a AuthValue>) -> Self {
        Self {
            session,
            auth_value,
            attributes: attributes::CONTINUE_SESSION,
        }
    }

    /// sessionKey || authValue, or without (Part 1 sections 19.6.4 and 21.3): a policy proves the password only if it says so.
    fn key(&self, with_auth_value: bool) -> HmacSha256State {
        let auth_value = match self.auth_value {
            Some(value) if with_auth_value => value.as_bytes(),
            _ => &[],
        };
        let mut key = Wiped::<{ 32 + AuthValue::MAX_LEN }>::default();
        let bytes = self.session.key.iter().chain(auth_value);
        for (to, from) in key.iter_mut().zip(bytes) {
            *to = *from;
        }
        let len = self.session.key.len().saturating_add(auth_value.len());
        HmacSha256State::new(key.get(..len).unwrap_or_default())
    }

    fn hmac(
        &self,
        hash: &[u8; 32],
        newer: &[u8; 32],
        older: &[u8; 32],
        attributes: u8,
    ) -> [u8; 32] {
        let proves_password = match self.session.session_type {
            SessionType::Hmac => true,
            SessionType::Policy => self.session.needs_auth_value,
        };
        self.key(proves_password)
            .mac([hash.as_slice(), newer, older, &[attributes]])
    }

    fn cipher<M: KeyIvInit>(&self, newer: &[u8; 32], older: &[u8; 32]) -> Option<M> {
        let key = kdfa(&self.key(true), b"CFB", newer, older, 256);
        let (key, iv) = key.split_at_checked(16)?;
        M::new_from_slices(key, iv).ok()
    }
}

#[allow(private_interfaces, reason = "sealed")]
impl Authorize for SessionAuthorization<'_, '_> {
    fn area_len(&self) -> usize {
        4 + 2 + 32 + 1 + 2 + 32
    }

    fn begin(&mut self, out: &mut Writer<'_>, encrypts: &mut Encrypts) -> Result<usize, Full> {
        self.session.next_nonce();
        if core::mem::take(&mut encrypts.command) {
            self.attributes |= attributes::DECRYPT;
        }
        if core::mem::take(&mut encrypts.response) {
            self.attributes |= attributes::ENCRYPT;
        }
        out.u32(self.session.handle().0)?;
        out.sized16(&self.session.nonce_caller)?;
        out.u8(self.attributes)?;
        out.sized16(&[0; 32])?;
        Ok(32)
    }

    fn encrypt(&mut self, data: &mut [u8]) {
        if self.attributes & attributes::DECRYPT == 0 {
            return;
        }
        let Session {
            nonce_caller,
            nonce_tpm,
            ..
        } = &*self.session;
        match self.cipher::<cfb_mode::Encryptor<Aes128>>(nonce_caller, nonce_tpm) {
            Some(cipher) => cipher.encrypt(data),
            // Never, for the lengths are right; nothing is sent in the clear in any case.
            None => data.fill(0),
        }
    }

    fn seal(&mut self, cp_hash: &[u8; 32]) -> Option<[u8; 32]> {
        let session = &*self.session;
        Some(self.hmac(
            cp_hash,
            &session.nonce_caller,
            &session.nonce_tpm,
            self.attributes,
        ))
    }

    fn verify(&mut self, rp_hash: &[u8; 32], area: &ResponseArea<'_>) -> Result<(), NotAuthentic> {
        let nonce_tpm = <&[u8; 32]>::try_from(area.nonce).map_err(|_| NotAuthentic)?;
        let hmac = self.hmac(
            rp_hash,
            nonce_tpm,
            &self.session.nonce_caller,
            area.attributes,
        );
        if !equal(&hmac, area.hmac) || area.attributes & attributes::CONTINUE_SESSION == 0 {
            return Err(NotAuthentic);
        }
        self.session.nonce_tpm = *nonce_tpm;
        self.session.in_doubt = false;
        Ok(())
    }

    fn decrypt(&mut self, data: &mut [u8]) {
        if self.attributes & attributes::ENCRYPT == 0 {
            return;
        }
        let Session {
            nonce_caller,
            nonce_tpm,
            ..
        } = &*self.session;
        match self.cipher::<cfb_mode::Decryptor<Aes128>>(nonce_tpm, nonce_caller) {
            Some(cipher) => cipher.decrypt(data),
            None => data.fill(0),
        }
    }

    fn is_usable(&self) -> bool {
        self.session.is_usable()
    }

    fn sent(&mut self) {
        self.session.in_doubt = true;
    }

    fn refused(&mut self) {
        self.session.in_doubt = false;
    }
}
