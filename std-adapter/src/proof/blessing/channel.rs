//! Vanadium's own channel over a stream, for tokio.

use super::{
    ALGORITHMS, MAX_BLESSINGS_LEN, PeerPatterns, Principal, PrincipalError,
    trust::{PeerNames, names_of_peer},
};
use chanbind_core::blessing::{
    BlessingError, EncodedBlessings, PublicKey,
    channel::{
        Acceptor, ChannelError, ChannelMemory, Connection, Dialer, Event, FRAME_HEADER_LEN,
        MAX_OVERHEAD, Presented, Progress, Setup, frame_len,
    },
};
use std::{fmt, io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::timeout,
};
use zeroize::Zeroizing;

/// The bytes of blessings that are kept of a peer.
const PEER_LEN: usize = MAX_BLESSINGS_LEN;

type Memory = Box<ChannelMemory<PEER_LEN>>;

type PeerConnection = Connection<Memory, PEER_LEN>;

/// The settings of a channel.
#[derive(Debug, Clone)]
pub struct ChannelOptions {
    /// The content of this end's Setup.
    pub setup: Setup<'static>,
    /// The time within which the handshake must be complete.
    pub handshake_timeout: Duration,
    /// The time within which the peer must take what is sent.
    pub write_timeout: Duration,
}

impl Default for ChannelOptions {
    fn default() -> Self {
        Self {
            setup: Setup {
                mtu: 16 * 1024,
                ..Setup::DEFAULT
            },
            handshake_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
        }
    }
}

