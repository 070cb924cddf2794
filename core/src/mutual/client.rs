//! The client's key exchange and session (RFC 8120 sections 6 and 10).

use super::{
    Algorithm, HostValidation, MutualError, Number, Realm, SecretNumber, SessionId, Validation,
    message::{self, VfyS},
    session_secret::SessionSecret,
    write::MessageWriter,
};
use crate::wire::Full;
use core::fmt;

/// A key exchange that a client has begun: it waits for the server's value.
pub struct ClientExchange {
    realm: Realm,
    pi: SecretNumber,
    exchange: Exchange,
}

/// A [`ClientExchange`] without what other values of a prover hold already.
#[derive(Default)]
pub(super) struct Exchange {
    secret: SecretNumber,
    value: Number,
}

impl ClientExchange {
    /// Begins a key exchange with the credential pi of [`Realm::credential`]: one scalar multiplication. `random` are bytes of a
    /// cryptographically secure generator, new for each exchange.
    ///
    /// # Errors
    /// [`MutualError::Random`] if the bytes give no usable number, which happens with a probability of 2^-128.
    pub fn begin(realm: Realm, pi: SecretNumber, random: &[u8; 64]) -> Result<Self, MutualError> {
        let mut exchange = Exchange::default();
        exchange.begin(&realm, &pi, random)?;
        Ok(Self {
            realm,
            pi,
            exchange,
        })
    }

    /// Begins a key exchange with a given S_c1: for test vectors. Its octets have the length of the group's order.
    ///
    /// # Errors
    /// [`MutualError::Random`] if it is out of range, or if S_c1 * t_1 + pi is 0.
    pub fn with_secret(
        realm: Realm,
        pi: SecretNumber,
        secret: SecretNumber,
    ) -> Result<Self, MutualError> {
        let mut exchange = Exchange {
            secret,
            ..Exchange::default()
        };
        exchange.compute(&realm, &pi)?;
        Ok(Self {
            realm,
            pi,
            exchange,
        })
    }

    /// Returns the realm.
    #[must_use]
    pub fn realm(&self) -> &Realm {
        &self.realm
    }

    /// Returns K_c1.
    #[must_use]
    pub fn value(&self) -> &Number {
        &self.exchange.value
    }

    /// Writes the req-KEX-C1 message to the front of `out` and returns it: credentials.
    ///
    /// # Errors
    /// [`Full`] if `out` is too short.
    pub fn write<'o>(
        &self,
        validation: Validation,
        user: &str,
        out: &'o mut [u8],
    ) -> Result<&'o str, Full> {
        self.exchange.write(&self.realm, validation, user, out)
    }

    /// Ends the key exchange with the server's K_s1: one scalar multiplication. It succeeds with any server; only a verification shows
    /// whether both have the same z.
    ///
    /// # Errors
    /// [`MutualError::Value`] if K_s1 or z is out of range.
    pub fn finish(
        mut self,
        sid: SessionId,
        server_value: Number,
        limits: SessionLimits,
    ) -> Result<ClientSession, MutualError> {
        let algorithm = self.realm.algorithm();
        let session = self
            .exchange
            .finish(algorithm, &self.pi, sid, server_value, limits)?;
        Ok(ClientSession {
            realm: self.realm,
            session,
        })
    }
}

impl Exchange {
    pub(super) fn begin(
        &mut self,
        realm: &Realm,
        pi: &SecretNumber,
        random: &[u8; 64],
    ) -> Result<(), MutualError> {
        if !realm.algorithm().suite().scalar(random, &mut self.secret) {
            return Err(MutualError::Random);
        }
        self.compute(realm, pi)
    }

    /// Computes K_c1. Without one, the caller draws another number.
    fn compute(&mut self, realm: &Realm, pi: &SecretNumber) -> Result<(), MutualError> {
        let value = realm.algorithm().suite().client_value(pi, &self.secret);
        self.value = value.ok_or(MutualError::Random)?;
        Ok(())
    }

    pub(super) fn write<'o>(
        &self,
        realm: &Realm,
        validation: Validation,
        user: &str,
        out: &'o mut [u8],
    ) -> Result<&'o str, Full> {
        let mut message = MessageWriter::new(out);
        message.terms(realm, validation);
        message.text("user", user);
        message.number("kc1", realm.algorithm(), self.value.as_bytes());
        message.finish()
    }

    /// The exchange is used up.
    pub(super) fn finish(
        &mut self,
        algorithm: Algorithm,
        pi: &SecretNumber,
        sid: SessionId,
        server_value: Number,
        limits: SessionLimits,
    ) -> Result<Session, MutualError> {
        let secret = SessionSecret::new(algorithm, self.value.clone(), server_value);
        let mut session = Session {
            sid,
            secret,
            next: Some(0),
            limits,
        };
        let computed = session.secret.compute_at_client(pi, &self.secret);
        self.secret.clear();
        computed.ok_or(MutualError::Value)?;
        Ok(session)
    }
}

