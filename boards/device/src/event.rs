use crate::Observer;
#[cfg(feature = "authenticator")]
use chanbind_core::authenticator::{AuthenticateError, ChannelError, MalformedMessage};
use chanbind_core::{error_messages, x509::PathError};
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
    /// The gateway has asked for the device's certificate, and the TPM has signed for this connection.
    Signed,
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
    /// The configuration asks for authenticators, and the firmware has none.
    Proof,
    /// The configuration's certificate is not that of its key.
    #[cfg(feature = "authenticator")]
    Certificate,
    /// The channel gives no authenticators.
    #[cfg(feature = "authenticator")]
    Channel(ChannelError),
    /// What the gateway's challenge holds is no authenticator request.
    #[cfg(feature = "authenticator")]
    Challenge(MalformedMessage),
    /// The gateway's request cannot be answered.
    #[cfg(feature = "authenticator")]
    Authenticate(AuthenticateError),
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

error_messages! { Failure<E> where E: fmt::Display {
    Self::Config => "the configuration's key is malformed: write it again with `chanbind provision --device-config`";
    Self::Authority(error) => "{}", error;
    Self::NoTime => "the board does not know the time: set its clock, or say time = \"build\" in the configuration";
    Self::Tpm(error) => "{}", error;
    Self::Resolve => "the gateway's name has no address, or DNS does not answer";
    Self::Tcp(kind) => "the gateway cannot be reached: {}", kind;
    Self::Tls(error) => "no TLS connection: {}", error;
    Self::Connection(kind) => "the connection broke: {}", kind;
    Self::Http => "the answer is no HTTP, or its head is longer than 512 bytes";
    Self::Refused { status } => "the gateway refused with status {}: does its registry have this client, with this key, or does it trust the authority of its certificate?", status;
    Self::Proof => "the configuration says proof = \"authenticator\", and the firmware has none: build it with the feature authenticator";
    #[cfg(feature = "authenticator")]
    Self::Certificate => "the configuration's first certificate is not that of its key: have one issued for this key";
    #[cfg(feature = "authenticator")]
    Self::Channel(error) => "{}", error;
    #[cfg(feature = "authenticator")]
    Self::Challenge(error) => "the gateway's challenge is no authenticator request: {}", error;
    #[cfg(feature = "authenticator")]
    Self::Authenticate(error) => "the gateway's request is not answered: {}", error;
    Self::TimedOut(step) => "{}", step;
}}

error_messages! { Step {
    Self::Resolve => "DNS did not answer in time";
    Self::Connect => "the gateway could not be reached in time: is it on, is the address right?";
    Self::Handshake => "the TLS handshake took too long";
    Self::Tpm => "the TPM took too long: is it powered?";
    Self::Request => "the gateway did not answer in time";
}}

impl<E: fmt::Debug + fmt::Display> core::error::Error for Failure<E> {}

/// What the error of a way to the TPM can do: say what is wrong, and with the feature `defmt` do so in a log.
#[cfg(not(feature = "defmt"))]
pub trait ChipError: fmt::Debug + fmt::Display {}
#[cfg(not(feature = "defmt"))]
impl<E: fmt::Debug + fmt::Display> ChipError for E {}

/// What the error of a way to the TPM can do: say what is wrong, and with the feature `defmt` do so in a log.
#[cfg(feature = "defmt")]
pub trait ChipError: fmt::Debug + fmt::Display + defmt::Format {}
#[cfg(feature = "defmt")]
impl<E: fmt::Debug + fmt::Display + defmt::Format> ChipError for E {}

/// Tells the observer, and the log.
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

error_messages! { Event<E> where E: fmt::Display {
    Self::Started => "started";
    Self::TpmReady => "TPM ready: its parent key has the pinned name";
    Self::TcpOpen => "TCP connection open";
    Self::TlsOpen => "TLS 1.3 up, the gateway is verified";
    Self::Signed => "the gateway asks for the device's certificate: the TPM has signed for this connection";
    Self::KeyDerived => "the TPM has made the one-time key of this connection";
    Self::Admitted { status, len } => "admitted by what the TPM made: {}, {} bytes", status, len;
    Self::Closed => "the gateway closed the connection";
    Self::Failed(failure) => "{}", failure;
    Self::Waiting { millis } => "trying again in {} ms", millis;
}}
