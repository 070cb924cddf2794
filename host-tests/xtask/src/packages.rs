//! The crates of the workspace that are published.

use crate::run;
use serde::Deserialize;
use std::{collections::BTreeMap, error::Error};

/// The part of `cargo metadata` that describes the crates.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

/// A crate of the workspace.
#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// The names of the features, with what they enable.
    pub(crate) features: BTreeMap<String, Vec<String>>,
    /// The registries to which the crate may be published: `None` for all, and an empty list for `publish = false`.
    publish: Option<Vec<String>>,
}

/// Returns the crates of the workspace that are published.
pub(crate) fn published() -> Result<Vec<Package>, Box<dyn Error>> {
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
