use super::{
    Details, Form, KeyDerivationError, Settings,
    presented::{MalformedFields, OwnedPresented, Presented},
    session::{Client, DerivedKeys, Session},
    watches::{NoRuntime, Watches},
};
use crate::{
    clock,
    gateway::{Channel, Registry, RegistryError},
    proof::{
        Identity, Recipient, Refusal, RequestHead, Verdict, Verification, Verifier,
        remove_credentials,
    },
    unique,
};
use axum::http::{HeaderMap, HeaderValue, Method};
use chanbind_core::otp::{
    ClientId, Policy, TokenError, TokenRefusal, Uniqueness,
    jws::{self, Verified},
    nested, scratch_len,
};
use std::{fmt, sync::Arc};
use zeroize::Zeroizing;

/// Seconds by which a device's clock may differ.
const LEEWAY: u64 = 60;

/// Verifies one-time passwords against the keys of a registry.
///
/// The expected keys are derived once for each connection, client and form. For an unknown client the same work is done with a decoy, and the
/// answer is that to a wrong password. When a client is removed from the registry, disabled or given another key, its connections are
/// closed.
pub struct OtpVerifier {
    id: u64,
    watches: Arc<Watches>,
    registry: Arc<dyn Registry>,
    settings: Settings,
    challenge: HeaderValue,
}

impl OtpVerifier {
    /// Creates a verifier for the clients of `registry`.
    #[must_use]
    pub fn new(registry: Arc<dyn Registry>, settings: Settings) -> Arc<Self> {
        let challenge = format!(
            "Chanbind realm=\"chanbind\", proofs=\"api-key jws nested\", client-header=\"{}\", key-header=\"{}\", Bearer realm=\"chanbind\"",
            settings.client_header, settings.key_header
        );
        Arc::new(Self {
            id: unique::id(),
            watches: Watches::new(Arc::clone(&registry)),
            registry,
            settings,
            // Header names have no character that a header value must not have.
            challenge: HeaderValue::from_str(&challenge)
                .unwrap_or(HeaderValue::from_static("Chanbind")),
        })
    }

    /// Verifies an API key that came by another protocol than HTTP: as user name and password of MQTT's CONNECT, for example. `channel` is
    /// the connection that it came by, with one [`Channel`] for all its passwords. If the client is then removed from the registry,
    /// disabled or given another key, [`Channel::closed`] returns.
    ///
    /// ```no_run
    /// # use chanbind::{gateway::Channel, proof::otp::OtpVerifier};
    /// # use std::sync::Arc;
    /// # async fn example(verifier: Arc<OtpVerifier>, channel: Channel, user_name: &str, password: &str) {
    /// match verifier.verify_api_key(&channel, user_name, password).await {
    ///     Ok(identity) => println!("{} is connected", identity.subject()),
    ///     Err(refusal) => println!("refused: {refusal}"),
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// A [`Refusal`]. Tell the peer no more than that it is refused: the reason says which clients exist.
    pub async fn verify_api_key(
        &self,
        channel: &Channel,
        client: &str,
        key: &str,
    ) -> Result<Identity, Refusal> {
        let presented = Presented::of_api_key(client, key).map_err(Refusal::malformed)?;
        // An API key is for no request.
        let target = Target {
            method: Method::default(),
            uri: None,
        };
        let session = channel.state(self.id, Session::default);
        let verdict = self
            .look_up_and_check(presented, target, channel.clone(), session)
            .await;
        match verdict {
            Verdict::Accepted { identity, .. } => Ok(identity),
            Verdict::Refused(refusal) => Err(refusal),
            Verdict::Absent | Verdict::Continue { .. } => {
                Err(Refusal::internal("an API key got no verdict"))
            }
        }
    }

