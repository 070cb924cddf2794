//! A TLS 1.3 server (RFC 8446) that does what it is told, message by message and record by record: an honest one would be too
//! well-behaved to test a client with. TLS_AES_128_GCM_SHA256, key exchange on P-256, ECDSA on P-256; no more.

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

/// Types of records.
pub mod content {
    /// change_cipher_spec
    pub const CHANGE_CIPHER_SPEC: u8 = 20;
    /// alert
    pub const ALERT: u8 = 21;
    /// handshake
    pub const HANDSHAKE: u8 = 22;
    /// application_data
    pub const APPLICATION_DATA: u8 = 23;
}

/// Types of handshake messages.
pub mod message {
    /// server_hello
    pub const SERVER_HELLO: u8 = 2;
    /// new_session_ticket
    pub const NEW_SESSION_TICKET: u8 = 4;
    /// encrypted_extensions
    pub const ENCRYPTED_EXTENSIONS: u8 = 8;
    /// certificate
    pub const CERTIFICATE: u8 = 11;
    /// certificate_request
    pub const CERTIFICATE_REQUEST: u8 = 13;
    /// certificate_verify
    pub const CERTIFICATE_VERIFY: u8 = 15;
    /// finished
    pub const FINISHED: u8 = 20;
    /// key_update
    pub const KEY_UPDATE: u8 = 24;
}

/// One connection, from the server's side.
#[derive(Debug)]
pub struct Attacker {
    stream: TcpStream,
    transcript: Vec<u8>,
    handshake_secret: [u8; 32],
    client: Keys,
    server: Keys,
    /// Flips this bit of the n-th record that is sent, counted from 0: the record, the bit.
    pub flip: Option<(usize, usize)>,
    /// Cuts the connection after so many bytes.
    pub cut_after: Option<usize>,
    records: usize,
    bytes: usize,
}

