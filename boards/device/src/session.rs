//! One authenticated connection.

use crate::{
    config::Config,
    event::{Event, Failure, Reporter, Step},
    generator::Generator,
    http::{Content, Head, HeadParts, HttpError, Request, Response, read_head},
    in_place::await_in_place,
    platform::{Clock, Platform, TransportError},
    proof::{On, Proof, ProofError},
};
use chanbind_core::{
    crypto::{SecretBytes, sha256_of_parts},
    proof::{Fields, Inputs, Outcome, RANDOM_LEN, RequestTarget},
};
use chanbind_embedded_tls::{Aes128GcmSha256, Connection};
use chanbind_tpm_spi::key::TpmKeys;
use core::fmt;
use embassy_time::Duration;
use embedded_io_async::{Error as _, Write};
use embedded_nal_async::TcpConnect;
use rand_core::RngCore;

/// The TLS stream of a session. Reads and writes application data, and exports keying material.
pub type TlsStream<'d, 'a, P> =
    Connection<'d, Aes128GcmSha256, <<P as Platform>::Network as TcpConnect>::Connection<'a>>;

/// The place of a TLS stream, in which [`Device::connect`](crate::Device::connect) creates it: it is too large to be moved.
pub type Slot<'d, 'a, P> = Option<TlsStream<'d, 'a, P>>;

/// A connection to a gateway that has been verified, with the device's proof.
///
/// Requests are sent with [`Session::send`]. A protocol of your own takes the stream ([`Session::stream`]) and the fields of the proof
/// ([`Session::proof_fields`]); what it sends must not be mixed with requests.
pub struct Session<'s, 'd, 'a, P: Platform + 'a> {
    pub(crate) tls: &'s mut TlsStream<'d, 'a, P>,
    pub(crate) exchange: Exchange<'d, 'a, P>,
}

/// The parts of a session beside its stream.
pub(crate) struct Exchange<'d, 'a, P: Platform> {
    pub(crate) config: &'a Config<'a>,
    pub(crate) keys: &'d mut TpmKeys<'a, P::Chip, Generator>,
    pub(crate) proof: &'d mut Proof<'a>,
    pub(crate) rng: &'d mut P::Rng,
    pub(crate) clock: &'d P::Clock,
    pub(crate) reporter: &'d mut Reporter<P::Observer>,
    pub(crate) head: &'d mut [u8],
    pub(crate) fields: &'d mut [u8],
    /// Random numbers of the TPM, mixed into those of the board.
    pub(crate) seed: SecretBytes<32>,
    /// False while a response is awaited, or has content that was not read.
    pub(crate) is_read: bool,
    /// True if the server closes the connection after the last response.
    pub(crate) is_last: bool,
}

/// The requests that are sent for one of the application, at most: a proof may need several exchanges.
const MAX_EXCHANGES: usize = 8;

impl<'d, 'a, P: Platform> Session<'_, 'd, 'a, P> {
    /// Begins the proof on a connection that has just been opened.
    pub(crate) async fn begin(&mut self) -> Result<(), Failure<TransportError<P>>> {
        let tls = &*self.tls;
        self.exchange.advance(On::Open(tls)).await.map(|_| ())
    }

    /// Sends a request with the proof, and reads the head of the response. If the gateway asks for more, the request is sent again; the
    /// content must then be repeatable. A server that asks for more may do so before it has read the content, and close the connection if
    /// the content is long: call [`Session::authenticate`] before content of more than a few kilobytes.
    ///
    /// # Errors
    /// [`Failure::Http`] for requests that cannot be sent and connections that broke; with [`HttpError::Closed`] the gateway has
    /// closed the connection in order. [`Failure::Refused`] if the gateway refuses the proof, [`Failure::Proof`] if none can be
    /// made, [`Failure::Tpm`], [`Failure::TimedOut`]. After an error open another session, except after [`HttpError::InvalidRequest`]
    /// and [`HttpError::ContentConsumed`].
    pub async fn send<C: Content>(
        &mut self,
        request: &Request<'_>,
        mut content: C,
    ) -> Result<Response<'_, TlsStream<'d, 'a, P>>, Failure<TransportError<P>>> {
        let limit = self.exchange.step_timeout();
        if !request.is_valid() {
            return Err(HttpError::InvalidRequest.into());
        }
        if !self.exchange.is_read {
            return Err(HttpError::Unread.into());
        }
        if self.exchange.is_last {
            return Err(HttpError::Closed.into());
        }
        let mut exchanges = 0usize;
        let (parts, outcome) = loop {
            exchanges = exchanges.saturating_add(1);
            if exchanges > MAX_EXCHANGES {
                return Err(Failure::TooManyExchanges);
            }
            if exchanges > 1 && !content.is_repeatable() {
                return Err(HttpError::ContentConsumed.into());
            }
            // If this request fails or its future is dropped, the next one must not be taken for the rest of it.
            self.exchange.is_read = false;
            let (tls, exchange, source) = (&mut *self.tls, &mut self.exchange, &mut content);
            let parts = await_in_place!(
                exchange.send_once(tls, request, source),
                Step::Request,
                limit
            )??;
            let exchange = &mut self.exchange;
            let outcome = await_in_place!(exchange.respond(parts), Step::Tpm, limit)??;
            self.exchange.is_last = parts.is_last;
            if let Some(outcome) = outcome {
                break (parts, outcome);
            }
            self.discard(parts, limit).await?;
            if self.exchange.is_last {
                return Err(HttpError::Closed.into());
            }
        };
        self.exchange.judge(parts.status, outcome)?;
        let Exchange { head, is_read, .. } = &mut self.exchange;
        Ok(Response::new(
            parts, outcome, head, self.tls, limit, is_read,
        ))
    }

    /// Sends a GET request for the configured path and drops the response, so that the connection has proved itself before a request whose
    /// content is long or can be sent only once.
    ///
    /// # Errors
    /// As [`Session::send`].
    pub async fn authenticate(&mut self) -> Result<Outcome, Failure<TransportError<P>>> {
        let request = Request::get(self.exchange.config.path);
        let mut response = self.send(&request, ()).await?;
        response.discard().await?;
        Ok(response.outcome())
    }

    /// Returns the TLS stream, for a protocol of the application's own.
    pub fn stream(&mut self) -> &mut TlsStream<'d, 'a, P> {
        self.tls
    }

    /// Writes the header fields of the proof for a request into `buffer`: for a protocol of the application's own, which sends their values
    /// in a place of its own. Of a one-time password they are the client id and the password.
    ///
    /// # Errors
    /// [`ProofError`] if they do not fit.
    pub fn proof_fields<'b>(
        &mut self,
        target: &RequestTarget<'_>,
        buffer: &'b mut [u8],
    ) -> Result<Fields<'b>, ProofError> {
        let (random, now) = (self.exchange.random(), self.exchange.clock.now());
        let inputs = Inputs {
            unix_time: now,
            random: &random,
        };
        let mut fields = Fields::new(buffer);
        self.exchange
            .proof
            .write_fields(target, &inputs, &mut fields)?;
        Ok(fields)
    }

    async fn discard(
        &mut self,
        parts: HeadParts,
        limit: Duration,
    ) -> Result<(), Failure<TransportError<P>>> {
        let Exchange { head, is_read, .. } = &mut self.exchange;
        let outcome = Outcome::Refused;
        let mut response = Response::new(parts, outcome, head, &mut *self.tls, limit, is_read);
        response.discard().await?;
        Ok(())
    }
}

