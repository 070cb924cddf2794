//! Applications that a device runs for ever.

use crate::http::{HttpError, Request, Response};
use embassy_time::{Duration, Timer};
use embedded_io_async::Read;

/// An application over authenticated sessions: it says what is sent, and takes the responses.
/// [`Device::run_with`](crate::Device::run_with) runs it, connects, and connects anew after failures.
///
/// ```
/// use chanbind_device::{Application, Outgoing, http::{HttpError, Request, Response}};
/// use embedded_io_async::Read;
///
/// /// Sends a reading every ten seconds, and takes a command from the response.
/// struct Thermometer {
///     json: [u8; 16],
///     command: u8,
/// }
///
/// impl Application for Thermometer {
///     async fn next(&mut self) -> Outgoing<'_> {
///         embassy_time::Timer::after_secs(10).await;
///         self.json = *b"{\"celsius\":23.5}";
///         Outgoing { request: Request::post("/readings"), content: &self.json }
///     }
///
///     async fn response<S: Read>(&mut self, response: &mut Response<'_, S>) -> Result<(), HttpError> {
///         if !response.is_success() {
///             return Err(HttpError::Status(response.status()));
///         }
///         let mut buffer = [0; 64];
///         if let [first, ..] = response.read_to_end(&mut buffer).await? {
///             self.command = *first;
///         }
///         Ok(())
///     }
/// }
/// ```
#[allow(async_fn_in_trait, reason = "devices run their futures on one core")]
pub trait Application {
    /// Waits until there is something to be sent, and returns it. If it cannot be sent, [`Application::failed`] is called, and
    /// then this function again.
    async fn next(&mut self) -> Outgoing<'_>;

    /// Takes the response to the last request, whatever its status; a request whose proof was refused has no response here, and is a
    /// failure of the device. Content that is left over is dropped.
    ///
    /// # Errors
    /// The error of reading, or [`HttpError::Status`] for a status that the application does not expect. The connection is then
    /// closed, and after a while another one opened.
    async fn response<S: Read>(&mut self, response: &mut Response<'_, S>) -> Result<(), HttpError>;

    /// Is told that the last request was not answered: the device connects anew after a while.
    fn failed(&mut self) {}
}

/// A request of an application, with its content.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'r> {
    /// The request.
    pub request: Request<'r>,
    /// The content; empty for none. If the proof needs a challenge, it should have no more than a few kilobytes, as
    /// [`Session::send`](crate::Session::send) explains.
    pub content: &'r [u8],
}

/// The application of [`Device::run`](crate::Device::run): it gets the configured path again and again, and drops the responses. A status other than
/// 2xx is a failure.
#[derive(Debug, Clone, Copy)]
pub struct Poll<'a> {
    path: &'a str,
    interval: Duration,
    is_first: bool,
}

impl<'a> Poll<'a> {
    /// Creates an application that gets `path`, with this interval between two requests.
    #[must_use]
    pub const fn new(path: &'a str, interval: Duration) -> Self {
        Self {
            path,
            interval,
            is_first: true,
        }
    }
}

impl Application for Poll<'_> {
    async fn next(&mut self) -> Outgoing<'_> {
        if !core::mem::replace(&mut self.is_first, false) {
            Timer::after(self.interval).await;
        }
        Outgoing {
            request: Request::get(self.path),
            content: &[],
        }
    }

    async fn response<S: Read>(&mut self, response: &mut Response<'_, S>) -> Result<(), HttpError> {
        match response.is_success() {
            true => Ok(()),
            false => Err(HttpError::Status(response.status())),
        }
    }

    fn failed(&mut self) {
        self.is_first = true;
    }
}
