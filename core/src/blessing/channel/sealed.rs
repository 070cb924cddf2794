//! The part of the handshake that is the same at both ends: before the box has a key, and with it.

use super::{
    ChannelError, Connection, PeerBlessings, Presented, Setup, Versions,
    frame::header,
    message::{BLESSINGS_FLOW, Message, TEAR_DOWN},
    present::{write_presented, write_sealed},
    seal::{Seal, SecretKey, public_key},
    setup::{self, SetupOctets},
};
use crate::{
    binding::Side,
    blessing::{
        Algorithms, AuthMessage, MAX_AUTH_LEN, OwnedSignature, PublicKey, SigningRequest,
        VerifiedBlessings, auth::signed_parts,
    },
    crypto::SecretBytes,
};
use core::borrow::BorrowMut;

/// The number under which an end sends its first blessings.
const FIRST_KEY: u64 = 1;

/// The memory of a channel: both Setups until the handshake is complete, and at most `LEN` bytes of the peer's blessings.
///
/// The machines own it (`Box<ChannelMemory<LEN>>`, or itself) or borrow it (`&mut ChannelMemory<LEN>`), so that they stay small where they move.
pub struct ChannelMemory<const LEN: usize> {
    /// The parts that both ends sign.
    binding: [SetupOctets; 2],
    pub(super) peer: PeerBlessings<LEN>,
}

impl<const LEN: usize> ChannelMemory<LEN> {
    /// Creates empty memory.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "for a static")]
    pub const fn new() -> Self {
        Self {
            binding: [SetupOctets::new(), SetupOctets::new()],
            peer: PeerBlessings::new(),
        }
    }

    /// Returns the place for the Setup of a side.
    fn setup_of(&mut self, side: Side) -> &mut SetupOctets {
        let [dialer, acceptor] = &mut self.binding;
        match side {
            Side::Client => dialer,
            Side::Server => acceptor,
        }
    }
}

/// An end that has sent its Setup.
pub(super) struct SetUp<M, const LEN: usize> {
    side: Side,
    versions: Versions,
    secret: SecretKey,
    memory: M,
    mtu: u64,
    shared_tokens: u64,
}

impl<M: BorrowMut<ChannelMemory<LEN>>, const LEN: usize> SetUp<M, LEN> {
    pub(super) fn begin(
        side: Side,
        setup: &Setup<'_>,
        secret: &[u8; 32],
        mut memory: M,
        out: &mut [u8],
    ) -> Result<(Self, usize), ChannelError> {
        let secret = SecretBytes::new(*secret);
        // It may have been used for another connection.
        memory.borrow_mut().peer.clear();
        let own = memory.borrow_mut().setup_of(side);
        setup::write(setup, &public_key(&secret), own)?;
        let header = header(own.len())?;
        let mut writer = crate::wire::Writer::new(out);
        writer.put(&header)?;
        writer.put(own)?;
        let len = writer.len();
        Ok((
            Self {
                side,
                versions: setup.versions,
                secret,
                memory,
                mtu: setup.mtu,
                shared_tokens: setup.shared_tokens,
            },
            len,
        ))
    }

    /// Takes the peer's Setup.
    pub(super) fn receive(mut self, body: &[u8]) -> Result<Sealed<M, LEN>, ChannelError> {
        if body.first() == Some(&TEAR_DOWN) {
            return Err(ChannelError::TearDown);
        }
        let memory = self.memory.borrow_mut();
        let peer = setup::parse(body, memory.setup_of(self.side.peer()))?;
        let version = self.versions.choose(peer.versions)?;
        let seal = Seal::new(&self.secret, &peer.key)?;
        if version < 14 {
            let mut keys = [public_key(&self.secret), peer.key];
            keys.sort_unstable();
            memory.binding = keys.map(|key| SetupOctets::from_slice(&key).unwrap_or_default());
        }
        Ok(Sealed {
            side: self.side,
            version,
            seal,
            memory: self.memory,
            mtu: self.mtu.min(peer.mtu),
            shared_tokens: match peer.shared_tokens {
                0 => self.shared_tokens,
                tokens => tokens.min(self.shared_tokens),
            },
        })
    }
}

