//! The cost of HTTP Mutual authentication at a gateway: full exchanges relative to their bare scalar multiplications, and unknown users relative to
//! known ones.

use crate::{Figure, Outcome};
use axum::{
    body::Body,
    http::{Request, Response, StatusCode, header},
};
use chanbind::{
    gateway::{Channel, Policy, ProofLayer},
    proof::mutual::{MutualVerifier, RealmSettings, UserTable},
    protocol::{
        exporter::ExporterSecret,
        mutual::{
            Algorithm, ClientExchange, HostValidation, MAX_MESSAGE_LEN, Number, Origin, Realm,
            SecretNumber, SessionId, SessionLimits, StoredCredential,
        },
    },
};
use p256::{ProjectivePoint, Scalar, U256, elliptic_curve::ops::Reduce};
use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest, Sha512};
use std::{convert::Infallible, hint::black_box, time::Duration};
use tower::{Layer, Service, ServiceExt, service_fn};

/// The exchanges of each sort.
const EXCHANGES: usize = 400;

const USER: &str = "john";

/// A sort of client, and the status of the answer to its proof.
#[derive(Clone, Copy)]
enum Sort {
    Right,
    WrongPassword,
    UnknownUser,
}

pub(crate) async fn figures() -> Outcome<Vec<Figure>> {
    let realm = Realm::new(Algorithm::P256_SHA256, "gateway.example", "technicians")?;
    let users = UserTable::new([(
        USER.to_owned(),
        StoredCredential::register(&realm, USER, "correct horse")?,
    )])?;
    let settings = RealmSettings::new(realm.clone(), Origin::parse("https://gateway.example")?);
    let verifier = MutualVerifier::new(settings, users)?;
    let layer = ProofLayer::new(Policy::new().require("/", verifier));
    let gateway = layer.layer(service_fn(|_: Request<Body>| async {
        Ok::<_, Infallible>(Response::new(Body::empty()))
    }));
    let right = realm.credential(USER, "correct horse")?;
    let wrong = realm.credential(USER, "wrong")?;
    let mut times: [Vec<Duration>; 4] = Default::default();
    for number in 0..EXCHANGES {
        // In alternation, so that a busy machine slows all alike.
        let sorts = [Sort::Right, Sort::WrongPassword, Sort::UnknownUser];
        let [bare, others @ ..] = &mut times;
        bare.push(multiplications(number));
        for (sort, times) in sorts.into_iter().zip(others) {
            let pi = if matches!(sort, Sort::Right) {
                &right
            } else {
                &wrong
            };
            times.push(exchange(gateway.clone(), &realm, sort, pi, &random(number)).await?);
        }
    }
    for times in &mut times {
        times.sort();
    }
    let at = |which: usize, percent: usize| {
        let place = times
            .get(which)
            .and_then(|times| times.get(EXCHANGES * percent / 100));
        place.map_or(f64::NAN, Duration::as_secs_f64)
    };
    let mut figures = vec![(
        "gateway: full exchanges of RFC 8120 per second / its bare scalar multiplications"
            .to_owned(),
        at(0, 10) / at(1, 10),
        "ratio",
    )];
    for percent in [10, 25, 50, 75, 90] {
        figures.push((
            format!(
                "gateway: time for an unknown user / for a wrong password, percentile {percent}"
            ),
            at(3, percent) / at(2, percent),
            "ratio",
        ));
    }
    Ok(figures)
}

/// Measures the four scalar multiplications of an exchange at the server, with their two affine results.
fn multiplications(number: usize) -> Duration {
    let scalars = [1, 2, 3, 4].map(|nth| {
        let [hash, _] = halves(&random(EXCHANGES * nth + number));
        <Scalar as Reduce<U256>>::reduce_bytes(&hash.into())
    });
    let start = processor_time();
    let [t_1, secret, t_2, again] = black_box(scalars);
    let value = (ProjectivePoint::GENERATOR * t_1) * secret;
    let z = (ProjectivePoint::GENERATOR * t_2) * again;
    black_box([value.to_affine(), z.to_affine()]);
    processor_time().saturating_sub(start)
}

/// Carries out a key exchange and a verification. Returns the time that the gateway takes for its two answers.
async fn exchange<S>(
    mut gateway: S,
    realm: &Realm,
    sort: Sort,
    pi: &SecretNumber,
    random: &[u8; 64],
) -> Outcome<Duration>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let [ekm, _] = halves(random);
    let channel = Channel::new(ExporterSecret::sha256(&ekm));
    let connection = HostValidation::tls_exporter(&channel.exporter())?;
    let user = if matches!(sort, Sort::UnknownUser) {
        "jane"
    } else {
        USER
    };
    let begun = ClientExchange::begin(realm.clone(), pi.clone(), random)?;
    let mut out = [0; MAX_MESSAGE_LEN];
    let message = begun.write(connection.method(), user, &mut out)?;
    let (first, response) = ask(&mut gateway, &channel, message).await?;
    let challenge = response.headers().get(header::WWW_AUTHENTICATE);
    let challenge = challenge.ok_or("no challenge")?.to_str()?;
    let octets = |name: &str| -> Outcome<Vec<u8>> {
        let (_, rest) = challenge
            .split_once(&format!(" {name}="))
            .ok_or("no parameter")?;
        Ok(hex::decode(rest.split(',').next().unwrap_or_default())?)
    };
    let sid = SessionId::from_slice(&octets("sid")?).map_err(|_| "the sid is too long")?;
    let value = Number::new(&octets("ks1")?).ok_or("the value is too long")?;
    let limits = SessionLimits {
        nc_max: 9,
        nc_window: 128,
        time: 60,
    };
    let mut session = begun.finish(sid, value, limits)?;
    let mut out = [0; MAX_MESSAGE_LEN];
    let (message, _) = session.write(&connection, &mut out)?;
    let (second, response) = ask(&mut gateway, &channel, message).await?;
    let expected = match sort {
        Sort::Right => StatusCode::OK,
        Sort::WrongPassword | Sort::UnknownUser => StatusCode::UNAUTHORIZED,
    };
    if response.status() != expected {
        return Err(format!("the gateway answered {}", response.status()).into());
    }
    Ok(first + second)
}

async fn ask<S>(
    gateway: &mut S,
    channel: &Channel,
    message: &str,
) -> Outcome<(Duration, Response<Body>)>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let request = Request::get("/").header(header::AUTHORIZATION, message);
    let request = request.extension(channel.clone()).body(Body::empty())?;
    let start = processor_time();
    let ready = gateway.ready().await?;
    let response = ready.call(request).await?;
    Ok((processor_time().saturating_sub(start), response))
}

fn random(number: usize) -> [u8; 64] {
    Sha512::digest(number.to_be_bytes()).into()
}

fn halves(bytes: &[u8; 64]) -> [[u8; 32]; 2] {
    let mut halves = [[0; 32]; 2];
    halves.as_flattened_mut().copy_from_slice(bytes);
    halves
}

/// Returns the time that this program has computed for, on all of its threads: what one core can do, without what it waits for.
fn processor_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime)
        .try_into()
        .unwrap_or_default()
}
