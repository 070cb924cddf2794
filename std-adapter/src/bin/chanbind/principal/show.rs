use crate::{
    failure::Failure,
    files::{named, say},
    inspect::visible,
    principal_folder::{PrincipalFolder, read_blessings},
};
use chanbind::{
    proof::{
        blessing::{ALGORITHMS, Roots},
        fingerprint,
    },
    protocol::blessing::{
        ACCESS_TAG, BlessingError, CONST, Caveat, EXPIRY, EncodedBlessings, METHOD, NOT_BEFORE,
        PEER_BLESSINGS, THIRD_PARTY,
    },
};
use clap::Args;
use std::{fmt::Write, path::PathBuf, process::ExitCode};
use x509_parser::time::ASN1Time;

/// Show blessings: their names, keys, conditions, and whether their roots are recognized.
#[derive(Args)]
pub(super) struct Arguments {
    /// The folder of a principal, or a file with blessings in base64url; - for standard input.
    #[arg(value_name = "FOLDER|FILE")]
    path: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (blessings, roots) = if arguments.path.is_dir() {
        let folder = PrincipalFolder::new(&arguments.path);
        (read_blessings(&folder.blessings())?, folder.read_roots()?)
    } else {
        (read_blessings(&arguments.path)?, Roots::new())
    };
    let text = describe(&blessings, &roots).map_err(|error| named(&arguments.path, error))?;
    say(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// Describes blessings, which must be valid.
fn describe(blessings: &[u8], roots: &Roots) -> Result<String, BlessingError> {
    let encoded = EncodedBlessings::parse(blessings)?;
    let verified = encoded.blessings().verify(&ALGORITHMS)?;
    let recognized = encoded.blessings().local_names(roots)?;
    let mut text = String::new();
    let _ = writeln!(
        text,
        "public key: {} ({:?})",
        fingerprint(verified.public_key().as_der()),
        verified.public_key().hash()
    );
    let _ = writeln!(text, "unique id: {}", hex::encode(verified.unique_id()));
    if verified.is_nameless() {
        let _ = writeln!(text, "no name");
    }
    for name in verified.claimed_names()?.iter() {
        let is_recognized = recognized.iter().any(|one| one == name);
        let note = if is_recognized {
            ""
        } else {
            " (its root is not recognized here)"
        };
        let _ = writeln!(text, "name: {}{note}", visible(name));
    }
    encoded.blessings().for_each(&mut |place, certificate| {
        let _ = writeln!(
            text,
            "chain {}, certificate {}: {:?}, key {}",
            place.chain + 1,
            place.index + 1,
            certificate.extension,
            fingerprint(certificate.public_key)
        );
        certificate.caveats.for_each(&mut |caveat| {
            let _ = writeln!(text, "  condition: {}", condition(&caveat));
            Ok(())
        })
    })?;
    Ok(text)
}

/// Describes a caveat.
fn condition(caveat: &Caveat<'_>) -> String {
    let malformed = || "malformed: it never holds".to_owned();
    let time = || {
        let seconds = caveat.time().map(|time| time.seconds);
        let time = seconds.and_then(|seconds| ASN1Time::from_timestamp(seconds).ok());
        time.map_or_else(malformed, |time| time.to_string())
    };
    let strings = || {
        let mut all = Vec::new();
        match caveat.for_each_string(&mut |one| all.push(visible(one))) {
            Ok(()) => all.join(", "),
            Err(_) => malformed(),
        }
    };
    match caveat.id {
        // The encoding of a bool that is true.
        CONST if caveat.parameter.last() == Some(&1) => "none".to_owned(),
        CONST => "never".to_owned(),
        EXPIRY => format!("until {}", time()),
        NOT_BEFORE => format!("after {}", time()),
        METHOD => format!("for the methods {}", strings()),
        PEER_BLESSINGS => format!("with the peers {}", strings()),
        ACCESS_TAG => format!("for methods with the tags {}", strings()),
        THIRD_PARTY => {
            let place = caveat.with_third_party(|party| visible(party.location));
            let place = place.ok().flatten();
            format!("with a discharge of {}", place.unwrap_or_else(malformed))
        }
        _ => "unknown: it never holds here".to_owned(),
    }
}
