//! Who may use an entity, and what the bus may see (TPM 2.0 Part 1 chapters 19 and 21).
//!
//! A [`Session`] is salted with a public key whose name was pinned: who sits on the bus can neither read the first parameter of
//! a command or response, nor make a response that is accepted, nor repeat one. A [`Password`] crosses the bus as it is, and
//! what it authorizes is neither encrypted nor authenticated.

mod auth_value;
mod authorize;
mod salt;

pub use auth_value::{AuthValue, AuthValueTooLong};
pub(crate) use authorize::ResponseArea;
pub use authorize::{Authorize, Password, SessionAuthorization};
pub(crate) use salt::Salt;

use authorize::AuthSource;

use crate::{
    command::{Entity, Handle, SessionType},
    contexts::Slot,
};
use chanbind_core::crypto::{HmacSha256State, SecretBytes, kdfa};
use core::fmt;

/// A salted session with AES-128-CFB parameter encryption in both directions; [`crate::Tpm::start_session`] makes it. It
/// serves any number of commands, one at a time, until one of them fails; dropped, the chip's side is flushed before the next
/// command.
pub struct Session<'m> {
    slot: Slot<'m>,
    key: SecretBytes<32>,
    nonce_tpm: [u8; 32],
    nonce_caller: [u8; 32],
    /// How many commands it has authorized.
    count: u64,
    /// How many sequences it has started; the last one is the one in use.
    sequences: u32,
    session_type: SessionType,
    /// A policy session that needs the entity's password, too: TPM2_PolicyAuthValue was called.
    needs_auth_value: bool,
    /// A command went out whose response has not been verified: the nonces of the two ends may differ.
    in_doubt: bool,
}

impl<'m> Session<'m> {
    pub(crate) fn new(
        slot: Slot<'m>,
        session_type: SessionType,
        salt: &Salt,
        nonce_tpm: [u8; 32],
    ) -> Self {
        let salt_key = HmacSha256State::new(salt.value());
        Self {
            slot,
            key: kdfa(&salt_key, b"ATH", &nonce_tpm, salt.nonce_caller(), 256),
            nonce_tpm,
            nonce_caller: [0; 32],
            count: 0,
            sequences: 0,
            session_type,
            needs_auth_value: false,
            in_doubt: false,
        }
    }

    /// Its handle.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.slot.handle()
    }

    /// It as the entity of policy commands.
    #[must_use]
    pub fn entity(&self) -> Entity {
        Entity::named_by_handle(self.handle())
    }

    /// Whether it can be used: not after a command that failed or was given up, and not after a reset of the chip.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        !self.in_doubt && self.slot.is_live()
    }

    /// To authorize the use of an entity that has this password, and to encrypt.
    pub fn authorizing<'a>(
        &'a mut self,
        auth_value: &'a AuthValue,
    ) -> SessionAuthorization<'a, 'm> {
        SessionAuthorization::new(self, AuthSource::Entity(auth_value))
    }

    /// To encrypt a command that needs no authorization, or that another one authorizes, and to authenticate its response.
    pub fn encrypting(&mut self) -> SessionAuthorization<'_, 'm> {
        SessionAuthorization::new(self, AuthSource::None)
    }

    /// To start a sequence by the use of an entity that has this password. Nobody but this session can then use the sequence:
    /// its password, the first parameter of the command, is put in here.
    pub(crate) fn starting_sequence<'a>(
        &'a mut self,
        auth_value: &'a AuthValue,
    ) -> SessionAuthorization<'a, 'm> {
        self.sequences = self.sequences.wrapping_add(1);
        SessionAuthorization::new(self, AuthSource::StartsSequence(auth_value))
    }

    /// To use the sequence that was started last.
    pub(crate) fn using_sequence(&mut self) -> SessionAuthorization<'_, 'm> {
        SessionAuthorization::new(self, AuthSource::Sequence)
    }

    /// The password of the sequence that was started last: nobody else can compute it.
    fn sequence_password(&self) -> SecretBytes<32> {
        let key = HmacSha256State::new(&*self.key);
        kdfa(&key, b"SEQUENCE", &self.sequences.to_be_bytes(), &[], 256)
    }

    /// After TPM2_PolicyAuthValue: the password of the entity becomes part of what this session proves.
    pub fn include_auth_value(&mut self) {
        self.needs_auth_value = true;
    }

    /// A nonce that nobody else can foresee and that never comes again: of the session's key and a counter.
    fn next_nonce(&mut self) {
        self.count = self.count.wrapping_add(1);
        let key = HmacSha256State::new(&*self.key);
        let nonce = kdfa(&key, b"NONCE", &self.count.to_be_bytes(), &[], 256);
        self.nonce_caller = *nonce;
    }
}

impl fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({:?}, hidden)", self.handle())
    }
}
