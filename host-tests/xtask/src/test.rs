//! Runs everything that CI runs, and summarises it.

use crate::{TaskResult, bench, check, firmware, firmware_targets, fuzz, report, run, setup, size};
use std::{
    error::Error,
    process::Command,
    time::{Duration, Instant},
};

/// The name of a part of the tests, and the time that it took.
type Part = (&'static str, Duration);

pub(crate) fn run() -> TaskResult {
    let skipped = skipped_tests(run::is_installed);
    if let Some(skipped) = &skipped
        && std::env::var_os("CI").is_some_and(|value| value == "true")
    {
        return Err(format!(
            "{skipped}: with CI=true every test must run, so install the missing programs"
        )
        .into());
    }
    let mut parts: Vec<Part> = Vec::new();
    let mut part =
        |name: &'static str, run: &dyn Fn() -> TaskResult| -> Result<(), Box<dyn Error>> {
            println!("\n== {name}");
            let start = Instant::now();
            run()?;
            parts.push((name, start.elapsed()));
            Ok(())
        };
    part("set-up", &|| {
        setup::install_for_tests()?;
        firmware_targets::prepare()
    })?;
    for (name, check) in check::PARTS {
        part(name, &check)?;
    }
    part("build", &|| {
        let build = &["build", "--quiet", "--locked", "--all-targets"];
        run::quietly("build programs and tests", &mut run::cargo(build)).map(|_| ())
    })?;
    part("firmware", &firmware::build_for_tests)?;
    part("tests", &|| {
        if let Some(skipped) = &skipped {
            println!("{skipped}");
        }
        run::show(&mut cargo_test())
    })?;
    part("without default features", &|| {
        let check = &[
            "check",
            "--quiet",
            "--locked",
            "--package",
            "chanbind",
            "--no-default-features",
        ];
        let mut check = run::cargo(check);
        check
            .env("RUSTFLAGS", "-Dwarnings")
            .env("CARGO_TARGET_DIR", "target/features");
        run::quietly("check", &mut check).map(|_| ())
    })?;
    part("documentation", &|| {
        let doc = &[
            "doc",
            "--quiet",
            "--locked",
            "--no-deps",
            "--document-private-items",
        ];
        let mut doc = run::cargo(doc);
        doc.env("RUSTDOCFLAGS", "-Dwarnings");
        run::quietly("rustdoc", &mut doc).map(|_| ())
    })?;
    part("counts", &bench::counts)?;
    part("bare metal", &firmware_targets::build)?;
    part("sizes", &|| {
        size::run(&report::Arguments {
            json: false,
            check: true,
        })
    })?;
    part("fuzz targets", &fuzz::replay)?;

    println!("\nall parts passed");
    for (name, elapsed) in &parts {
        println!("  {name:26} {:5.0} s", elapsed.as_secs_f64());
    }
    if let Some(skipped) = &skipped {
        println!("{skipped}");
    }
    Ok(())
}

/// Returns a line with the tests that are skipped because a program is not installed, or `None` if all tests run. `cargo test` does not
/// show what a test that passes has skipped.
fn skipped_tests(is_installed: impl Fn(&str) -> bool) -> Option<String> {
    let skipped: Vec<_> = PROGRAMS_OF_SKIPPED_TESTS
        .iter()
        .filter(|(program, _)| !is_installed(program))
        .map(|(_, tests)| *tests)
        .collect();
    (!skipped.is_empty()).then(|| format!("SKIPPED: {}", skipped.join("; ")))
}

/// The programs that `cargo x setup` does not install, and the tests that are skipped without them.
const PROGRAMS_OF_SKIPPED_TESTS: [(&str, &str); 2] = [
    (
        "go",
        "all tests against the Go implementation, because Go is not installed",
    ),
    (
        "node",
        "all tests that run the flash image of the RP2040, because Node.js is not installed",
    ),
];

fn cargo_test() -> Command {
    // The TPM software stack would print the errors that the tests provoke.
    let mut command = run::cargo(&["test", "--quiet", "--locked"]);
    command
        .env("TSS2_LOG", "all+NONE")
        .env("RUST_BACKTRACE", "0");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_skipped_tests_in_one_line() {
        assert_eq!(skipped_tests(|_| true), None);
        let line = skipped_tests(|program| program == "go").unwrap();
        assert!(line.contains("Node.js") && !line.contains("Go "), "{line}");
        let line = skipped_tests(|_| false).unwrap();
        assert!(line.contains("Node.js") && line.contains("Go "), "{line}");
        assert_eq!(line.lines().count(), 1);
    }
}
