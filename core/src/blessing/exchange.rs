//! The handshake over a TLS connection: both sides prove that they have the keys of their blessings, the server first.
//!
//! The channel's binding is `tls-exporter` (RFC 9266), of which each side signs the direction tag of its own
//! ([`DirectionTags`]).

use super::{
    Algorithms, AuthMessage, BlessingError, EncodedBlessings, Evidence, MAX_AUTH_LEN,
    MalformedEvidence, OwnedSignature, PublicKey, SigningRequest, VerifiedBlessings,
    auth::signed_parts, vom,
};
use crate::{
    binding::{BindingError, ChannelBinding, DirectionTags, Side},
    error_messages,
    exporter::Exporter,
};
use core::fmt;

/// The number of a side's blessings in its Auth message. There are no others on a TLS connection.
const BLESSINGS_KEY: u64 = 1;
/// The number of a side's discharges, if it has any.
const DISCHARGE_KEY: u64 = 2;

/// One side of the handshake on a connection.
struct Exchange {
    tags: DirectionTags,
    side: Side,
}

/// The server's side.
pub struct ServerExchange(Exchange);

/// The server's side after its own proof: a client that has seen it may prove itself.
pub struct ServerProof(Exchange);

/// The client's side, which has seen nothing of the server.
pub struct ClientExchange(Exchange);

/// The client's side after the server has proved that it has the key of its blessings.
pub struct ClientProof(Exchange);

impl Exchange {
    fn new(channel: &dyn Exporter, side: Side) -> Result<Self, BindingError> {
        let binding = ChannelBinding::tls_exporter(&channel)?;
        Ok(Self {
            tags: binding.direction_tags(),
            side,
        })
    }

    /// Returns the request for this side's signature.
    fn request(&self, key: &PublicKey<'_>) -> Result<SigningRequest, BlessingError> {
        let tag = self.tags.of(self.side);
        let parts = signed_parts(self.side, &[tag.as_bytes(), &[]]);
        SigningRequest::of_binding(key, &parts)
    }

    /// Verifies the peer's evidence.
    fn verify<'v>(
        &self,
        blessings: &'v EncodedBlessings<'_>,
        evidence: &Evidence<'_>,
        algorithms: &Algorithms,
    ) -> Result<VerifiedBlessings<'v>, EvidenceError> {
        if !has_constant_definitions(evidence) {
            return Err(EvidenceError::Malformed);
        }
        let auth = AuthMessage::parse(evidence.auth).map_err(|_| EvidenceError::Malformed)?;
        let discharges = if evidence.discharges.is_empty() {
            0
        } else {
            DISCHARGE_KEY
        };
        if auth.blessings_key != BLESSINGS_KEY || auth.discharge_key != discharges {
            return Err(EvidenceError::Malformed);
        }
        let verified = blessings.blessings().verify(algorithms)?;
        let peer = self.side.peer();
        let tag = self.tags.of(peer);
        let binding = [&tag.as_bytes()[..], &[]];
        if !auth.verify(verified.public_key(), peer, &binding, algorithms) {
            return Err(EvidenceError::Binding);
        }
        Ok(verified)
    }
}

/// Returns whether the encodings have the definitions that upstream writes: on a TLS connection there are no others, so that types cannot be
/// exchanged.
fn has_constant_definitions(evidence: &Evidence<'_>) -> bool {
    let mut discharges = evidence.discharges.iter();
    vom::REQUIRED_FOR_BLESSINGS.are_in(evidence.blessings)
        && discharges.all(|discharge| vom::REQUIRED_FOR_DISCHARGE.are_in(discharge))
}

impl ServerExchange {
    /// Starts the server's side on a connection whose handshake is complete.
    ///
    /// # Errors
    /// [`BindingError`] if the connection has no binding.
    pub fn new(channel: &dyn Exporter) -> Result<Self, BindingError> {
        Exchange::new(channel, Side::Server).map(Self)
    }

    /// Returns the request for the server's signature by the key of its blessings. One signature is good for all challenges on the connection.
    ///
    /// # Errors
    /// [`BlessingError::Key`] if the algorithm of the key is not supported.
    pub fn request(&self, key: &PublicKey<'_>) -> Result<SigningRequest, BlessingError> {
        self.0.request(key)
    }

    /// Ends this step: the server has made its signature.
    #[must_use]
    pub fn proved(self) -> ServerProof {
        ServerProof(self.0)
    }
}

impl ServerProof {
    /// Verifies that the client has the key of its blessings.
    ///
    /// # Errors
    /// [`EvidenceError`]
    pub fn verify<'v>(
        &self,
        blessings: &'v EncodedBlessings<'_>,
        evidence: &Evidence<'_>,
        algorithms: &Algorithms,
    ) -> Result<VerifiedBlessings<'v>, EvidenceError> {
        self.0.verify(blessings, evidence, algorithms)
    }
}

impl ClientExchange {
    /// Starts the client's side on a connection whose handshake is complete.
    ///
    /// # Errors
    /// [`BindingError`] if the connection has no binding.
    pub fn new(channel: &dyn Exporter) -> Result<Self, BindingError> {
        Exchange::new(channel, Side::Client).map(Self)
    }

    /// Verifies that the server has the key of its blessings. The caller then decides by their names whether the client may show its own.
    ///
    /// # Errors
    /// [`EvidenceError`]
    pub fn verify<'v>(
        &self,
        blessings: &'v EncodedBlessings<'_>,
        evidence: &Evidence<'_>,
        algorithms: &Algorithms,
    ) -> Result<VerifiedBlessings<'v>, EvidenceError> {
        self.0.verify(blessings, evidence, algorithms)
    }

    /// Ends this step: the client trusts the server.
    #[must_use]
    pub fn trusted(self) -> ClientProof {
        ClientProof(self.0)
    }
}

impl ClientProof {
    /// Returns the request for the client's signature by the key of its blessings.
    ///
    /// # Errors
    /// [`BlessingError::Key`] if the algorithm of the key is not supported.
    pub fn request(&self, key: &PublicKey<'_>) -> Result<SigningRequest, BlessingError> {
        self.0.request(key)
    }
}

/// Writes a side's Auth message to the front of `out` and returns it.
#[must_use]
pub fn auth_message<'o>(
    signature: &OwnedSignature,
    has_discharges: bool,
    out: &'o mut [u8; MAX_AUTH_LEN],
) -> &'o [u8] {
    let message = AuthMessage {
        blessings_key: BLESSINGS_KEY,
        discharge_key: if has_discharges { DISCHARGE_KEY } else { 0 },
        signature: signature.signature(),
    };
    message.write(out).map_or(&[], |written| &*written)
}

/// The error of verifying the evidence of a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EvidenceError {
    /// The parameters or the Auth message are malformed.
    Malformed,
    /// The blessings are invalid.
    Blessings(BlessingError),
    /// The signature over the channel's binding is invalid: it is for another connection or for the other direction, or the peer does not have the key
    /// of the blessings.
    Binding,
}

error_messages! { EvidenceError {
    Self::Malformed => "the peer's blessings are malformed, or longer than the buffer";
    Self::Blessings(error) => "{}", error;
    Self::Binding => "the peer has not signed this connection's binding by the key of its blessings";
}}

impl core::error::Error for EvidenceError {}

impl From<BlessingError> for EvidenceError {
    fn from(error: BlessingError) -> Self {
        Self::Blessings(error)
    }
}

impl From<MalformedEvidence> for EvidenceError {
    fn from(_: MalformedEvidence) -> Self {
        Self::Malformed
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exchange({:?})", self.side)
    }
}
