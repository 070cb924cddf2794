//! Compares the public interfaces of the published crates with those of the last release.

use crate::{TaskResult, packages, run, setup, tools::CARGO_SEMVER_CHECKS};
use std::error::Error;

/// Runs cargo-semver-checks over all published crates, also after one has failed. Does nothing if there is no release tag.
pub(crate) fn run() -> TaskResult {
    let Some(tag) = last_release()? else {
        println!(
            "there is no release tag (vMAJOR.MINOR.PATCH) yet, so there is nothing to compare with"
        );
        return Ok(());
    };
    setup::install_for_tests()?;
    let mut failed = Vec::new();
    for package in packages::published()? {
        println!("\n== {}, compared with {tag}", package.name);
        let mut command =
            CARGO_SEMVER_CHECKS.command(&["semver-checks", "--baseline-rev", &tag])?;
        if run::show(command.args(["--package", &package.name])).is_err() {
            failed.push(package.name);
        }
    }
    if !failed.is_empty() {
        return Err(format!(
            "these crates need a higher version or a fix, or are not part of {tag}: {}",
            failed.join(", ")
        )
        .into());
    }
    Ok(())
}

/// Returns the tag of the last release before the current commit, if there is one.
fn last_release() -> Result<Option<String>, Box<dyn Error>> {
    let output = run::command(&[
        "git",
        "tag",
        "--list",
        "v[0-9]*",
        "--merged",
        "HEAD",
        "--sort=-version:refname",
    ])
    .output()
    .map_err(|error| format!("git, which lists the release tags: {error}"))?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("git tag ended with {}: {message}", output.status).into());
    }
    let tags = String::from_utf8(output.stdout)?;
    Ok(tags.lines().next().map(str::to_owned))
}
