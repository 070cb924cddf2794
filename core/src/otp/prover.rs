//! The client's side of one-time passwords, as machines for any driver.

use super::{
    Claims, ClientIdBuf, Header, KeyDerivation, OneTimeKey, Profile, Purpose, TokenError, api_key,
    jwe::NONCE_LEN, jws, nested,
};
use crate::{
    error_messages,
    exporter::{Exporter, ExporterError},
    kdf::KdfError,
    proof::{FieldSink, Inputs, Outcome, Prover, RequestTarget, ResponseHead, Step},
    wire::Writer,
};
use base64ct::{Base64UrlUnpadded, Encoding};
use core::fmt;

/// The name of this kind of proof.
pub const KIND: &str = "otp";

/// The names of the header fields that carry a client id and an API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldNames<S> {
    /// The field with the client id.
    pub client: S,
    /// The field with the API key.
    pub key: S,
}

impl Default for FieldNames<&'static str> {
    /// `chanbind-client` and `chanbind-key`.
    fn default() -> Self {
        Self {
            client: "chanbind-client",
            key: "chanbind-key",
        }
    }
}

/// The room that the fields of an [`ApiKeyProver`] take in a [`crate::proof::Fields`], in bytes, for a client id of `client_len` bytes and
/// the default names.
#[must_use]
pub const fn api_key_fields_len(client_len: usize) -> usize {
    client_len.saturating_add(15 + 12 + api_key::ENCODED_LEN)
}

/// The default lifetime of a token that expires, in seconds.
pub const TOKEN_LIFETIME: u64 = 60;

/// Proves an identity by an API key: the one-time key of the connection, in a header field. Takes about 200 bytes.
///
/// `S` holds the texts: `&str`, or `Arc<str>` where the prover is to own them.
pub struct ApiKeyProver<'p, S> {
    profile: Profile<'p>,
    client: ClientIdBuf<S>,
    names: FieldNames<S>,
    key: Key<'p>,
}

impl<'p, S> ApiKeyProver<'p, S> {
    /// Creates a prover for a client. Both ends must have the same profile and names.
    #[must_use]
    pub const fn new(profile: Profile<'p>, client: ClientIdBuf<S>, names: FieldNames<S>) -> Self {
        Self {
            profile,
            client,
            names,
            key: Key::None,
        }
    }
}

impl<S: AsRef<str>> Prover for ApiKeyProver<'_, S> {
    type Failure = ProveError;

    fn kind(&self) -> &'static str {
        KIND
    }

    fn begin(&mut self, channel: &dyn Exporter, _: &Inputs<'_>) -> Step<'_, ProveError> {
        self.key = Key::None;
        match KeyDerivation::new(
            &self.profile,
            Purpose::ApiKey,
            self.client.as_client_id(),
            channel,
        ) {
            Ok(derivation) => self.key.derive(derivation),
            Err(error) => Step::Failed(error.into()),
        }
    }

    fn answered(&mut self, answer: &[u8]) -> Step<'_, ProveError> {
        match self.key.answered(answer) {
            Ok(true) => Step::Send,
            Ok(false) => self.key.request(),
            Err(error) => Step::Failed(error),
        }
    }

    fn write_fields(
        &mut self,
        _: &RequestTarget<'_>,
        _: &Inputs<'_>,
        out: &mut dyn FieldSink,
    ) -> Result<(), ProveError> {
        let key = self.key.get()?;
        let write = &mut |out: &mut [u8]| {
            let out = out.first_chunk_mut::<{ api_key::ENCODED_LEN }>()?;
            Some(api_key::encode(key, out).len())
        };
        out.put(self.names.client.as_ref(), self.client.as_str())
            .and_then(|()| out.put_with(self.names.key.as_ref(), api_key::ENCODED_LEN, write))
            .map_err(|_| ProveError::BufferTooSmall)
    }

    fn response(&mut self, head: &dyn ResponseHead, _: &Inputs<'_>) -> Step<'_, ProveError> {
        Step::Done(outcome(head))
    }
}

/// The forms of token that a [`TokenProver`] makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenForm {
    /// Claims with an HS256 signature ([`jws`]).
    Jws,
    /// A JWS inside a JWE ([`nested`]).
    Nested,
}

/// Proves an identity by a token for each request, as `Authorization: Bearer`. Takes about 350 bytes, and buffers of the field sink: four times
/// [`TokenProver::max_token_len`].
///
/// `S` holds the texts: `&str`, or `Arc<str>` where the prover is to own them.
pub struct TokenProver<'p, S> {
    profile: Profile<'p>,
    client: ClientIdBuf<S>,
    names: FieldNames<S>,
    form: TokenForm,
    /// True if each token is for one request alone: it has `htm`, `htu` and a `jti` of its own.
    bind_request: bool,
    lifetime: Option<u64>,
    signing: Key<'p>,
    encryption: Key<'p>,
}

