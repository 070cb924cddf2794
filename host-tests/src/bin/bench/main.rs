//! The benchmarks: ratios and exact counts.
//!
//! Both sides of a ratio are measured in the same run, in alternation, so that a busy machine slows down both alike. The program prints
//! one JSON array of `{name, value, unit}`; `cargo x bench` compares the values with the goals.
#![allow(
    clippy::print_stdout,
    reason = "the output is the result of the program"
)]
#![allow(
    clippy::arithmetic_side_effects,
    reason = "a panic of this program harms no user"
)]

mod agreement;
mod authenticator;
mod blessing;
mod exchanges;
mod firmware;
mod instructions;
mod logins;
mod spi;
mod technician;

use axum::{Router, http::Request, routing::get};
use chanbind::{
    client::{Connection, RequestBody},
    gateway::{ClientKey, ClientTable, MemoryRegistry, Policy, ProofLayer},
    proof::otp::{Form, OtpVerifier, Settings, derive},
    protocol::{
        exporter::ExporterSecret,
        kdf::HmacSha256,
        otp::{ClientId, KeyDerivation, OneTimeKey, Profile, Purpose, api_key},
    },
    tpm::{KeyFile, KeyOptions, OpenOptions, Tpm},
};
use chanbind_host_tests::{
    client::{TestClient, copy, one_time_password},
    figures::{Figure, json},
    gateway::TestGateway,
    swtpm::Swtpm,
};
use std::{
    error::Error,
    hint::black_box,
    str::FromStr,
    time::{Duration, Instant},
};
use tower::Layer;
use tss_esapi::{
    Context, TctiNameConf,
    attributes::SessionAttributesBuilder,
    constants::SessionType,
    interface_types::{
        algorithm::HashingAlgorithm, resource_handles::Hierarchy, session_handles::AuthSession,
    },
    structures::{MaxBuffer, Private, Public, PublicBuffer, SymmetricDefinition},
    traits::UnMarshall,
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const SECRET: &[u8] = b"my_api_key";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    // Counts are the same in every run; ratios depend on the machine's load and take a minute.
    let figures = match std::env::args().nth(1).as_deref() {
        Some("--authenticator") => authenticator::figures()?,
        Some("--token") => instructions::token()?,
        Some("--agreement") => agreement::figures()?,
        Some("--blessing") => blessing::figures().await?,
        Some("--technician") => technician::figures().await?,
        Some("--logins") => logins::figures().await?,
        Some("--exchanges") => exchanges::figures().await?,
        Some("--counts") => {
            let counts = [
                spi::figures().await?,
                firmware::figures().await?,
                instructions::token()?,
                authenticator::figures()?,
                instructions::handshake().await?,
                exchanges::figures().await?,
                agreement::figures()?,
                blessing::figures().await?,
                technician::figures().await?,
            ];
            counts.concat()
        }
        _ => [ratios().await?, logins::figures().await?].concat(),
    };
    println!("{}", json(&figures));
    Ok(())
}

async fn ratios() -> Outcome<Vec<Figure>> {
    let (derive, compressions) = derive_and_verify()?;
    Ok(vec![
        (
            "API key: derive and verify / bare SHA-256 compressions".to_owned(),
            derive,
            "ratio",
        ),
        (
            "API key: SHA-256 compressions to derive and verify".to_owned(),
            compressions,
            "count",
        ),
        (
            "gateway: requests per second with the layer / without".to_owned(),
            requests().await?,
            "ratio",
        ),
        (
            "gateway: new connections per second with the layer / without".to_owned(),
            connections().await?,
            "ratio",
        ),
        (
            "TPM: derivation of a one-time key / bare TPM2_HMAC".to_owned(),
            tpm().await?,
            "ratio",
        ),
    ])
}

