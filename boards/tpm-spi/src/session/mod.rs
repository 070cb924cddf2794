//! Authorization of the use of entities, and encryption of parameters on the bus (TPM 2.0 Part 1 chapters 19 and 21).
//!
//! A [`Session`] is salted with a public key whose name is pinned: an attacker on the bus cannot read the first parameter of a
//! command or response, forge a response, or replay one. A [`Password`] crosses the bus in the clear, and the command that it
//! authorizes is neither encrypted nor authenticated.

mod auth_value;
mod authorize;
mod salt;

pub use auth_value::{AuthValue, AuthValueTooLong};
pub use authorize::{Authorize, Password, SessionAuthorization};
pub(crate) use authorize::{Encrypts, ResponseArea};
pub(crate) use salt::Salt;

use authorize::AuthSource;

use crate::{
    command::{Entity, Handle, SessionType},
    contexts::Slot,
};
use chanbind_core::crypto::{HmacSha256State, SecretBytes, kdfa};
use core::fmt;

/// A salted session with AES-128-CFB parameter encryption in both directions. [`crate::Tpm::start_session`] creates it.
///
/// A session authorizes any number of commands, one at a time, until one of them fails. When it is dropped, the chip's side is
/// flushed before the next command.
pub struct Session<'m> {
    slot: Slot<'m>,
    key: SecretBytes<32>,
    nonce_tpm: [u8; 32],
    nonce_caller: [u8; 32],
    /// Number of nonces generated so far.
    count: u64,
    /// Number of sequences started so far; the last one is in use.
    sequences: u32,
    session_type: SessionType,
    /// True if a policy session must also prove knowledge of the entity's password, after TPM2_PolicyAuthValue.
    needs_auth_value: bool,
    /// True if a command was marshalled and its response has not been verified: the nonces of driver and chip may differ.
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

    /// Returns the handle.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.slot.handle()
    }

    /// Returns the session as the entity of policy commands.
    #[must_use]
    pub fn entity(&self) -> Entity {
        Entity::named_by_handle(self.handle())
    }

    /// Returns true if the session can be used. It cannot be used after a command that failed or whose future was dropped, nor
    /// after a reset of the chip.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        !self.in_doubt && self.slot.is_live()
    }

    /// Authorizes the use of an entity that has this password, and encrypts the parameters.
    pub fn authorizing<'a>(
        &'a mut self,
        auth_value: &'a AuthValue,
    ) -> SessionAuthorization<'a, 'm> {
        SessionAuthorization::new(self, AuthSource::Entity(auth_value))
    }

    /// Encrypts the parameters and authenticates the response of a command that needs no authorization, or that another
    /// authorization authorizes.
    pub fn encrypting(&mut self) -> SessionAuthorization<'_, 'm> {
        SessionAuthorization::new(self, AuthSource::None)
    }

    /// Authorizes the start of a sequence by the use of an entity that has this password. Replaces the first parameter of the
    /// command with a password of the sequence that only this session can compute.
    pub(crate) fn starting_sequence<'a>(
        &'a mut self,
        auth_value: &'a AuthValue,
    ) -> SessionAuthorization<'a, 'm> {
        self.sequences = self.sequences.wrapping_add(1);
        SessionAuthorization::new(self, AuthSource::StartsSequence(auth_value))
    }

    /// Authorizes the use of the sequence that was started last.
    pub(crate) fn using_sequence(&mut self) -> SessionAuthorization<'_, 'm> {
        SessionAuthorization::new(self, AuthSource::Sequence)
    }

    /// Computes the password of the sequence that was started last, from the secret key of the session.
    fn sequence_password(&self) -> SecretBytes<32> {
        let key = HmacSha256State::new(&*self.key);
        kdfa(&key, b"SEQUENCE", &self.sequences.to_be_bytes(), &[], 256)
    }

    /// Makes a policy session prove knowledge of the entity's password. Call it after TPM2_PolicyAuthValue.
    pub fn include_auth_value(&mut self) {
        self.needs_auth_value = true;
    }

    /// Generates the next nonce from the session's key and a counter: unpredictable for an attacker, and never repeated.
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
