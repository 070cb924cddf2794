//! The quick check for every edit. `cargo x test` runs the same parts.

use crate::{TaskResult, prose, run};

/// A part of the check: its name, and the function that runs it.
pub(crate) type Part = (&'static str, fn() -> TaskResult);

/// The parts of the check, in the order in which they run.
pub(crate) const PARTS: [Part; 3] = [("format", format), ("prose", prose::check), ("lints", lint)];

/// Runs all parts, also after one has failed, so that one run shows everything that needs a change.
pub(crate) fn run() -> TaskResult {
    let mut failed = Vec::new();
    for (name, part) in PARTS {
        println!("\n== {name}");
        if let Err(error) = part() {
            println!("{error}");
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        return Err(format!("the check failed: {}", failed.join(", ")).into());
    }
    Ok(())
}

fn format() -> TaskResult {
    run::show(&mut run::cargo(&["fmt", "--all", "--check"]))
}

/// Runs clippy over the default members of the workspace. Warnings are errors.
fn lint() -> TaskResult {
    let clippy = &[
        "clippy",
        "--quiet",
        "--locked",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    run::quietly("clippy", &mut run::cargo(clippy)).map(|_| ())
}
