//! Vanadium's own channel, on which a device with blessings talks to a Vanadium process or a gateway over TCP, without TLS.
//!
//! The server proves its blessings first. The device shows it nothing, its public key included, unless a name of the server matches a pattern in the
//! section `[proof.blessing]`; it shows its own names when it opens the first flow. `chanbind_core::blessing::channel` has the protocol.
//!
//! ```
//! # use chanbind_device::{Device, Failure, Platform, TransportError, vanadium::Memory};
//! async fn report<'a, P: Platform + 'a>(device: &mut Device<'a, P>) -> Result<(), Failure<TransportError<P>>> {
//!     let mut memory = Memory::new();
//!     let mut channel = device.dial(&mut memory).await?;
//!     let flow = channel.open(b"23.5 C").await?;
//!     let _command = channel.receive().await?.payload;
//!     channel.send(flow, b"done", true).await?;
//!     channel.tear_down("done").await
//! }
//! ```

use crate::{
    Clock, Device, Generator, Platform, ProofError, TransportError,
    device::time,
    event::{Event, Failure, Step},
    in_place::await_in_place,
    proof::{
        KeyHolder, MAX_ANSWER_LEN, Proof,
        blessing::{self, Principal},
    },
    session::step_timeout,
};
use chanbind_core::{
    blessing::{
        BlessingError, Caveats, Certificate, ClientPrincipal, EncodedBlessings, OwnedSignature,
        ProveError, PublicKey, Signature, SigningRequest,
        channel::{
            Acquainted, ChannelError, ChannelMemory, Connection, Dialer, Event as Message,
            FRAME_HEADER_LEN, Presented, Progress, Setup, frame_len,
        },
        check_server, encode_chains,
    },
    crypto::{SecretBytes, sha256_of_parts},
};
use chanbind_device_config::proof::blessing::MAX_BLESSINGS_LEN;
use chanbind_tpm_spi::key::{SigningKey, TpmKeys};
use core::{fmt, ops::Range};
use embassy_time::{Duration, with_timeout};
use embedded_io_async::{Error as _, ErrorKind, Read, ReadExactError, Write};
use embedded_nal_async::TcpConnect;

/// The number of bytes that are kept of the server's blessings and discharges.
pub const PEER_LEN: usize = 1_536;

/// The longest body of a frame that is received, in bytes.
pub const FRAME_LEN: usize = 2_048;

/// The longest data of one message, in bytes: the MTU that the device offers.
pub const MTU: u64 = 1_024;

/// The room for frames of the device, in bytes: what is sealed is written twice.
const OUT_LEN: usize = 2 * MAX_BLESSINGS_LEN + 2_048;

/// The memory of a channel. It is meant for a `static`.
pub struct Memory {
    channel: ChannelMemory<PEER_LEN>,
    frames: FrameMemory,
}

struct FrameMemory {
    frame: [u8; FRAME_LEN],
    out: [u8; OUT_LEN],
}

type PeerConnection<'m> = Connection<&'m mut ChannelMemory<PEER_LEN>, PEER_LEN>;

impl Memory {
    /// Creates empty memory.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "for a static")]
    pub const fn new() -> Self {
        Self {
            channel: ChannelMemory::new(),
            frames: FrameMemory {
                frame: [0; FRAME_LEN],
                out: [0; OUT_LEN],
            },
        }
    }
}

/// Data of the server on a flow of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received<'m> {
    /// The flow.
    pub flow: u64,
    /// The data.
    pub payload: &'m [u8],
    /// True if the server sends nothing more on the flow.
    pub closes: bool,
}

/// An authenticated connection.
pub struct Channel<'d, 'a, P: Platform + 'a> {
    stream: <P::Network as TcpConnect>::Connection<'a>,
    connection: PeerConnection<'d>,
    principal: &'d Principal<'a>,
    frames: &'d mut FrameMemory,
    limit: Duration,
    /// The numbers of the blessings and discharges that flows name.
    own_keys: Option<(u64, u64)>,
}

