use crate::{Observer, http::HttpError, proof::ProofError};
use chanbind_core::{error_messages, x509::PathError};
use chanbind_embedded_tls::ConnectError;
use core::fmt;
use embedded_io_async::ErrorKind;

/// An event of a device; `E` is the error of the TPM's transport.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Event<E> {
    /// The device has its configuration and begins.
    Started,
    /// The TPM's parent key has the pinned name.
    TpmReady,
    /// The gateway's address is known, and a TCP connection is open.
    TcpOpen,
    /// TLS is up, and the gateway has been verified.
    TlsOpen,
    /// The TPM has used its key for this connection's proof.
    ProofMade {
        /// The kind of proof.
        kind: &'static str,
    },
    /// The gateway answered 2xx: it has admitted the device.
    Admitted {
        /// The status code.
        status: u16,
    },
    /// The gateway closed the connection in order.
    Closed,
    /// Something failed; the device tries again.
    Failed(Failure<E>),
    /// The device waits before it tries again.
    Waiting {
        /// The time in milliseconds.
        millis: u32,
    },
}

/// The reason of a failure; `E` is the error of the TPM's transport.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Failure<E> {
    /// The parent name in the configuration is malformed.
    Config,
    /// An authority in the configuration is not a valid certificate.
    Authority(PathError),
    /// The configuration says that the board knows the time, and it does not.
    NoTime,
    /// The TPM failed.
    Tpm(chanbind_tpm_spi::Error<E>),
    /// The host has no address, or DNS does not answer.
    Resolve,
    /// The gateway cannot be reached.
    Tcp(ErrorKind),
    /// The TLS handshake failed, or the server is not the gateway.
    Tls(ConnectError),
    /// The request or its response failed.
    Http(HttpError),
    /// The gateway refused the request: it does not know the client, or its key is another.
    Refused {
        /// The status code.
        status: u16,
    },
    /// No proof could be made, or it was declined.
    Proof(ProofError),
    /// The gateway asks for ever more proofs.
    TooManyExchanges,
    /// A step took too long.
    TimedOut(Step),
}

/// A step of a device, for time limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The resolution of the gateway's name.
    Resolve,
    /// The TCP handshake.
    Connect,
    /// The TLS handshake.
    Handshake,
    /// The handshake of Vanadium's channel.
    Channel,
    /// A command of the TPM.
    Tpm,
    /// A request and the head of its response.
    Request,
}

impl<E> Failure<E> {
    /// Returns the word for this failure in log lines: `event=failed reason=tls: ...`. Tools match it, so it stays the same while texts may
    /// change.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Config | Self::Authority(_) => "config",
            Self::NoTime => "time",
            Self::Tpm(_) => "tpm",
            Self::Resolve => "resolve",
            Self::Tcp(_) => "tcp",
            Self::Tls(_) => "tls",
            Self::Http(_) => "http",
            Self::Refused { .. } => "refused",
            Self::Proof(_) => "proof",
            Self::TooManyExchanges => "protocol",
            Self::TimedOut(Step::Resolve) => "resolve-timeout",
            Self::TimedOut(Step::Connect) => "tcp-timeout",
            Self::TimedOut(Step::Handshake) => "tls-timeout",
            Self::TimedOut(Step::Channel) => "channel-timeout",
            Self::TimedOut(Step::Tpm) => "tpm-timeout",
            Self::TimedOut(Step::Request) => "http-timeout",
        }
    }
}

impl<E> From<HttpError> for Failure<E> {
    fn from(error: HttpError) -> Self {
        Self::Http(error)
    }
}

error_messages! { Failure<E> where E: fmt::Display {
    Self::Config => "the parent name in the configuration is malformed: write the key again with `chanbind provision --device-config`";
    Self::Authority(error) => "{}", error;
    Self::NoTime => "the board does not know the time: set its clock, or write time = \"build\" in the configuration";
    Self::Tpm(error) => "{}", error;
    Self::Resolve => "the gateway's name has no address, or DNS does not answer";
    Self::Tcp(kind) => "the gateway cannot be reached: {}", kind;
    Self::Tls(error) => "no TLS connection: {}", error;
    Self::Http(error) => "{}", error;
    Self::Refused { status } => "the gateway refused the request with status {}: does its registry have this client with this key, or does it trust the authority of its certificate?", status;
    Self::Proof(error) => "{}", error;
    Self::TooManyExchanges => "the gateway asks for ever more proofs: it does not keep to the protocol";
    Self::TimedOut(step) => "{}", step;
}}

error_messages! { Step {
    Self::Resolve => "DNS did not answer in time";
    Self::Connect => "the gateway could not be reached in time: is it on, is the address right?";
    Self::Handshake => "the TLS handshake took too long";
    Self::Channel => "the handshake of Vanadium's channel took too long: is the server one of Vanadium?";
    Self::Tpm => "the TPM took too long: is it powered?";
    Self::Request => "the gateway did not answer in time";
}}

impl<E: fmt::Debug + fmt::Display> core::error::Error for Failure<E> {}

// Tools match the words `event=...`: they are part of the interface.
error_messages! { Event<E> where E: fmt::Display {
    Self::Started => "event=started";
    Self::TpmReady => "event=tpm-ready: its parent key has the pinned name";
    Self::TcpOpen => "event=tcp-open";
    Self::TlsOpen => "event=tls-open: TLS 1.3, and the gateway is verified";
    Self::ProofMade { kind } => "event=proof kind={}: the TPM used its key for this connection", kind;
    Self::Admitted { status } => "event=admitted status={}", status;
    Self::Closed => "event=closed: by the gateway";
    Self::Failed(Failure::Refused { status }) => "event=refused status={}: does the gateway's registry have this client with this key, or does it trust the authority of its certificate?", status;
    Self::Failed(failure) => "event=failed reason={}: {}", failure.reason(), failure;
    Self::Waiting { millis } => "event=waiting ms={}", millis;
}}

/// The bounds of the error of a TPM's transport: it can be displayed, and with the feature `defmt` also logged.
#[cfg(not(feature = "defmt"))]
pub trait ChipError: fmt::Debug + fmt::Display {}
#[cfg(not(feature = "defmt"))]
impl<E: fmt::Debug + fmt::Display> ChipError for E {}

/// The bounds of the error of a TPM's transport: it can be displayed, and with the feature `defmt` also logged.
#[cfg(feature = "defmt")]
pub trait ChipError: fmt::Debug + fmt::Display + defmt::Format {}
#[cfg(feature = "defmt")]
impl<E: fmt::Debug + fmt::Display + defmt::Format> ChipError for E {}

/// Reports events to the observer and to the log.
pub(crate) struct Reporter<O>(pub(crate) O);

impl<O: Observer> Reporter<O> {
    pub(crate) fn report<E: ChipError>(&mut self, event: &Event<E>) {
        #[cfg(feature = "defmt")]
        match event {
            Event::Closed => defmt::warn!("{}", event),
            Event::Failed(_) => defmt::error!("{}", event),
            _ => defmt::info!("{}", event),
        }
        self.0.on_event(event);
    }
}
