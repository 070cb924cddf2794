use super::{
    Opened,
    bless::{duration, expiry_in},
};
use crate::{
    failure::Failure,
    files::{named, say},
    principal_folder::{PrincipalFolder, read_blessings},
    tpm::TpmArguments,
};
use chanbind::{
    proof::blessing::{give_discharge, to_text},
    protocol::blessing::{EncodedBlessings, THIRD_PARTY, ThirdParty},
};
use clap::Args;
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// Give discharges for the third-party conditions in blessings that name this principal: one on each line.
///
/// The principal that has been blessed keeps them in the file `discharges` of its folder, and shows them with its blessings.
#[derive(Args)]
#[command(
    after_help = "Example:\n  chanbind principal discharge auditor --for pump7.blessings --valid-for 1d > pump7/discharges"
)]
pub(super) struct Arguments {
    /// The folder of the third party.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,

    /// The blessings with the conditions; - for standard input.
    #[arg(long = "for", value_name = "FILE")]
    blessings: PathBuf,

    /// The time for which the discharges are good, like 1d, 12h or 10m.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    valid_for: Duration,

    #[command(flatten)]
    tpm: TpmArguments,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let wrong = |error: &dyn std::fmt::Display| named(&arguments.blessings, error);
    let blessings = read_blessings(&arguments.blessings)?;
    let encoded = EncodedBlessings::parse(&blessings).map_err(|error| wrong(&error))?;
    let expiry = expiry_in(arguments.valid_for)?;
    let folder = PrincipalFolder::new(&arguments.folder);
    let opened = Opened::open(&folder, &arguments.tpm).await?;
    let own = opened.principal.key().public_key();
    let mut parameters = Vec::new();
    let walked = encoded.blessings().for_each(&mut |_, certificate| {
        certificate.caveats.for_each(&mut |caveat| {
            let names_own = caveat.with_third_party(|party| party.public_key == own);
            if caveat.id == THIRD_PARTY && names_own == Ok(Some(true)) {
                parameters.push(caveat.parameter.to_vec());
            }
            Ok(())
        })
    });
    let given = async {
        let mut lines = String::new();
        for parameter in &parameters {
            let decide = move |_: &ThirdParty<'_>| Some(vec![expiry]);
            let discharge = give_discharge(&opened.principal, parameter, &decide).await?;
            lines.push_str(&to_text(&discharge));
            lines.push('\n');
        }
        Ok::<_, Failure>(lines)
    }
    .await;
    opened.close().await;
    walked.map_err(|error| wrong(&error))?;
    let lines = given?;
    if lines.is_empty() {
        return Err(wrong(
            &"no condition names this principal as the third party",
        ));
    }
    say(&lines)?;
    Ok(ExitCode::SUCCESS)
}
