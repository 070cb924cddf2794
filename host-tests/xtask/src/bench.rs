use crate::{TaskResult, firmware, firmware_targets, report, run, setup};
use std::process::Stdio;

// The name of this group would be that of the flattened one.
#[derive(clap::Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// The subject to measure; without it, everything but the gateway under load.
    #[arg(value_enum)]
    subject: Option<Subject>,

    #[command(flatten)]
    report: report::Arguments,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Subject {
    /// The gateway as a process: 10,000 connections, throughput beside other servers, latency under attack. Takes a few minutes.
    Gateway,
}

pub(crate) fn run(arguments: &Arguments) -> TaskResult {
    match arguments.subject {
        Some(Subject::Gateway) => gateway(&arguments.report),
        None => all(&arguments.report),
    }
}

fn gateway(arguments: &report::Arguments) -> TaskResult {
    setup::install_for_demo()?;
    build(&["chanbind", "load"])?;
    eprintln!("... measure the gateway under load");
    measure("target/release/load", "gateway", arguments)
}

fn all(arguments: &report::Arguments) -> TaskResult {
    setup::install_for_demo()?;
    firmware_targets::prepare()?;
    firmware::build_for_benchmarks()?;
    build(&["bench"])?;
    eprintln!("... run the benchmarks");
    measure("target/release/bench", "bench", arguments)?;
    measure("target/release/bench", "counts", arguments)
}

#[derive(clap::Args)]
pub(crate) struct SoakArguments {
    /// The minutes; at least one round of all faults is run.
    #[arg(long, default_value_t = 10)]
    minutes: u32,

    #[command(flatten)]
    report: report::Arguments,
}

/// Runs three gateways through faults.
pub(crate) fn soak(arguments: &SoakArguments) -> TaskResult {
    setup::install_for_tests()?;
    build(&["chanbind", "load"])?;
    eprintln!("... run gateways through faults");
    let minutes = arguments.minutes.to_string();
    measure_by(
        &["target/release/load", "--soak", &minutes],
        "soak",
        &arguments.report,
    )
}

/// Builds these programs with optimisation.
fn build(programs: &[&str]) -> TaskResult {
    let mut arguments = vec!["build", "--locked", "--release"];
    arguments.extend(["--package", "chanbind", "--package", "chanbind-host-tests"]);
    for program in programs {
        arguments.extend(["--bin", program]);
    }
    run::quietly("build the benchmarks", &mut run::cargo(&arguments))?;
    Ok(())
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
    measure_by(&[program, &format!("--{table}")], table, arguments)
}

fn measure_by(line: &[&str], table: &str, arguments: &report::Arguments) -> TaskResult {
    let output = run::command(line).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("the benchmarks ended with {}", output.status).into());
    }
    let figures: Vec<report::Figure> = serde_json::from_slice(&output.stdout)?;
    report::print(table, &figures, arguments)
}