/// The limits of a session that a server states in its 401-KEX-S1 message (RFC 8120 section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// The largest nonce number.
    pub nc_max: u32,
    /// The number of nonce numbers that the server remembers.
    pub nc_window: u32,
    /// The seconds for which the session is good, at the server's discretion.
    pub time: u32,
}

/// A session of a client. It outlives its connection: on another one, the same session is proved with that connection's validation.
pub struct ClientSession {
    realm: Realm,
    session: Session,
}

/// A [`ClientSession`] without what other values of a prover hold already.
pub(super) struct Session {
    sid: SessionId,
    secret: SessionSecret,
    /// `None` after the last one.
    next: Option<u32>,
    limits: SessionLimits,
}

/// A request of a session: what the server's answer has to prove.
#[derive(Debug)]
pub struct Unverified {
    nc: u32,
}

impl ClientSession {
    /// Returns the realm.
    #[must_use]
    pub fn realm(&self) -> &Realm {
        &self.realm
    }

    /// Returns the session identifier.
    #[must_use]
    pub fn sid(&self) -> &SessionId {
        &self.session.sid
    }

    /// Returns what the server says of the session.
    #[must_use]
    pub fn limits(&self) -> SessionLimits {
        self.session.limits
    }

    /// Returns true if all nonce numbers are used up.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.session.is_exhausted()
    }

    /// Writes the req-VFY-C message for one request to the front of `out`, and returns it with the state in which its answer is verified. Each
    /// call uses the next nonce number.
    ///
    /// # Errors
    /// [`MutualError::NoncesExhausted`] after nc-max, [`MutualError::BufferTooSmall`] if `out` is too short.
    pub fn write<'o>(
        &mut self,
        validation: &HostValidation,
        out: &'o mut [u8],
    ) -> Result<(&'o str, Unverified), MutualError> {
        self.session.write(&self.realm, validation, out)
    }

    /// Returns true if the server has proved in its answer that it knows J: `authentication_info` is a value of Authentication-Info with the right
    /// VK_s. Nothing of an answer for which this is false may be used (RFC 8120 section 10.1).
    #[must_use]
    pub fn is_verified(
        &self,
        request: &Unverified,
        validation: &HostValidation,
        authentication_info: &str,
    ) -> bool {
        let verified = self
            .session
            .verify(request, validation, authentication_info);
        verified == Some(true)
    }

    /// Returns b_1 for an application: a secret that this session's user and server share (RFC 8120 section 13). `t` is the application's own.
    #[must_use]
    pub fn session_binding(&self, validation: &HostValidation, t: &[u8]) -> SecretNumber {
        self.session.binding(None, validation, t)
    }

    /// Returns b_2 for an application: a secret of one request.
    #[must_use]
    pub fn request_binding(
        &self,
        request: &Unverified,
        validation: &HostValidation,
        t: &[u8],
    ) -> SecretNumber {
        self.session.binding(Some(request), validation, t)
    }
}

impl Session {
    pub(super) fn is_exhausted(&self) -> bool {
        self.next.is_none_or(|next| next > self.limits.nc_max)
    }

    pub(super) fn write<'o>(
        &mut self,
        realm: &Realm,
        validation: &HostValidation,
        out: &'o mut [u8],
    ) -> Result<(&'o str, Unverified), MutualError> {
        let nc = self.next.filter(|next| *next <= self.limits.nc_max);
        let nc = nc.ok_or(MutualError::NoncesExhausted)?;
        let vkc = self.secret.client_verification(nc, validation);
        let mut message = MessageWriter::new(out);
        message.terms(realm, validation.method());
        message.hex("sid", &self.sid);
        message.integer("nc", nc);
        message.number("vkc", realm.algorithm(), vkc.as_bytes());
        let text = message.finish()?;
        self.next = nc.checked_add(1);
        Ok((text, Unverified { nc }))
    }

    /// Returns whether the VK_s is right; `None` if it has no VK_s.
    pub(super) fn verify(
        &self,
        request: &Unverified,
        validation: &HostValidation,
        authentication_info: &str,
    ) -> Option<bool> {
        let VfyS { sid, vks } = VfyS::parse(authentication_info)?;
        let received = message::verification(self.secret.algorithm(), vks);
        let expected = self.secret.server_verification(request.nc, validation);
        let is_right = |received: Number| expected.is(received.as_bytes());
        Some(sid == self.sid && received.is_some_and(is_right))
    }

    /// Returns b_1, or b_2 of a request.
    pub(super) fn binding(
        &self,
        request: Option<&Unverified>,
        validation: &HostValidation,
        t: &[u8],
    ) -> SecretNumber {
        let nc = request.map(|request| request.nc);
        self.secret.binding(nc, validation, t)
    }
}

impl fmt::Debug for ClientExchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientExchange({:?}, hidden)", self.realm)
    }
}

impl fmt::Debug for ClientSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientSession({:?}, hidden)", self.realm)
    }
}
