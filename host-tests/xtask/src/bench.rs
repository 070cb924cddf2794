use crate::{TaskResult, firmware, firmware_targets, report, run, setup};
use std::process::Stdio;

pub(crate) fn run(arguments: &report::Arguments) -> TaskResult {
    setup::install_for_demo()?;
    firmware_targets::prepare()?;
    firmware::build_for_benchmarks()?;
    run::quietly(
        "build the benchmarks",
        &mut run::cargo(&[
            "build",
            "--locked",
            "--release",
            "--package",
            "chanbind-host-tests",
            "--bin",
            "bench",
        ]),
    )?;
    eprintln!("... run the benchmarks");
    measure("target/release/bench", "bench", arguments)?;
    measure("target/release/bench", "counts", arguments)
}

/// Checks the figures that are counted and not timed against their goals, with the programs that the tests have built.
pub(crate) fn counts() -> TaskResult {
    let arguments = report::Arguments {
        json: false,
        check: true,
    };
    measure("target/debug/bench", "counts", &arguments)
}

fn measure(program: &str, table: &str, arguments: &report::Arguments) -> TaskResult {
    let output = run::command(&[program, &format!("--{table}")])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(format!("the benchmarks ended with {}", output.status).into());
    }
    let figures: Vec<report::Figure> = serde_json::from_slice(&output.stdout)?;
    report::print(table, &figures, arguments)
}