/// The error of a channel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VanadiumError {
    /// The stream broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// The peer did not answer in time.
    #[error("the peer did not answer in time")]
    TimedOut,
    /// The peer violated the protocol, or its proof is invalid.
    #[error("{0}")]
    Channel(#[from] ChannelError),
    /// The peer has ended the connection, with these words.
    #[error("the peer has ended the connection: {0:?}")]
    TearDown(String),
    /// The peer has none of the names that are trusted. Nothing of this end was shown.
    #[error("the peer is not trusted: its names are {names:?}; rejected: {rejected:?}")]
    Untrusted {
        /// The names that count.
        names: Vec<String>,
        /// The names that do not count, with reasons.
        rejected: Vec<String>,
    },
    /// This end's own blessings or key failed.
    #[error("{0}")]
    Own(#[from] PrincipalError),
    /// The system gives no random numbers.
    #[error("the system gives no random numbers: {0}")]
    Random(getrandom::Error),
}

impl From<BlessingError> for VanadiumError {
    fn from(error: BlessingError) -> Self {
        Self::Channel(ChannelError::Blessings(error))
    }
}

/// Frames over a stream.
struct Frames<S> {
    stream: S,
    /// The frame that is being read, with its header: a caller that stops waiting loses nothing of it.
    frame: Vec<u8>,
    /// True when the frame is complete, and has been given out.
    is_taken: bool,
    out: Vec<u8>,
    max: usize,
    write_timeout: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    fn new(stream: S, options: &ChannelOptions) -> Self {
        let mtu = usize::try_from(options.setup.mtu).unwrap_or(usize::MAX);
        // The first frames are not limited by the MTU.
        let max = mtu.max(MAX_BLESSINGS_LEN).saturating_add(MAX_OVERHEAD);
        Self {
            stream,
            frame: Vec::new(),
            is_taken: false,
            out: vec![0; max.saturating_mul(2)],
            max,
            write_timeout: options.write_timeout,
        }
    }

    /// Reads the body of a frame. Nothing is lost if the future is dropped before it completes.
    async fn read(&mut self) -> Result<&mut [u8], VanadiumError> {
        if self.is_taken {
            self.frame.clear();
            self.is_taken = false;
        }
        self.fill(FRAME_HEADER_LEN).await?;
        let header = self.frame.first_chunk().copied().unwrap_or_default();
        let len = frame_len(header, self.max)?;
        self.fill(FRAME_HEADER_LEN.saturating_add(len)).await?;
        self.is_taken = true;
        Ok(self.frame.get_mut(FRAME_HEADER_LEN..).unwrap_or_default())
    }

    /// Reads until the frame has `len` bytes.
    async fn fill(&mut self, len: usize) -> Result<(), VanadiumError> {
        while let Some(missing @ 1..) = len.checked_sub(self.frame.len()) {
            let missing = u64::try_from(missing).unwrap_or(u64::MAX);
            let mut rest = (&mut self.stream).take(missing);
            if rest.read_buf(&mut self.frame).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
        Ok(())
    }

    /// Writes the first `len` bytes of the buffer.
    async fn write(&mut self, len: usize) -> Result<(), VanadiumError> {
        let frames = self.out.get(..len).unwrap_or_default();
        let write = async {
            self.stream.write_all(frames).await?;
            self.stream.flush().await
        };
        timeout(self.write_timeout, write)
            .await
            .map_err(|_| VanadiumError::TimedOut)??;
        Ok(())
    }
}

/// An authenticated connection over Vanadium's channel.
pub struct VanadiumConnection<S> {
    frames: Frames<S>,
    connection: PeerConnection,
    principal: Arc<Principal>,
    /// The numbers of the blessings and discharges that flows of this end name.
    own_keys: Option<(u64, u64)>,
}

/// A message of the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Received {
    /// The peer opens a flow, and has these names for it.
    Opened {
        /// The flow.
        flow: u64,
        /// The names that count here, in the context of a call without a method.
        names: Vec<String>,
        /// The names that do not count, with reasons.
        rejected: Vec<String>,
        /// The first data.
        payload: Vec<u8>,
        /// True if the peer sends nothing more on it.
        closes: bool,
    },
    /// Data on a flow.
    Data {
        /// The flow.
        flow: u64,
        /// The data.
        payload: Vec<u8>,
        /// True if the peer sends nothing more on it.
        closes: bool,
    },
}

/// Connects to an acceptor over `stream`, such as a TCP connection. Shows nothing of `principal` to an acceptor without a name that `servers` admits.
///
/// The names of `principal` are shown when it opens a flow, and not before.
///
/// # Errors
/// [`VanadiumError`]
pub async fn dial<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    principal: &Arc<Principal>,
    servers: &PeerPatterns,
    options: &ChannelOptions,
) -> Result<VanadiumConnection<S>, VanadiumError> {
    shake(stream, principal, options, async |frames| {
        dial_frames(frames, principal, servers, options).await
    })
    .await
}

/// Does a handshake over a stream, within its time.
async fn shake<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    principal: &Arc<Principal>,
    options: &ChannelOptions,
    handshake: impl AsyncFnOnce(&mut Frames<S>) -> Result<PeerConnection, VanadiumError>,
) -> Result<VanadiumConnection<S>, VanadiumError> {
    let mut frames = Frames::new(stream, options);
    let shaken = timeout(options.handshake_timeout, handshake(&mut frames)).await;
    let connection = shaken.map_err(|_| VanadiumError::TimedOut)??;
    Ok(VanadiumConnection {
        frames,
        connection,
        principal: Arc::clone(principal),
        own_keys: None,
    })
}

