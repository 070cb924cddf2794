use super::ClientError;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full, LengthLimitError, Limited, combinators::UnsyncBoxBody};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep};

/// An error of an application's own body.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body as it is sent.
pub(super) type SentBody = UnsyncBoxBody<Bytes, BoxError>;

/// The body of a request.
///
/// A server that asks for a proof makes the client send the request again. A body in memory, or one that can be made anew
/// ([`RequestBody::repeatable`]), is then sent once more; a stream ([`RequestBody::stream`]) cannot be, and needs a connection that has
/// proved itself before ([`Session::authenticate`](super::Session::authenticate)).
pub struct RequestBody(Inner);

enum Inner {
    Bytes(Bytes),
    Repeatable(Arc<dyn Fn() -> SentBody + Send + Sync>),
    Stream(Option<SentBody>),
}

impl RequestBody {
    /// Creates an empty body.
    #[must_use]
    pub fn empty() -> Self {
        Self(Inner::Bytes(Bytes::new()))
    }

    /// Creates a body that is streamed, and that can be made anew by calling `make` again.
    pub fn repeatable<B>(make: impl Fn() -> B + Send + Sync + 'static) -> Self
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Self(Inner::Repeatable(Arc::new(move || {
            make().map_err(Into::into).boxed_unsync()
        })))
    }

    /// Creates a body that is streamed once.
    pub fn stream<B>(body: B) -> Self
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        Self(Inner::Stream(Some(body.map_err(Into::into).boxed_unsync())))
    }

    /// Returns the body to be sent; `None` for a stream that has been sent before.
    pub(super) fn make(&mut self) -> Option<SentBody> {
        let never = |error: std::convert::Infallible| match error {};
        match &mut self.0 {
            Inner::Bytes(bytes) if bytes.is_empty() => {
                Some(Empty::new().map_err(never).boxed_unsync())
            }
            Inner::Bytes(bytes) => Some(Full::new(bytes.clone()).map_err(never).boxed_unsync()),
            Inner::Repeatable(make) => Some(make()),
            Inner::Stream(body) => body.take(),
        }
    }
}

impl Default for RequestBody {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<()> for RequestBody {
    fn from((): ()) -> Self {
        Self::empty()
    }
}

impl From<Bytes> for RequestBody {
    fn from(bytes: Bytes) -> Self {
        Self(Inner::Bytes(bytes))
    }
}

impl From<Vec<u8>> for RequestBody {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for RequestBody {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for RequestBody {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Inner::Bytes(_) => "RequestBody(bytes)",
            Inner::Repeatable(_) => "RequestBody(repeatable)",
            Inner::Stream(_) => "RequestBody(stream)",
        })
    }
}

/// The body of a response, as a stream. It ends with [`ClientError::Timeout`] if the server sends nothing for the connection's
/// [`response_timeout`](super::ConnectOptions::response_timeout).
pub struct ResponseBody {
    incoming: Incoming,
    pause: Duration,
    limit: Pin<Box<Sleep>>,
    /// Called when the body has been read to its end, and dropped if it is given up before.
    on_end: Option<Box<dyn FnOnce() + Send>>,
}

impl ResponseBody {
    pub(super) fn new(incoming: Incoming, pause: Duration) -> Self {
        Self {
            incoming,
            pause,
            limit: Box::pin(tokio::time::sleep(pause)),
            on_end: None,
        }
    }

    /// Has `f` called when the body has been read to its end: at once if it is empty.
    pub(super) fn on_end(&mut self, f: impl FnOnce() + Send + 'static) {
        if self.incoming.is_end_stream() {
            f();
        } else {
            self.on_end = Some(Box::new(f));
        }
    }

    /// Reads the whole body, at most `max` bytes.
    ///
    /// # Errors
    /// [`ClientError::ResponseTooLong`], [`ClientError::Http`], [`ClientError::Timeout`].
    pub async fn bytes(self, max: usize) -> Result<Bytes, ClientError> {
        match Limited::new(self, max).collect().await {
            Ok(collected) => Ok(collected.to_bytes()),
            Err(error) => Err(match error.downcast::<ClientError>() {
                Ok(error) => *error,
                Err(error) if error.is::<LengthLimitError>() => {
                    ClientError::ResponseTooLong { max }
                }
                Err(_) => ClientError::Timeout,
            }),
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ClientError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientError>>> {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(frame) => {
                let end = Instant::now() + self.pause;
                self.limit.as_mut().reset(end);
                let has_ended = match &frame {
                    None => true,
                    Some(Ok(_)) => self.incoming.is_end_stream(),
                    Some(Err(_)) => false,
                };
                if has_ended && let Some(on_end) = self.on_end.take() {
                    on_end();
                }
                Poll::Ready(frame.map(|frame| frame.map_err(ClientError::Http)))
            }
            Poll::Pending => match self.limit.as_mut().poll(cx) {
                Poll::Ready(()) => Poll::Ready(Some(Err(ClientError::Timeout))),
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseBody")
    }
}
