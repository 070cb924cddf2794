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
        warn_of_what_is_skipped();
        run::show(&mut tests())
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

    println!();
    warn_of_what_is_skipped();
    println!("all parts passed");
    for (name, elapsed) in &parts {
        println!("  {name:26} {:5.0} s", elapsed.as_secs_f64());
    }
    Ok(())
}

/// Tests that pass are silent, also about what they skipped.
fn warn_of_what_is_skipped() {
    if !run::is_installed("go") {
        println!(
            "*** SKIPPED: Go is not installed, so nothing is tested against the Go implementation ***"
        );
    }
    if !run::is_installed("node") {
        println!(
            "*** SKIPPED: Node.js is not installed, so the RP2040's flash image is built, but not run ***"
        );
    }
}

fn tests() -> Command {
    // The TPM software stack would print the errors that the tests provoke.
    let mut command = run::cargo(&["test", "--quiet", "--locked"]);
    command
        .env("TSS2_LOG", "all+NONE")
        .env("RUST_BACKTRACE", "0");
    command
}
