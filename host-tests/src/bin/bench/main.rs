//! Ratios, each measured within one run and interleaved step by step, so that a noisy machine disturbs both sides alike.
//! Prints one JSON array of `{name, value, unit}`; `cargo x bench` holds them against the goals.
#![allow(clippy::print_stdout, reason = "its output is its result")]

mod authenticator;
mod firmware;
mod instructions;
mod spi;

use axum::{Router, http::Request, routing::get};
use chanbind::{
    client::{Connection, Prover},
    core::{
        exporter::ExporterSecret,
        kdf::HmacSha256,
        otp::{ClientId, KeyingMaterial, OneTimeKey, Profile, Purpose, api_key},
    },
    gateway::{ClientKey, ProofLayer, Registry},
    proof::{Form, Settings},
    tpm::{KeyFile, KeyOptions, OpenOptions, Tpm},
};
use chanbind_host_tests::{gateway::TestGateway, swtpm::Swtpm};
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

/// Name, value, unit.
type Figure = (String, f64, &'static str);
type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const SECRET: &[u8] = b"my_api_key";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    // Counts are the same on every machine and at every time; ratios take a minute.
    let figures = match std::env::args().nth(1).as_deref() {
        Some("--authenticator") => authenticator::figures()?,
        Some("--token") => instructions::token()?,
        Some("--counts") => {
            let counts = [
                spi::figures().await?,
                firmware::figures().await?,
                instructions::token()?,
                authenticator::figures()?,
                instructions::handshake().await?,
            ];
            counts.concat()
        }
        _ => ratios().await?,
    };
    let rows: Vec<_> = figures
        .iter()
        .map(|(name, value, unit)| {
            format!("{{\"name\":\"{name}\",\"value\":{value:.4},\"unit\":\"{unit}\"}}")
        })
        .collect();
    println!("[{}]", rows.join(","));
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
            "API key: SHA-256 compressions in it".to_owned(),
            compressions,
            "count",
        ),
        (
            "gateway: requests with the layer / without".to_owned(),
            requests().await?,
            "ratio",
        ),
        (
            "gateway: new connections with the layer / without".to_owned(),
            connections().await?,
            "ratio",
        ),
        (
            "TPM: derivation / bare TPM2_HMAC".to_owned(),
            tpm().await?,
            "ratio",
        ),
    ])
}

/// From the HMAC key and the exporter secret of a connection to a verified API key, nothing prepared, against the compressions
/// that the formulas ask for.
fn derive_and_verify() -> Outcome<(f64, f64)> {
    let profile = Profile::default();
    let client = ClientId::new("client1")?;
    let channel = ExporterSecret::sha256(&[7; 32]);
    let mut key = HmacSha256::new(SECRET);
    let mut presented = [0; api_key::ENCODED_LEN];
    let derived = OneTimeKey::derive(&profile, Purpose::ApiKey, client, &channel, &mut key)?;
    let presented = api_key::encode(&derived, &mut presented);

    // SHA-256 pads with at least nine bytes to blocks of 64; the key of an HMAC takes a block inside and one outside.
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

/// Alternates two short pieces of work on one core and gives the ratio of their least times: whatever else the machine does
/// only adds to a time.
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
    least(&ones) / least(&others)
}

fn least(times: &[Duration]) -> f64 {
    times.iter().min().map_or(0.0, Duration::as_secs_f64)
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times
        .get(times.len() / 2)
        .map_or(0.0, Duration::as_secs_f64)
}

struct Gateways {
    with: TestGateway,
    without: TestGateway,
}

impl Gateways {
    async fn start() -> Outcome<Self> {
        let app = || Router::new().route("/get", get(|| async { "ok" }));
        let registry = Registry::new([("client1".to_owned(), ClientKey::secret(SECRET))])?;
        Ok(Self {
            with: TestGateway::serve(ProofLayer::new(registry, Settings::default()).layer(app()))
                .await?,
            without: TestGateway::serve(app()).await?,
        })
    }
}

