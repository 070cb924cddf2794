use crate::{
    failure::Failure,
    files::named,
    inspect::visible,
    principal_folder::{PrincipalFolder, read_blessings, replace},
};
use base64::{Engine, prelude::BASE64_URL_SAFE};
use chanbind::proof::blessing::ALGORITHMS;
use clap::{ArgGroup, Args};
use std::{path::PathBuf, process::ExitCode};

/// Recognize a root: let a public key give names that match a pattern.
#[derive(Args)]
#[command(
    group(ArgGroup::new("root").args(["blessings", "key"]).required(true)),
    after_help = "Examples:\n  chanbind principal recognize pump7 --blessings pump7.blessings\n  chanbind principal recognize pump7 --key MFkw... --pattern factory"
)]
pub(super) struct Arguments {
    /// The folder of the principal that recognizes.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,

    /// Blessings, whose roots are recognized for their own names; - for standard input.
    #[arg(long, value_name = "FILE")]
    blessings: Option<PathBuf>,

    /// A public key in base64url.
    #[arg(long, value_name = "KEY", requires = "pattern")]
    key: Option<String>,

    /// The pattern for the names that --key may give.
    #[arg(long, value_name = "PATTERN", requires = "key")]
    pattern: Option<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let folder = PrincipalFolder::new(&arguments.folder);
    let mut roots = folder.read_roots()?;
    if let Some(path) = &arguments.blessings {
        let blessings = read_blessings(path)?;
        roots
            .add_roots_of(&blessings, &ALGORITHMS)
            .map_err(|error| named(path, error))?;
    }
    if let (Some(key), Some(pattern)) = (&arguments.key, &arguments.pattern) {
        let key = BASE64_URL_SAFE
            .decode(key)
            .map_err(|_| "--key: the public key is not base64url with padding")?;
        roots.add(&key, pattern)?;
    }
    replace(&folder.roots(), &roots.to_string())?;
    for (key, pattern) in roots.iter() {
        let key = chanbind::proof::fingerprint(key);
        eprintln!("{}: {key}", visible(pattern));
    }
    Ok(ExitCode::SUCCESS)
}
