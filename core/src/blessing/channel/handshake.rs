//! The handshake of both ends. Each step consumes the state before it.

use super::{
    ChannelError, ChannelMemory, Connection, PeerDischarges, Presented, Setup,
    sealed::{Keys, Sealed, SetUp},
};
use crate::{
    binding::Side,
    blessing::{Algorithms, OwnedSignature, PublicKey, SigningRequest, VerifiedBlessings},
};
use core::borrow::BorrowMut;

/// The dialer, which has sent its Setup.
pub struct Dialer<M, const LEN: usize>(SetUp<M, LEN>);

impl<M: BorrowMut<ChannelMemory<LEN>>, const LEN: usize> Dialer<M, LEN> {
    /// Writes the frame with this end's Setup to the front of `out`, and returns its length. `secret` is new for each connection.
    ///
    /// # Errors
    /// [`ChannelError::BufferTooSmall`], also if the endpoints are longer than a Setup may be.
    pub fn begin(
        setup: &Setup<'_>,
        secret: &[u8; 32],
        memory: M,
        out: &mut [u8],
    ) -> Result<(Self, usize), ChannelError> {
        let (set_up, len) = SetUp::begin(Side::Client, setup, secret, memory, out)?;
        Ok((Self(set_up), len))
    }

    /// Takes the body of the acceptor's first frame.
    ///
    /// # Errors
    /// [`ChannelError`]
    pub fn setup(self, body: &[u8]) -> Result<WaitAuth<M, LEN>, ChannelError> {
        self.0.receive(body).map(WaitAuth)
    }
}

/// The dialer, which waits for the acceptor's blessings and Auth message. It keeps at most `LEN` bytes of blessings.
pub struct WaitAuth<M, const LEN: usize>(Sealed<M, LEN>);

/// The state after a frame of the handshake.
#[allow(
    clippy::large_enum_variant,
    reason = "there is no heap, and one value per connection"
)]
pub enum Progress<W, D> {
    /// More frames are needed.
    Wait(W),
    /// The step is done.
    Done(D),
}

impl<M: BorrowMut<ChannelMemory<LEN>>, const LEN: usize> WaitAuth<M, LEN> {
    /// Takes the body of a frame, and opens it in place.
    ///
    /// # Errors
    /// [`ChannelError`]
    pub fn receive(
        mut self,
        body: &mut [u8],
        algorithms: &Algorithms,
    ) -> Result<Progress<Self, Acquainted<M, LEN>>, ChannelError> {
        Ok(match self.0.receive(body, algorithms)? {
            None => Progress::Wait(self),
            Some(keys) => Progress::Done(Acquainted {
                sealed: self.0,
                keys,
            }),
        })
    }
}

/// The dialer, to which the acceptor has proved the key of its blessings. The dialer decides whether to trust it, and has shown nothing of its own.
pub struct Acquainted<M, const LEN: usize> {
    sealed: Sealed<M, LEN>,
    keys: Keys,
}

impl<M: BorrowMut<ChannelMemory<LEN>>, const LEN: usize> Acquainted<M, LEN> {
    /// Returns the acceptor's blessings, which the handshake has verified.
    ///
    /// # Errors
    /// None that the handshake would not have had.
    pub fn blessings(
        &self,
        algorithms: &Algorithms,
    ) -> Result<VerifiedBlessings<'_>, ChannelError> {
        self.sealed.verified(self.keys, algorithms)
    }

    /// Returns the acceptor's discharges.
    ///
    /// # Errors
    /// None that the handshake would not have had.
    pub fn discharges(&self) -> Result<PeerDischarges<'_>, ChannelError> {
        self.sealed
            .memory
            .borrow()
            .peer
            .discharges(self.keys.discharges)
    }

    /// Returns the version of the protocol.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.sealed.version
    }

    /// Writes the frame that refuses the acceptor, and returns its length. It shows nothing of the dialer. The connection must be closed then.
    ///
    /// # Errors
    /// [`ChannelError::BufferTooSmall`]
    pub fn refuse(self, text: &str, out: &mut [u8]) -> Result<usize, ChannelError> {
        self.sealed.refuse(text, out)
    }

    /// Returns the request for the dialer's signature by the key of the blessings that it will show: its own, or nameless ones.
    ///
    /// # Errors
    /// [`ChannelError::Blessings`] if the algorithm of the key is not supported.
    pub fn request(&self, key: &PublicKey<'_>) -> Result<SigningRequest, ChannelError> {
        self.sealed.request(key)
    }

    /// Writes the frames with the dialer's blessings and its Auth message, and returns the connection and their length. `out` needs twice the length of
    /// what is sent.
    ///
    /// # Errors
    /// [`ChannelError::BufferTooSmall`], [`ChannelError::Blessings`]
    pub fn prove(
        mut self,
        presented: &Presented<'_>,
        signature: &OwnedSignature,
        out: &mut [u8],
    ) -> Result<(Connection<M, LEN>, usize), ChannelError> {
        let (len, next_key) = self.sealed.prove(presented, signature, out)?;
        Ok((self.sealed.connected(self.keys, next_key), len))
    }
}