    /// Verifies by the keys of `client`; `None` if they are not derived yet.
    fn check(
        &self,
        presented: &Presented<impl AsRef<str>, impl AsRef<str>>,
        target: &Target,
        channel: &Channel,
        session: &Session,
        client: &Client,
    ) -> Option<Verdict> {
        let value = presented.value.as_ref();
        let verify = |keys: &DerivedKeys| -> Option<Result<_, TokenError>> {
            Some(match presented.form {
                Form::ApiKey => keys.api_key()?.verify(value).map(|()| None),
                Form::Jws => {
                    let signing = keys.signing()?;
                    self.token(value, target, session, client, |policy, scratch| {
                        jws::verify(signing, value, policy, scratch)
                    })
                    .map(Some)
                }
                Form::Nested => {
                    let keys = nested::NestedKeys {
                        signing: keys.signing()?,
                        encryption: keys.encryption()?,
                    };
                    self.token(value, target, session, client, |policy, scratch| {
                        nested::open(&keys, value, policy, scratch)
                    })
                    .map(Some)
                }
            })
        };
        // While a client changes its key, the other one is valid too.
        let mut verified = Err(TokenError::Rejected);
        for keys in client.keys() {
            verified = verify(keys)?;
            if !matches!(verified, Err(TokenError::Rejected)) {
                break;
            }
        }
        let id = client.id();
        // For an unknown client the same work was done, and its result does not count.
        Some(match verified {
            Err(error @ TokenError::Malformed(_)) => {
                Verdict::Refused(Refusal::malformed(MalformedFields::Token(error)))
            }
            _ if !client.is_known() => {
                let reason = format_args!("client {id:?} is not in the registry");
                Verdict::Refused(Refusal::not_proved(reason).claimed_by(&**id))
            }
            Err(error) => {
                let reason = format_args!("client {id:?}: {error}");
                Verdict::Refused(Refusal::not_proved(reason).claimed_by(&**id))
            }
            Ok(payload) => match session.watch(client, channel, &self.watches) {
                Ok(()) => {
                    let is_same = payload.is_none();
                    let new = || {
                        let details = Details::new(presented.form, payload);
                        let identity = Identity::new(Arc::clone(id), super::KIND, details);
                        identity.with_groups(Arc::clone(client.groups()))
                    };
                    Verdict::accepted(if is_same { client.identity(new) } else { new() })
                }
                Err(NoRuntime) => Verdict::Refused(Refusal::internal(
                    "the verifier is not run by tokio, so that it cannot watch over the registry",
                )),
            },
        })
    }

    /// Returns the payload of a token that `verify` accepts.
    fn token(
        &self,
        token: &str,
        target: &Target,
        session: &Session,
        client: &Client,
        verify: impl for<'s> FnOnce(&Policy<'_>, &'s mut [u8]) -> Result<Verified<'s>, TokenError>,
    ) -> Result<Arc<[u8]>, TokenError> {
        let bind = self.settings.bind_request;
        let now = clock::now();
        let uri = target.uri.as_deref();
        if bind && uri.is_none() {
            return Err(TokenError::Refused(TokenRefusal::Uri));
        }
        let policy = Policy {
            now: Some(now),
            leeway: LEEWAY,
            require_expiry: self.settings.require_expiry,
            method: bind.then_some(target.method.as_str()),
            uri: uri.filter(|_| bind),
            token_id: if bind {
                Uniqueness::Required
            } else {
                Uniqueness::Any
            },
            ..Policy::default()
        };
        let mut scratch = Zeroizing::new(vec![0; scratch_len(token.len())]);
        let verified = verify(&policy, &mut scratch)?;
        // A peer that knows one client only names any subject.
        let subject = verified
            .claims
            .subject
            .filter(|_| self.settings.default_client.is_none());
        if subject.is_some_and(|subject| subject != &**client.id()) {
            return Err(TokenError::Refused(TokenRefusal::Subject));
        }
        if bind && client.is_known() {
            let expiry = verified.claims.expires_at.unwrap_or(u64::MAX);
            let id = verified.claims.token_id.unwrap_or_default();
            let forget_at = expiry.saturating_add(LEEWAY);
            if !session.seen().insert(client.id(), id, forget_at, now) {
                return Err(TokenError::Refused(TokenRefusal::TokenId));
            }
        }
        Ok(verified.payload.into())
    }

