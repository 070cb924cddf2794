use super::ChannelError;
use crate::crypto::SecretBytes;
use crypto_secretbox::{
    AeadInPlace, KeyInit, Nonce, Tag, XSalsa20Poly1305,
    aead::generic_array::{GenericArray, typenum::U10},
};
use curve25519_dalek::MontgomeryPoint;

/// The number of bytes that sealing adds.
pub(super) const SEAL_LEN: usize = 16;

/// An X25519 secret key.
pub(super) type SecretKey = SecretBytes<32>;

/// The keys and counters of both directions.
pub(super) struct Seal {
    cipher: XSalsa20Poly1305,
    /// True if this end's public key is the smaller one.
    is_smaller: bool,
    sent: u64,
    received: u64,
}

/// Returns the public key of a secret key.
pub(super) fn public_key(secret: &SecretKey) -> [u8; 32] {
    MontgomeryPoint::mul_base_clamped(**secret).to_bytes()
}

impl Seal {
    /// Agrees on a key: X25519, then HSalsa20.
    pub(super) fn new(secret: &SecretKey, peer: &[u8; 32]) -> Result<Self, ChannelError> {
        let own = public_key(secret);
        let shared =
            SecretBytes::<32>::new(MontgomeryPoint(*peer).mul_clamped(**secret).to_bytes());
        // A point of low order gives zero, whatever the secret.
        if *shared == [0; 32] || own == *peer {
            return Err(ChannelError::EphemeralKey);
        }
        let key =
            salsa20::hsalsa::<U10>(GenericArray::from_slice(&*shared), &GenericArray::default());
        let key = SecretBytes::<32>::new(key.into());
        Ok(Self {
            cipher: XSalsa20Poly1305::new(GenericArray::from_slice(&*key)),
            is_smaller: own < *peer,
            sent: 0,
            received: 0,
        })
    }

    /// Seals a message in place. `frame` has room for the tag before the message.
    pub(super) fn seal(&mut self, frame: &mut [u8]) -> Result<(), ChannelError> {
        let nonce = nonce(self.sent, self.is_smaller);
        let (tag, message) = frame
            .split_at_mut_checked(SEAL_LEN)
            .ok_or(ChannelError::BufferTooSmall)?;
        let sealed = self.cipher.encrypt_in_place_detached(&nonce, &[], message);
        tag.copy_from_slice(&sealed.map_err(|_| ChannelError::BufferTooSmall)?);
        self.sent = self.sent.checked_add(1).ok_or(ChannelError::Seal)?;
        Ok(())
    }

    /// Opens a frame's body in place, and returns the message.
    pub(super) fn open<'f>(&mut self, body: &'f mut [u8]) -> Result<&'f mut [u8], ChannelError> {
        let nonce = nonce(self.received, !self.is_smaller);
        let (tag, message) = body
            .split_at_mut_checked(SEAL_LEN)
            .ok_or(ChannelError::Seal)?;
        self.cipher
            .decrypt_in_place_detached(&nonce, &[], message, Tag::from_slice(tag))
            .map_err(|_| ChannelError::Seal)?;
        self.received = self.received.checked_add(1).ok_or(ChannelError::Seal)?;
        Ok(message)
    }
}

/// Returns the nonce of a frame: its number, and the direction.
fn nonce(number: u64, is_of_smaller: bool) -> Nonce {
    let mut nonce = Nonce::default();
    for (to, from) in nonce.iter_mut().zip(number.to_le_bytes()) {
        *to = from;
    }
    if let Some(place) = nonce.get_mut(8) {
        *place = u8::from(is_of_smaller);
    }
    nonce
}
