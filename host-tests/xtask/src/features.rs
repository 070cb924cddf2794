//! Checks that each feature of a published crate compiles without the others.

use crate::{TaskResult, run};
use serde::Deserialize;
use std::{collections::BTreeMap, error::Error};

/// The part of `cargo metadata` that names the features.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    features: BTreeMap<String, Vec<String>>,
    /// The registries to which the package may be published: `None` for all, and none for `publish = false`.
    publish: Option<Vec<String>>,
}

/// Runs clippy over each published crate, without features and with each feature alone. Warnings are errors.
pub(crate) fn check() -> TaskResult {
    for package in published()? {
        let features = package.features.keys().map(String::as_str);
        let alone = features.filter(|feature| *feature != "default");
        for feature in std::iter::once("").chain(alone) {
            let clippy = &["clippy", "--quiet", "--locked", "--package", &package.name];
            let mut clippy = run::cargo(clippy);
            clippy.args(["--no-default-features", "--features", feature]);
            clippy.args(["--", "-D", "warnings"]);
            let feature = if feature.is_empty() {
                "without features"
            } else {
                feature
            };
            run::quietly(&format!("clippy, {} {feature}", package.name), &mut clippy)?;
        }
    }
    Ok(())
}

/// Returns the crates of the workspace that are published.
fn published() -> Result<Vec<Package>, Box<dyn Error>> {
    let arguments = &["metadata", "--locked", "--no-deps", "--format-version", "1"];
    let output = run::cargo(arguments).output()?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("cargo metadata ended with {}: {message}", output.status).into());
    }
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    let is_published = |package: &Package| package.publish.is_none();
    Ok(metadata.packages.into_iter().filter(is_published).collect())
}
