//! A client for tests: proofs outside of a session, whose header fields are sent by hand, on another connection, or changed.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use chanbind::{
    client::{ClientChannel, ClientError, Connection, RequestBody},
    proof::{
        KeyHolder,
        authenticator::{
            AuthenticatorProver, CertifiedIdentity, Credentials, ServerIdentityError, Trust,
            WithServerIdentity, decliner,
            header_fields::{AUTHENTICATOR_HEADER, MAX_AUTHENTICATOR_LEN, REQUEST_HEADER},
            prover,
        },
        otp::{self, Form, Settings},
    },
};
use chanbind_core::{
    authenticator::{
        CertificateChain, ClientIdentity, Endpoint, Request as AuthenticatorRequest, Role, http,
    },
    exporter::Exporter,
    kdf::HmacSha256,
    otp::ClientId,
    proof::{FieldSink, Inputs, KeyRequest, Prover, RANDOM_LEN, RequestTarget, ResponseHead, Step},
    wire::Full,
};
use rand_core::{OsRng, RngCore};
use std::{
    error::Error,
    time::{SystemTime, UNIX_EPOCH},
};

type Failure = Box<dyn Error + Send + Sync>;

/// Time and random bytes for a prover.
#[derive(Debug)]
pub struct Fresh {
    now: u64,
    random: [u8; RANDOM_LEN],
}

impl Fresh {
    /// Returns the present time, and new random bytes.
    #[must_use]
    pub fn new() -> Self {
        let mut random = [0; RANDOM_LEN];
        OsRng.fill_bytes(&mut random);
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            now: now.map_or(0, |now| now.as_secs()),
            random,
        }
    }

    /// Returns the inputs of one call.
    #[must_use]
    pub fn inputs(&self) -> Inputs<'_> {
        Inputs {
            unix_time: Some(self.now),
            random: &self.random,
        }
    }
}

impl Default for Fresh {
    fn default() -> Self {
        Self::new()
    }
}

/// Begins `prover` on a channel, and has `key` answer until the prover is ready to send.
///
/// # Errors
/// Returns the failure of the prover or of the key.
pub async fn begin<P: Prover<Failure: Send + Sync + 'static>>(
    prover: &mut P,
    channel: &(dyn Exporter + Sync),
    key: &dyn KeyHolder,
) -> Result<(), Failure> {
    let fresh = Fresh::new();
    let answer = match prover.begin(channel, &fresh.inputs()) {
        Step::Key(request) => key.answer(request).await?,
        step => return ready(step),
    };
    answer_keys(prover, key, answer.to_vec()).await
}

/// Gives `prover` an answer of its key, and further ones until it is ready to send.
///
/// # Errors
/// Returns the failure of the prover or of the key.
pub async fn answer_keys<P: Prover<Failure: Send + Sync + 'static>>(
    prover: &mut P,
    key: &dyn KeyHolder,
    mut answer: Vec<u8>,
) -> Result<(), Failure> {
    loop {
        answer = match prover.answered(&answer) {
            Step::Key(request) => key.answer(request).await?.to_vec(),
            step => return ready(step),
        };
    }
}

fn ready<F: Error + Send + Sync + 'static>(step: Step<'_, F>) -> Result<(), Failure> {
    match step {
        Step::Send => Ok(()),
        Step::Failed(failure) => Err(Box::new(failure)),
        other => Err(format!("unexpected step: {other:?}").into()),
    }
}

/// Header fields as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts(pub Vec<(String, String)>);

impl FieldSink for Texts {
    fn put_with(
        &mut self,
        name: &str,
        max_len: usize,
        write: &mut dyn FnMut(&mut [u8]) -> Option<usize>,
    ) -> Result<(), Full> {
        let mut buffer = vec![0; max_len];
        let len = write(&mut buffer).ok_or(Full)?;
        buffer.truncate(len);
        let value = String::from_utf8(buffer).map_err(|_| Full)?;
        self.0.push((name.to_owned(), value));
        Ok(())
    }
}