    /// Looks the client up, derives its keys and verifies.
    async fn look_up_and_check(
        &self,
        presented: OwnedPresented,
        target: Target,
        channel: Channel,
        session: Arc<Session>,
    ) -> Verdict {
        let client = match session.find(&presented.client, &self.registry).await {
            Ok(client) => client,
            Err(error) => return no_key(presented.client.as_str(), &NoKey::Registry(error)),
        };
        if let Err(error) = client
            .derive(presented.form, &channel, &self.settings)
            .await
        {
            return no_key(presented.client.as_str(), &NoKey::Derivation(error));
        }
        self.check(&presented, &target, &channel, &session, &client)
            .unwrap_or_else(|| {
                Verdict::Refused(Refusal::internal("a key that was derived is missing"))
            })
    }
}

impl Verifier for OtpVerifier {
    fn kind(&self) -> &'static str {
        super::KIND
    }

    fn verify(self: Arc<Self>, channel: &Channel, request: &RequestHead<'_>) -> Verification {
        let presented = match Presented::find(request.headers, &self.settings) {
            Ok(Some(presented)) => presented,
            Ok(None) => return Verification::Ready(Verdict::Absent),
            Err(malformed) => {
                return Verification::Ready(Verdict::Refused(Refusal::malformed(malformed)));
            }
        };
        let target = Target::of(request, presented.form);
        let session = channel.state(self.id, Session::default);
        let ready = session
            .client(presented.client.as_str())
            .and_then(|client| self.check(&presented, &target, channel, &session, &client));
        match ready {
            Some(verdict) => Verification::Ready(verdict),
            // The first password of a client on a connection: its key has to be derived, and that may take a TPM's time.
            None => {
                let (presented, channel) = (presented.to_owned(), channel.clone());
                Verification::Pending(Box::pin(async move {
                    self.look_up_and_check(presented, target, channel, session)
                        .await
                }))
            }
        }
    }

    fn challenges(&self, _: &Channel) -> Result<Vec<HeaderValue>, Refusal> {
        Ok(vec![self.challenge.clone()])
    }

    fn exports(&self, channel: &Channel, client: &str) -> Vec<(&'static str, String)> {
        let Ok(client) = ClientId::new(client) else {
            return Vec::new();
        };
        super::exports(&self.settings.profile, client, channel.exporter())
    }

    fn remove_proof(&self, recipient: Recipient, headers: &mut HeaderMap) {
        headers.remove(&self.settings.client_header);
        headers.remove(&self.settings.key_header);
        remove_credentials(headers, recipient, "Bearer");
    }
}

/// The request that a token is for.
struct Target {
    method: Method,
    /// Without query and fragment, as `htu` has it (RFC 9449 section 4.2); `None` where the request does not name one host.
    uri: Option<String>,
}

impl Target {
    fn of(request: &RequestHead<'_>, form: Form) -> Self {
        // An API key is for all requests of its connection.
        let is_bound = form != Form::ApiKey;
        let authority = is_bound.then(|| request.authority()).flatten();
        Self {
            method: request.method.clone(),
            uri: authority.map(|host| format!("https://{host}{}", request.uri.path())),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum NoKey {
    #[error("{0}")]
    Registry(RegistryError),
    #[error("{0}")]
    Derivation(KeyDerivationError),
}

/// A fault of the gateway's TPM or registry looks like a wrong password: another answer would tell who is known.
fn no_key(client: &str, error: &NoKey) -> Verdict {
    tracing::error!(client, %error, "no key to verify a one-time password with");
    Verdict::Refused(Refusal::not_proved(format_args!(
        "no key for client {client:?}: {error}"
    )))
}

impl fmt::Debug for OtpVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OtpVerifier")
    }
}
