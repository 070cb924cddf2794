//! A TLS 1.3 server (RFC 8446) that a script controls message by message and record by record, to test a client against violations of
//! the protocol.
//!
//! It supports only TLS_AES_128_GCM_SHA256, key exchange on P-256 and ECDSA on P-256.

use aes_gcm::{Aes128Gcm, KeyInit, aead::AeadInPlace};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use p256::{
    PublicKey,
    ecdh::EphemeralSecret,
    ecdsa::{DerSignature, SigningKey, signature::Signer},
    elliptic_curve::sec1::ToEncodedPoint,
};
use rand_core::{OsRng, RngCore};
use sha2::{Digest, Sha256};
use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// Content types of records (RFC 8446 section 5.1).
pub mod content {
    /// The content type change_cipher_spec.
    pub const CHANGE_CIPHER_SPEC: u8 = 20;
    /// The content type alert.
    pub const ALERT: u8 = 21;
    /// The content type handshake.
    pub const HANDSHAKE: u8 = 22;
    /// The content type application_data.
    pub const APPLICATION_DATA: u8 = 23;
}

/// Types of handshake messages (RFC 8446 section 4).
pub mod message {
    /// The message type server_hello.
    pub const SERVER_HELLO: u8 = 2;
    /// The message type new_session_ticket.
    pub const NEW_SESSION_TICKET: u8 = 4;
    /// The message type encrypted_extensions.
    pub const ENCRYPTED_EXTENSIONS: u8 = 8;
    /// The message type certificate.
    pub const CERTIFICATE: u8 = 11;
    /// The message type certificate_request.
    pub const CERTIFICATE_REQUEST: u8 = 13;
    /// The message type certificate_verify.
    pub const CERTIFICATE_VERIFY: u8 = 15;
    /// The message type finished.
    pub const FINISHED: u8 = 20;
    /// The message type key_update.
    pub const KEY_UPDATE: u8 = 24;
}

/// The server's end of one connection.
#[derive(Debug)]
pub struct Attacker {
    stream: TcpStream,
    transcript: Vec<u8>,
    handshake_secret: [u8; 32],
    client: TrafficKeys,
    server: TrafficKeys,
    /// The number of a sent record, counted from 0, and the bit of it to flip, modulo the number of its bits.
    pub flip: Option<(usize, usize)>,
    /// The number of sent bytes after which to close the sending half of the connection.
    pub cut_after: Option<usize>,
    records: usize,
    bytes: usize,
}

/// The traffic secret, key and IV of one direction (RFC 8446 section 7.3), and the next sequence number.
#[derive(Debug, Default, Clone)]
struct TrafficKeys {
    secret: [u8; 32],
    key: [u8; 16],
    iv: [u8; 12],
    sequence: u64,
}

