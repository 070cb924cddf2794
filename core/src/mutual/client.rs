//! The client's key exchange and session (RFC 8120 sections 6 and 10).

use super::{
    HostValidation, MutualError, Number, Realm, SecretNumber, SessionId, Validation,
    message::{self, KexS1, VfyS},
    session_secret::SessionSecret,
    write::MessageWriter,
};
use crate::wire::Full;
use core::fmt;

/// A key exchange that a client has begun: it waits for the server's value.
pub struct ClientExchange {
    realm: Realm,
    pi: SecretNumber,
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
        let secret = realm.algorithm().suite().scalar(random);
        Self::with_secret(realm, pi, secret.ok_or(MutualError::Random)?)
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
        let suite = realm.algorithm().suite();
        let value = suite.client_value(&secret).ok_or(MutualError::Random)?;
        // The RFC leaves open what to do without an inverse: draw another number.
        if !suite.is_usable(&pi, &secret, &value) {
            return Err(MutualError::Random);
        }
        Ok(Self {
            realm,
            pi,
            secret,
            value,
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
        &self.value
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
        let mut message = MessageWriter::new(out)?;
        message.terms(&self.realm, validation)?;
        message.text("user", user)?;
        message.number("kc1", self.realm.algorithm(), self.value.as_bytes())?;
        Ok(message.finish())
    }

    /// Ends the key exchange with the server's K_s1: one scalar multiplication. It succeeds with any server; only a verification shows
    /// whether both have the same z.
    ///
    /// # Errors
    /// [`MutualError::Value`] if K_s1 or z is out of range.
    pub fn finish(
        self,
        sid: SessionId,
        server_value: Number,
        limits: SessionLimits,
    ) -> Result<ClientSession, MutualError> {
        let algorithm = self.realm.algorithm();
        let values = (&self.value, &server_value);
        let z = algorithm.suite().client_z(&self.pi, &self.secret, values);
        let secret = SessionSecret::new(
            algorithm,
            (self.value.clone(), server_value),
            z.ok_or(MutualError::Value)?,
        );
        Ok(ClientSession {
            realm: self.realm,
            sid,
            secret,
            next: 0,
            limits,
        })
    }

    pub(super) fn finish_with(self, exchange: KexS1<'_>) -> Result<ClientSession, MutualError> {
        let value = message::element(self.realm.algorithm(), exchange.ks1);
        let limits = SessionLimits {
            nc_max: exchange.nc_max,
            nc_window: exchange.nc_window,
            time: exchange.time,
        };
        self.finish(exchange.sid, value.ok_or(MutualError::Value)?, limits)
    }
}

/// The limits of a session that a server states in its 401-KEX-S1 message (RFC 8120 section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// The largest nonce number.
    pub nc_max: u64,
    /// The number of nonce numbers that the server remembers.
    pub nc_window: u64,
    /// The seconds for which the session is good, at the server's discretion.
    pub time: u64,
}

/// A session of a client. It outlives its connection: on another one, the same session is proved with that connection's validation.
pub struct ClientSession {
    realm: Realm,
    sid: SessionId,
    secret: SessionSecret,
    next: u64,
    limits: SessionLimits,
}

/// A request of a session: what the server's answer has to prove.
#[derive(Debug)]
pub struct Unverified {
    nc: u64,
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
        &self.sid
    }

    /// Returns what the server says of the session.
    #[must_use]
    pub fn limits(&self) -> SessionLimits {
        self.limits
    }

    /// Returns true if all nonce numbers are used up.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.next > self.limits.nc_max
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
        let nc = self.next;
        if self.is_exhausted() {
            return Err(MutualError::NoncesExhausted);
        }
        let vkc = self.secret.client_verification(nc, validation)?;
        let write = |out: &'o mut [u8]| {
            let mut message = MessageWriter::new(out)?;
            message.terms(&self.realm, validation.method())?;
            message.hex("sid", &self.sid)?;
            message.integer("nc", nc)?;
            message.number("vkc", self.realm.algorithm(), vkc.as_bytes())?;
            Ok(message.finish())
        };
        let text = write(out).map_err(|Full| MutualError::BufferTooSmall)?;
        self.next = nc.saturating_add(1);
        Ok((text, Unverified { nc }))
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
        let Some(Ok(VfyS { sid, vks })) = VfyS::parse(authentication_info) else {
            return false;
        };
        let received = message::verification(self.realm.algorithm(), vks);
        let expected = self.secret.server_verification(request.nc, validation);
        match (received, expected) {
            (Some(received), Ok(expected)) => sid == self.sid && expected.is(received.as_bytes()),
            _ => false,
        }
    }

    /// Returns b_1 for an application: a secret that this session's user and server share (RFC 8120 section 13). `t` is the application's own.
    ///
    /// # Errors
    /// [`MutualError::Value`], which does not happen.
    pub fn session_binding(
        &self,
        validation: &HostValidation,
        t: &[u8],
    ) -> Result<SecretNumber, MutualError> {
        self.secret.binding(None, validation, t)
    }

    /// Returns b_2 for an application: a secret of one request.
    ///
    /// # Errors
    /// As [`ClientSession::session_binding`].
    pub fn request_binding(
        &self,
        request: &Unverified,
        validation: &HostValidation,
        t: &[u8],
    ) -> Result<SecretNumber, MutualError> {
        self.secret.binding(Some(request.nc), validation, t)
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
