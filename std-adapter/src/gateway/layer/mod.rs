//! The tower layer.

mod decision;

use super::{Channel, Event, LiveList, Observer, Policy, WeakChannel};
use crate::{
    proof::{Fields, Identity, Recipient, Responder},
    unique,
};
use axum::{
    body::Body,
    http::{Request, Response},
};
use decision::{Decision, append};
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};
use tokio::sync::Semaphore;
use tower::{Layer, Service};
use tracing::Instrument;

/// A tower layer that lets requests through which prove what a [`Policy`] asks for. The module says what it answers.
#[derive(Clone)]
pub struct ProofLayer {
    shared: Arc<Shared>,
}

/// A service inside a [`ProofLayer`].
#[derive(Clone)]
pub struct ProofService<S> {
    inner: S,
    shared: Arc<Shared>,
}

struct Shared {
    id: u64,
    policy: Policy,
    responders: Vec<Arc<dyn Responder>>,
    recipient: Recipient,
    observer: Option<Arc<dyn Observer>>,
    /// Permits for verifications that do not end at once.
    pending: Arc<Semaphore>,
    /// The connections on which something has been proved.
    channels: Mutex<LiveList<WeakChannel>>,
}

/// The default of [`ProofLayer::with_max_pending`].
const MAX_PENDING: usize = 1024;

impl ProofLayer {
    /// Creates a layer.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self::with_responders(policy, Vec::new())
    }

    /// Creates a layer that also answers what clients ask of it, on every path: for example
    /// [`ServerIdentities`](crate::proof::authenticator::ServerIdentities).
    #[must_use]
    pub fn with_responders(policy: Policy, responders: Vec<Arc<dyn Responder>>) -> Self {
        Self::for_recipient(Recipient::Server, policy, responders)
    }

    /// Creates the layer of a forward proxy: it answers 407 with Proxy-Authenticate. The hosts and paths of the policy are those that clients
    /// want to reach; of a CONNECT request the path is `/`.
    #[must_use]
    pub fn for_proxy(policy: Policy) -> Self {
        Self::for_recipient(Recipient::Proxy, policy, Vec::new())
    }

    fn for_recipient(
        recipient: Recipient,
        policy: Policy,
        responders: Vec<Arc<dyn Responder>>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                id: unique::id(),
                policy,
                responders,
                recipient,
                observer: None,
                pending: Arc::new(Semaphore::new(MAX_PENDING)),
                channels: Mutex::default(),
            }),
        }
    }

    /// Tells `observer` what the layer decides.
    #[must_use]
    pub fn observed(self, observer: Arc<dyn Observer>) -> Self {
        self.with(|shared| shared.observer = Some(observer))
    }

    /// Sets the maximum number of requests whose proofs are being verified at a time, because a registry, a TPM or another server has to answer;
    /// 1,024 by default. Further ones get a response with status 503 and Retry-After. Proofs that can be verified at once do not count.
    #[must_use]
    pub fn with_max_pending(self, requests: usize) -> Self {
        let requests = requests.min(Semaphore::MAX_PERMITS);
        self.with(|shared| shared.pending = Arc::new(Semaphore::new(requests)))
    }

    fn with(self, change: impl FnOnce(&mut Shared)) -> Self {
        let mut shared = Arc::try_unwrap(self.shared).unwrap_or_else(|shared| Shared {
            id: unique::id(),
            policy: shared.policy.clone(),
            responders: shared.responders.clone(),
            recipient: shared.recipient,
            observer: shared.observer.clone(),
            pending: Arc::clone(&shared.pending),
            channels: Mutex::default(),
        });
        change(&mut shared);
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Closes the connections on which an identity has been proved for which `is` returns true. Returns their number. A device that is
    /// still admitted connects anew.
    pub fn close_where(&self, is: impl Fn(&Identity) -> bool) -> usize {
        let channels: Vec<Channel> = {
            let channels = self.shared.channels();
            channels.iter().filter_map(WeakChannel::upgrade).collect()
        };
        let matching = channels.iter().filter(|channel| {
            let session = channel.state(self.shared.id, Session::default);
            // Not under the lock: the caller's function may take its time.
            let identities = session.identities().clone();
            !channel.is_closed() && identities.iter().any(&is)
        });
        matching.inspect(|channel| channel.close()).count()
    }
}

impl Shared {
    fn observe(&self, event: &Event<'_>) {
        if let Some(observer) = &self.observer {
            observer.observe(event);
        }
    }

    fn channels(&self) -> MutexGuard<'_, LiveList<WeakChannel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Layer<S> for ProofLayer {
    type Service = ProofService<S>;

    fn layer(&self, inner: S) -> ProofService<S> {
        ProofService {
            inner,
            shared: Arc::clone(&self.shared),
        }
    }
}

/// The identities that one connection has proved to one layer.
#[derive(Default)]
struct Session {
    identities: Mutex<Vec<Identity>>,
}

impl Session {
    fn identities(&self) -> MutexGuard<'_, Vec<Identity>> {
        self.identities
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S, B> Service<Request<B>> for ProofService<S>
where
    S: Service<Request<B>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = ProofFuture<S::Future, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let decision = self.shared.decide(&request);
        let decision = match decision {
            Decision::Made(made) => made,
            Decision::Pending(pending, permit) => {
                let ready = self.inner.clone();
                let mut inner = std::mem::replace(&mut self.inner, ready);
                let state = State::Pending {
                    done: Box::pin(async move {
                        let outcome = pending
                            .instrument(tracing::debug_span!("verify proofs"))
                            .await;
                        drop(permit);
                        match outcome.apply(request) {
                            Ok((request, fields)) => {
                                let mut response = inner.call(request).await?;
                                append(response.headers_mut(), fields);
                                Ok(response)
                            }
                            Err(answer) => Ok(*answer),
                        }
                    }),
                };
                return ProofFuture { state };
            }
        };
        let state = match decision.apply(request) {
            Ok((request, fields)) => State::Admitted {
                inner: self.inner.call(request),
                fields,
            },
            Err(answer) => State::Refused {
                answer: Some(*answer),
            },
        };
        ProofFuture { state }
    }
}

pin_project! {
    /// The future of a [`ProofService`].
    pub struct ProofFuture<F, E> {
        #[pin]
        state: State<F, E>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<F, E> {
        /// The request is with the inner service; its response gets these fields.
        Admitted {
            #[pin]
            inner: F,
            fields: Fields,
        },
        Refused { answer: Option<Response<Body>> },
        /// The verdict needs a look-up or a key.
        Pending {
            done: Pin<Box<dyn Future<Output = Result<Response<Body>, E>> + Send>>,
        },
    }
}

impl<F, E> Future for ProofFuture<F, E>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            Projected::Admitted { inner, fields } => {
                let mut response = ready!(inner.poll(cx))?;
                append(response.headers_mut(), std::mem::take(fields));
                Poll::Ready(Ok(response))
            }
            // Polling again after the end is an error of the caller: then it stays pending.
            Projected::Refused { answer } => answer
                .take()
                .map_or(Poll::Pending, |answer| Poll::Ready(Ok(answer))),
            Projected::Pending { done } => done.as_mut().poll(cx),
        }
    }
}

impl<F, E> fmt::Debug for ProofFuture<F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofFuture")
    }
}

impl fmt::Debug for ProofLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProofLayer({:?})", self.shared.policy)
    }
}

impl<S> fmt::Debug for ProofService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofService")
    }
}
