use crate::{
    failure::Failure,
    files::{named, read_text},
    inspect::visible,
    principal_folder::{PrincipalFolder, read_blessings, replace},
};
use base64::{Engine, prelude::BASE64_URL_SAFE};
use chanbind::{
    proof::blessing::{ALGORITHMS, to_text},
    protocol::blessing::EncodedBlessings,
};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

/// Set the blessings that a principal shows to peers.
#[derive(Args)]
#[command(after_help = "Example:\n  chanbind principal set pump7 pump7.blessings")]
pub(super) struct Arguments {
    /// The folder of the principal.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,

    /// The blessings, as `chanbind principal bless` prints them; - for standard input.
    #[arg(value_name = "FILE")]
    blessings: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let folder = PrincipalFolder::new(&arguments.folder);
    let blessings = read_blessings(&arguments.blessings)?;
    let wrong = |error: &dyn std::fmt::Display| named(&arguments.blessings, error);
    let encoded = EncodedBlessings::parse(&blessings).map_err(|error| wrong(&error))?;
    let verified = encoded.blessings().verify(&ALGORITHMS);
    let verified = verified.map_err(|error| wrong(&error))?;
    let path = folder.public_key();
    let own = BASE64_URL_SAFE.decode(read_text(&path)?.trim());
    let own = own.map_err(|error| named(&path, error))?;
    if verified.public_key().as_der() != own {
        return Err(wrong(&"the blessings are for another principal"));
    }
    replace(&folder.blessings(), &format!("{}\n", to_text(&blessings)))?;
    let names = verified.claimed_names()?;
    let names: Vec<_> = names.iter().map(visible).collect();
    eprintln!("the principal shows these names now: {}", names.join(", "));
    Ok(ExitCode::SUCCESS)
}
