use super::{ClientChannel, ClientError, Connection, RequestBody, ResponseBody};
use crate::{
    clock,
    proof::{KeyError, KeyHolder},
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri};
use chanbind_core::{
    proof::{FieldSink, Inputs, Outcome, Prover, RANDOM_LEN, RequestTarget, ResponseHead, Step},
    wire::Full,
};
use hyper::body::Body;
use std::fmt;
use zeroize::Zeroizing;

/// A connection with a proof: every request that is sent on it proves who the client is, as the prover's kind has it.
///
/// The proof is made for this connection alone, and cannot leave it.
pub struct Session<P, K> {
    connection: Connection,
    prover: P,
    key: K,
    /// True while a request is in progress, and after one that failed or was given up: the connection or the prover may then be in the
    /// middle of an exchange.
    is_spent: bool,
}

/// The response to a request, and what it says about the proof.
#[derive(Debug)]
pub struct Answer {
    /// The response. Its body is a stream.
    pub response: Response<ResponseBody>,
    /// The meaning of the response for the proof of its request.
    pub outcome: Outcome,
    /// The reason why this client declined to prove what the server asked for, if it did.
    pub declined: Option<String>,
}

/// The error of an exchange.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The connection or the request failed.
    #[error("{0}")]
    Client(#[from] ClientError),
    /// The key's holder failed.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// The request before failed or was given up.
    #[error("the session was given up in the middle of an exchange: open another one")]
    Spent,
    /// No proof could be made, or the server did not keep to the protocol.
    #[error("{0}")]
    Proof(Box<dyn std::error::Error + Send + Sync>),
}

/// The exchanges that one request may take: the longest of all kinds takes four.
const MAX_EXCHANGES: usize = 8;

/// The bytes of a response that are read and discarded where the request is sent again.
const MAX_DISCARDED: usize = 64 * 1024;

