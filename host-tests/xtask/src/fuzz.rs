//! libFuzzer targets in `host-tests/fuzz`, in cargo-fuzz's layout, run without cargo-fuzz: the flags it would pass go to the
//! compiler that is there.

use crate::{Done, root, run, setup};
use std::{fs, path::Path, process::Command};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// One target; all of them, one after the other, where none is named.
    target: Option<String>,

    /// Seconds for each target.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Coverage for libFuzzer, the address sanitizer, and checks on.
const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1 -Zsanitizer=address \
    -Cdebug-assertions -Coverflow-checks";

pub(crate) fn run(arguments: &Arguments) -> Done {
    setup::for_the_tests()?;
    let all = targets()?;
    let chosen: Vec<_> = match &arguments.target {
        None => all,
        Some(name) if all.contains(name) => vec![name.clone()],
        Some(name) => {
            return Err(format!("no fuzz target {name:?}: there are {}", all.join(", ")).into());
        }
    };
    build()?;
    chosen
        .iter()
        .try_for_each(|target| fuzz(target, arguments.seconds, &mut run::show))
}

/// Each target for some seconds, from its seeds.
pub(crate) fn smoke(seconds: u32) -> Done {
    build()?;
    for target in targets()? {
        fuzz(&target, seconds, &mut |command| {
            run::quietly(&format!("fuzz {target} for {seconds} s"), command).map(|_| ())
        })?;
    }
    Ok(())
}

fn build() -> Done {
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

fn fuzz(target: &str, seconds: u32, run: &mut dyn FnMut(&mut Command) -> Done) -> Done {
    let folder = root().join("host-tests/fuzz");
    let corpus = root().join("target/fuzz/corpus").join(target);
    fs::create_dir_all(&corpus)?;
    let artifacts = folder.join("artifacts").join(target);
    fs::create_dir_all(&artifacts)?;
    let binary = root()
        .join("target/fuzz")
        .join(host()?)
        .join("release")
        .join(target);
    let mut command = Command::new(binary);
    command
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(["-max_len=4096", "-timeout=10", "-rss_limit_mb=2048"])
        .arg(corpus)
        .arg(folder.join("seeds").join(target))
        .current_dir(&folder);
    run(&mut command)
}

fn targets() -> Result<Vec<String>, Box<dyn std::error::Error>> {
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

/// The triple of this machine.
fn host() -> Result<String, Box<dyn std::error::Error>> {
    let output = Command::new("rustc").arg("-vV").output()?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(|line| line.strip_prefix("host: ").map(str::to_owned))
        .ok_or_else(|| "rustc does not say what machine this is".into())
}