impl Attacker {
    fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            transcript: Vec::new(),
            handshake_secret: [0; 32],
            client: TrafficKeys::default(),
            server: TrafficKeys::default(),
            flip: None,
            cut_after: None,
            records: 0,
            bytes: 0,
        }
    }

    /// Reads the ClientHello, sends a ServerHello, and switches to the handshake traffic keys.
    ///
    /// # Errors
    /// Returns an error if the stream fails, or if the client sends no ClientHello with a key share on P-256.
    pub fn hello(&mut self) -> io::Result<()> {
        self.hello_with(|_| {}, &[])
    }

    /// Does the same as [`Attacker::hello`], but sends the ServerHello after `change` has modified its body, and appends the bytes
    /// `behind` to it in the same record.
    ///
    /// # Errors
    /// Returns an error if the stream fails, or if the client sends no ClientHello with a key share on P-256.
    pub fn hello_with(
        &mut self,
        change: impl FnOnce(&mut Vec<u8>),
        behind: &[u8],
    ) -> io::Result<()> {
        let (content_type, hello) = self.receive_record()?;
        if content_type != content::HANDSHAKE {
            return Err(unexpected(
                "the client's first record is not a handshake record",
            ));
        }
        let client_share = key_share(&hello)
            .ok_or_else(|| unexpected("the ClientHello has no key share on P-256"))?;
        self.transcript.extend(&hello);
        let secret = EphemeralSecret::random(&mut OsRng);
        let share = secret.public_key().to_encoded_point(false);
        let shared = secret.diffie_hellman(&client_share);

        let mut random = [0; 32];
        OsRng.fill_bytes(&mut random);
        let mut body = vec![3, 3];
        body.extend(random);
        // Empty session id, TLS_AES_128_GCM_SHA256, no compression, 79 bytes of extensions: supported_versions, key_share.
        body.extend([0, 0x13, 0x01, 0, 0, 79]);
        body.extend([0, 43, 0, 2, 3, 4]);
        body.extend([0, 51, 0, 69, 0, 23, 0, 65]);
        body.extend(share.as_bytes());
        change(&mut body);
        let message = self.handshake(message::SERVER_HELLO, &body);
        self.send_record(content::HANDSHAKE, [3, 3], &[&message, behind].concat())?;

        let (early, _) = Hkdf::<Sha256>::extract(None, &[0; 32]);
        let derived = derive(&early, b"derived", &Sha256::digest([]));
        let (handshake, _) = Hkdf::<Sha256>::extract(Some(&derived), shared.raw_secret_bytes());
        self.handshake_secret = handshake.into();
        let hash = self.transcript_hash();
        self.client = TrafficKeys::new(derive(&handshake, b"c hs traffic", &hash));
        self.server = TrafficKeys::new(derive(&handshake, b"s hs traffic", &hash));
        Ok(())
    }

    /// Encodes a handshake message, appends it to the transcript, and returns it. Sends nothing.
    pub fn handshake(&mut self, message_type: u8, body: &[u8]) -> Vec<u8> {
        let message = framed(message_type, body);
        self.transcript.extend(&message);
        message
    }

    /// Returns an EncryptedExtensions message without extensions, as part of the transcript.
    pub fn encrypted_extensions(&mut self) -> Vec<u8> {
        self.handshake(message::ENCRYPTED_EXTENSIONS, &[0, 0])
    }

    /// Returns a Certificate message with this chain of certificates in DER, as part of the transcript.
    pub fn certificate(&mut self, chain: &[&[u8]]) -> Vec<u8> {
        self.handshake(message::CERTIFICATE, &certificate_body(chain))
    }

    /// Returns a CertificateVerify message over the transcript up to now, as part of the transcript.
    pub fn certificate_verify(&mut self, key: &SigningKey) -> Vec<u8> {
        self.certificate_verify_with(key, "TLS 1.3, server CertificateVerify", 0x0403)
    }

    /// Returns a CertificateVerify message with this context string and this SignatureScheme, as part of the transcript. The signature
    /// is always ECDSA on P-256 with SHA-256.
    pub fn certificate_verify_with(
        &mut self,
        key: &SigningKey,
        context: &str,
        scheme: u16,
    ) -> Vec<u8> {
        let mut content = vec![b' '; 64];
        content.extend(context.as_bytes());
        content.push(0);
        content.extend(self.transcript_hash());
        let signature: DerSignature = key.sign(&content);
        let mut body = scheme.to_be_bytes().to_vec();
        body.extend(u16_len(signature.as_bytes()));
        self.handshake(message::CERTIFICATE_VERIFY, &body)
    }

    /// Returns a Finished message over the transcript up to now, as part of the transcript.
    pub fn finished(&mut self) -> Vec<u8> {
        let verify_data = finished(&self.server.secret, &self.transcript_hash());
        self.handshake(message::FINISHED, &verify_data)
    }

    /// Reads the ClientHello and sends the whole first flight of a correct server, with each message in a record of its own.
    ///
    /// # Errors
    /// Returns an error if the stream fails, or if the client sends no ClientHello with a key share on P-256.
    pub fn honest_flight(&mut self, chain: &[&[u8]], key: &SigningKey) -> io::Result<()> {
        self.hello()?;
        let mut flight = vec![self.encrypted_extensions()];
        flight.push(self.certificate(chain));
        flight.push(self.certificate_verify(key));
        flight.push(self.finished());
        for message in flight {
            self.send(content::HANDSHAKE, &message)?;
        }
        Ok(())
    }

    /// Reads and verifies the client's Finished message, and switches to the application traffic keys.
    ///
    /// # Errors
    /// Returns an error if the stream fails, or if the next record is not the correct Finished message.
    pub fn client_finished(&mut self) -> io::Result<()> {
        let hash = self.transcript_hash();
        let expected = framed(message::FINISHED, &finished(&self.client.secret, &hash));
        let (content_type, message) = self.receive()?;
        if content_type != content::HANDSHAKE || message != expected {
            return Err(unexpected(
                "the client's record is not the expected Finished message",
            ));
        }
        let derived = derive(&self.handshake_secret, b"derived", &Sha256::digest([]));
        let (main, _) = Hkdf::<Sha256>::extract(Some(&derived), &[0; 32]);
        self.client = TrafficKeys::new(derive(&main, b"c ap traffic", &hash));
        self.server = TrafficKeys::new(derive(&main, b"s ap traffic", &hash));
        Ok(())
    }

    /// Sends one protected record with this content.
    ///
    /// # Errors
    /// Returns an error if the stream fails, or if [`Attacker::cut_after`] has closed the connection.
    pub fn send(&mut self, content_type: u8, plaintext: &[u8]) -> io::Result<()> {
        let mut inner = plaintext.to_vec();
        inner.push(content_type);
        self.send_inner(&inner)
    }

    /// Sends one protected record whose plaintext is exactly `inner`, including content type and padding (TLSInnerPlaintext, RFC 8446
    /// section 5.2).
    ///
    /// # Errors
    /// Returns an error if the stream fails, or if [`Attacker::cut_after`] has closed the connection.
    pub fn send_inner(&mut self, inner: &[u8]) -> io::Result<()> {
        let body = self.server.seal(inner);
        self.send_record(content::APPLICATION_DATA, [3, 3], &body)
    }

    /// Sends a record with this content type, version and body, without encrypting the body. Applies [`Attacker::flip`].
    ///
    /// # Errors
    /// Returns an error if the stream fails, or if [`Attacker::cut_after`] has closed the connection.
    pub fn send_record(
        &mut self,
        content_type: u8,
        version: [u8; 2],
        body: &[u8],
    ) -> io::Result<()> {
        let mut record = vec![content_type, version[0], version[1]];
        record.extend(u16_len(body));
        if let Some((at, bit)) = self.flip
            && at == self.records
        {
            let bit = bit % (record.len() * 8);
            record[bit / 8] ^= 1 << (bit % 8);
        }
        self.records += 1;
        self.send_bytes(&record)
    }

    /// Sends bytes without a record header.
    ///
    /// # Errors
    /// Returns an error if the stream fails, or if [`Attacker::cut_after`] has closed the connection.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let remaining = self
            .cut_after
            .map_or(bytes.len(), |cut| cut.saturating_sub(self.bytes));
        let (sent, withheld) = bytes.split_at(remaining.min(bytes.len()));
        self.stream.write_all(sent)?;
        self.bytes += sent.len();
        if withheld.is_empty() {
            return Ok(());
        }
        self.end()?;
        Err(unexpected("the script has cut the connection"))
    }

    /// Closes the sending half of the TCP connection without a close_notify alert.
    ///
    /// # Errors
    /// Returns the system's error.
    pub fn end(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Returns the number of records and the number of bytes that have been sent.
    #[must_use]
    pub fn sent(&self) -> (usize, usize) {
        (self.records, self.bytes)
    }

    /// Receives one protected record and returns its content type and content.
    ///
    /// # Errors
    /// Returns an error if the stream fails, or if the record is not protected, cannot be decrypted or has no content type.
    pub fn receive(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let (content_type, body) = self.receive_record()?;
        if content_type != content::APPLICATION_DATA {
            return Err(unexpected("the record is not protected"));
        }
        let mut inner = self.client.open(&body)?;
        while inner.last() == Some(&0) {
            inner.pop();
        }
        let content_type = inner
            .pop()
            .ok_or_else(|| unexpected("the record has no content type"))?;
        Ok((content_type, inner))
    }

    fn receive_record(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut header = [0; 5];
        self.stream.read_exact(&mut header)?;
        let mut body = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
        self.stream.read_exact(&mut body)?;
        Ok((header[0], body))
    }

    /// Returns the SHA-256 hash of all messages of the transcript up to now.
    #[must_use]
    pub fn transcript_hash(&self) -> [u8; 32] {
        Sha256::digest(&self.transcript).into()
    }
}