/// Returns the header fields of `prover` for a request.
///
/// # Errors
/// Returns the failure of the prover.
pub fn fields<P: Prover<Failure: Send + Sync + 'static>>(
    prover: &mut P,
    request: &Request<RequestBody>,
) -> Result<Texts, Failure> {
    let target = RequestTarget {
        method: request.method().as_str(),
        authority: request.uri().authority().map_or("", |host| host.as_str()),
        path: request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str()),
    };
    let mut texts = Texts::default();
    prover.write_fields(&target, &Fresh::new().inputs(), &mut texts)?;
    Ok(texts)
}

/// Puts header fields into a request, in place of those of the same name.
///
/// # Errors
/// Returns an error if a name or a value is not one of a header field.
pub fn insert(request: &mut Request<RequestBody>, fields: &Texts) -> Result<(), Failure> {
    for (name, value) in &fields.0 {
        let (name, value) = (name.parse::<HeaderName>()?, HeaderValue::from_str(value)?);
        request.headers_mut().insert(name, value);
    }
    Ok(())
}

/// Puts a one-time password for this connection into a request.
///
/// # Errors
/// Returns the failure of the prover or of the key.
pub async fn one_time_password(
    settings: &Settings,
    client: &str,
    form: Form,
    connection: &TestClient,
    key: &dyn KeyHolder,
    request: &mut Request<RequestBody>,
) -> Result<(), Failure> {
    let mut prover = otp::prover(settings, ClientId::new(client)?, form);
    begin(&mut prover, connection.channel(), key).await?;
    let fields = fields(&mut prover, request)?;
    insert(request, &fields)
}

/// Answers an authenticator request at an endpoint of the caller's.
///
/// # Errors
/// Returns the error of the endpoint or of the key.
pub async fn authenticate<R: Role, const CONTEXTS: usize>(
    credentials: &Credentials,
    endpoint: &mut Endpoint<R, CONTEXTS>,
    request: &AuthenticatorRequest<'_>,
) -> Result<Vec<u8>, Failure> {
    let scheme = credentials.scheme(request).ok_or("no scheme in common")?;
    let certificates: Vec<&[u8]> = credentials
        .certificates()
        .iter()
        .map(AsRef::as_ref)
        .collect();
    let chain = CertificateChain::new(&certificates, scheme);
    let mut out = vec![0; MAX_AUTHENTICATOR_LEN];
    let unsigned = endpoint.authenticate(request, &chain, &mut out)?;
    let message = unsigned.content();
    let signature = credentials
        .answer(KeyRequest::Sign { scheme, message })
        .await?;
    Ok(unsigned.sign(&signature)?.to_vec())
}

/// Returns the authenticator request in a response's challenge.
#[must_use]
pub fn challenged(headers: &HeaderMap) -> Option<Vec<u8>> {
    let values = headers.get_all(header::WWW_AUTHENTICATE).iter();
    let text = values
        .filter_map(|value| value.to_str().ok())
        .find_map(http::challenge)?;
    BASE64_URL_SAFE_NO_PAD.decode(text).ok()
}

/// A connection of a test's client, which can prove different identities, and send requests that no client would.
#[derive(Debug)]
pub struct TestClient(Connection);

/// A request to the server to prove an identity.
#[derive(Debug)]
pub struct Asked(WithServerIdentity<AuthenticatorProver<()>>);

