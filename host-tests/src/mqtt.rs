//! A minimal MQTT 5 broker behind TLS, for tests. CONNECT must have a one-time password of its connection: the client id as user name,
//! and the API key as password.
//!
//! A client may publish to `readings/CLIENT` and subscribe to `commands/CLIENT`. QoS is 1 for readings and 0 for commands.

use crate::pki::Pki;
use chanbind::{
    gateway::Channel,
    proof::otp::OtpVerifier,
    tls::{self, SharedStream},
};
use std::{
    error::Error,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedSender, unbounded_channel},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

/// The reason code of an accepted CONNECT, SUBSCRIBE or PUBLISH.
pub const SUCCESS: u8 = 0x00;
/// The reason code of a peer that is not authorized.
pub const NOT_AUTHORIZED: u8 = 0x87;

const CONNECT: u8 = 1;
const PUBLISH: u8 = 3;
const SUBSCRIBE: u8 = 8;
const PINGREQ: u8 = 12;
const DISCONNECT: u8 = 14;

/// A running broker. It is aborted on drop.
pub struct Broker {
    /// The broker's certificate and the authority that issued it.
    pub pki: Pki,
    /// The port on 127.0.0.1 on which the broker listens.
    pub port: u16,
    state: Arc<State>,
    task: JoinHandle<()>,
}

/// A reading that was published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    /// The client that has proved its identity on the connection.
    pub client: String,
    /// The content.
    pub payload: Vec<u8>,
}

struct State {
    verifier: Arc<OtpVerifier>,
    published: Mutex<Vec<Publication>>,
    credentials: Mutex<Vec<(String, String)>>,
    /// The topics of subscriptions, each with the way to its client.
    subscribers: Mutex<Vec<(String, UnboundedSender<Vec<u8>>)>>,
}

