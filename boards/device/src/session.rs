//! One connection, from the TPM to its end.

use crate::{
    Backoff, ChipError, Clock, Observer,
    event::{Event, Failure, Step, Teller},
    http, time,
};
use chanbind_core::{
    crypto::{Wiped, sha256_of_parts},
    token::{OneTimeKey, Profile, Purpose, api_key},
    x509::{Anchors, Time},
};
use chanbind_device_config::Config;
use chanbind_embedded_tls::{Aes128GcmSha256, Buffers, Connection, connect};
use chanbind_tpm_spi::{
    Chip,
    key::{HmacKey, Keys},
};
use core::net::{IpAddr, SocketAddr};
use embassy_time::{Duration, Timer, with_timeout};
use embedded_io_async::{Error as _, Read, Write};
use embedded_nal_async::{AddrType, Dns, TcpConnect};
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, RngCore, SeedableRng};

pub(crate) struct Session<'a, 'm, N, C, R, K> {
    pub(crate) config: &'a Config<'a>,
    pub(crate) network: &'a N,
    pub(crate) keys: Keys<'m, C, ChaCha20Rng>,
    pub(crate) key: HmacKey<'a, 'm>,
    pub(crate) rng: R,
    pub(crate) clock: K,
    pub(crate) read: &'a mut [u8],
    pub(crate) write: &'a mut [u8],
    pub(crate) http: &'a mut [u8],
}

impl<'m, N, C, R, K> Session<'_, 'm, N, C, R, K>
where
    N: TcpConnect + Dns,
    C: Chip<Error: ChipError>,
    R: CryptoRng + RngCore,
    K: Clock,
{
    /// Connects, proves and asks, until the gateway closes the connection or something fails.
    pub(crate) async fn run(
        &mut self,
        teller: &mut Teller<impl Observer>,
        backoff: &mut Backoff,
    ) -> Result<(), Failure<C::Error>> {
        let config = self.config;
        let patience = patience(config);
        let time = time(config.time, &self.clock)?;
        let anchors = Anchors::new(config.authorities()).map_err(Failure::Authority)?;
        let rng = in_time(Step::Tpm, patience, self.random()).await??;
        teller.tell::<C::Error>(&Event::TpmReady);

        let address = self.resolve().await?;
        let tcp = in_time(Step::Connect, patience, self.network.connect(address))
            .await?
            .map_err(|error| Failure::Tcp(error.kind()))?;
        teller.tell::<C::Error>(&Event::TcpOpen);

        let mut tls = open(tcp, config, &anchors, time, rng, self.read, self.write).await?;
        teller.tell::<C::Error>(&Event::TlsOpen);

        let profile = Profile::default();
        let material = profile
            .keying_material(&tls, Purpose::ApiKey, config.client_id)
            .map_err(|_| Failure::Config)?;
        let mut prf = self.keys.prf(&mut self.key);
        let derive = OneTimeKey::derive_async(&profile, &material, &mut prf);
        let key = match in_time(Step::Tpm, patience, derive).await? {
            Ok(key) => key,
            Err(chanbind_core::kdf::DeriveError::Prf(error)) => return Err(Failure::Tpm(error)),
            Err(chanbind_core::kdf::DeriveError::Kdf(_)) => return Err(Failure::Config),
        };
        drop(material);
        teller.tell::<C::Error>(&Event::KeyDerived);

        let mut password = http::Password::default();
        let password = api_key::encode(&key, &mut password);
        loop {
            let get = http::get(&mut tls, config, password, self.http);
            let Some(answer) = in_time(Step::Request, patience, get).await?? else {
                return Ok(());
            };
            if !(200..300).contains(&answer.status) {
                return Err(Failure::Refused {
                    status: answer.status,
                });
            }
            backoff.reset();
            teller.tell::<C::Error>(&Event::Admitted {
                status: answer.status,
                len: answer.len,
            });
            // Whether the gateway closes the connection meanwhile shows with the next request.
            Timer::after(Duration::from_millis(u64::from(config.interval_ms))).await;
        }
    }

    /// Random numbers for a handshake: the board's and the TPM's, good if either is. The TPM starts, and shows its parent key.
    async fn random(&mut self) -> Result<ChaCha20Rng, Failure<C::Error>> {
        let (mut boards, mut tpms) = (Wiped::<32>::default(), Wiped::<32>::default());
        self.rng.fill_bytes(&mut *boards);
        (self.keys.random(&mut *tpms).await).map_err(Failure::Tpm)?;
        let seed = Wiped::new(sha256_of_parts(&[&*boards, &*tpms]));
        Ok(ChaCha20Rng::from_seed(*seed))
    }

    async fn resolve(&self) -> Result<SocketAddr, Failure<C::Error>> {
        let Config { host, port, .. } = *self.config;
        let address: IpAddr = match host.parse() {
            Ok(address) => address,
            Err(_) => {
                let answer = self.network.get_host_by_name(host, AddrType::Either);
                in_time(Step::Resolve, patience(self.config), answer)
                    .await?
                    .map_err(|_| Failure::Resolve)?
            }
        };
        Ok(SocketAddr::new(address, port))
    }
}

type Tls<'b, T> = Connection<'b, Aes128GcmSha256, T>;

async fn open<'b, T: Read + Write + 'b, E>(
    tcp: T,
    config: &Config<'_>,
    anchors: &Anchors<'_>,
    time: Time,
    rng: ChaCha20Rng,
    read: &'b mut [u8],
    write: &'b mut [u8],
) -> Result<Tls<'b, T>, Failure<E>> {
    let mut tls = chanbind_embedded_tls::Config::with_authority(config.server_name, anchors, time);
    if cfg!(feature = "small-records") {
        // Heeded by some servers, others are to be configured.
        tls = tls.with_max_fragment_length(chanbind_embedded_tls::MaxFragmentLength::Bits11);
    }
    let buffers = Buffers { read, write };
    let handshake = connect::<Aes128GcmSha256, _, _>(tcp, &tls, rng, buffers);
    in_time(Step::Handshake, patience(config), handshake)
        .await?
        .map_err(Failure::Tls)
}

fn patience(config: &Config<'_>) -> Duration {
    Duration::from_millis(u64::from(config.patience_ms))
}

async fn in_time<T, E>(
    step: Step,
    limit: Duration,
    future: impl Future<Output = T>,
) -> Result<T, Failure<E>> {
    with_timeout(limit, future)
        .await
        .map_err(|_| Failure::TimedOut(step))
}