impl<'d, 'a, P: Platform> Exchange<'d, 'a, P> {
    pub(crate) fn step_timeout(&self) -> Duration {
        step_timeout(self.config)
    }

    /// Returns random bytes: unpredictable if those of the board or those of the TPM are.
    fn random(&mut self) -> SecretBytes<RANDOM_LEN> {
        let mut random = SecretBytes::<RANDOM_LEN>::default();
        let mut block = SecretBytes::<32>::default();
        for half in random.chunks_mut(32) {
            self.rng.fill_bytes(&mut *block);
            let mixed = SecretBytes::new(sha256_of_parts(&[&*self.seed, &*block]));
            for (to, from) in half.iter_mut().zip(mixed.iter()) {
                *to = *from;
            }
        }
        random
    }

    /// Goes on with the proof, and reports if the TPM was used.
    async fn advance(&mut self, on: On<'_>) -> Result<Option<Outcome>, Failure<TransportError<P>>> {
        let (random, now) = (self.random(), self.clock.now());
        let inputs = Inputs {
            unix_time: now,
            random: &random,
        };
        let next = self.proof.advance(self.keys, on, &inputs).await?;
        if next.has_used_key {
            let kind = self.proof.kind();
            self.reporter
                .report::<TransportError<P>>(&Event::ProofMade { kind });
        }
        Ok(next.outcome)
    }

    /// Gives the proof the head of a response.
    async fn respond(
        &mut self,
        parts: HeadParts,
    ) -> Result<Option<Outcome>, Failure<TransportError<P>>> {
        // The buffer is taken out, so that the head is borrowed beside the rest.
        let buffer = core::mem::take(&mut self.head);
        let head = Head {
            status: parts.status,
            bytes: buffer.get(..parts.len).unwrap_or_default(),
        };
        let outcome = self.advance(On::Response(&head)).await;
        self.head = buffer;
        outcome
    }

    /// Sends a request once, and reads the head of the response.
    async fn send_once<C: Content>(
        &mut self,
        tls: &mut TlsStream<'d, 'a, P>,
        request: &Request<'_>,
        content: &mut C,
    ) -> Result<HeadParts, Failure<TransportError<P>>> {
        let (random, now) = (self.random(), self.clock.now());
        let inputs = Inputs {
            unix_time: now,
            random: &random,
        };
        let target = RequestTarget {
            method: request.method.as_str(),
            authority: self.config.server_name,
            path: request.path,
        };
        let mut fields = Fields::new(self.fields);
        let written = self.proof.write_fields(&target, &inputs, &mut fields);
        written.map_err(Failure::Proof)?;
        let len = content.len();
        let host = self.config.server_name;
        request.write_head(host, &fields, len, tls).await?;
        drop(fields);
        content.write(tls).await?;
        let flushed = tls.flush().await;
        flushed.map_err(|error| HttpError::Connection(error.kind()))?;
        Ok(read_head(tls, request.method, self.head).await?)
    }

    /// Reports an admission, or returns the reason of a refusal.
    fn judge(&mut self, status: u16, outcome: Outcome) -> Result<(), Failure<TransportError<P>>> {
        if outcome == Outcome::Refused {
            return Err(match self.proof.declined() {
                Some(reason) => Failure::Proof(reason),
                None => Failure::Refused { status },
            });
        }
        if outcome != Outcome::Proved && self.proof.verifies_server() {
            return Err(Failure::Proof(ProofError::ServerUnproved));
        }
        if (200..300).contains(&status) {
            self.reporter
                .report::<TransportError<P>>(&Event::Admitted { status });
        }
        Ok(())
    }
}

pub(crate) fn step_timeout(config: &Config<'_>) -> Duration {
    Duration::from_millis(u64::from(config.step_timeout_ms))
}

impl<P: Platform> fmt::Debug for Session<'_, '_, '_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}
