use super::Opened;
use crate::{
    failure::Failure,
    files::{named, read_text, say},
    principal_folder::PrincipalFolder,
    tpm::TpmArguments,
};
use base64::{Engine, prelude::BASE64_URL_SAFE};
use chanbind::{
    proof::blessing::to_text,
    protocol::blessing::{Caveats, Condition, Timestamp},
};
use clap::Args;
use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Bless another principal: print blessings that give it a name under this one's, under conditions.
///
/// The conditions are chosen here and cannot be removed. Without any, the name is good for ever and with every peer: give --valid-for.
#[derive(Args)]
#[command(
    after_help = "Example:\n  chanbind principal bless factory --for pump7 --extension line3:pump7 --valid-for 365d > pump7.blessings"
)]
pub(super) struct Arguments {
    /// The folder of the principal that blesses.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,

    /// The principal to bless: its folder, or its public key in base64url.
    #[arg(long = "for", value_name = "FOLDER|KEY")]
    blessed: String,

    /// The name under this principal's own, like line3:pump7.
    #[arg(long, value_name = "NAME")]
    extension: String,

    /// The time for which the blessing is valid, like 365d, 12h or 10m.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    valid_for: Option<Duration>,

    /// A method for which the blessing is valid; for a gateway the HTTP method. May be repeated.
    #[arg(long, value_name = "NAME")]
    method: Vec<String>,

    /// A pattern for names of peers with which the blessing is valid. May be repeated.
    #[arg(long, value_name = "PATTERN")]
    peer: Vec<String>,

    /// A third party without whose discharge the blessing is not valid: its public key in base64url, `@`, and the place where it gives discharges.
    #[arg(long, value_name = "KEY@PLACE", value_parser = third_party)]
    third_party: Vec<(Vec<u8>, String)>,

    #[command(flatten)]
    tpm: TpmArguments,
}

/// Returns the condition that the time is not later than after this duration.
pub(super) fn expiry_in(time: Duration) -> Result<Condition<'static>, Failure> {
    let until = SystemTime::now() + time;
    let until = until.duration_since(UNIX_EPOCH)?;
    Ok(Condition::Expiry(Timestamp {
        seconds: i64::try_from(until.as_secs())?,
        nanoseconds: until.subsec_nanos(),
    }))
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "write a number and a unit, like 365d, 12h or 10m".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let number = text.strip_suffix(unit).unwrap_or_default();
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        'd' => 86_400,
        'h' => 3_600,
        'm' => 60,
        's' => 1,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(seconds)
        .filter(|seconds| *seconds < u64::from(u32::MAX))
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

fn third_party(text: &str) -> Result<(Vec<u8>, String), String> {
    let (key, place) = text
        .split_once('@')
        .ok_or("write a public key, @, and a place")?;
    let key = BASE64_URL_SAFE
        .decode(key)
        .map_err(|_| "the public key is not base64url with padding")?;
    Ok((key, place.to_owned()))
}

impl Arguments {
    fn public_key(&self) -> Result<Vec<u8>, Failure> {
        let folder = PrincipalFolder::new(&self.blessed);
        let path = folder.public_key();
        let text = if path.exists() {
            read_text(&path)?.trim().to_owned()
        } else {
            self.blessed.clone()
        };
        BASE64_URL_SAFE.decode(&text).map_err(|_| {
            format!("{text}: write the folder of a principal, or a public key in base64url").into()
        })
    }
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let public_key = arguments.public_key()?;
    let mut conditions = Vec::new();
    if let Some(time) = arguments.valid_for {
        conditions.push(expiry_in(time)?);
    }
    let methods: Vec<&str> = arguments.method.iter().map(String::as_str).collect();
    if !methods.is_empty() {
        conditions.push(Condition::Methods(&methods));
    }
    let peers: Vec<&str> = arguments.peer.iter().map(String::as_str).collect();
    if !peers.is_empty() {
        conditions.push(Condition::Peers(&peers));
    }
    let mut nonces = vec![[0; 16]; arguments.third_party.len()];
    for nonce in &mut nonces {
        getrandom::fill(nonce)
            .map_err(|error| format!("the system gives no random numbers: {error}"))?;
    }
    for ((public_key, location), nonce) in arguments.third_party.iter().zip(&nonces) {
        conditions.push(Condition::ThirdParty {
            nonce,
            caveats: Caveats::NONE,
            public_key,
            location,
        });
    }
    if conditions.is_empty() {
        eprintln!("warning: the blessing is valid for ever, for every method and with every peer");
    }
    let folder = PrincipalFolder::new(&arguments.folder);
    let opened = Opened::open(&folder, &arguments.tpm).await?;
    let blessed = opened
        .principal
        .bless(&public_key, &arguments.extension, &conditions)
        .await;
    opened.close().await;
    let blessed = blessed.map_err(|error| named(&arguments.folder, error))?;
    say(&format!("{}\n", to_text(&blessed)))?;
    Ok(ExitCode::SUCCESS)
}
