//! The server's key exchange and session (RFC 8120 sections 6 and 11).

use super::{
    Algorithm, Credentials, HostValidation, MutualError, NONCE_WINDOW, Number, Realm, SecretNumber,
    SessionId, SessionLimits, StoredCredential, UserName, Validation,
    message::{self, ClientMessage},
    nonces::Nonces,
    session_secret::SessionSecret,
    write::MessageWriter,
};
use crate::wire::Full;
use core::fmt;

/// The J of users that do not exist: their key exchanges look like those of others and take as long.
#[derive(Clone)]
pub struct Decoy(Number);

impl Decoy {
    /// Creates the J of a random pi. One is good for all unknown users of a realm: K_s1 is uniformly distributed for any J.
    ///
    /// # Errors
    /// [`MutualError::Random`] if the bytes give no number in the range of the group.
    pub fn new(realm: &Realm, random: &[u8; 64]) -> Result<Self, MutualError> {
        let suite = realm.algorithm().suite();
        let mut pi = SecretNumber::default();
        if !suite.scalar(random, &mut pi) {
            return Err(MutualError::Random);
        }
        suite.stored(&pi).map(Self).ok_or(MutualError::Random)
    }
}

impl Decoy {
    /// Returns J of a user that was looked up, for [`ServerSession::begin`]. It takes the same work for users who do not exist.
    ///
    /// # Errors
    /// [`MutualError::UserName`] if there is no such user; [`MutualError::Reregister`] if the password was registered for other names. To a client both
    /// look like a wrong password; the operator should be told of the second.
    pub fn j<'s>(
        &self,
        realm: &Realm,
        user: &str,
        stored: Option<&'s StoredCredential>,
    ) -> Result<&'s Number, MutualError> {
        match stored {
            Some(stored) => stored.j(realm, user),
            None => {
                let names = realm.fingerprint(user)?;
                // Never equal; compared, so that the names are computed.
                Err(if names == [0; 8] {
                    MutualError::Value
                } else {
                    MutualError::UserName
                })
            }
        }
    }
}

impl fmt::Debug for Decoy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decoy(hidden)")
    }
}

/// A session of a server, from the key exchange on. The session identifier is the key of the table in which it is kept.
pub struct ServerSession {
    realm: Realm,
    user: UserName,
    /// J; `None` if the user does not exist.
    stored: Option<Number>,
    nc_max: u32,
    state: State,
}

enum State {
    /// Key exchanging: nothing was verified yet.
    KeyExchanging(Exchange),
    /// The client has proved that it knows the password.
    Authenticated {
        secret: SessionSecret,
        nonces: Nonces,
    },
    /// The first proof was wrong.
    Rejected,
    /// A nonce number was used twice, or could have been.
    Inactive,
}

struct Exchange {
    client_value: Number,
    server_value: Number,
    secret: SecretNumber,
}

/// The verdict of a server on a req-VFY-C message (RFC 8120 section 11).
#[derive(Debug)]
#[must_use]
#[allow(
    clippy::large_enum_variant,
    reason = "it is matched at once, and there is no allocator"
)]
pub enum Verdict {
    /// The client has proved itself. The response has the field [`AUTHENTICATION_INFO`] with this VK_s.
    Proved(ServerProof),
    /// The proof is wrong: the answer is 401-INIT with [`super::Reason::AuthFailed`].
    Refused,
    /// The session cannot be used any more, or not with this nonce number: the answer is 401-STALE.
    Stale,
}

/// The field in which the server proves itself (RFC 7615); a proxy uses [`PROXY_AUTHENTICATION_INFO`].
pub const AUTHENTICATION_INFO: &str = "authentication-info";

/// The field in which a proxy proves itself.
pub const PROXY_AUTHENTICATION_INFO: &str = "proxy-authentication-info";

/// The server's own proof for one response.
#[derive(Debug)]
pub struct ServerProof {
    algorithm: Algorithm,
    validation: HostValidation,
    sid: SessionId,
    vks: SecretNumber,
    nc: u32,
}

impl ServerProof {
    /// Returns the value of the connection that both proofs are bound to.
    #[must_use]
    pub fn validation(&self) -> &HostValidation {
        &self.validation
    }

    /// Writes the 200-VFY-S message to the front of `out` and returns it: a value of Authentication-Info.
    ///
    /// # Errors
    /// [`Full`] if `out` is too short.
    pub fn write<'o>(&self, out: &'o mut [u8]) -> Result<&'o str, Full> {
        let mut message = MessageWriter::info(out);
        message.version();
        message.hex("sid", &self.sid);
        message.number("vks", self.algorithm, self.vks.as_bytes());
        message.finish()
    }
}

