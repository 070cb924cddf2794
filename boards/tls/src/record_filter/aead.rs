use super::{ALERT, APPLICATION_DATA, HANDSHAKE, VERSION, VERSION_AFTER_HANDSHAKE};
use aes_gcm::aead::{AeadCore, AeadInPlace, Error, Key, KeyInit, KeySizeUser, Nonce, Tag};
use chanbind_core::{
    crypto::wipe,
    wire::{Reader, Truncated},
};

/// A cipher that releases only plaintext that embedded-tls can handle; see the module documentation.
pub struct FilteredAead<C>(C);

impl<C: KeySizeUser> KeySizeUser for FilteredAead<C> {
    type KeySize = C::KeySize;
}

impl<C: KeyInit> KeyInit for FilteredAead<C> {
    fn new(key: &Key<Self>) -> Self {
        Self(C::new(key))
    }
}

impl<C: AeadCore> AeadCore for FilteredAead<C> {
    type NonceSize = C::NonceSize;
    type TagSize = C::TagSize;
    type CiphertextOverhead = C::CiphertextOverhead;
}

impl<C: AeadInPlace + KeySizeUser> AeadInPlace for FilteredAead<C> {
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
        if is_acceptable(buffer, handshake_is_over, hash_len::<C>()) {
            Ok(())
        } else {
            wipe(buffer);
            Err(Error)
        }
    }
}

/// Returns true if a TLSInnerPlaintext (RFC 8446 section 5.2: content, type, zero padding) may be passed to embedded-tls.
fn is_acceptable(plaintext: &[u8], handshake_is_over: bool, hash_len: usize) -> bool {
    if plaintext.len() > MAX_INNER_PLAINTEXT {
        return false;
    }
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
        HANDSHAKE => are_whole_messages(content, handshake_is_over, hash_len),
        _ => false,
    }
}

/// Returns the length of the hash that belongs to the cipher in the supported suites.
fn hash_len<C: KeySizeUser>() -> usize {
    if C::key_size() == 16 { 32 } else { 48 }
}

/// Returns true if `content` consists of one or more whole messages of types that are allowed in this state, with none after
/// Finished.
///
/// embedded-tls ignores the length of a message and continues after its fields. The length must therefore match the fields, or
/// further messages could be hidden within one.
fn are_whole_messages(content: &[u8], handshake_is_over: bool, hash_len: usize) -> bool {
    let mut messages = Reader::new(content);
    loop {
        let Ok((message_type, body)) = message(&mut messages) else {
            return false;
        };
        let is_allowed = (message_type == NEW_SESSION_TICKET) == handshake_is_over;
        if !is_allowed || !is_whole(message_type, body, hash_len) {
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

fn message<'a>(messages: &mut Reader<'a>) -> Result<(u8, &'a [u8]), Truncated> {
    Ok((messages.u8()?, messages.sized24()?))
}

/// Returns true if the fields of a message (RFC 8446 section 4) end exactly at the end of its body.
fn is_whole(message_type: u8, body: &[u8], hash_len: usize) -> bool {
    let mut fields = Reader::new(body);
    let read = match message_type {
        NEW_SESSION_TICKET => fields
            .take(8)
            .and_then(|_| fields.sized8())
            .and_then(|_| fields.sized16())
            .and_then(|_| fields.sized16()),
        ENCRYPTED_EXTENSIONS => fields.sized16(),
        CERTIFICATE => fields
            .sized8()
            .and_then(|_| fields.sized24())
            .and_then(entries),
        CERTIFICATE_REQUEST => fields.sized8().and_then(|_| fields.sized16()),
        CERTIFICATE_VERIFY => fields.u16().and_then(|_| fields.sized16()),
        FINISHED => fields.take(hash_len),
        _ => Err(Truncated),
    };
    read.is_ok() && fields.is_empty()
}

/// Checks the entries of a Certificate message, each a certificate and its extensions, which must be empty.
fn entries(list: &[u8]) -> Result<&[u8], Truncated> {
    let mut entries = Reader::new(list);
    while !entries.is_empty() {
        entries.sized24()?;
        // The client sends no extension that a certificate entry could answer.
        if !entries.sized16()?.is_empty() {
            return Err(Truncated);
        }
    }
    Ok(list)
}

/// The longest TLSInnerPlaintext, with content, type and padding (RFC 8446 section 5.2).
const MAX_INNER_PLAINTEXT: usize = 16_384 + 1;

const NEW_SESSION_TICKET: u8 = 4;
const ENCRYPTED_EXTENSIONS: u8 = 8;
const CERTIFICATE: u8 = 11;
const CERTIFICATE_REQUEST: u8 = 13;
const CERTIFICATE_VERIFY: u8 = 15;
const FINISHED: u8 = 20;