impl<'p, S: AsRef<str>> TokenProver<'p, S> {
    /// Creates a prover whose tokens are for one request each and expire after [`TOKEN_LIFETIME`]. Both ends must have the same profile and names.
    #[must_use]
    pub const fn new(
        profile: Profile<'p>,
        client: ClientIdBuf<S>,
        names: FieldNames<S>,
        form: TokenForm,
    ) -> Self {
        Self {
            profile,
            client,
            names,
            form,
            bind_request: true,
            lifetime: Some(TOKEN_LIFETIME),
            signing: Key::None,
            encryption: Key::None,
        }
    }

    /// Makes tokens that are good for all requests of the connection, for gateways that do not ask for more.
    #[must_use]
    pub fn for_any_request(mut self) -> Self {
        self.bind_request = false;
        self
    }

    /// Makes tokens that do not expire; one connection is their limit. For gateways that do not ask for more.
    #[must_use]
    pub fn without_expiry(mut self) -> Self {
        self.lifetime = None;
        self
    }

    /// Returns the longest token for a request with a URI of `uri_len` bytes.
    #[must_use]
    pub fn max_token_len(&self, uri_len: usize) -> usize {
        // JSON escapes take at most six bytes for one, and base64 twice less than two.
        let text = self.client.as_str().len().saturating_add(uri_len);
        text.saturating_mul(12).saturating_add(1024)
    }

    fn write_token(
        &self,
        request: &RequestTarget<'_>,
        inputs: &Inputs<'_>,
        out: &mut [u8],
    ) -> Result<usize, ProveError> {
        const SCHEME: &[u8] = b"Bearer ";
        let len = self.max_token_len(uri_len(request));
        let too_small = ProveError::BufferTooSmall;
        let (token, scratch) = out
            .split_at_mut_checked(SCHEME.len().saturating_add(len))
            .ok_or(too_small)?;
        let (payload, scratch) = scratch.split_at_mut_checked(len).ok_or(too_small)?;
        let (signed, uri) = scratch.split_at_mut_checked(len).ok_or(too_small)?;

        let mut uri = Writer::new(uri);
        for part in ["https://", request.authority, request.path_without_query()] {
            uri.put(part.as_bytes()).map_err(|_| too_small)?;
        }
        let uri = str::from_utf8(uri.finish()).map_err(|_| too_small)?;
        let (id, rest) = inputs.random.split_at_checked(16).ok_or(too_small)?;
        let nonce = rest.first_chunk::<NONCE_LEN>().ok_or(too_small)?;
        let mut text = [0; 22];
        let id = Base64UrlUnpadded::encode(id, &mut text).map_err(|_| too_small)?;
        let times = match self.lifetime {
            Some(lifetime) => {
                let now = inputs.unix_time.ok_or(ProveError::NoTime)?;
                Some((now, now.saturating_add(lifetime)))
            }
            None => None,
        };
        let bind = self.bind_request;
        let claims = Claims {
            subject: Some(self.client.as_str()),
            issued_at: times.map(|(now, _)| now),
            expires_at: times.map(|(_, end)| end),
            token_id: bind.then_some(id),
            method: bind.then_some(request.method),
            uri: bind.then_some(uri),
            ..Claims::default()
        };
        let header = Header {
            key_id: Some(self.client.as_str()),
            typ: true,
        };
        let (scheme, place) = token.split_at_mut_checked(SCHEME.len()).ok_or(too_small)?;
        scheme.copy_from_slice(SCHEME);
        let payload = claims.encode(payload)?;
        let signing = self.signing.get()?;
        let made = match self.form {
            TokenForm::Jws => jws::sign(signing, &header, payload, place),
            TokenForm::Nested => {
                let keys = nested::NestedKeys {
                    signing,
                    encryption: self.encryption.get()?,
                };
                let headers = (&Header::default(), &header);
                nested::seal(&keys, nonce, headers, payload, signed, place)
            }
        };
        Ok(SCHEME.len().saturating_add(made?.len()))
    }
}

