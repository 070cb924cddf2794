//! One connection, from the TPM to its end.

#[cfg(feature = "authenticator")]
use crate::certified::{self, Scratch};
use crate::{
    Backoff, ChipError, Clock, Observer,
    event::{Event, Failure, Reporter, Step},
    generator::Generator,
    http,
    in_place::await_in_place,
    time,
};
#[cfg(feature = "authenticator")]
use chanbind_core::authenticator::{AuthenticateError, Client, Endpoint};
use chanbind_core::{
    crypto::{SecretBytes, sha256_of_parts},
    kdf::DeriveError,
    otp::{OneTimeKey, Profile, Purpose, api_key},
    x509::{Anchors, Time},
};
use chanbind_device_config::Config;
use chanbind_embedded_tls::{Aes128GcmSha256, Buffers, connect_in};
#[cfg(feature = "authenticator")]
use chanbind_tpm_spi::key::SigningKey;
use chanbind_tpm_spi::{
    Chip,
    key::{HmacKey, TpmKeys},
};
use core::net::{IpAddr, SocketAddr};
use embassy_time::{Duration, Timer};
use embedded_io_async::Error as _;
use embedded_nal_async::{AddrType, Dns, TcpConnect};
use rand_core::{CryptoRng, RngCore};

pub(crate) struct Session<'a, N, C, R, K, O> {
    pub(crate) config: &'a Config<'a>,
    pub(crate) network: &'a N,
    pub(crate) keys: TpmKeys<'a, C, Generator>,
    pub(crate) key: Key<'a>,
    pub(crate) rng: R,
    pub(crate) clock: K,
    pub(crate) reporter: Reporter<O>,
    pub(crate) read: &'a mut [u8],
    pub(crate) write: &'a mut [u8],
    pub(crate) http: &'a mut [u8],
    #[cfg(feature = "authenticator")]
    pub(crate) scratch: &'a mut Scratch,
}

/// The key that proves who this is.
pub(crate) enum Key<'a> {
    Hmac(HmacKey<'a, 'a>),
    #[cfg(feature = "authenticator")]
    Signing(SigningKey<'a, 'a>),
}