#[derive(Debug, Default, Clone)]
struct Keys {
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
            client: Keys::default(),
            server: Keys::default(),
            flip: None,
            cut_after: None,
            records: 0,
            bytes: 0,
        }
    }

    /// Reads the ClientHello and answers with a ServerHello; what follows is protected.
    ///
    /// # Errors
    /// As the stream says, or if the client sends something else.
    pub fn hello(&mut self) -> io::Result<()> {
        self.hello_with(|_| {}, &[])
    }

    /// As [`Attacker::hello`], with a body that was changed, and with these bytes behind it in the same record.
    ///
    /// # Errors
    /// As the stream says, or if the client sends something else.
    pub fn hello_with(
        &mut self,
        change: impl FnOnce(&mut Vec<u8>),
        behind: &[u8],
    ) -> io::Result<()> {
        let (content_type, hello) = self.receive_record()?;
        if content_type != content::HANDSHAKE {
            return Err(unexpected("no ClientHello"));
        }
        let their_share = key_share(&hello).ok_or_else(|| unexpected("no key share on P-256"))?;
        self.transcript.extend(&hello);
        let secret = EphemeralSecret::random(&mut OsRng);
        let share = secret.public_key().to_encoded_point(false);
        let shared = secret.diffie_hellman(&their_share);

        let mut random = [0; 32];
        OsRng.fill_bytes(&mut random);
        let mut body = vec![3, 3];
        body.extend(random);
        // No session id, TLS_AES_128_GCM_SHA256, no compression; supported_versions, key_share.
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
        self.client = Keys::new(derive(&handshake, b"c hs traffic", &hash));
        self.server = Keys::new(derive(&handshake, b"s hs traffic", &hash));
        Ok(())
    }

    /// A handshake message, which becomes part of the transcript, as bytes.
    pub fn handshake(&mut self, message_type: u8, body: &[u8]) -> Vec<u8> {
        let message = framed(message_type, body);
        self.transcript.extend(&message);
        message
    }

    /// EncryptedExtensions without extensions.
    pub fn encrypted_extensions(&mut self) -> Vec<u8> {
        self.handshake(message::ENCRYPTED_EXTENSIONS, &[0, 0])
    }

    /// Certificate with this chain.
    pub fn certificate(&mut self, chain: &[&[u8]]) -> Vec<u8> {
        self.handshake(message::CERTIFICATE, &certificate_body(chain))
    }

    /// CertificateVerify over the transcript so far.
    pub fn certificate_verify(&mut self, key: &SigningKey) -> Vec<u8> {
        self.certificate_verify_with(key, "TLS 1.3, server CertificateVerify", 0x0403)
    }

    /// CertificateVerify with another context string, or another scheme.
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

    /// Finished over the transcript so far.
    pub fn finished(&mut self) -> Vec<u8> {
        let verify_data = finished(&self.server.secret, &self.transcript_hash());
        self.handshake(message::FINISHED, &verify_data)
    }

    /// A whole first flight of an honest server, a message a record.
    ///
    /// # Errors
    /// As the stream says.
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

    /// Reads the client's Finished; what follows is protected by the keys of the application.
    ///
    /// # Errors
    /// As the stream says, or if it is wrong.
    pub fn client_finished(&mut self) -> io::Result<()> {
        let hash = self.transcript_hash();
        let expected = framed(message::FINISHED, &finished(&self.client.secret, &hash));
        let (content_type, message) = self.receive()?;
        if content_type != content::HANDSHAKE || message != expected {
            return Err(unexpected("no Finished of the client"));
        }
        let derived = derive(&self.handshake_secret, b"derived", &Sha256::digest([]));
        let (main, _) = Hkdf::<Sha256>::extract(Some(&derived), &[0; 32]);
        self.client = Keys::new(derive(&main, b"c ap traffic", &hash));
        self.server = Keys::new(derive(&main, b"s ap traffic", &hash));
        Ok(())
    }

    /// Sends one protected record with this content.
    ///
    /// # Errors
    /// As the stream says.
    pub fn send(&mut self, content_type: u8, plaintext: &[u8]) -> io::Result<()> {
        let mut inner = plaintext.to_vec();
        inner.push(content_type);
        self.send_inner(&inner)
    }

    /// Sends one protected record with exactly this inside, type and padding too.
    ///
    /// # Errors
    /// As the stream says.
    pub fn send_inner(&mut self, inner: &[u8]) -> io::Result<()> {
        let body = self.server.seal(inner);
        self.send_record(content::APPLICATION_DATA, [3, 3], &body)
    }

    /// Sends a record as it is.
    ///
    /// # Errors
    /// As the stream says.
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

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// As the stream says, or when the connection was cut.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let left = self
            .cut_after
            .map_or(bytes.len(), |cut| cut.saturating_sub(self.bytes));
        let (now, later) = bytes.split_at(left.min(bytes.len()));
        self.stream.write_all(now)?;
        self.bytes += now.len();
        if later.is_empty() {
            return Ok(());
        }
        self.end()?;
        Err(unexpected("cut"))
    }

    /// Says that nothing more comes, without close_notify.
    ///
    /// # Errors
    /// As the system says.
    pub fn end(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// How many records, and bytes in them, have been sent.
    #[must_use]
    pub fn sent(&self) -> (usize, usize) {
        (self.records, self.bytes)
    }

    /// Receives one protected record: its type and content.
    ///
    /// # Errors
    /// As the stream says, or if it cannot be decrypted.
    pub fn receive(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let (content_type, body) = self.receive_record()?;
        if content_type != content::APPLICATION_DATA {
            return Err(unexpected("not protected"));
        }
        let mut inner = self.client.open(&body)?;
        while inner.last() == Some(&0) {
            inner.pop();
        }
        let content_type = inner.pop().ok_or_else(|| unexpected("empty"))?;
        Ok((content_type, inner))
    }

    fn receive_record(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut header = [0; 5];
        self.stream.read_exact(&mut header)?;
        let mut body = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
        self.stream.read_exact(&mut body)?;
        Ok((header[0], body))
    }

    /// The hash of all messages so far.
    #[must_use]
    pub fn transcript_hash(&self) -> [u8; 32] {
        Sha256::digest(&self.transcript).into()
    }
}

impl Keys {
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
            .map_err(|_| unexpected("cannot be decrypted"))?;
        Ok(inner)
    }
}

/// Certificate's body, without context and extensions.
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

/// A handshake message.
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

/// The point of the ClientHello's key share on P-256: the only 65 bytes that begin with 04 behind its group and length.
fn key_share(hello: &[u8]) -> Option<PublicKey> {
    let at = hello
        .windows(5)
        .position(|window| window == [0, 23, 0, 65, 4])?;
    PublicKey::from_sec1_bytes(hello.get(at + 4..at + 69)?).ok()
}

fn unexpected(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

/// How long a client may keep it waiting: one that gives up does not always say so.
const PATIENCE: Duration = Duration::from_secs(4);

/// What one connection with an attacker comes to.
pub type Script = dyn Fn(&mut Attacker) -> io::Result<()> + Send + Sync;

/// An attacker at a free port of 127.0.0.1, in threads that end when this is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// What each connection came to.
    outcomes: Arc<Mutex<Vec<Result<(), String>>>>,
}

impl Server {
    /// Plays `script` on every connection.
    ///
    /// # Errors
    /// As the system says.
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
                    let _ = stream.set_read_timeout(Some(PATIENCE));
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

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the connections so far came to, in their order.
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