impl ServerSession {
    /// Answers a req-KEX-C1 message: two scalar multiplications. `stored` is J of the user whom [`Credentials::user`] names, or `None` if there is
    /// no such user; this makes no difference until the client sends its proof. `random` are bytes of a cryptographically secure
    /// generator, new for each exchange.
    ///
    /// # Errors
    /// [`MutualError::Value`] if K_c1 is out of range, or if the credentials are not for this realm or no req-KEX-C1: the answer is 401-INIT with
    /// [`super::Reason::InvalidParameters`]. [`MutualError::Random`] if the bytes give no usable number.
    pub fn begin(
        realm: &Realm,
        credentials: &Credentials<'_>,
        stored: Option<&Number>,
        decoy: &Decoy,
        nc_max: u32,
        random: &[u8; 64],
    ) -> Result<Self, MutualError> {
        let ClientMessage::KexC1 { user, kc1 } = &credentials.message else {
            return Err(MutualError::Value);
        };
        if !credentials.are_of(realm) {
            return Err(MutualError::Value);
        }
        let client_value = message::element(realm.algorithm(), *kc1);
        let client_value = client_value.ok_or(MutualError::Value)?;
        let mut secret = SecretNumber::default();
        if !realm.algorithm().suite().scalar(random, &mut secret) {
            return Err(MutualError::Random);
        }
        Self::with_secret(realm, user, stored, decoy, nc_max, client_value, secret)
    }

    /// Answers a key exchange with a given S_s1: for test vectors.
    ///
    /// # Errors
    /// [`MutualError::Value`] if a value is out of range.
    pub fn with_secret(
        realm: &Realm,
        user: &str,
        stored: Option<&Number>,
        decoy: &Decoy,
        nc_max: u32,
        client_value: Number,
        secret: SecretNumber,
    ) -> Result<Self, MutualError> {
        let suite = realm.algorithm().server_suite();
        let j = stored.unwrap_or(&decoy.0);
        let server_value = suite.server_value(j, &secret, &client_value);
        Ok(Self {
            realm: realm.clone(),
            user: UserName::try_from(user).map_err(|_| MutualError::UserName)?,
            stored: stored.cloned(),
            nc_max,
            state: State::KeyExchanging(Exchange {
                client_value,
                server_value: server_value.ok_or(MutualError::Value)?,
                secret,
            }),
        })
    }

    /// Returns the realm.
    #[must_use]
    pub fn realm(&self) -> &Realm {
        &self.realm
    }