impl<'a, P: Platform + 'a> Device<'a, P> {
    /// Connects to the host of the configuration, and carries out the handshake.
    ///
    /// # Errors
    /// [`Failure::Proof`] with [`ProofError::Kind`] if the configuration has no blessings, with [`ProveError::Untrusted`] if the device does not trust the
    /// server, to which it has then shown nothing, and with [`ProofError::Channel`] if the server violates the protocol. The other failures are those of
    /// [`Device::connect`].
    pub async fn dial<'d>(
        &'d mut self,
        memory: &'d mut Memory,
    ) -> Result<Channel<'d, 'a, P>, Failure<TransportError<P>>> {
        let limit = step_timeout(self.config());
        // A board that should know the time, and does not, would accept blessings that have expired.
        time(self.config().time, &self.clock)?;
        let this = &mut *self;
        let seed = await_in_place!(this.seed(), Step::Tpm, limit)??;
        self.reporter.report::<TransportError<P>>(&Event::TpmReady);
        let address = self.resolve().await?;
        let network = self.network;
        let mut stream = await_in_place!(network.connect(address), Step::Connect, limit)?
            .map_err(|error| Failure::Tcp(error.kind()))?;
        self.reporter.report::<TransportError<P>>(&Event::TcpOpen);

        let kind = self.proof.kind();
        let Proof::Blessing(blessing::Proof { prover, key }) = &mut self.proof else {
            return Err(Failure::Proof(ProofError::Kind { kind }));
        };
        let principal = prover.principal();
        let hands = Hands::<'_, 'a, P> {
            clock: self.clock.now(),
            principal,
            key,
            keys: &mut self.keys,
            secret: SecretBytes::new(sha256_of_parts(&[&*seed, b"box"])),
        };
        let Memory { channel, frames } = memory;
        let (to, with) = (&mut stream, &mut *frames);
        let connection = await_in_place!(hands.shake(to, channel, with), Step::Channel, limit)??;
        self.reporter
            .report::<TransportError<P>>(&Event::ProofMade { kind });
        Ok(Channel {
            stream,
            connection,
            principal,
            frames,
            limit,
            own_keys: None,
        })
    }
}

/// The parts of a device that the handshake needs.
struct Hands<'h, 'a, P: Platform> {
    principal: &'h Principal<'a>,
    key: &'h mut SigningKey<'a, 'a>,
    keys: &'h mut TpmKeys<'a, P::Chip, Generator>,
    clock: Option<u64>,
    /// The ephemeral key.
    secret: SecretBytes<32>,
}

impl<P: Platform> Hands<'_, '_, P> {
    async fn shake<'m>(
        mut self,
        stream: &mut (impl Read + Write),
        memory: &'m mut ChannelMemory<PEER_LEN>,
        frames: &mut FrameMemory,
    ) -> Result<PeerConnection<'m>, Failure<TransportError<P>>> {
        let setup = Setup {
            mtu: MTU,
            ..Setup::DEFAULT
        };
        let FrameMemory { frame, out } = frames;
        let begun = Dialer::begin(&setup, &self.secret, memory, out);
        let (dialer, len) = begun.map_err(channel)?;
        write(stream, out, len).await?;
        let mut waiting = (dialer.setup(read(stream, frame).await?)).map_err(channel)?;
        let algorithms = self.principal.algorithms();
        let acquainted = loop {
            let frame = read(stream, frame).await?;
            match waiting.receive(frame, algorithms).map_err(channel)? {
                Progress::Wait(next) => waiting = next,
                Progress::Done(acquainted) => break acquainted,
            }
        };
        if let Err(error) = check(self.principal, &acquainted, self.clock) {
            let text = "the device does not trust this server";
            let len = acquainted.refuse(text, out).map_err(channel)?;
            // The server is not trusted, so an error here tells less than the reason.
            let _ = write::<TransportError<P>>(stream, out, len).await;
            return Err(Failure::Proof(error));
        }
        let mut nameless = [0; NAMELESS_LEN];
        let nameless = self.nameless(&mut nameless).map_err(own)?;
        let encoded = EncodedBlessings::parse(nameless).map_err(own)?;
        let request = encoded.blessings().with_leaf(|public_key| {
            let key = PublicKey::parse(public_key, algorithms).ok_or(BlessingError::Key)?;
            Ok(acquainted.request(&key))
        });
        let request = request.map_err(own)?.map_err(channel)?;
        let signature = self.sign(request).await?;
        let presented = Presented {
            blessings: encoded.blessings(),
            discharges: &[],
        };
        let proved = acquainted.prove(&presented, &signature, out);
        let (connection, len) = proved.map_err(channel)?;
        write(stream, out, len).await?;
        Ok(connection)
    }

    /// Writes blessings without a name for the device's key, by which the handshake does not show its names.
    fn nameless<'o>(&self, out: &'o mut [u8]) -> Result<&'o [u8], BlessingError> {
        let own = EncodedBlessings::parse(self.principal.blessings())?;
        own.blessings().with_leaf(|public_key| {
            let certificate = Certificate {
                extension: "",
                public_key,
                caveats: Caveats::NONE,
                x509: &[],
                signature: Signature::default(),
            };
            encode_chains(&[&[certificate]], out).map(|encoded| &*encoded)
        })
    }

    async fn sign(
        &mut self,
        request: SigningRequest,
    ) -> Result<OwnedSignature, Failure<TransportError<P>>> {
        let mut answer = [0; MAX_ANSWER_LEN];
        let answered = self
            .key
            .answer(self.keys, request.key_request(), &mut answer);
        let len = answered.await.map_err(Failure::Tpm)?;
        let len = len.ok_or(Failure::Proof(ProofError::Unsupported))?;
        request
            .finish(answer.get(..len).unwrap_or_default())
            .map_err(own)
    }
}

