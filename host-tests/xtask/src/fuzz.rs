//! Builds and runs the libFuzzer targets in `host-tests/fuzz`. They have the layout of cargo-fuzz but do not need it: this module passes
//! the same flags to the installed compiler.

use crate::{TaskResult, root, run, setup};
use std::{
    error::Error,
    fs,
    num::NonZero,
    path::Path,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

type Failure = Box<dyn Error>;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The minutes for each target. As many targets run at once as there are processors.
    #[arg(default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,

    /// Fuzz this target alone.
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
}

/// The flags for libFuzzer's coverage, the address sanitizer, debug assertions and overflow checks.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1 -Zsanitizer=address \
    -Cdebug-assertions -Coverflow-checks";

pub(crate) fn run(arguments: &Arguments) -> TaskResult {
    setup::install_for_tests()?;
    let all = targets()?;
    let chosen: Vec<_> = match &arguments.target {
        None => all,
        Some(name) if all.contains(name) => vec![name.clone()],
        Some(name) => {
            return Err(format!(
                "unknown fuzz target {name:?}: use one of {}",
                all.join(", ")
            )
            .into());
        }
    };
    build()?;
    let host = host()?;
    let seconds = arguments.minutes.saturating_mul(60);
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..workers.min(chosen.len()) {
            scope.spawn(|| {
                while let Some(target) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let corpus = root().join("target/fuzz/corpus").join(target);
                    let title = format!("fuzz {target} for {} min", arguments.minutes);
                    let result = fuzz(
                        &host,
                        target,
                        &corpus,
                        &format!("-max_total_time={seconds}"),
                    )
                    .and_then(|mut command| run::quietly(&title, &mut command));
                    if let (Err(error), Ok(mut failed)) = (result, failed.lock()) {
                        failed.push(error.to_string());
                    }
                }
            });
        }
    });
    let failed = failed.into_inner()?;
    if failed.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{}\nmove each new input from host-tests/fuzz/artifacts to host-tests/fuzz/seeds, under a name that describes it",
        failed.join("\n")
    )
    .into())
}

/// Replays the stored inputs of each target, then runs a fixed number of mutations from a fixed seed, so that all runs of a build are
/// the same.
pub(crate) fn replay() -> TaskResult {
    build()?;
    let host = host()?;
    let manifest = fs::read_to_string(root().join("host-tests/fuzz/Cargo.toml"))?;
    let manifest: toml::Table = toml::from_str(&manifest)?;
    let runs = &manifest["package"]["metadata"]["replay-runs"];
    for target in targets()? {
        // The corpus of an earlier run must not influence this one.
        let corpus = root().join("target/fuzz/replay").join(&target);
        if corpus.exists() {
            fs::remove_dir_all(&corpus)?;
        }
        let runs = runs.get(&target).and_then(toml::Value::as_integer);
        let runs = runs.unwrap_or(RUNS);
        let mut command = fuzz(&host, &target, &corpus, &format!("-runs={runs}"))?;
        command.arg("-seed=1");
        run::quietly(&format!("replay {target}, {runs} runs"), &mut command)?;
    }
    Ok(())
}

/// The number of runs of a target in `cargo x test`, including the stored inputs, unless `host-tests/fuzz/Cargo.toml` gives another one.
const RUNS: i64 = 10_000;

fn build() -> TaskResult {
    let host = host()?;
    let mut command = run::cargo(&[
        "build",
        "--release",
        "--locked",
        "--bins",
        "--target",
        &host,
    ]);
    command
        .current_dir(root().join("host-tests/fuzz"))
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", FLAGS)
        .env("CARGO_TARGET_DIR", root().join("target/fuzz"));
    run::quietly("build the fuzz targets", &mut command)?;
    Ok(())
}

/// Returns the command that runs a target from its stored inputs until `limit`, a flag of libFuzzer. New inputs are written to `corpus`.
fn fuzz(host: &str, target: &str, corpus: &Path, limit: &str) -> Result<Command, Failure> {
    let folder = root().join("host-tests/fuzz");
    let artifacts = folder.join("artifacts").join(target);
    fs::create_dir_all(corpus)?;
    fs::create_dir_all(&artifacts)?;
    let binary = root().join("target/fuzz").join(host).join("release");
    let mut command = Command::new(binary.join(target));
    command
        .arg(limit)
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(["-max_len=4096", "-timeout=10", "-rss_limit_mb=2048"])
        .arg(corpus)
        .arg(folder.join("seeds").join(target))
        .current_dir(&folder);
    Ok(command)
}

fn targets() -> Result<Vec<String>, Failure> {
    let folder = root().join("host-tests/fuzz/fuzz_targets");
    let mut names: Vec<_> = fs::read_dir(folder)?
        .filter_map(Result::ok)
        .filter_map(|entry| {
            Path::new(&entry.file_name())
                .file_stem()?
                .to_str()
                .map(str::to_owned)
        })
        .collect();
    names.sort();
    Ok(names)
}

/// Returns the target triple of this machine.
fn host() -> Result<String, Failure> {
    let output = Command::new("rustc").arg("-vV").output()?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(|line| line.strip_prefix("host: ").map(str::to_owned))
        .ok_or_else(|| "`rustc -vV` does not print the target triple of this machine".into())
}