/// Measures the derivation and verification of an API key, from the HMAC key and the exporter secret of a connection and without
/// prepared values, relative to the SHA-256 compressions that the formulas require. Returns the ratio and the number of compressions.
fn derive_and_verify() -> Outcome<(f64, f64)> {
    let profile = Profile::default();
    let client = ClientId::new("client1")?;
    let channel = ExporterSecret::sha256(&[7; 32]);
    let mut key = HmacSha256::new(SECRET);
    let mut presented = [0; api_key::ENCODED_LEN];
    let derived = OneTimeKey::derive(&profile, Purpose::ApiKey, client, &channel, &mut key)?;
    let presented = api_key::encode(&derived, &mut presented);

    // SHA-256 pads with at least nine bytes to blocks of 64. HMAC hashes one block of the key in the inner and one in the outer hash.
    let blocks = |len: usize| (len + 9).div_ceil(64);
    let hmac = |len: usize| blocks(64 + len) + blocks(64 + 32);
    let expand_label = |label: usize| hmac(2 + 1 + 6 + label + 1 + 32 + 1);
    let context = "api-key".len() + 1 + "client1".len();
    let kdf_input = 4 + "chanbind one-time key".len() + 1 + 32 + 4;
    let compressions = expand_label(profile.exporter_label.len())
        + blocks(context)
        + expand_label(8)
        + hmac(kdf_input);

    let (mut state, block) = (
        [0u32; 8],
        [sha2::digest::generic_array::GenericArray::default()],
    );
    let ratio = interleaved(
        30_000,
        || {
            for _ in 0..10 {
                let expected = OneTimeKey::derive(
                    &profile,
                    Purpose::ApiKey,
                    client,
                    black_box(&channel),
                    &mut HmacSha256::new(black_box(SECRET)),
                );
                let verified =
                    expected.map(|expected| api_key::verify(&expected, black_box(presented)));
                assert!(matches!(verified, Ok(Ok(()))));
            }
        },
        || {
            for _ in 0..10 * compressions {
                sha2::compress256(black_box(&mut state), black_box(&block));
            }
        },
    );
    Ok((ratio, f64::from(u32::try_from(compressions)?)))
}

/// Alternates two short pieces of work on one core and returns the ratio of their shortest times: other load on the machine can only
/// increase a time.
fn interleaved(rounds: usize, mut one: impl FnMut(), mut other: impl FnMut()) -> f64 {
    let (mut ones, mut others) = (Vec::with_capacity(rounds), Vec::with_capacity(rounds));
    for _ in 0..rounds {
        let start = Instant::now();
        one();
        let middle = Instant::now();
        other();
        ones.push(middle - start);
        others.push(middle.elapsed());
    }
    shortest(&ones) / shortest(&others)
}

fn shortest(times: &[Duration]) -> f64 {
    times.iter().min().map_or(0.0, Duration::as_secs_f64)
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times
        .get(times.len() / 2)
        .map_or(0.0, Duration::as_secs_f64)
}

/// The same application with and without the layer that verifies proofs.
struct Gateways {
    with_layer: TestGateway,
    without_layer: TestGateway,
}

impl Gateways {
    async fn start() -> Outcome<Self> {
        let app = || Router::new().route("/get", get(|| async { "ok" }));
        let clients = [("client1".to_owned(), ClientKey::secret(SECRET))];
        let registry = MemoryRegistry::new(ClientTable::new(clients)?);
        let verifier = OtpVerifier::new(registry, Settings::default());
        Ok(Self {
            with_layer: TestGateway::serve(
                ProofLayer::new(Policy::new().require("/", verifier)).layer(app()),
            )
            .await?,
            without_layer: TestGateway::serve(app()).await?,
        })
    }
}

/// Opens a connection and returns it with a request that carries a proof for it.
async fn open(gateway: &TestGateway) -> Outcome<(TestClient, Request<RequestBody>)> {
    let connection = gateway.connect().await?;
    let mut request = Connection::get(&gateway.uri("/get").parse()?)?;
    let (settings, key) = (Settings::default(), HmacSha256::new(SECRET));
    let form = Form::ApiKey;
    one_time_password(&settings, "client1", form, &connection, &key, &mut request).await?;
    Ok((connection, request))
}

/// Sends a copy of `request` and returns the time until the response.
async fn send(connection: &mut TestClient, request: &Request<RequestBody>) -> Outcome<Duration> {
    let copy = copy(request);
    let start = Instant::now();
    let response = connection.send(copy).await?;
    let elapsed = start.elapsed();
    if response.status() != 200 {
        return Err(format!(
            "the gateway's response is {} instead of 200 OK",
            response.status()
        )
        .into());
    }
    Ok(elapsed)
}

/// Measures requests per second on a persistent connection. Returns the ratio of the rates with and without the layer.
async fn requests() -> Outcome<f64> {
    let gateways = Gateways::start().await?;
    let (mut with, with_request) = open(&gateways.with_layer).await?;
    let (mut without, without_request) = open(&gateways.without_layer).await?;
    let (mut times_with, mut times_without) = (Vec::new(), Vec::new());
    for round in 0..20_000 {
        // The first request of a round finds colder caches, so the order alternates.
        if round % 2 == 0 {
            times_with.push(send(&mut with, &with_request).await?);
            times_without.push(send(&mut without, &without_request).await?);
        } else {
            times_without.push(send(&mut without, &without_request).await?);
            times_with.push(send(&mut with, &with_request).await?);
        }
    }
    Ok(median(times_without) / median(times_with))
}