impl TrafficKeys {
    fn new(secret: [u8; 32]) -> Self {
        let (mut key, mut iv) = ([0; 16], [0; 12]);
        expand_label(&secret, b"key", &[], &mut key);
        expand_label(&secret, b"iv", &[], &mut iv);
        Self {
            secret,
            key,
            iv,
            sequence: 0,
        }
    }

    fn nonce(&mut self) -> [u8; 12] {
        let mut nonce = self.iv;
        for (byte, sequence) in nonce.iter_mut().skip(4).zip(self.sequence.to_be_bytes()) {
            *byte ^= sequence;
        }
        self.sequence += 1;
        nonce
    }

    fn seal(&mut self, inner: &[u8]) -> Vec<u8> {
        let nonce = self.nonce();
        let mut body = inner.to_vec();
        let header = protected_header(inner.len() + 16);
        Aes128Gcm::new(&self.key.into())
            .encrypt_in_place(&nonce.into(), &header, &mut body)
            .unwrap_or_default();
        body
    }

    fn open(&mut self, body: &[u8]) -> io::Result<Vec<u8>> {
        let nonce = self.nonce();
        let mut inner = body.to_vec();
        Aes128Gcm::new(&self.key.into())
            .decrypt_in_place(&nonce.into(), &protected_header(body.len()), &mut inner)
            .map_err(|_| unexpected("the record cannot be decrypted"))?;
        Ok(inner)
    }
}