    /// Returns the user.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    pub(super) fn user_name(&self) -> &UserName {
        &self.user
    }

    /// Returns the J of the user with which the session was begun; `None` if the user did not exist.
    #[must_use]
    pub fn stored(&self) -> Option<&Number> {
        self.stored.as_ref()
    }

    /// Returns true until the first proof is verified.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::KeyExchanging(_))
    }

    /// Returns true if the session is good for no further request.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Rejected | State::Inactive)
    }

    /// Returns K_s1 while the key exchange is pending.
    #[must_use]
    pub fn value(&self) -> Option<&Number> {
        match &self.state {
            State::KeyExchanging(exchange) => Some(&exchange.server_value),
            _ => None,
        }
    }

    /// Writes the 401-KEX-S1 message to the front of `out` and returns it: a challenge. `sid` is a random number of 10 bytes or more, `time` the
    /// seconds for which the session is kept.
    ///
    /// # Errors
    /// [`Full`] if `out` is too short, or if the key exchange is over.
    pub fn write<'o>(
        &self,
        validation: Validation,
        sid: &SessionId,
        time: u32,
        out: &'o mut [u8],
    ) -> Result<&'o str, Full> {
        let value = self.value().ok_or(Full)?;
        let mut message = MessageWriter::new(out);
        message.terms(&self.realm, validation);
        message.hex("sid", sid);
        message.number("ks1", self.realm.algorithm(), value.as_bytes());
        message.integer("nc-max", self.nc_max);
        message.integer("nc-window", NONCE_WINDOW);
        message.integer("time", time);
        message.finish()
    }

    /// Returns the limits that [`ServerSession::write`] states.
    #[must_use]
    pub fn limits(&self, time: u32) -> SessionLimits {
        SessionLimits {
            nc_max: self.nc_max,
            nc_window: NONCE_WINDOW,
            time,
        }
    }

    /// Verifies a req-VFY-C message, in the order of RFC 8120 section 11: the first time with two scalar multiplications, for unknown users too.
    ///
    /// `validations` are the values of the method that the message names: usually one; several where a server has several certificates. Credentials of
    /// another realm are [`Verdict::Refused`]. The caller has found the session by [`Credentials::session`]: VK_c does not depend on the session
    /// identifier, which is not compared here.
    ///
    /// The nonce number is looked at before VK_c, as the RFC has it: a client that learns another's session identifier can end that session,
    /// which costs its owner a key exchange. Session identifiers are therefore random and long.
    pub fn verify(
        &mut self,
        credentials: &Credentials<'_>,
        validations: &[HostValidation],
    ) -> Verdict {
        let ClientMessage::VfyC { sid, nc, vkc } = &credentials.message else {
            return Verdict::Refused;
        };
        let vkc = message::verification(self.realm.algorithm(), *vkc);
        let is_method = |one: &HostValidation| credentials.are_for(&self.realm, one.method());
        if !validations.iter().any(is_method) {
            return Verdict::Refused;
        }
        let nc = *nc;
        match &self.state {
            State::Inactive => return Verdict::Stale,
            State::Rejected => return Verdict::Refused,
            State::KeyExchanging(_) if nc > self.nc_max => {
                self.state = State::Inactive;
                return Verdict::Stale;
            }
            State::Authenticated { nonces, .. } if nc > self.nc_max || !nonces.is_new(nc) => {
                self.state = State::Inactive;
                return Verdict::Stale;
            }
            State::KeyExchanging(_) | State::Authenticated { .. } => {}
        }
        let is_first = self.is_pending();
        if is_first {
            self.agree();
        }
        let is_known = self.stored.is_some();
        let State::Authenticated { secret, nonces } = &mut self.state else {
            return Verdict::Refused;
        };
        let is_method = |one: &&HostValidation| credentials.terms.validates_by(one.method());
        let proved = vkc.and_then(|vkc| {
            let mut validations = validations.iter().filter(is_method);
            validations.find(|validation| {
                let expected = secret.client_verification(nc, validation);
                expected.is(vkc.as_bytes())
            })
        });
        let proof = proved.filter(|_| is_known).map(|validation| ServerProof {
            algorithm: self.realm.algorithm(),
            validation: validation.clone(),
            sid: sid.clone(),
            vks: secret.server_verification(nc, validation),
            nc,
        });
        let Some(proof) = proof else {
            // An authenticated session stays: a wrong proof says nothing about its owner, and uses up no nonce number.
            if is_first {
                self.state = State::Rejected;
            }
            return Verdict::Refused;
        };
        nonces.mark(nc);
        Verdict::Proved(proof)
    }

    /// Computes the session's secret after the key exchange. The state is [`State::Authenticated`] then, until the proof is found wrong.
    fn agree(&mut self) {
        let State::KeyExchanging(exchange) = &self.state else {
            return;
        };
        let values = (exchange.client_value.clone(), exchange.server_value.clone());
        let mut secret = SessionSecret::new(self.realm.algorithm(), values.0, values.1);
        self.state = match secret.compute_at_server(&exchange.secret) {
            Some(()) => State::Authenticated {
                secret,
                nonces: Nonces::default(),
            },
            None => State::Rejected,
        };
    }

    /// Returns b_1 for an application, after the client has proved itself; see [`super::ClientSession::session_binding`].
    #[must_use]
    pub fn session_binding(&self, validation: &HostValidation, t: &[u8]) -> Option<SecretNumber> {
        match &self.state {
            State::Authenticated { secret, .. } => Some(secret.binding(None, validation, t)),
            _ => None,
        }
    }

    /// Returns b_2 of the request that was verified with this proof.
    #[must_use]
    pub fn request_binding(
        &self,
        proof: &ServerProof,
        validation: &HostValidation,
        t: &[u8],
    ) -> Option<SecretNumber> {
        match &self.state {
            State::Authenticated { secret, .. } => {
                Some(secret.binding(Some(proof.nc), validation, t))
            }
            _ => None,
        }
    }
}

impl fmt::Debug for ServerSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::KeyExchanging(_) => "key exchanging",
            State::Authenticated { .. } => "authenticated",
            State::Rejected => "rejected",
            State::Inactive => "inactive",
        };
        write!(f, "ServerSession({:?}, {state})", self.user)
    }
}