async fn dial_frames<S: AsyncRead + AsyncWrite + Unpin>(
    frames: &mut Frames<S>,
    principal: &Principal,
    servers: &PeerPatterns,
    options: &ChannelOptions,
) -> Result<PeerConnection, VanadiumError> {
    let secret = secret()?;
    let memory: Memory = Box::new(ChannelMemory::new());
    let (dialer, len) = Dialer::begin(&options.setup, &secret, memory, &mut frames.out)?;
    frames.write(len).await?;
    let mut waiting = dialer.setup(frames.read().await?)?;
    let acquainted = loop {
        match waiting.receive(frames.read().await?, &ALGORITHMS)? {
            Progress::Wait(next) => waiting = next,
            Progress::Done(acquainted) => break acquainted,
        }
    };
    let verified = acquainted.blessings(&ALGORITHMS)?;
    let discharges = acquainted.discharges()?;
    let PeerNames {
        names, rejected, ..
    } = names_of_peer(principal, &verified, &discharges, "")?;
    if !servers.admits(&names) {
        let len = acquainted.refuse("the server is not trusted", &mut frames.out)?;
        frames.write(len).await?;
        return Err(VanadiumError::Untrusted {
            names: names.iter().map(str::to_owned).collect(),
            rejected,
        });
    }
    let nameless = Principal::nameless(principal.key().clone(), principal.roots().clone())?;
    let key = key_of(principal)?;
    let signature = principal.sign(&acquainted.request(&key)?).await?;
    let encoded = EncodedBlessings::parse(nameless.blessings())?;
    let presented = Presented {
        blessings: encoded.blessings(),
        discharges: &[],
    };
    let (connection, len) = acquainted.prove(&presented, &signature, &mut frames.out)?;
    frames.write(len).await?;
    Ok(connection)
}

/// Accepts a dialer over `stream`: proves the blessings of `principal` first. The dialer's names are known when it opens a flow.
///
/// # Errors
/// [`VanadiumError`]
pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    principal: &Arc<Principal>,
    options: &ChannelOptions,
) -> Result<VanadiumConnection<S>, VanadiumError> {
    shake(stream, principal, options, async |frames| {
        accept_frames(frames, principal, options).await
    })
    .await
}

async fn accept_frames<S: AsyncRead + AsyncWrite + Unpin>(
    frames: &mut Frames<S>,
    principal: &Principal,
    options: &ChannelOptions,
) -> Result<PeerConnection, VanadiumError> {
    let secret = secret()?;
    let memory: Memory = Box::new(ChannelMemory::new());
    let (acceptor, len) = Acceptor::begin(&options.setup, &secret, memory, &mut frames.out)?;
    frames.write(len).await?;
    let proving = acceptor.setup(frames.read().await?)?;
    let key = key_of(principal)?;
    let signature = principal.sign(&proving.request(&key)?).await?;
    let encoded = EncodedBlessings::parse(principal.blessings())?;
    let discharges: Vec<&[u8]> = principal.discharges().iter().map(Vec::as_slice).collect();
    let presented = Presented {
        blessings: encoded.blessings(),
        discharges: &discharges,
    };
    let (mut waiting, len) = proving.prove(&presented, &signature, &mut frames.out)?;
    frames.write(len).await?;
    loop {
        match waiting.receive(frames.read().await?, &ALGORITHMS)? {
            Progress::Wait(next) => waiting = next,
            Progress::Done(connection) => return Ok(connection),
        }
    }
}

/// Returns a new ephemeral key.
fn secret() -> Result<Zeroizing<[u8; 32]>, VanadiumError> {
    let mut secret = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *secret).map_err(VanadiumError::Random)?;
    Ok(secret)
}

fn key_of(principal: &Principal) -> Result<PublicKey<'_>, VanadiumError> {
    let key = PublicKey::parse(principal.key().public_key(), &ALGORITHMS);
    Ok(key.ok_or(BlessingError::Key)?)
}

impl<S: AsyncRead + AsyncWrite + Unpin> VanadiumConnection<S> {
    /// Opens a flow with the principal's blessings and its first data, and returns its identifier.
    ///
    /// # Errors
    /// [`VanadiumError`]
    pub async fn open(&mut self, payload: &[u8]) -> Result<u64, VanadiumError> {
        let keys = match self.own_keys {
            Some(keys) => keys,
            None => self.present().await?,
        };
        let max = self.connection.max_payload();
        let (first, rest) = payload.split_at_checked(max).unwrap_or((payload, &[]));
        let (flow, len) = self.connection.open(keys, first, &mut self.frames.out)?;
        self.frames.write(len).await?;
        if !rest.is_empty() {
            self.send(flow, rest, false).await?;
        }
        Ok(flow)
    }

