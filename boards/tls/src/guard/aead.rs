use super::{ALERT, APPLICATION_DATA, HANDSHAKE, VERSION, VERSION_AFTER_HANDSHAKE};
use aes_gcm::aead::{AeadCore, AeadInPlace, Error, Key, KeyInit, KeySizeUser, Nonce, Tag};
use chanbind_core::{crypto::wipe, wire::Reader};

/// A cipher that gives out only what embedded-tls can stand; see the module.
pub struct Checked<C>(C);

impl<C: KeySizeUser> KeySizeUser for Checked<C> {
    type KeySize = C::KeySize;
}

impl<C: KeyInit> KeyInit for Checked<C> {
    fn new(key: &Key<Self>) -> Self {
        Self(C::new(key))
    }
}

impl<C: AeadCore> AeadCore for Checked<C> {
    type NonceSize = C::NonceSize;
    type TagSize = C::TagSize;
    type CiphertextOverhead = C::CiphertextOverhead;
}

impl<C: AeadInPlace> AeadInPlace for Checked<C> {
    fn encrypt_in_place_detached(
        &self,
        nonce: &Nonce<Self>,
        header: &[u8],
        buffer: &mut [u8],
    ) -> Result<Tag<Self>, Error> {
        self.0.encrypt_in_place_detached(nonce, header, buffer)
    }

    fn decrypt_in_place_detached(
        &self,
        nonce: &Nonce<Self>,
        header: &[u8],
        buffer: &mut [u8],
        tag: &Tag<Self>,
    ) -> Result<(), Error> {
        let &[content_type, major, minor, high, low] = header else {
            return Err(Error);
        };
        let handshake_is_over = [major, minor] == VERSION_AFTER_HANDSHAKE;
        let header = [content_type, VERSION[0], VERSION[1], high, low];
        self.0
            .decrypt_in_place_detached(nonce, &header, buffer, tag)?;
        if is_acceptable(buffer, handshake_is_over) {
            Ok(())
        } else {
            wipe(buffer);
            Err(Error)
        }
    }
}

/// TLSInnerPlaintext (RFC 8446 section 5.2): content, type, zeroes.
fn is_acceptable(plaintext: &[u8], handshake_is_over: bool) -> bool {
    let Some((&content_type, content)) = plaintext
        .iter()
        .rposition(|&byte| byte != 0)
        .and_then(|at| plaintext.get(..=at)?.split_last())
    else {
        return false;
    };
    match content_type {
        APPLICATION_DATA => handshake_is_over,
        ALERT => content.len() == 2,
        HANDSHAKE => are_whole_messages(content, handshake_is_over),
        _ => false,
    }
}

/// Whole messages, at least one, each of a type that may come now; behind Finished, none.
fn are_whole_messages(content: &[u8], handshake_is_over: bool) -> bool {
    let expected: &[u8] = if handshake_is_over {
        // NewSessionTicket
        &[4]
    } else {
        // EncryptedExtensions, Certificate, CertificateRequest, CertificateVerify
        &[8, 11, 13, 15, FINISHED]
    };
    let mut messages = Reader::new(content);
    loop {
        let Ok([message_type, len @ ..]) = messages.array::<4>() else {
            return false;
        };
        let [high, middle, low] = len;
        let len = u32::from_be_bytes([0, high, middle, low]);
        let whole = usize::try_from(len).is_ok_and(|len| messages.take(len).is_ok());
        if !whole || !expected.contains(&message_type) {
            return false;
        }
        if messages.is_empty() {
            return true;
        }
        if message_type == FINISHED {
            return false;
        }
    }
}

const FINISHED: u8 = 20;
