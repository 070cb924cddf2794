//! The device: its configuration, its TPM and its memory, and how it connects.

use crate::{
    Backoff,
    application::{Application, Outgoing, Poll},
    config::{Config, TimeSource},
    event::{Event, Failure, Reporter, Step},
    generator::Generator,
    http::HttpError,
    in_place::await_in_place,
    platform::{Clock, Parts, Platform, TransportError},
    proof::{self, Proof},
    session::{Exchange, Session, Slot, step_timeout},
    signatures::p256,
    tpm::Cure,
};
use chanbind_core::{
    crypto::{SecretBytes, sha256_of_parts},
    x509::{Anchors, Time},
};
use chanbind_embedded_tls::{Aes128GcmSha256, Buffers, connect_in};
use chanbind_tpm_spi::{
    Contexts, ParentKey, Tpm,
    command::{Name, Template},
    key::TpmKeys,
};
use core::{
    convert::Infallible,
    fmt,
    net::{IpAddr, SocketAddr},
};
use embassy_time::{Duration, Timer};
use embedded_io_async::Error as _;
use embedded_nal_async::{AddrType, Dns, TcpConnect};
use rand_core::RngCore;

/// The longest content of a record that the gateway may send, in bytes. With the feature `small-records` it is 2,048: set the gateway's
/// maximum fragment size accordingly (`chanbind gateway --max-fragment-size 2048`; rustls: `max_fragment_size`). The gateway's
/// certificates must then fit one record.
pub const RECORD_LEN: usize = if cfg!(feature = "small-records") {
    2_048
} else {
    16_384
};

const READ_LEN: usize = Buffers::for_fragments(RECORD_LEN);

/// The memory of a device, in addition to that of its futures. It is meant for a `static`.
pub struct Memory {
    read: [u8; READ_LEN],
    write: [u8; 1024],
    tpm: [u8; 512],
    head: [u8; proof::HEAD_LEN],
    fields: [u8; proof::FIELDS_LEN],
    proof: proof::Memory,
    contexts: Contexts,
}

impl Memory {
    /// Creates empty memory.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "for a static")]
    pub const fn new() -> Self {
        Self {
            read: [0; READ_LEN],
            write: [0; 1024],
            tpm: [0; 512],
            head: [0; proof::HEAD_LEN],
            fields: [0; proof::FIELDS_LEN],
            proof: proof::Memory::new(),
            contexts: Contexts::new(),
        }
    }
}

/// A device: it connects to its gateway, proves itself, and sends what an application wants to be sent.
///
/// Keep it where it does not move, usually in a `static`; its futures are small then.
pub struct Device<'a, P: Platform> {
    config: &'a Config<'a>,
    pub(crate) network: &'a P::Network,
    pub(crate) keys: TpmKeys<'a, P::Chip, Generator>,
    pub(crate) proof: Proof<'a>,
    pub(crate) rng: P::Rng,
    pub(crate) clock: P::Clock,
    pub(crate) reporter: Reporter<P::Observer>,
    read: &'a mut [u8],
    write: &'a mut [u8],
    head: &'a mut [u8],
    fields: &'a mut [u8],
}