/// Measures new connections per second, each with one request. Returns the ratio of the rates with and without the layer.
async fn connections() -> Outcome<f64> {
    let gateways = Gateways::start().await?;
    let (mut times_with, mut times_without) = (Vec::new(), Vec::new());
    for round in 0..1_000 {
        let order = if round % 2 == 0 {
            [true, false]
        } else {
            [false, true]
        };
        for with in order {
            let gateway = if with {
                &gateways.with_layer
            } else {
                &gateways.without_layer
            };
            let start = Instant::now();
            let (mut connection, request) = open(gateway).await?;
            send(&mut connection, &request).await?;
            let elapsed = start.elapsed();
            if with {
                times_with.push(elapsed)
            } else {
                times_without.push(elapsed)
            }
        }
    }
    Ok(median(times_without) / median(times_with))
}

/// Measures the derivation of a one-time key by the crate `chanbind`, relative to TPM2_HMAC by tss-esapi in an open session that is
/// salted and encrypts parameters as well. Returns the ratio of the times.
async fn tpm() -> Outcome<f64> {
    let swtpm = Swtpm::start()?;
    let tpm = Tpm::open(&swtpm.tcti(), OpenOptions::default()).await?;
    let file = tpm.import_hmac_key(SECRET, KeyOptions::default()).await?;
    let key = tpm.load(file.clone(), None).await?;
    let profile = Profile::default();
    let (client, channel) = (ClientId::new("client1")?, ExporterSecret::sha256(&[7; 32]));

    let other = Swtpm::start()?;
    let mut bare = BareTpm::open(&other).await?;
    let input = vec![0x5a; 62];
    let (mut derive_times, mut bare_times) = (Vec::new(), Vec::new());
    for _ in 0..1_500 {
        let start = Instant::now();
        let derivation = KeyDerivation::new(&profile, Purpose::ApiKey, client, &channel)?;
        black_box(derive(derivation, &key).await?);
        let middle = Instant::now();
        bare.hmac(&input)?;
        derive_times.push(middle - start);
        bare_times.push(middle.elapsed());
    }
    tpm.close().await;
    Ok(median(derive_times) / median(bare_times))
}

/// A loaded HMAC key and a salted session with encrypted parameters, used by tss-esapi without the crate `chanbind`.
struct BareTpm {
    context: Context,
    session: AuthSession,
    key: tss_esapi::handles::KeyHandle,
}

impl BareTpm {
    async fn open(swtpm: &Swtpm) -> Outcome<Self> {
        let tpm = Tpm::open(&swtpm.tcti(), OpenOptions::default()).await?;
        let file: KeyFile = tpm.import_hmac_key(SECRET, KeyOptions::default()).await?;
        tpm.close().await;
        let mut context = Context::new(TctiNameConf::from_str(&swtpm.tcti())?)?;
        // The template H-2, marshalled as in the TCG's specification.
        let template = [
            0x00, 0x1a, 0x00, 0x23, 0x00, 0x0b, 0x00, 0x03, 0x04, 0x72, 0x00, 0x00, 0x00, 0x06,
            0x00, 0x80, 0x00, 0x43, 0x00, 0x10, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x00, 0x00,
        ];
        let template = Public::try_from(PublicBuffer::unmarshall(&template)?)?;
        let parent = context
            .execute_with_nullauth_session(|context| {
                context.create_primary(Hierarchy::Owner, template, None, None, None, None)
            })?
            .key_handle;
        let public = Public::try_from(PublicBuffer::unmarshall(&file.public)?)?;
        let private = Private::try_from(file.private.get(2..).unwrap_or_default())?;
        let key = context
            .execute_with_nullauth_session(|context| context.load(parent, private, public))?;
        let session = context
            .start_auth_session(
                Some(parent),
                None,
                None,
                SessionType::Hmac,
                SymmetricDefinition::AES_128_CFB,
                HashingAlgorithm::Sha256,
            )?
            .ok_or("tss-esapi returned no session")?;
        let (attributes, mask) = SessionAttributesBuilder::new()
            .with_decrypt(true)
            .with_encrypt(true)
            .with_continue_session(true)
            .build();
        context.tr_sess_set_attributes(session, attributes, mask)?;
        Ok(Self {
            context,
            session,
            key,
        })
    }

    fn hmac(&mut self, input: &[u8]) -> Outcome<()> {
        let buffer = MaxBuffer::try_from(input.to_vec())?;
        let key = self.key.into();
        let digest = self
            .context
            .execute_with_session(Some(self.session), |context| {
                context.hmac(key, buffer, HashingAlgorithm::Sha256)
            })?;
        black_box(digest);
        Ok(())
    }
}