/// The room for blessings without a name, in bytes: the definitions of the types and one certificate.
const NAMELESS_LEN: usize = 640;

/// Checks that the device trusts a server.
fn check(
    principal: &Principal<'_>,
    server: &Acquainted<&mut ChannelMemory<PEER_LEN>, PEER_LEN>,
    clock: Option<u64>,
) -> Result<(), ProofError> {
    let verified = server.blessings(principal.algorithms());
    let verified = verified.map_err(ProofError::Channel)?;
    let discharges = server.discharges().map_err(ProofError::Channel)?;
    Ok(check_server(principal, &verified, &discharges, clock)?)
}

impl<P: Platform> Channel<'_, '_, P> {
    /// Opens a flow with its first data, at most [`MTU`] bytes, and returns its number. The first time, it shows the device's names.
    ///
    /// # Errors
    /// [`Failure::Proof`] with [`ChannelError`] if there are too many flows or the data is too long; [`Failure::Tcp`] or [`Failure::TimedOut`] if the
    /// connection broke.
    pub async fn open(&mut self, payload: &[u8]) -> Result<u64, Failure<TransportError<P>>> {
        let keys = match self.own_keys {
            Some(keys) => keys,
            None => self.present().await?,
        };
        let opened = self.connection.open(keys, payload, &mut self.frames.out);
        let (flow, len) = opened.map_err(channel)?;
        self.write(len).await?;
        Ok(flow)
    }

    /// Shows the device's blessings.
    async fn present(&mut self) -> Result<(u64, u64), Failure<TransportError<P>>> {
        let encoded = EncodedBlessings::parse(self.principal.blessings()).map_err(own)?;
        let presented = Presented {
            blessings: encoded.blessings(),
            discharges: &self.principal.discharges,
        };
        let presented = self.connection.present(&presented, &mut self.frames.out);
        let (blessings, discharges, len) = presented.map_err(channel)?;
        self.write(len).await?;
        self.own_keys = Some((blessings, discharges));
        Ok((blessings, discharges))
    }

    /// Sends data on a flow, at most [`MTU`] bytes; with `closes` the last of it.
    ///
    /// # Errors
    /// Those of [`Channel::open`]; [`ChannelError::Tokens`] if the server has not taken enough of what was sent before.
    pub async fn send(
        &mut self,
        flow: u64,
        payload: &[u8],
        closes: bool,
    ) -> Result<(), Failure<TransportError<P>>> {
        let out = &mut self.frames.out;
        let len = self.connection.send(flow, payload, closes, out);
        self.write(len.map_err(channel)?).await
    }

