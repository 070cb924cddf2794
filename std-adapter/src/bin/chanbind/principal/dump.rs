use crate::{
    failure::Failure,
    files::{read_text, say},
    principal_folder::PrincipalFolder,
};
use clap::{Args, ValueEnum};
use std::{path::PathBuf, process::ExitCode};

/// Print a part of a principal as other programs read it: base64url, on one line.
#[derive(Args)]
pub(super) struct Arguments {
    /// The folder of the principal.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,

    /// The part.
    #[arg(value_enum, default_value_t = Part::Blessings)]
    part: Part,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    /// The blessings that are shown to peers.
    Blessings,
    /// The public key.
    PublicKey,
    /// The roots, with a public key and a pattern on each line.
    Roots,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let folder = PrincipalFolder::new(&arguments.folder);
    let path = match arguments.part {
        Part::Blessings => folder.blessings(),
        Part::PublicKey => folder.public_key(),
        Part::Roots => folder.roots(),
    };
    let text = read_text(&path)?;
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    say(&format!("{}\n", lines.join("\n")))?;
    Ok(ExitCode::SUCCESS)
}
