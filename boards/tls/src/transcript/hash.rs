use crate::slots::{self, HandshakeSlots, Id};
use chanbind_core::crypto::wipe;
use core::marker::PhantomData;
use digest::{
    Digest, FixedOutput, HashMarker, Output, OutputSizeUser, Reset, Update, core_api::BlockSizeUser,
};
use typenum::Unsigned;

/// A hash that inspects its input; see the module documentation.
pub struct TranscriptHash<H: OutputSizeUser, S> {
    hash: H,
    seen: Seen<H>,
    slots: PhantomData<fn() -> S>,
}

/// The input so far.
enum Seen<H: OutputSizeUser> {
    Nothing,
    /// One whole block. If it is the start of an HMAC, this is the first part of the HMAC's key.
    Block(Output<H>),
    /// The ClientHello of an observed connection.
    ClientHello(Id),
    /// Any other input.
    Other,
}

impl<H: OutputSizeUser> Seen<H> {
    fn wipe(&mut self) {
        if let Self::Block(key) = self {
            wipe(key);
        }
    }
}

impl<H: OutputSizeUser + Clone> Clone for Seen<H> {
    fn clone(&self) -> Self {
        match self {
            Self::Nothing => Self::Nothing,
            Self::Block(key) => Self::Block(key.clone()),
            Self::ClientHello(id) => Self::ClientHello(*id),
            Self::Other => Self::Other,
        }
    }
}

impl<H: OutputSizeUser, S> Drop for TranscriptHash<H, S> {
    fn drop(&mut self) {
        self.seen.wipe();
    }
}

impl<H: OutputSizeUser + Clone, S> Clone for TranscriptHash<H, S> {
    fn clone(&self) -> Self {
        Self {
            hash: self.hash.clone(),
            seen: self.seen.clone(),
            slots: PhantomData,
        }
    }
}

impl<H: OutputSizeUser + Default, S> Default for TranscriptHash<H, S> {
    fn default() -> Self {
        Self {
            hash: H::default(),
            seen: Seen::Nothing,
            slots: PhantomData,
        }
    }
}

impl<H: OutputSizeUser, S> OutputSizeUser for TranscriptHash<H, S> {
    type OutputSize = H::OutputSize;
}

impl<H: OutputSizeUser + BlockSizeUser, S> BlockSizeUser for TranscriptHash<H, S> {
    type BlockSize = H::BlockSize;
}

impl<H: OutputSizeUser, S> HashMarker for TranscriptHash<H, S> {}

impl<H: OutputSizeUser + Default, S> Reset for TranscriptHash<H, S> {
    fn reset(&mut self) {
        *self = Self::default();
    }
}

impl<H: Digest + BlockSizeUser + Default, S: HandshakeSlots> Update for TranscriptHash<H, S> {
    fn update(&mut self, data: &[u8]) {
        if !data.is_empty() {
            self.inspect(data);
        }
        Digest::update(&mut self.hash, data);
    }
}

impl<H: Digest + BlockSizeUser + Default, S: HandshakeSlots> TranscriptHash<H, S> {
    fn inspect(&mut self, data: &[u8]) {
        let seen = match &self.seen {
            Seen::Nothing if data.len() == H::BlockSize::USIZE => {
                let mut key = Output::<H>::default();
                for (key, padded) in key.iter_mut().zip(data) {
                    *key = padded ^ INNER_PAD;
                }
                Seen::Block(key)
            }
            Seen::Nothing => {
                match client_random(data).and_then(|random| slots::bind(S::table(), random)) {
                    Some(id) => Seen::ClientHello(id),
                    None => Seen::Other,
                }
            }
            Seen::Block(key) => {
                if let Some(transcript) = client_traffic_context(data, key.len()) {
                    slots::capture(S::table(), transcript, key);
                }
                Seen::Other
            }
            Seen::ClientHello(id) => {
                id.note_message(data, <H as Digest>::output_size());
                return;
            }
            Seen::Other => return,
        };
        self.seen.wipe();
        self.seen = seen;
    }
}

impl<H: Digest + BlockSizeUser + Default + FixedOutput, S: HandshakeSlots> FixedOutput
    for TranscriptHash<H, S>
{
    fn finalize_into(mut self, out: &mut Output<Self>) {
        FixedOutput::finalize_into(core::mem::take(&mut self.hash), out);
        if let Seen::ClientHello(id) = self.seen {
            id.note_transcript(out);
        }
    }
}

/// The byte that ipad repeats (RFC 2104 section 2).
const INNER_PAD: u8 = 0x36;

/// Returns `random` of a ClientHello (RFC 8446 section 4.1.2), or `None` if `message` does not begin like one.
fn client_random(message: &[u8]) -> Option<&[u8]> {
    const CLIENT_HELLO: u8 = 1;
    const LEGACY_VERSION: &[u8] = &[3, 3];
    let is_client_hello =
        message.first() == Some(&CLIENT_HELLO) && message.get(4..6) == Some(LEGACY_VERSION);
    message.get(6..38).filter(|_| is_client_hello)
}

/// Returns the context if `info` is `HkdfLabel { length, "tls13 c ap traffic", context }`.
fn client_traffic_context(info: &[u8], hash_len: usize) -> Option<&[u8]> {
    const LABEL: &[u8] = b"tls13 c ap traffic";
    let len = u8::try_from(hash_len).ok()?;
    let label_len = u8::try_from(LABEL.len()).ok()?;
    info.strip_prefix(&[0, len, label_len])?
        .strip_prefix(LABEL)?
        .strip_prefix(&[len])
        .filter(|context| context.len() == hash_len)
}
