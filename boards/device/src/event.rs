use crate::Observer;
use chanbind_core::x509::PathError;
use chanbind_embedded_tls::ConnectError;
use core::fmt;
use embedded_io_async::ErrorKind;

/// What happens on a device; `E` is the error of the way to the TPM.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Event<E> {
    /// It has its configuration and begins.
    Started,
    /// The TPM's parent key has the pinned name.
    TpmReady,
    /// The gateway's address is known, and a TCP connection is open.
    TcpOpen,
    /// TLS is up, and the gateway has been verified.
    TlsOpen,
    /// The TPM has made the one-time key of this connection.
    KeyDerived,
    /// The gateway answered 2xx: it has admitted the device.
    Admitted {
        /// The status.
        status: u16,
        /// Bytes of content, which were read and dropped.
        len: u32,
    },
    /// The gateway closed the connection in order.
    Closed,
    /// It went wrong; the device tries again.
    Failed(Failure<E>),
    /// It waits before it does.
    Waiting {
        /// Milliseconds.
        millis: u32,
    },
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Failure<E> {
    /// The configuration's key or parent name is malformed.
    Config,
    /// An authority of the configuration is no certificate.
    Authority(PathError),
    /// The configuration says that the board knows the time, and it does not.
    NoTime,
    /// The TPM.
    Tpm(chanbind_tpm_spi::Error<E>),
    /// The host has no address, or DNS does not answer.
    Resolve,
    /// The gateway cannot be reached.
    Tcp(ErrorKind),
    /// There is no TLS connection, or the server is not the gateway.
    Tls(ConnectError),
    /// The connection broke.
    Connection(ErrorKind),
    /// The answer is no HTTP, or its head is longer than 512 bytes.
    Http,
    /// The gateway refused: it does not know the client, or its key is another.
    Refused {
        /// The status.
        status: u16,
    },
    /// It took too long.
    TimedOut(Step),
}

/// What a device does after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// DNS.
    Resolve,
    /// TCP's handshake.
    Connect,
    /// TLS's handshake.
    Handshake,
    /// The TPM.
    Tpm,
    /// The request and its answer.
    Request,
}

impl Step {
    /// In words, with what it is about.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Resolve => "DNS did not answer in time",
            Self::Connect => {
                "the gateway could not be reached in time: is it on, is the address right?"
            }
            Self::Handshake => "the TLS handshake took too long",
            Self::Tpm => "the TPM took too long: is it powered?",
            Self::Request => "the gateway did not answer in time",
        }
    }
}

impl<E: fmt::Debug> fmt::Display for Failure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config => f.write_str("the configuration's key is malformed: write it again with `chanbind provision --device-config`"),
            Self::Authority(error) => error.fmt(f),
            Self::NoTime => f.write_str("the board does not know the time: set its clock, or say time = \"build\" in the configuration"),
            Self::Tpm(error) => fmt::Display::fmt(&Printable(error), f),
            Self::Resolve => f.write_str("the gateway's name has no address, or DNS does not answer"),
            Self::Tcp(kind) => write!(f, "the gateway cannot be reached: {kind:?}"),
            Self::Tls(error) => error.fmt(f),
            Self::Connection(kind) => write!(f, "the connection broke: {kind:?}"),
            Self::Http => f.write_str("the answer is no HTTP, or its head is longer than 512 bytes"),
            Self::Refused { status } => write!(f, "the gateway refused with status {status}: does its registry have this client, with this key?"),
            Self::TimedOut(step) => f.write_str(step.words()),
        }
    }
}

/// The TPM's error in words, the chip's as it is.
struct Printable<'a, E>(&'a chanbind_tpm_spi::Error<E>);

impl<E: fmt::Debug> fmt::Display for Printable<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            chanbind_tpm_spi::Error::Chip(error) => {
                write!(f, "the TPM cannot be spoken with: {error:?}")
            }
            error => write!(f, "{error:?}"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for Failure<E> {}

/// Tells the observer, and the log.
pub(crate) struct Teller<O>(pub(crate) O);

impl<O: Observer> Teller<O> {
    pub(crate) fn tell<E: fmt::Debug>(&mut self, event: &Event<E>) {
        #[cfg(feature = "defmt")]
        log(event);
        self.0.happened(event);
    }
}

/// Words as they stand in flash, formatted by the host that reads the log.
#[cfg(feature = "defmt")]
fn log<E: fmt::Debug>(event: &Event<E>) {
    match event {
        Event::Started => defmt::info!("started"),
        Event::TpmReady => defmt::info!("TPM ready: its parent key has the pinned name"),
        Event::TcpOpen => defmt::info!("TCP connection open"),
        Event::TlsOpen => defmt::info!("TLS 1.3 up, the gateway is verified"),
        Event::KeyDerived => {
            defmt::info!("the TPM has made the one-time key of this connection");
        }
        Event::Admitted { status, len } => defmt::info!(
            "admitted by a token that the TPM made: {=u16}, {=u32} bytes",
            status,
            len
        ),
        Event::Closed => defmt::warn!("the gateway closed the connection"),
        Event::Failed(failure) => log_failure(failure),
        Event::Waiting { millis } => defmt::info!("trying again in {=u32} ms", millis),
    }
}

#[cfg(feature = "defmt")]
fn log_failure<E: fmt::Debug>(failure: &Failure<E>) {
    match failure {
        Failure::Tls(error) => log_tls(error),
        Failure::Refused { status } => defmt::error!(
            "the gateway refused with status {=u16}: does its registry have this client, with this key?",
            status
        ),
        Failure::TimedOut(step) => defmt::error!("{=str}", step.words()),
        failure => defmt::error!("{}", defmt::Display2Format(failure)),
    }
}

#[cfg(feature = "defmt")]
fn log_tls(error: &ConnectError) {
    defmt::error!("no TLS connection: {}", defmt::Display2Format(error));
}