/// The acceptor, which has sent its Setup.
pub struct Acceptor<M, const LEN: usize>(SetUp<M, LEN>);

impl<M: BorrowMut<ChannelMemory<LEN>>, const LEN: usize> Acceptor<M, LEN> {
    /// Writes the frame with this end's Setup to the front of `out`, and returns its length. `secret` is new for each connection.
    ///
    /// # Errors
    /// [`ChannelError::BufferTooSmall`], also if the endpoints are longer than a Setup may be.
    pub fn begin(
        setup: &Setup<'_>,
        secret: &[u8; 32],
        memory: M,
        out: &mut [u8],
    ) -> Result<(Self, usize), ChannelError> {
        let (set_up, len) = SetUp::begin(Side::Server, setup, secret, memory, out)?;
        Ok((Self(set_up), len))
    }

    /// Takes the body of the dialer's first frame.
    ///
    /// # Errors
    /// [`ChannelError`]
    pub fn setup(self, body: &[u8]) -> Result<WaitProof<M, LEN>, ChannelError> {
        self.0.receive(body).map(WaitProof)
    }
}

/// The acceptor, which proves its blessings next.
pub struct WaitProof<M, const LEN: usize>(Sealed<M, LEN>);

impl<M: BorrowMut<ChannelMemory<LEN>>, const LEN: usize> WaitProof<M, LEN> {
    /// Returns the request for the acceptor's signature by the key of its blessings.
    ///
    /// # Errors
    /// [`ChannelError::Blessings`] if the algorithm of the key is not supported.
    pub fn request(&self, key: &PublicKey<'_>) -> Result<SigningRequest, ChannelError> {
        self.0.request(key)
    }

    /// Writes the frames with the acceptor's blessings and its Auth message, and returns the next state and their length. `out` needs twice the length of
    /// what is sent.
    ///
    /// # Errors
    /// [`ChannelError::BufferTooSmall`], [`ChannelError::Blessings`]
    pub fn prove(
        mut self,
        presented: &Presented<'_>,
        signature: &OwnedSignature,
        out: &mut [u8],
    ) -> Result<(WaitClient<M, LEN>, usize), ChannelError> {
        let (len, next_key) = self.0.prove(presented, signature, out)?;
        let next = WaitClient {
            sealed: self.0,
            next_key,
        };
        Ok((next, len))
    }
}

/// The acceptor, which waits for the dialer's blessings and Auth message.
pub struct WaitClient<M, const LEN: usize> {
    sealed: Sealed<M, LEN>,
    next_key: u64,
}

impl<M: BorrowMut<ChannelMemory<LEN>>, const LEN: usize> WaitClient<M, LEN> {
    /// Takes the body of a frame, and opens it in place. The dialer has proved the key of its blessings when the connection is returned, and often shows
    /// those with its names later, when it opens a flow.
    ///
    /// # Errors
    /// [`ChannelError`]
    pub fn receive(
        mut self,
        body: &mut [u8],
        algorithms: &Algorithms,
    ) -> Result<Progress<Self, Connection<M, LEN>>, ChannelError> {
        Ok(match self.sealed.receive(body, algorithms)? {
            None => Progress::Wait(self),
            Some(keys) => Progress::Done(self.sealed.connected(keys, self.next_key)),
        })
    }

    /// Writes the frame that refuses the dialer, and returns its length. The connection must be closed then.
    ///
    /// # Errors
    /// [`ChannelError::BufferTooSmall`]
    pub fn refuse(self, text: &str, out: &mut [u8]) -> Result<usize, ChannelError> {
        self.sealed.refuse(text, out)
    }
}