impl<S: AsRef<str>> Prover for TokenProver<'_, S> {
    type Failure = ProveError;

    fn kind(&self) -> &'static str {
        KIND
    }

    fn begin(&mut self, channel: &dyn Exporter, _: &Inputs<'_>) -> Step<'_, ProveError> {
        (self.signing, self.encryption) = (Key::None, Key::None);
        let derive = |purpose| {
            KeyDerivation::new(&self.profile, purpose, self.client.as_client_id(), channel)
        };
        if self.form == TokenForm::Nested {
            match derive(Purpose::Encryption) {
                Ok(derivation) => self.encryption = Key::Deriving(derivation),
                Err(error) => return Step::Failed(error.into()),
            }
        }
        match derive(Purpose::Signing) {
            Ok(derivation) => self.signing.derive(derivation),
            Err(error) => Step::Failed(error.into()),
        }
    }

    fn answered(&mut self, answer: &[u8]) -> Step<'_, ProveError> {
        let key = match self.signing {
            Key::Deriving(_) => &mut self.signing,
            _ => &mut self.encryption,
        };
        if let Err(error) = key.answered(answer) {
            return Step::Failed(error);
        }
        match (&self.signing, &self.encryption) {
            (key @ Key::Deriving(_), _) | (_, key @ Key::Deriving(_)) => key.request(),
            _ => Step::Send,
        }
    }

    fn write_fields(
        &mut self,
        request: &RequestTarget<'_>,
        inputs: &Inputs<'_>,
        out: &mut dyn FieldSink,
    ) -> Result<(), ProveError> {
        let len = self.max_token_len(uri_len(request)).saturating_mul(4);
        let mut made = Err(ProveError::BufferTooSmall);
        let write = &mut |out: &mut [u8]| {
            made = self.write_token(request, inputs, out);
            made.ok()
        };
        let written = out
            .put_with("authorization", len, write)
            .and_then(|()| out.put(self.names.client.as_ref(), self.client.as_str()));
        made?;
        written.map_err(|_| ProveError::BufferTooSmall)
    }

    fn response(&mut self, head: &dyn ResponseHead, _: &Inputs<'_>) -> Step<'_, ProveError> {
        Step::Done(outcome(head))
    }
}

/// The length of the URI in `htu`.
fn uri_len(request: &RequestTarget<'_>) -> usize {
    (request.authority.len())
        .saturating_add(request.path.len())
        .saturating_add("https://".len())
}

/// A password goes with every request, so only a refusal says that it was looked at.
fn outcome(head: &dyn ResponseHead) -> Outcome {
    match head.status() {
        401 | 403 => Outcome::Refused,
        _ => Outcome::Proved,
    }
}

/// A one-time key, as far as it has come.
enum Key<'c> {
    None,
    Deriving(KeyDerivation<'c>),
    Derived(OneTimeKey),
}

impl<'c> Key<'c> {
    fn derive(&mut self, derivation: KeyDerivation<'c>) -> Step<'_, ProveError> {
        *self = Self::Deriving(derivation);
        self.request()
    }

    fn request(&self) -> Step<'_, ProveError> {
        match self {
            Self::Deriving(derivation) => Step::Key(derivation.request()),
            _ => Step::Failed(ProveError::Order),
        }
    }

    /// Takes an answer. Returns true if the key is complete.
    fn answered(&mut self, answer: &[u8]) -> Result<bool, ProveError> {
        let Self::Deriving(derivation) = self else {
            return Err(ProveError::Order);
        };
        match derivation.answered(answer) {
            Ok(Some(key)) => *self = Self::Derived(key),
            Ok(None) => return Ok(false),
            Err(error) => {
                *self = Self::None;
                return Err(error.into());
            }
        }
        Ok(true)
    }

    fn get(&self) -> Result<&OneTimeKey, ProveError> {
        match self {
            Self::Derived(key) => Ok(key),
            _ => Err(ProveError::Order),
        }
    }
}

/// The error of making a one-time password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProveError {
    /// The channel exported no keying material.
    Exporter(ExporterError),
    /// The answer of the key's holder has a wrong length, or the profile's layout cannot give a key.
    Kdf(KdfError),
    /// The token could not be made.
    Token(TokenError),
    /// The buffer for header fields is too small for the password, or the client id is not visible ASCII.
    BufferTooSmall,
    /// The token expires, and the time is not known.
    NoTime,
    /// The driver called the prover in another order than its steps say.
    Order,
}

error_messages! { ProveError {
    Self::Exporter(error) => "{}", error;
    Self::Kdf(error) => "{}", error;
    Self::Token(error) => "{}", error;
    Self::BufferTooSmall => "the buffer for header fields is too small for the one-time password: give a larger one";
    Self::NoTime => "a token that expires needs the time: set the clock, or make tokens without expiry";
    Self::Order => "the prover was called out of order: begin a connection, and follow the steps";
}}

impl core::error::Error for ProveError {}

impl From<ExporterError> for ProveError {
    fn from(error: ExporterError) -> Self {
        Self::Exporter(error)
    }
}

impl From<KdfError> for ProveError {
    fn from(error: KdfError) -> Self {
        Self::Kdf(error)
    }
}

impl From<TokenError> for ProveError {
    fn from(error: TokenError) -> Self {
        Self::Token(error)
    }
}

impl<S: AsRef<str>> fmt::Debug for ApiKeyProver<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKeyProver({})", self.client)
    }
}

impl<S: AsRef<str>> fmt::Debug for TokenProver<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenProver({}, {:?})", self.client, self.form)
    }
}