    /// Shows the principal's blessings.
    async fn present(&mut self) -> Result<(u64, u64), VanadiumError> {
        let encoded = EncodedBlessings::parse(self.principal.blessings())?;
        let discharges = self.principal.discharges();
        let discharges: Vec<&[u8]> = discharges.iter().map(Vec::as_slice).collect();
        let presented = Presented {
            blessings: encoded.blessings(),
            discharges: &discharges,
        };
        let out = &mut self.frames.out;
        let (blessings, discharges, len) = self.connection.present(&presented, out)?;
        self.frames.write(len).await?;
        self.own_keys = Some((blessings, discharges));
        Ok((blessings, discharges))
    }

    /// Sends data on a flow, in as many messages as it needs.
    ///
    /// # Errors
    /// [`VanadiumError`], with [`ChannelError::Tokens`] if the peer has not taken enough of what was sent before.
    pub async fn send(
        &mut self,
        flow: u64,
        payload: &[u8],
        closes: bool,
    ) -> Result<(), VanadiumError> {
        let max = self.connection.max_payload().max(1);
        let mut pieces = payload.chunks(max).peekable();
        if pieces.peek().is_none() {
            let len = self
                .connection
                .send(flow, &[], closes, &mut self.frames.out)?;
            return self.frames.write(len).await;
        }
        while let Some(piece) = pieces.next() {
            let is_last = closes && pieces.peek().is_none();
            let out = &mut self.frames.out;
            let len = self.connection.send(flow, piece, is_last, out)?;
            self.frames.write(len).await?;
        }
        Ok(())
    }

    /// Waits for the peer's next message, and answers what needs no decision. The caller limits the time.
    ///
    /// # Errors
    /// [`VanadiumError`]: the connection must be closed.
    pub async fn receive(&mut self) -> Result<Received, VanadiumError> {
        loop {
            let body = self.frames.read().await?;
            let received = match self.connection.receive(body)? {
                Event::Opened {
                    flow,
                    blessings_key,
                    discharge_key,
                    payload,
                    closes,
                } => {
                    let payload = payload.to_vec();
                    let verified = self.connection.verified(blessings_key, &ALGORITHMS)?;
                    let discharges = self.connection.discharges(discharge_key)?;
                    let PeerNames {
                        names, rejected, ..
                    } = names_of_peer(&self.principal, &verified, &discharges, "")?;
                    return Ok(Received::Opened {
                        flow,
                        names: names.iter().map(str::to_owned).collect(),
                        rejected,
                        payload,
                        closes,
                    });
                }
                Event::Data {
                    flow,
                    payload,
                    closes,
                } => Some(Received::Data {
                    flow,
                    payload: payload.to_vec(),
                    closes,
                }),
                Event::TearDown { text } => return Err(VanadiumError::TearDown(text.to_owned())),
                Event::HealthCheck => {
                    let len = self.connection.answer_health_check(&mut self.frames.out)?;
                    self.frames.write(len).await?;
                    None
                }
                Event::LameDuck => {
                    let len = self
                        .connection
                        .acknowledge_lame_duck(&mut self.frames.out)?;
                    self.frames.write(len).await?;
                    None
                }
                _ => None,
            };
            if let Some(received) = received {
                if let Received::Data { flow, .. } = &received {
                    let len = self.connection.release(*flow, &mut self.frames.out)?;
                    self.frames.write(len).await?;
                }
                return Ok(received);
            }
        }
    }

    /// Ends the connection, with a reason for the peer's operator.
    ///
    /// # Errors
    /// [`VanadiumError`]
    pub async fn tear_down(mut self, text: &str) -> Result<(), VanadiumError> {
        let len = self.connection.tear_down(text, &mut self.frames.out)?;
        self.frames.write(len).await
    }
}

impl<S> fmt::Debug for VanadiumConnection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VanadiumConnection({:?})", self.connection)
    }
}