impl TestClient {
    /// Wraps a connection.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self(connection)
    }

    /// Returns the connection.
    #[must_use]
    pub fn into_inner(self) -> Connection {
        self.0
    }

    /// Returns the channel.
    #[must_use]
    pub fn channel(&self) -> &ClientChannel {
        self.0.channel()
    }

    /// Returns true if the server has closed the connection.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Returns protocol version, cipher suite and key exchange.
    #[must_use]
    pub fn negotiated(&self) -> String {
        self.0.negotiated()
    }

    /// Sends a request without a proof of its own, and reads the whole response.
    ///
    /// # Errors
    /// Returns the error of the connection.
    pub async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Bytes>, ClientError> {
        let (head, body) = self.0.send(request).await?.into_parts();
        Ok(Response::from_parts(head, body.bytes(MAX_RESPONSE).await?))
    }

    /// Sends a request without content; if the server asks for an authenticator, answers with `credentials`, or declines, and sends the
    /// request again. Server authenticators of the first response are appended to the second.
    ///
    /// # Errors
    /// Returns the error of the connection, the prover or the key.
    pub async fn send_with(
        &mut self,
        request: Request<RequestBody>,
        credentials: Option<&Credentials>,
    ) -> Result<Response<Bytes>, Failure> {
        match credentials {
            Some(credentials) => {
                self.exchange(request, prover(credentials), credentials)
                    .await
            }
            None => {
                self.exchange(request, decliner(), &HmacSha256::new(b"no key"))
                    .await
            }
        }
    }

    async fn exchange<P: Prover<Failure: Send + Sync + 'static>>(
        &mut self,
        request: Request<RequestBody>,
        mut prover: P,
        key: &dyn KeyHolder,
    ) -> Result<Response<Bytes>, Failure> {
        begin(&mut prover, self.0.channel(), key).await?;
        let mut again = copy(&request);
        let first = self.send(request).await?;
        let fresh = Fresh::new();
        let answer = match prover.response(&Head(&first), &fresh.inputs()) {
            Step::Done(_) => return Ok(first),
            Step::Send => None,
            Step::Key(request) => Some(key.answer(request).await?.to_vec()),
            Step::Failed(failure) => return Err(Box::new(failure)),
        };
        if let Some(answer) = answer {
            answer_keys(&mut prover, key, answer).await?;
        }
        let fields = fields(&mut prover, &again)?;
        insert(&mut again, &fields)?;
        again.headers_mut().remove(REQUEST_HEADER);
        let mut response = self.send(again).await?;
        for own in first.headers().get_all(AUTHENTICATOR_HEADER) {
            response
                .headers_mut()
                .append(AUTHENTICATOR_HEADER, own.clone());
        }
        Ok(response)
    }

    /// Has `request` ask the server for an identity.
    ///
    /// # Errors
    /// Returns [`ServerIdentityError::Name`] for an IP address.
    pub fn ask(
        &self,
        request: &mut Request<RequestBody>,
        name: Option<&str>,
        trust: &Trust,
    ) -> Result<Asked, Failure> {
        let mut prover = WithServerIdentity::new(decliner(), trust.clone(), name)?;
        let _ = prover.begin(self.0.channel(), &Fresh::new().inputs());
        let fields = fields(&mut prover, request)?;
        insert(request, &fields)?;
        Ok(Asked(prover))
    }

    /// Returns the identity that the server proved in its response to a request that asked.
    ///
    /// # Errors
    /// Returns the reason why it proved none.
    pub fn proved(
        &self,
        mut asked: Asked,
        response: &Response<Bytes>,
    ) -> Result<CertifiedIdentity, ServerIdentityError> {
        let _ = asked.0.response(&Head(response), &Fresh::new().inputs());
        asked.0.server_identity()
    }
}

/// The longest response that is read, in bytes.
const MAX_RESPONSE: usize = 16 * 1024 * 1024;

/// Copies a request without its content.
#[must_use]
pub fn copy(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(RequestBody::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

/// The head of a response, as provers read it.
#[derive(Debug)]
pub struct Head<'r>(pub &'r Response<Bytes>);

impl ResponseHead for Head<'_> {
    fn status(&self) -> u16 {
        self.0.status().as_u16()
    }

    fn field(&self, name: &str, nth: usize) -> Option<&[u8]> {
        let values = self.0.headers().get_all(name);
        values.iter().nth(nth).map(HeaderValue::as_bytes)
    }
}