impl<P, K> Session<P, K>
where
    P: Prover<Failure: Send + Sync + 'static>,
    K: KeyHolder,
{
    /// Begins the prover's exchange on a connection.
    ///
    /// # Errors
    /// [`SessionError::Key`] if the key fails, [`SessionError::Proof`] if the channel gives no proof.
    pub async fn begin(connection: Connection, prover: P, key: K) -> Result<Self, SessionError> {
        let mut session = Self {
            connection,
            prover,
            key,
            is_spent: false,
        };
        let inputs = FreshInputs::new()?;
        let step = session
            .prover
            .begin(session.connection.channel(), &inputs.get());
        let answer = match to_do(step)? {
            ToDo::Send | ToDo::Done(_) => return Ok(session),
            ToDo::Key(request) => session.key.answer(request).await?,
        };
        session.answer_keys(answer).await?;
        Ok(session)
    }

    /// Returns the channel of the connection.
    #[must_use]
    pub fn channel(&self) -> &ClientChannel {
        self.connection.channel()
    }

    /// Sends a request with the proof, and reads the head of the response. If the server asks for more, the request is sent again.
    ///
    /// A server that asks for a proof need not read long content first: chanbind's reads 256 KiB and then closes the connection. Before
    /// longer content, and before content that can be sent only once, call [`Session::authenticate`].
    ///
    /// # Errors
    /// [`SessionError`]. After an error, or if the future is dropped, the session is used no more ([`SessionError::Spent`]): open another
    /// one.
    pub async fn send(&mut self, request: Request<RequestBody>) -> Result<Answer, SessionError> {
        if std::mem::replace(&mut self.is_spent, true) {
            return Err(SessionError::Spent);
        }
        let answer = self.send_until_answered(request).await?;
        self.is_spent = false;
        Ok(answer)
    }

    async fn send_until_answered(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Answer, SessionError> {
        let (mut parts, mut body) = request.into_parts();
        parts.headers.remove(axum::http::header::HOST);
        let head = Request::from_parts(parts, ());
        let host = self.connection.authority(&head)?;
        for exchange in 0..MAX_EXCHANGES {
            let body = body.make().ok_or(ClientError::BodyConsumed)?;
            let is_content_repeated = exchange > 0 && !body.is_end_stream();
            let mut request = Request::new(body);
            *request.method_mut() = head.method().clone();
            *request.uri_mut() = head.uri().clone();
            request.headers_mut().clone_from(head.headers());
            self.write_fields(&host, &mut request)?;
            let response = match self.connection.send_raw(request).await {
                Err(ClientError::Http(error)) if is_content_repeated => {
                    return Err(ClientError::ClosedAfterChallenge(error).into());
                }
                sent => sent?,
            };
            let inputs = FreshInputs::new()?;
            let step = self.prover.response(&Head(&response), &inputs.get());
            let answer = match to_do(step)? {
                ToDo::Done(outcome) => {
                    let declined = self.prover.declined().map(|reason| reason.to_string());
                    return Ok(Answer {
                        response,
                        outcome,
                        declined,
                    });
                }
                ToDo::Send => None,
                ToDo::Key(request) => Some(self.key.answer(request).await?),
            };
            response.into_body().bytes(MAX_DISCARDED).await?;
            if let Some(answer) = answer {
                self.answer_keys(answer).await?;
            }
        }
        Err(SessionError::Proof(
            "the server asks for ever more proofs: it does not keep to the protocol".into(),
        ))
    }

    /// Sends a GET request for `uri` and discards the response, so that the connection has proved itself before a request whose body can
    /// be sent only once.
    ///
    /// # Errors
    /// As [`Session::send`].
    pub async fn authenticate(&mut self, uri: &Uri) -> Result<Outcome, SessionError> {
        let answer = self.send(Connection::get(uri)?).await?;
        answer.response.into_body().bytes(MAX_DISCARDED).await?;
        Ok(answer.outcome)
    }

    /// Gives the prover an answer of the key, and has the key answer until the prover is ready to send.
    async fn answer_keys(&mut self, mut answer: Zeroizing<Vec<u8>>) -> Result<(), SessionError> {
        loop {
            let step = self.prover.answered(&answer);
            answer = match to_do(step)? {
                ToDo::Key(request) => self.key.answer(request).await?,
                ToDo::Send | ToDo::Done(_) => return Ok(()),
            };
        }
    }

    fn write_fields<B>(
        &mut self,
        host: &HeaderValue,
        request: &mut Request<B>,
    ) -> Result<(), SessionError> {
        let inputs = FreshInputs::new()?;
        let uri = request.uri().clone();
        let method = request.method().clone();
        let target = RequestTarget {
            method: method.as_str(),
            authority: host.to_str().unwrap_or_default(),
            path: uri.path_and_query().map_or("/", |path| path.as_str()),
        };
        let mut sink = Sink(request.headers_mut());
        self.prover
            .write_fields(&target, &inputs.get(), &mut sink)
            .map_err(|error| SessionError::Proof(Box::new(error)))
    }
}

impl<P, K> Session<P, K> {
    /// Returns the connection.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Returns the prover.
    #[must_use]
    pub fn prover(&self) -> &P {
        &self.prover
    }

    /// Closes the connection, and returns the prover and the key: for the next connection, if the prover has a session that outlives this
    /// one.
    #[must_use]
    pub fn into_parts(self) -> (P, K) {
        (self.prover, self.key)
    }
}

/// A step without the failure.
enum ToDo<'a> {
    Key(chanbind_core::proof::KeyRequest<'a>),
    Send,
    Done(Outcome),
}

fn to_do<F>(step: Step<'_, F>) -> Result<ToDo<'_>, SessionError>
where
    F: std::error::Error + Send + Sync + 'static,
{
    match step {
        Step::Key(request) => Ok(ToDo::Key(request)),
        Step::Send => Ok(ToDo::Send),
        Step::Done(outcome) => Ok(ToDo::Done(outcome)),
        Step::Failed(failure) => Err(SessionError::Proof(Box::new(failure))),
    }
}

/// Time and random bytes, new for each call of a prover.
struct FreshInputs {
    now: u64,
    random: Zeroizing<[u8; RANDOM_LEN]>,
}

impl FreshInputs {
    fn new() -> Result<Self, ClientError> {
        let mut random = Zeroizing::new([0; RANDOM_LEN]);
        getrandom::fill(random.as_mut_slice()).map_err(ClientError::Random)?;
        Ok(Self {
            now: clock::now(),
            random,
        })
    }

    fn get(&self) -> Inputs<'_> {
        Inputs {
            unix_time: Some(self.now),
            random: &self.random,
        }
    }
}

/// The head of a response, as provers read it.
struct Head<'r>(&'r Response<ResponseBody>);

impl ResponseHead for Head<'_> {
    fn status(&self) -> u16 {
        self.0.status().as_u16()
    }

    fn field(&self, name: &str, nth: usize) -> Option<&[u8]> {
        let values = self.0.headers().get_all(name);
        values.iter().nth(nth).map(HeaderValue::as_bytes)
    }
}

/// Header fields of a request, as provers write them. They replace the application's own of the same name.
struct Sink<'h>(&'h mut HeaderMap);

impl FieldSink for Sink<'_> {
    fn put_with(
        &mut self,
        name: &str,
        max_len: usize,
        write: &mut dyn FnMut(&mut [u8]) -> Option<usize>,
    ) -> Result<(), Full> {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Full)?;
        let mut buffer = Zeroizing::new(vec![0; max_len]);
        let len = write(&mut buffer).ok_or(Full)?;
        let value = buffer.get(..len).ok_or(Full)?;
        let mut value = HeaderValue::from_bytes(value).map_err(|_| Full)?;
        value.set_sensitive(true);
        self.0.insert(name, value);
        Ok(())
    }
}

impl<P, K> fmt::Debug for Session<P, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}