impl<'a, P: Platform + 'a> Device<'a, P> {
    /// Creates a device. Performs no I/O.
    ///
    /// # Errors
    /// [`Failure::Config`] if the name of the parent key is malformed, [`Failure::Proof`] if the section of the proof is, or if the
    /// firmware is built without that kind of proof.
    pub fn new(
        config: &'a Config<'a>,
        parts: Parts<'a, P>,
        memory: &'a mut Memory,
    ) -> Result<Self, Failure<TransportError<P>>> {
        let Parts {
            network,
            chip,
            mut rng,
            clock,
            observer,
        } = parts;
        let mut seed = SecretBytes::<32>::default();
        rng.fill_bytes(&mut *seed);
        let (proof, parent) = Proof::new(config, &mut memory.proof).map_err(Failure::Proof)?;
        let pinned = Name::new(parent).map_err(|_| Failure::Config)?;
        let tpm = Tpm::new(chip, &mut memory.tpm, &mut memory.contexts);
        let salts = Generator::from_seed(*seed);
        Ok(Self {
            config,
            network,
            keys: TpmKeys::new(tpm, salts, ParentKey::Primary(Template::H2), pinned),
            proof,
            rng,
            clock,
            reporter: Reporter(observer),
            read: &mut memory.read,
            write: &mut memory.write,
            head: &mut memory.head,
            fields: &mut memory.fields,
        })
    }

    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &'a Config<'a> {
        self.config
    }

    /// Opens a connection to the gateway, verifies it, and begins the proof. The TLS stream is created in `slot`.
    ///
    /// ```
    /// # use chanbind_device::{Device, Platform, Failure, TransportError, http::Request};
    /// async fn report<'a, P: Platform + 'a>(device: &mut Device<'a, P>) -> Result<(), Failure<TransportError<P>>> {
    ///     let mut slot = None;
    ///     let mut session = device.connect(&mut slot).await?;
    ///     let fields = [("content-type", "application/json")];
    ///     let request = Request::post("/readings").with_fields(&fields);
    ///     let mut response = session.send(&request, &b"{\"celsius\":23.5}"[..]).await?;
    ///     let mut buffer = [0; 64];
    ///     let _command = response.read_to_end(&mut buffer).await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Failure`]: each step has its own variant.
    pub async fn connect<'s, 'd>(
        &'d mut self,
        slot: &'s mut Slot<'d, 'a, P>,
    ) -> Result<Session<'s, 'd, 'a, P>, Failure<TransportError<P>>>
    where
        'a: 'd,
    {
        let config = self.config;
        let limit = step_timeout(config);
        let time = time(config.time, &self.clock)?;
        let anchors = Anchors::new(&config.authorities).map_err(Failure::Authority)?;
        let this = &mut *self;
        let seed = await_in_place!(this.seed(), Step::Tpm, limit)??;
        self.reporter.report::<TransportError<P>>(&Event::TpmReady);

        let address = self.resolve().await?;
        let network = self.network;
        let tcp = await_in_place!(network.connect(address), Step::Connect, limit)?
            .map_err(|error| Failure::Tcp(error.kind()))?;
        self.reporter.report::<TransportError<P>>(&Event::TcpOpen);

        let buffers = Buffers {
            read: &mut *self.read,
            write: &mut *self.write,
        };
        let tls = tls_config(config, &anchors, time);
        let tls = &tls;
        let proof_seed = SecretBytes::new(sha256_of_parts(&[&*seed, b"proof"]));
        let opened = await_in_place!(
            connect_in::<Aes128GcmSha256, _, _>(
                slot,
                tcp,
                tls,
                Generator::from_seed(*seed),
                buffers
            ),
            Step::Handshake,
            limit
        )?;
        let tls = opened.map_err(Failure::Tls)?;
        self.reporter.report::<TransportError<P>>(&Event::TlsOpen);
        let mut session = Session {
            tls,
            exchange: Exchange {
                config,
                keys: &mut self.keys,
                proof: &mut self.proof,
                rng: &mut self.rng,
                clock: &self.clock,
                reporter: &mut self.reporter,
                head: &mut *self.head,
                fields: &mut *self.fields,
                seed: proof_seed,
                is_read: true,
                is_last: false,
            },
        };
        let begun = &mut session;
        await_in_place!(begun.begin(), Step::Tpm, limit)??;
        Ok(session)
    }

    /// Gets the configured path for ever, with the configured interval; see [`Device::run_with`].
    pub async fn run(&mut self) -> Infallible {
        let interval = Duration::from_millis(u64::from(self.config.interval_ms));
        let mut poll = Poll::new(self.config.path, interval);
        self.run_with(&mut poll).await
    }

    /// Runs an application for ever. After a failure the device connects anew, and waits before: twice as long after each further
    /// failure, up to the configured limit.
    pub async fn run_with<A: Application>(&mut self, application: &mut A) -> Infallible {
        let config = self.config;
        let mut backoff = Backoff::new(config.first_retry_ms, config.longest_retry_ms);
        self.reporter.report::<TransportError<P>>(&Event::Started);
        loop {
            let (this, app, pauses) = (&mut *self, &mut *application, &mut backoff);
            let failure = await_in_place!(this.serve(app, pauses));
            application.failed();
            let pause = backoff.next(self.rng.next_u32());
            let this = &mut *self;
            await_in_place!(this.recover(failure));
            (self.reporter).report::<TransportError<P>>(&Event::Waiting { millis: pause });
            Timer::after(Duration::from_millis(u64::from(pause))).await;
        }
    }

    /// Reports a failure, and takes the measure that may bring back a TPM that has failed: its reset, or a self-test.
    /// [`Device::run_with`] does so; a loop of your own that connects calls this function before it waits and connects anew.
    pub async fn recover(&mut self, failure: Failure<TransportError<P>>) {
        if let Failure::Http(HttpError::Closed) = failure {
            self.reporter.report::<TransportError<P>>(&Event::Closed);
            return;
        }
        let cure = Cure::of(&failure);
        self.reporter.report(&Event::Failed(failure));
        cure.apply(self.keys.tpm_mut()).await;
    }

    /// Serves an application on one connection, until the gateway closes it or something fails.
    async fn serve<A: Application>(
        &mut self,
        application: &mut A,
        backoff: &mut Backoff,
    ) -> Failure<TransportError<P>> {
        let mut slot = None;
        let (this, place) = (&mut *self, &mut slot);
        let mut session = match await_in_place!(this.connect(place)) {
            Ok(session) => session,
            Err(failure) => return failure,
        };
        loop {
            let Outgoing { request, content } = application.next().await;
            let (this, request) = (&mut session, &request);
            let mut response = match await_in_place!(this.send(request, content)) {
                Ok(response) => response,
                Err(failure) => return failure,
            };
            let taken = match application.response(&mut response).await {
                Ok(()) => response.discard().await.map(|_| ()),
                Err(error) => Err(error),
            };
            if let Err(error) = taken {
                return error.into();
            }
            backoff.reset();
        }
    }

    /// Returns the seed of a handshake's random numbers: unpredictable if those of the board or those of the TPM are. The TPM is started, and
    /// its parent key verified.
    pub(crate) async fn seed(&mut self) -> Result<SecretBytes<32>, Failure<TransportError<P>>> {
        let (mut boards, mut tpms) = (SecretBytes::<32>::default(), SecretBytes::<32>::default());
        self.rng.fill_bytes(&mut *boards);
        (self.keys.random(&mut *tpms).await).map_err(Failure::Tpm)?;
        Ok(SecretBytes::new(sha256_of_parts(&[&*boards, &*tpms])))
    }

    pub(crate) async fn resolve(&self) -> Result<SocketAddr, Failure<TransportError<P>>> {
        let (host, port) = (self.config.host, self.config.port);
        let address: IpAddr = match host.parse() {
            Ok(address) => address,
            Err(_) => {
                let (network, limit) = (self.network, step_timeout(self.config));
                await_in_place!(
                    network.get_host_by_name(host, AddrType::Either),
                    Step::Resolve,
                    limit
                )?
                .map_err(|_| Failure::Resolve)?
            }
        };
        Ok(SocketAddr::new(address, port))
    }
}

/// Returns the time by which certificates are verified.
pub(crate) fn time<E>(source: TimeSource, clock: &impl Clock) -> Result<Time, Failure<E>> {
    match source {
        TimeSource::Board => clock.now().map(Time::At).ok_or(Failure::NoTime),
        TimeSource::NotBefore(seconds) => Ok(Time::NotBefore(seconds)),
        TimeSource::DangerousUnknown => Ok(Time::dangerous_unknown()),
    }
}

fn tls_config<'a>(
    config: &'a Config<'_>,
    anchors: &'a Anchors<'_>,
    time: Time,
) -> chanbind_embedded_tls::Config<'a> {
    let tls = chanbind_embedded_tls::Config::with_authority(config.server_name, anchors, time);
    let tls = tls.with_p256(p256());
    if cfg!(feature = "small-records") {
        // Some servers obey; others have to be configured.
        tls.with_max_fragment_length(chanbind_embedded_tls::MaxFragmentLength::Bits11)
    } else {
        tls
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memory")
    }
}

impl<P: Platform> fmt::Debug for Device<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Device")
    }
}