impl<N, C, R, K, O> Session<'_, N, C, R, K, O>
where
    N: TcpConnect + Dns,
    C: Chip<Error: ChipError>,
    R: CryptoRng + RngCore,
    K: Clock,
    O: Observer,
{
    /// Connects, proves and asks, until the gateway closes the connection or something fails.
    pub(crate) async fn run(&mut self, backoff: &mut Backoff) -> Result<(), Failure<C::Error>> {
        let config = self.config;
        let step_timeout = step_timeout(config);
        let time = time(config.time, &self.clock)?;
        let anchors = Anchors::new(config.authorities()).map_err(Failure::Authority)?;
        let this = &mut *self;
        let seed = await_in_place!(this.seed(), Step::Tpm, step_timeout)??;
        self.reporter.report::<C::Error>(&Event::TpmReady);

        let address = self.resolve().await?;
        let network = self.network;
        let tcp = await_in_place!(network.connect(address), Step::Connect, step_timeout)?
            .map_err(|error| Failure::Tcp(error.kind()))?;
        self.reporter.report::<C::Error>(&Event::TcpOpen);

        let buffers = Buffers {
            read: &mut *self.read,
            write: &mut *self.write,
        };
        let (mut slot, tls) = (None, tls_config(config, &anchors, time));
        let (slot, tls) = (&mut slot, &tls);
        let opened = await_in_place!(
            connect_in::<Aes128GcmSha256, _, _>(
                slot,
                tcp,
                tls,
                Generator::from_seed(*seed),
                buffers
            ),
            Step::Handshake,
            step_timeout
        )?;
        let tls = opened.map_err(Failure::Tls)?;
        self.reporter.report::<C::Error>(&Event::TlsOpen);

        let mut password = http::Password::default();
        let password = match &mut self.key {
            Key::Hmac(key) => {
                let profile = Profile::default();
                let material = profile
                    .keying_material(&*tls, Purpose::ApiKey, config.client_id)
                    .map_err(|_| Failure::Config)?;
                let mut prf = self.keys.prf(key);
                let (profile, material, prf) = (&profile, &material, &mut prf);
                let derived = await_in_place!(
                    OneTimeKey::derive_async(profile, material, prf),
                    Step::Tpm,
                    step_timeout
                )?;
                let key = match derived {
                    Ok(key) => key,
                    Err(DeriveError::Prf(error)) => return Err(Failure::Tpm(error)),
                    Err(DeriveError::Kdf(_)) => return Err(Failure::Config),
                };
                self.reporter.report::<C::Error>(&Event::KeyDerived);
                Some(api_key::encode(&key, &mut password))
            }
            #[cfg(feature = "authenticator")]
            Key::Signing(_) => None,
        };
        #[cfg(feature = "authenticator")]
        let (mut endpoint, mut answered) = match &self.key {
            Key::Signing(_) => {
                let endpoint = Endpoint::<Client>::new(&*tls).map_err(Failure::Channel)?;
                (Some(endpoint), None)
            }
            Key::Hmac(_) => (None, None),
        };
        #[cfg(feature = "authenticator")]
        self.scratch.clear();
        loop {
            let mut headers = [("", ""); 2];
            let mut count = 0usize;
            if let Some(password) = password {
                headers = [
                    (http::CLIENT_HEADER, config.client_id.as_str()),
                    (http::KEY_HEADER, password),
                ];
                count = headers.len();
            }
            #[cfg(feature = "authenticator")]
            let (authorization, challenge) = self.scratch.outgoing();
            #[cfg(feature = "authenticator")]
            if let (Some(authorization), [first, ..]) = (authorization, &mut headers) {
                *first = ("authorization", authorization);
                count = 1;
            }
            #[cfg(not(feature = "authenticator"))]
            let challenge: &mut [u8] = &mut [];
            let headers = headers.get(..count).unwrap_or_default();
            let (tls, buffer) = (&mut *tls, &mut *self.http);
            let got = await_in_place!(
                http::get(tls, config, headers, buffer, challenge),
                Step::Request,
                step_timeout
            )?;
            let Some(answer) = got? else {
                return Ok(());
            };
            #[cfg(feature = "authenticator")]
            match (
                (&mut self.key, &mut endpoint),
                answer.status,
                answer.challenge_len,
                answered,
            ) {
                ((Key::Signing(key), Some(endpoint)), 401, len @ 1.., None) => {
                    let keys = &mut self.keys;
                    let scratch = &mut *self.scratch;
                    let made = await_in_place!(
                        certified::answer(config, endpoint, keys, key, scratch, len),
                        Step::Tpm,
                        step_timeout
                    )??;
                    answered = Some(made);
                    if made.is_none() {
                        self.reporter.report::<C::Error>(&Event::Signed);
                    }
                    continue;
                }
                (.., 200..300, _, _) => {
                    answered = None;
                    self.scratch.clear();
                }
                // It was declined, and nothing else could come of it.
                (.., Some(Some(why))) => {
                    return Err(Failure::Authenticate(AuthenticateError::Unsuitable(why)));
                }
                _ => {}
            }
            if !(200..300).contains(&answer.status) {
                return Err(Failure::Refused {
                    status: answer.status,
                });
            }
            backoff.reset();
            self.reporter.report::<C::Error>(&Event::Admitted {
                status: answer.status,
                len: answer.len,
            });
            // Whether the gateway closes the connection meanwhile shows with the next request.
            Timer::after(Duration::from_millis(u64::from(config.interval_ms))).await;
        }
    }

    /// The seed of a handshake's random numbers: of the board's and the TPM's, good if either is. The TPM starts, and shows its
    /// parent key.
    async fn seed(&mut self) -> Result<SecretBytes<32>, Failure<C::Error>> {
        let (mut boards, mut tpms) = (SecretBytes::<32>::default(), SecretBytes::<32>::default());
        self.rng.fill_bytes(&mut *boards);
        (self.keys.random(&mut *tpms).await).map_err(Failure::Tpm)?;
        Ok(SecretBytes::new(sha256_of_parts(&[&*boards, &*tpms])))
    }

    async fn resolve(&self) -> Result<SocketAddr, Failure<C::Error>> {
        let Config { host, port, .. } = *self.config;
        let address: IpAddr = match host.parse() {
            Ok(address) => address,
            Err(_) => {
                let (network, step_timeout) = (self.network, step_timeout(self.config));
                let resolve = AddrType::Either;
                await_in_place!(
                    network.get_host_by_name(host, resolve),
                    Step::Resolve,
                    step_timeout
                )?
                .map_err(|_| Failure::Resolve)?
            }
        };
        Ok(SocketAddr::new(address, port))
    }
}

fn tls_config<'a>(
    config: &'a Config<'_>,
    anchors: &'a Anchors<'_>,
    time: Time,
) -> chanbind_embedded_tls::Config<'a> {
    let tls = chanbind_embedded_tls::Config::with_authority(config.server_name, anchors, time);
    #[cfg(all(feature = "p256-cm4", target_arch = "arm"))]
    let tls = tls.with_p256(chanbind_core::crypto::ecdsa::CM4);
    if cfg!(feature = "small-records") {
        // Heeded by some servers, others are to be configured.
        tls.with_max_fragment_length(chanbind_embedded_tls::MaxFragmentLength::Bits11)
    } else {
        tls
    }
}

fn step_timeout(config: &Config<'_>) -> Duration {
    Duration::from_millis(u64::from(config.step_timeout_ms))
}