/// An end that has the key of the box.
pub(super) struct Sealed<M, const LEN: usize> {
    side: Side,
    pub(super) version: u64,
    seal: Seal,
    pub(super) memory: M,
    mtu: u64,
    shared_tokens: u64,
}

/// A peer that has proved the key of its blessings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys {
    pub(super) blessings: u64,
    pub(super) discharges: u64,
}

impl<M: BorrowMut<ChannelMemory<LEN>>, const LEN: usize> Sealed<M, LEN> {
    /// Takes a frame of the peer's blessings or its Auth message. Returns the numbers of the blessings when the peer has proved their key.
    pub(super) fn receive(
        &mut self,
        body: &mut [u8],
        algorithms: &Algorithms,
    ) -> Result<Option<Keys>, ChannelError> {
        let message = self.seal.open(body)?;
        let kind = message.first().copied().unwrap_or(0);
        match Message::parse(message)? {
            Message::Data {
                flow: BLESSINGS_FLOW,
                flags,
                payload,
            } if !flags.closes => {
                self.memory.borrow_mut().peer.feed(payload)?;
                Ok(None)
            }
            Message::Auth(message) => {
                let auth = AuthMessage::parse(message)?;
                let keys = Keys {
                    blessings: auth.blessings_key,
                    discharges: auth.discharge_key,
                };
                let side = self.side.peer();
                let ChannelMemory { binding, peer } = self.memory.borrow();
                let verified = peer.blessings(keys.blessings)?.verify(algorithms)?;
                peer.discharges(keys.discharges)?;
                let [first, second] = binding;
                let binding = [&first[..], &second[..]];
                if auth.verify(verified.public_key(), side, &binding, algorithms) {
                    Ok(Some(keys))
                } else {
                    Err(ChannelError::Binding)
                }
            }
            Message::TearDown { .. } => Err(ChannelError::TearDown),
            _ => Err(ChannelError::Unexpected { kind }),
        }
    }

    pub(super) fn request(&self, key: &PublicKey<'_>) -> Result<SigningRequest, ChannelError> {
        let [first, second] = &self.memory.borrow().binding;
        let parts = signed_parts(self.side, &[first, second]);
        Ok(SigningRequest::of_binding(key, &parts)?)
    }

    /// Writes this end's blessings and its Auth message.
    pub(super) fn prove(
        &mut self,
        presented: &Presented<'_>,
        signature: &OwnedSignature,
        out: &mut [u8],
    ) -> Result<(usize, u64), ChannelError> {
        let mut next_key = FIRST_KEY;
        let (keys, mut len) = write_presented(
            &mut self.seal,
            presented,
            true,
            &mut next_key,
            self.mtu,
            out,
        )?;
        let auth = AuthMessage {
            blessings_key: keys.blessings,
            discharge_key: keys.discharges,
            signature: signature.signature(),
        };
        let mut message = [0; MAX_AUTH_LEN];
        let auth = auth.write(&mut message)?;
        write_sealed(&mut self.seal, &Message::Auth(auth), out, &mut len)?;
        Ok((len, next_key))
    }

    /// Writes the frame that refuses the peer, and returns its length.
    pub(super) fn refuse(mut self, text: &str, out: &mut [u8]) -> Result<usize, ChannelError> {
        let text = text.as_bytes();
        let mut len = 0;
        write_sealed(&mut self.seal, &Message::TearDown { text }, out, &mut len)?;
        Ok(len)
    }

    /// Returns the connection to a peer that has proved the key of its blessings.
    pub(super) fn connected(self, keys: Keys, next_key: u64) -> Connection<M, LEN> {
        Connection::new(
            self.side,
            self.seal,
            self.memory,
            (keys.blessings, keys.discharges),
            next_key,
            (self.mtu, self.shared_tokens),
        )
    }

    pub(super) fn verified(
        &self,
        keys: Keys,
        algorithms: &Algorithms,
    ) -> Result<VerifiedBlessings<'_>, ChannelError> {
        let blessings = self.memory.borrow().peer.blessings(keys.blessings)?;
        Ok(blessings.verified_before(algorithms)?)
    }
}
