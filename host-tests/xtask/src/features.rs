//! Checks that each feature of a published crate compiles without the others.

use crate::{TaskResult, packages, run};

/// Runs clippy over each published crate, without features and with each feature alone. Warnings are errors.
pub(crate) fn check() -> TaskResult {
    for package in packages::published()? {
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