async fn open(gateway: &TestGateway) -> Outcome<(Connection, Request<()>)> {
    let connection = gateway.connect().await?;
    let mut request = Connection::get(&gateway.uri("/get").parse()?)?;
    let prover = Prover::new(Settings::default(), ClientId::new("client1")?);
    prover
        .prove(
            Form::ApiKey,
            connection.channel(),
            &mut &HmacSha256::new(SECRET),
            &mut request,
        )
        .await?;
    Ok((connection, request))
}

async fn send(connection: &mut Connection, request: &Request<()>) -> Outcome<Duration> {
    let mut copy = Request::get(request.uri().clone()).body(())?;
    *copy.headers_mut() = request.headers().clone();
    let start = Instant::now();
    let response = connection.send(copy).await?;
    let took = start.elapsed();
    if response.status() != 200 {
        return Err(response.status().to_string().into());
    }
    Ok(took)
}

/// Requests a second on a kept-alive connection, with the layer over without.
async fn requests() -> Outcome<f64> {
    let gateways = Gateways::start().await?;
    let (mut with, with_request) = open(&gateways.with).await?;
    let (mut without, without_request) = open(&gateways.without).await?;
    let (mut withs, mut withouts) = (Vec::new(), Vec::new());
    for round in 0..20_000 {
        // Whoever comes first finds colder caches: they take turns.
        if round % 2 == 0 {
            withs.push(send(&mut with, &with_request).await?);
            withouts.push(send(&mut without, &without_request).await?);
        } else {
            withouts.push(send(&mut without, &without_request).await?);
            withs.push(send(&mut with, &with_request).await?);
        }
    }
    Ok(median(withouts) / median(withs))
}

/// New connections a second, each with one request, with the layer over without.
async fn connections() -> Outcome<f64> {
    let gateways = Gateways::start().await?;
    let (mut withs, mut withouts) = (Vec::new(), Vec::new());
    for round in 0..1_000 {
        let order = if round % 2 == 0 {
            [true, false]
        } else {
            [false, true]
        };
        for with in order {
            let gateway = if with {
                &gateways.with
            } else {
                &gateways.without
            };
            let start = Instant::now();
            let (mut connection, request) = open(gateway).await?;
            send(&mut connection, &request).await?;
            let took = start.elapsed();
            if with {
                withs.push(took)
            } else {
                withouts.push(took)
            }
        }
    }
    Ok(median(withouts) / median(withs))
}

/// A derivation by the adapter, over TPM2_HMAC by tss-esapi with an open session that is salted and encrypts alike.
async fn tpm() -> Outcome<f64> {
    let swtpm = Swtpm::start()?;
    let tpm = Tpm::open(&swtpm.tcti(), OpenOptions::default()).await?;
    let file = tpm.import_hmac_key(SECRET, KeyOptions::default()).await?;
    let mut key = tpm.load(file.clone(), None).await?;
    let profile = Profile::default();
    let material: KeyingMaterial = profile.keying_material(
        &ExporterSecret::sha256(&[7; 32]),
        Purpose::ApiKey,
        ClientId::new("client1")?,
    )?;

    let other = Swtpm::start()?;
    let mut bare = Bare::open(&other).await?;
    let input = vec![0x5a; 62];
    let (mut ours, mut bares) = (Vec::new(), Vec::new());
    for _ in 0..1_500 {
        let start = Instant::now();
        black_box(OneTimeKey::derive_async(&profile, &material, &mut key).await?);
        let middle = Instant::now();
        bare.hmac(&input)?;
        ours.push(middle - start);
        bares.push(middle.elapsed());
    }
    tpm.close().await;
    Ok(median(ours) / median(bares))
}

/// tss-esapi and nothing else.
struct Bare {
    context: Context,
    session: AuthSession,
    key: tss_esapi::handles::KeyHandle,
}

impl Bare {
    async fn open(swtpm: &Swtpm) -> Outcome<Self> {
        let tpm = Tpm::open(&swtpm.tcti(), OpenOptions::default()).await?;
        let file: KeyFile = tpm.import_hmac_key(SECRET, KeyOptions::default()).await?;
        tpm.close().await;
        let mut context = Context::new(TctiNameConf::from_str(&swtpm.tcti())?)?;
        // The H2 template, as the specification marshals it.
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
            .ok_or("no session")?;
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
