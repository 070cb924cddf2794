use super::{Answer, ClientError, RequestBody, ResponseBody, Session, SessionError};
use crate::proof::KeyHolder;
use axum::http::{Request, Response, Uri};
use chanbind_core::proof::{Outcome, Prover};
use std::{
    collections::HashMap,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};
use tower::Service;

/// A pool of sessions, as a `tower` service: it opens a session where none is free, and uses each for one request at a time. A session is
/// free again when the body of its response has been read to its end; if the body is dropped before, the session is closed.
///
/// A proof cannot cross connections: each session is opened with a prover of its own, by the function that the pool was created with. The outcome of
/// each exchange is in the response's extensions ([`Outcome`]). A request whose session the server has closed meanwhile is not repeated.
///
/// # Examples
///
/// ```no_run
/// use axum::http::Request;
/// use chanbind::{
///     client::{ConnectOptions, Connection, Pool, RequestBody, Session},
///     proof::authenticator::{self, Credentials},
/// };
/// use tower::ServiceExt;
///
/// # async fn example(credentials: Credentials, tls: rustls::ClientConfig) -> Result<(), Box<dyn std::error::Error>> {
/// let tls = std::sync::Arc::new(tls);
/// let pool = Pool::new(move |uri| {
///     let (tls, credentials) = (tls.clone(), credentials.clone());
///     async move {
///         let (host, port) = (uri.host().unwrap_or_default(), uri.port_u16().unwrap_or(443));
///         let connection = Connection::open(host, port, tls, &ConnectOptions::default()).await?;
///         Session::begin(connection, authenticator::prover(&credentials), credentials).await
///     }
/// });
/// let request = Request::get("https://gateway.example/").body(RequestBody::empty())?;
/// let response = pool.oneshot(request).await?;
/// # Ok(())
/// # }
/// ```
pub struct Pool<F, P, K> {
    open: Arc<F>,
    idle: Arc<Idle<P, K>>,
}

/// The free sessions, by authority.
struct Idle<P, K> {
    sessions: Mutex<HashMap<String, Vec<Session<P, K>>>>,
}

/// The free sessions that are kept for one authority.
const MAX_IDLE: usize = 8;

impl<P, K> Idle<P, K> {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Session<P, K>>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, authority: &str) -> Option<Session<P, K>> {
        let mut sessions = self.lock();
        let free = sessions.get_mut(authority)?;
        while let Some(session) = free.pop() {
            if !session.connection().is_closed() {
                return Some(session);
            }
        }
        None
    }

    fn give_back(&self, authority: String, session: Session<P, K>) {
        let mut sessions = self.lock();
        let free = sessions.entry(authority).or_default();
        if free.len() < MAX_IDLE {
            free.push(session);
        }
    }
}

/// The error of a request by a [`Pool`].
pub type PoolError = SessionError;

impl<F, P, K, O> Pool<F, P, K>
where
    F: Fn(Uri) -> O,
    O: Future<Output = Result<Session<P, K>, SessionError>>,
{
    /// Creates a pool. `open` opens a session with the server of a URI.
    #[must_use]
    pub fn new(open: F) -> Self {
        Self {
            open: Arc::new(open),
            idle: Arc::new(Idle {
                sessions: Mutex::default(),
            }),
        }
    }
}

impl<F, P, K> Pool<F, P, K> {
    /// Returns the number of free sessions.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.idle.lock().values().map(Vec::len).sum()
    }
}

impl<F, P, K, O> Service<Request<RequestBody>> for Pool<F, P, K>
where
    F: Fn(Uri) -> O + Send + Sync + 'static,
    O: Future<Output = Result<Session<P, K>, SessionError>> + Send + 'static,
    P: Prover<Failure: Send + Sync + 'static> + Send + Sync + 'static,
    K: KeyHolder + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = SessionError;
    type Future =
        Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, SessionError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), SessionError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let (open, idle) = (Arc::clone(&self.open), Arc::clone(&self.idle));
        Box::pin(async move {
            let uri = request.uri().clone();
            let authority = uri
                .authority()
                .ok_or_else(|| ClientError::Uri(uri.to_string()))?
                .to_string();
            let free = idle.take(&authority);
            let mut session = match free {
                Some(session) => session,
                // Without the path: a session serves all paths of its authority.
                None => open(origin(&authority)?).await?,
            };
            let Answer {
                mut response,
                outcome,
                ..
            } = session.send(request).await?;
            response.extensions_mut().insert::<Outcome>(outcome);
            // A response that is given up leaves the rest of its body on the connection, which is dropped then.
            let give_back = move || idle.give_back(authority, session);
            response.body_mut().on_end(give_back);
            Ok(response)
        })
    }
}

fn origin(authority: &str) -> Result<Uri, ClientError> {
    let uri = format!("https://{authority}/");
    uri.parse().map_err(|_| ClientError::Uri(uri))
}

impl<F, P, K> Clone for Pool<F, P, K> {
    fn clone(&self) -> Self {
        Self {
            open: Arc::clone(&self.open),
            idle: Arc::clone(&self.idle),
        }
    }
}

impl<F, P, K> fmt::Debug for Pool<F, P, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} free sessions)", self.idle())
    }
}
