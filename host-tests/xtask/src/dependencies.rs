//! Checks the dependencies against `deny.toml`, and that all of them are used.

use crate::{
    TaskResult, run,
    tools::{CARGO_DENY, CARGO_MACHETE},
};
use std::error::Error;

/// Checks licences, sources and versions of all dependencies, and that each crate uses those that it names. Needs no network when the
/// tools are built and all sources are there.
pub(crate) fn check() -> TaskResult {
    // Those for other platforms too: cargo-deny reads their manifests, which a build does not.
    let fetch = &["fetch", "--quiet", "--locked"];
    run::quietly(
        "fetch the sources of all dependencies",
        &mut run::cargo(fetch),
    )?;
    let mut deny = CARGO_DENY.command(&["--locked", "--offline", "check"])?;
    deny.args(["bans", "licenses", "sources"]);
    run::quietly("cargo-deny, the rules of deny.toml", &mut deny)?;
    let mut machete = CARGO_MACHETE.command(&["."])?;
    run::quietly("cargo-machete, unused dependencies", &mut machete)?;
    Ok(())
}

/// Checks whether dependencies have known vulnerabilities. Returns false, and checks nothing, if the database of advisories cannot be
/// fetched.
pub(crate) fn check_advisories() -> Result<bool, Box<dyn Error>> {
    let fetched = CARGO_DENY.command(&["fetch", "db"])?.output()?;
    if !fetched.status.success() {
        print!("{}", String::from_utf8_lossy(&fetched.stderr));
        return Ok(false);
    }
    let mut deny = CARGO_DENY.command(&["--locked", "--offline", "check", "advisories"])?;
    run::quietly("cargo-deny, known vulnerabilities", &mut deny)?;
    Ok(true)
}