impl Broker {
    /// Starts a broker on a free port, with a new certificate.
    ///
    /// # Errors
    /// Returns an error if the certificate cannot be created, if rustls rejects it, or if no socket can be bound.
    pub async fn start(verifier: Arc<OtpVerifier>) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let pki = Pki::new()?;
        let tls = tls::server_config_from_pem(pki.certificate.as_bytes(), pki.key.as_bytes())?;
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let state = Arc::new(State {
            verifier,
            published: Mutex::default(),
            credentials: Mutex::default(),
            subscribers: Mutex::default(),
        });
        let own = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A connection that fails is the peer's loss.
                let (state, acceptor) = (Arc::clone(&state), acceptor.clone());
                tokio::spawn(async move { state.serve(acceptor, stream).await });
            }
        });
        Ok(Self {
            pki,
            port,
            state: own,
            task,
        })
    }

    /// Returns all readings that were published.
    #[must_use]
    pub fn published(&self) -> Vec<Publication> {
        lock(&self.state.published).clone()
    }

    /// Returns user name and password of every CONNECT, whether they were accepted or not.
    #[must_use]
    pub fn credentials(&self) -> Vec<(String, String)> {
        lock(&self.state.credentials).clone()
    }

    /// Publishes a command to a client.
    pub fn command(&self, client: &str, payload: &str) {
        let topic = commands(client);
        let body = [&string(&topic), &[0][..], payload.as_bytes()].concat();
        for (subscribed, sender) in lock(&self.state.subscribers).iter() {
            if *subscribed == topic {
                // The client may have gone.
                let _ = sender.send(packet(PUBLISH << 4, &body));
            }
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Returns a CONNECT packet with this client id and user name, and this password.
#[must_use]
pub fn connect(client: &str, password: &str) -> Vec<u8> {
    let flags = 0b1100_0010; // User name, password, clean start.
    let head = [&string("MQTT"), &[5, flags, 0, 0, 0][..]].concat();
    let body = [head, string(client), string(client), string(password)].concat();
    packet(CONNECT << 4, &body)
}

/// Reads a packet. Returns its first byte and its body.
///
/// # Errors
/// Returns an error if the connection ends, or if the length of the packet is malformed.
pub async fn read_packet(from: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, Vec<u8>)> {
    let first = from.read_u8().await?;
    let (mut len, mut shift) = (0_usize, 0);
    loop {
        let byte = from.read_u8().await?;
        len |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
        shift += 7;
        if shift > 14 {
            return Err(malformed());
        }
    }
    let mut body = vec![0; len];
    from.read_exact(&mut body).await?;
    Ok((first, body))
}

impl State {
    async fn serve(&self, acceptor: TlsAcceptor, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let stream = SharedStream::new(acceptor.accept(stream).await?);
        // The password is verified against this connection, and closes it when the client is removed from the registry.
        let channel = Channel::new(stream.clone());
        let (mut from, mut to) = tokio::io::split(stream);
        let (sender, mut packets) = unbounded_channel::<Vec<u8>>();
        let sending = async {
            while let Some(packet) = packets.recv().await {
                to.write_all(&packet).await?;
                to.flush().await?;
            }
            to.shutdown().await
        };
        let receiving = async {
            let received = self.receive(&mut from, &channel, &sender).await;
            lock(&self.subscribers).retain(|(_, other)| !other.same_channel(&sender));
            drop(sender);
            received
        };
        tokio::select! {
            (sent, received) = async { tokio::join!(sending, receiving) } => sent.and(received),
            () = channel.closed() => Ok(()),
        }
    }

    async fn receive(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        channel: &Channel,
        sender: &UnboundedSender<Vec<u8>>,
    ) -> io::Result<()> {
        let (first, body) = read_packet(from).await?;
        let (user, password) = match first >> 4 {
            CONNECT => credentials(&mut &body[..]).ok_or_else(malformed)?,
            _ => return Err(malformed()),
        };
        lock(&self.credentials).push((user.clone(), password.clone()));
        let verified = self.verifier.verify_api_key(channel, &user, &password);
        let reason = match verified.await {
            Ok(_) => SUCCESS,
            Err(_) => NOT_AUTHORIZED,
        };
        let send = |first: u8, body: &[u8]| {
            let _ = sender.send(packet(first, body));
        };
        send(0x20, &[0, reason, 0]);
        if reason != SUCCESS {
            return Ok(());
        }
        loop {
            let (first, body) = read_packet(from).await?;
            let mut rest = &body[..];
            match first >> 4 {
                PUBLISH if first & 0b110 == 0b010 => {
                    let (topic, id) = (take_string(&mut rest), take(&mut rest, 2));
                    let (Some(topic), Some(id)) = (topic, id) else {
                        return Err(malformed());
                    };
                    skip_properties(&mut rest).ok_or_else(malformed)?;
                    let is_own = topic == format!("readings/{user}");
                    if is_own {
                        lock(&self.published).push(Publication {
                            client: user.clone(),
                            payload: rest.to_vec(),
                        });
                    }
                    send(0x40, &[id[0], id[1], reason_of(is_own), 0]);
                }
                SUBSCRIBE => {
                    let id = take(&mut rest, 2).ok_or_else(malformed)?;
                    skip_properties(&mut rest).ok_or_else(malformed)?;
                    let topic = take_string(&mut rest).ok_or_else(malformed)?;
                    let is_own = topic == commands(&user);
                    if is_own {
                        lock(&self.subscribers).push((topic, sender.clone()));
                    }
                    send(0x90, &[id[0], id[1], 0, reason_of(is_own)]);
                }
                PINGREQ => send(0xd0, &[]),
                DISCONNECT => return Ok(()),
                _ => return Err(malformed()),
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn commands(client: &str) -> String {
    format!("commands/{client}")
}

fn reason_of(is_allowed: bool) -> u8 {
    if is_allowed { SUCCESS } else { NOT_AUTHORIZED }
}

/// Returns user name and password of the body of a CONNECT packet, whose client id must be the user name.
fn credentials(rest: &mut &[u8]) -> Option<(String, String)> {
    let is_mqtt_5 = take_string(rest)? == "MQTT" && take(rest, 1)? == [5];
    let &[flags, _, _] = take(rest, 3)? else {
        return None;
    };
    skip_properties(rest)?;
    let client = take_string(rest)?;
    // No will, user name and password.
    if !is_mqtt_5 || flags & 0b1111_1101 != 0b1100_0000 {
        return None;
    }
    let (user, password) = (take_string(rest)?, take_string(rest)?);
    (user == client).then_some((user, password))
}

fn take<'b>(rest: &mut &'b [u8], len: usize) -> Option<&'b [u8]> {
    let (taken, others) = rest.split_at_checked(len)?;
    *rest = others;
    Some(taken)
}

fn take_string(rest: &mut &[u8]) -> Option<String> {
    let len = u16::from_be_bytes(take(rest, 2)?.try_into().ok()?);
    String::from_utf8(take(rest, usize::from(len))?.to_vec()).ok()
}

/// Skips properties of less than 128 bytes.
fn skip_properties(rest: &mut &[u8]) -> Option<()> {
    let &[len @ 0..=0x7f] = take(rest, 1)? else {
        return None;
    };
    take(rest, usize::from(len)).map(|_| ())
}

fn string(text: &str) -> Vec<u8> {
    let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
    [&len.to_be_bytes(), text.as_bytes()].concat()
}

/// Returns a packet with a body of less than 16,384 bytes.
fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let low = u8::try_from(body.len() & 0x7f).unwrap_or_default();
    let len = match u8::try_from(body.len() >> 7).unwrap_or_default() {
        0 => vec![low],
        high => vec![low | 0x80, high],
    };
    [&[first][..], &len, body].concat()
}

fn malformed() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not the MQTT of this broker")
}