/// Returns the body of a Certificate message with an empty context and without extensions, for certificates in DER.
#[must_use]
pub fn certificate_body(chain: &[&[u8]]) -> Vec<u8> {
    let mut entries = Vec::new();
    for certificate in chain {
        entries.extend(u24_len(certificate));
        entries.extend([0, 0]);
    }
    let mut body = vec![0];
    body.extend(u24_len(&entries));
    body
}

/// Returns a handshake message: the type, the length of the body in three bytes, the body.
#[must_use]
pub fn framed(message_type: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![message_type];
    message.extend(u24_len(body));
    message
}

fn u16_len(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&len.to_be_bytes(), bytes].concat()
}

fn u24_len(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&len[1..], bytes].concat()
}

fn protected_header(len: usize) -> [u8; 5] {
    let [high, low] = u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes();
    [content::APPLICATION_DATA, 3, 3, high, low]
}

fn finished(secret: &[u8], transcript_hash: &[u8]) -> Vec<u8> {
    let mut key = [0; 32];
    expand_label(secret, b"finished", &[], &mut key);
    <Hmac<Sha256> as Mac>::new_from_slice(&key)
        .map(|mac| {
            mac.chain_update(transcript_hash)
                .finalize()
                .into_bytes()
                .to_vec()
        })
        .unwrap_or_default()
}

fn derive(secret: &[u8], label: &[u8], hash: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    expand_label(secret, label, hash, &mut out);
    out
}

fn expand_label(secret: &[u8], label: &[u8], context: &[u8], out: &mut [u8]) {
    let byte = |len: usize| [u8::try_from(len).unwrap_or(u8::MAX)];
    let info = [
        &[0],
        byte(out.len()).as_slice(),
        &byte(label.len() + 6),
        b"tls13 ",
        label,
        &byte(context.len()),
        context,
    ]
    .concat();
    if let Ok(hkdf) = Hkdf::<Sha256>::from_prk(secret) {
        let _ = hkdf.expand(&info, out);
    }
}

/// Returns the public key of the ClientHello's key share on P-256.
///
/// It is found without parsing, as the 65 bytes that begin with 04 (an uncompressed point) behind the group 23 and the length 65.
fn key_share(hello: &[u8]) -> Option<PublicKey> {
    let at = hello
        .windows(5)
        .position(|window| window == [0, 23, 0, 65, 4])?;
    PublicKey::from_sec1_bytes(hello.get(at + 4..at + 69)?).ok()
}

fn unexpected(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.to_owned())
}

/// The time limit of each read, because a client that gives up does not always close the connection.
const READ_TIMEOUT: Duration = Duration::from_secs(4);

/// The behaviour of the server on one connection.
pub type Script = dyn Fn(&mut Attacker) -> io::Result<()> + Send + Sync;

/// A server that runs a script on every connection to a free port of 127.0.0.1. Its thread ends on drop.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// The result of the script on each connection.
    outcomes: Arc<Mutex<Vec<Result<(), String>>>>,
}

impl Server {
    /// Starts a server that accepts one connection at a time and runs `script` on it.
    ///
    /// # Errors
    /// Returns the system's error if no socket can be bound.
    pub fn start(
        script: impl Fn(&mut Attacker) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let ended = Arc::new(AtomicBool::new(false));
        let outcomes = Arc::new(Mutex::new(Vec::new()));
        let thread = thread::spawn({
            let (ended, outcomes) = (Arc::clone(&ended), Arc::clone(&outcomes));
            move || {
                for stream in listener.incoming().flatten() {
                    if ended.load(Ordering::SeqCst) {
                        break;
                    }
                    let _ = stream.set_nodelay(true);
                    let _ = stream.set_read_timeout(Some(READ_TIMEOUT));
                    let outcome = script(&mut Attacker::new(stream));
                    outcomes
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(outcome.map_err(|error| error.to_string()));
                }
            }
        });
        Ok(Self {
            address,
            ended,
            thread: Some(thread),
            outcomes,
        })
    }

    /// Returns the address on which the server listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the results of the script on the connections up to now, in the order of the connections. The errors are texts.
    #[must_use]
    pub fn outcomes(&self) -> Vec<Result<(), String>> {
        self.outcomes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