    /// Waits for data of the server, as long as a step of the device may take in all. Answers the messages that need no decision. After an error the
    /// connection is spent.
    ///
    /// # Errors
    /// [`Failure::Proof`] with [`ChannelError::TearDown`] if the server ends the connection, with [`ChannelError::Flow`] if it opens a flow, which a device
    /// does not accept, and with other errors if it violates the protocol; [`Failure::Tcp`] or [`Failure::TimedOut`] if the connection broke.
    pub async fn receive(&mut self) -> Result<Received<'_>, Failure<TransportError<P>>> {
        let limit = self.limit;
        let next = with_timeout(limit, self.next_data()).await;
        let (flow, payload, closes) = next.map_err(|_| Failure::TimedOut(Step::Request))??;
        let released = self.connection.release(flow, &mut self.frames.out);
        self.write(released.map_err(channel)?).await?;
        Ok(Received {
            flow,
            payload: self.frames.frame.get(payload).unwrap_or_default(),
            closes,
        })
    }

    /// Waits for data. Returns the flow, the place of the data in the frame, and whether it is the last of the flow.
    async fn next_data(&mut self) -> Result<(u64, Range<usize>, bool), Failure<TransportError<P>>> {
        loop {
            let FrameMemory { frame, out } = &mut *self.frames;
            let body = read(&mut self.stream, frame).await?;
            let all = body.as_ptr_range();
            let len = match self.connection.receive(body).map_err(channel)? {
                Message::Data {
                    flow,
                    payload,
                    closes,
                } => {
                    // The data is a part of the frame, which stays as it is until the next one.
                    let start = payload.as_ptr().addr().wrapping_sub(all.start.addr());
                    return Ok((flow, start..start.wrapping_add(payload.len()), closes));
                }
                Message::Opened { flow, .. } => {
                    return Err(channel(ChannelError::Flow { id: flow }));
                }
                Message::TearDown { .. } => return Err(channel(ChannelError::TearDown)),
                Message::HealthCheck => self.connection.answer_health_check(out),
                Message::LameDuck => self.connection.acknowledge_lame_duck(out),
                _ => continue,
            };
            self.write(len.map_err(channel)?).await?;
        }
    }

    /// Ends the connection, with a reason for the server's operator.
    ///
    /// # Errors
    /// [`Failure::Tcp`] or [`Failure::TimedOut`] if the connection broke.
    pub async fn tear_down(mut self, text: &str) -> Result<(), Failure<TransportError<P>>> {
        let ended = self.connection.tear_down(text, &mut self.frames.out);
        self.write(ended.map_err(channel)?).await
    }

    async fn write(&mut self, len: usize) -> Result<(), Failure<TransportError<P>>> {
        let sent = write(&mut self.stream, &self.frames.out, len);
        let sent = with_timeout(self.limit, sent).await;
        sent.map_err(|_| Failure::TimedOut(Step::Request))?
    }
}

/// Reads the body of a frame.
async fn read<'f, E>(
    stream: &mut impl Read,
    frame: &'f mut [u8; FRAME_LEN],
) -> Result<&'f mut [u8], Failure<E>> {
    let mut header = [0; FRAME_HEADER_LEN];
    stream.read_exact(&mut header).await.map_err(broken)?;
    let len = frame_len(header, FRAME_LEN).map_err(channel)?;
    let body = frame.get_mut(..len).unwrap_or_default();
    stream.read_exact(body).await.map_err(broken)?;
    Ok(body)
}

/// Writes the first `len` bytes.
async fn write<E>(stream: &mut impl Write, out: &[u8], len: usize) -> Result<(), Failure<E>> {
    let frames = out.get(..len).unwrap_or_default();
    let sent = async {
        stream.write_all(frames).await?;
        stream.flush().await
    };
    sent.await.map_err(|error| Failure::Tcp(error.kind()))
}

fn broken<S: embedded_io_async::Error, E>(error: ReadExactError<S>) -> Failure<E> {
    Failure::Tcp(match error {
        ReadExactError::UnexpectedEof => ErrorKind::ConnectionAborted,
        ReadExactError::Other(error) => error.kind(),
    })
}

fn channel<E>(error: ChannelError) -> Failure<E> {
    Failure::Proof(ProofError::Channel(error))
}

fn own<E>(error: BlessingError) -> Failure<E> {
    Failure::Proof(ProveError::Own(error).into())
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

impl<P: Platform> fmt::Debug for Channel<'_, '_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Channel({:?})", self.connection)
    }
}
