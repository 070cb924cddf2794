//! Runs everything that CI runs, and summarises it.

use crate::{
    TaskResult, bench, check, dependencies, features, firmware, firmware_targets, fuzz, msrv,
    prove, report, run, setup, size,
};
use std::{
    process::Command,
    time::{Duration, Instant},
};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Run only the parts with these names, after the set-up. Without it, all parts are run.
    #[arg(value_name = "PART")]
    parts: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> TaskResult {
    let mut skipped = skipped(run::is_installed, msrv::is_installed());
    if !skipped.is_empty() && std::env::var_os("CI").is_some_and(|value| value == "true") {
        return Err(format!(
            "{}: with CI=true every test must run, so install what is missing",
            line(&skipped)
        )
        .into());
    }
    let mut parts = Parts::new(&arguments.parts);
    parts.always("set-up", || {
        setup::install_for_tests()?;
        firmware_targets::prepare()
    })?;
    for (name, check) in check::PARTS {
        parts.run(name, check)?;
    }
    parts.run("lints of boards", firmware::lint)?;
    parts.run("dependencies", dependencies::check)?;
    parts.run("advisories", || {
        if !dependencies::check_advisories()? {
            // An error neither here nor in CI: the machine cannot change it.
            skipped.push("the check of advisories, because their database cannot be fetched");
        }
        Ok(())
    })?;
    parts.run("build", || {
        let build = &["build", "--quiet", "--locked", "--all-targets"];
        run::quietly("build programs and tests", &mut run::cargo(build)).map(|_| ())
    })?;
    parts.run("firmware", firmware::build_for_tests)?;
    parts.run("tests", || {
        if !skipped.is_empty() {
            println!("{}", line(&skipped));
        }
        run::show(&mut cargo_test())
    })?;
    parts.run("features", features::check)?;
    parts.run("oldest Rust version", msrv::check)?;
    parts.run("documentation", || {
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
    parts.run("models", prove::all)?;
    parts.run("counts", bench::counts)?;
    parts.run("bare metal", firmware_targets::build)?;
    parts.run("sizes", || {
        size::run(&report::Arguments {
            json: false,
            check: true,
        })
    })?;
    parts.run("fuzz targets", fuzz::replay)?;

    parts.report()?;
    if !skipped.is_empty() {
        println!("{}", line(&skipped));
    }
    Ok(())
}

/// The parts of the tests that have run, and which of them to run.
struct Parts<'a> {
    /// The names of the parts to run; empty for all.
    selected: &'a [String],
    names: Vec<&'static str>,
    passed: Vec<(&'static str, Duration)>,
}

impl<'a> Parts<'a> {
    fn new(selected: &'a [String]) -> Self {
        Self {
            selected,
            names: Vec::new(),
            passed: Vec::new(),
        }
    }

    /// Runs a part if it is selected.
    fn run(&mut self, name: &'static str, part: impl FnOnce() -> TaskResult) -> TaskResult {
        self.names.push(name);
        if !self.selected.is_empty() && !self.selected.iter().any(|selected| selected == name) {
            return Ok(());
        }
        self.always(name, part)
    }

    /// Runs a part that cannot be deselected.
    fn always(&mut self, name: &'static str, part: impl FnOnce() -> TaskResult) -> TaskResult {
        println!("\n== {name}");
        let start = Instant::now();
        part()?;
        self.passed.push((name, start.elapsed()));
        Ok(())
    }

    /// Prints how long each part took.
    ///
    /// # Errors
    /// A selected part that does not exist.
    fn report(&self) -> TaskResult {
        let names = &self.names;
        if let Some(unknown) = (self.selected.iter()).find(|name| !names.contains(&name.as_str())) {
            return Err(format!(
                "unknown part {unknown:?}: the parts are {}",
                names.join(", ")
            )
            .into());
        }
        let all = if self.selected.is_empty() {
            "all"
        } else {
            "the selected"
        };
        println!("\n{all} parts passed");
        for (name, elapsed) in &self.passed {
            println!("  {name:26} {:5.0} s", elapsed.as_secs_f64());
        }
        Ok(())
    }
}

/// Returns what is skipped because a program is not installed.
fn skipped(is_installed: impl Fn(&str) -> bool, has_oldest_rust: bool) -> Vec<&'static str> {
    let oldest_rust =
        "the check with the oldest Rust version, because its toolchain is not installed";
    PROGRAMS_OF_SKIPPED_TESTS
        .iter()
        .filter(|(program, _)| !is_installed(program))
        .map(|(_, tests)| *tests)
        .chain((!has_oldest_rust).then_some(oldest_rust))
        .collect()
}

/// Returns the line that names what is skipped. `cargo test` does not show what a test that passes has skipped.
fn line(skipped: &[&str]) -> String {
    format!("SKIPPED: {}", skipped.join("; "))
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
    fn names_what_is_skipped_in_one_line() {
        assert!(skipped(|_| true, true).is_empty());
        let line_without_node = line(&skipped(|program| program == "go", true));
        assert!(line_without_node.contains("Node.js"), "{line_without_node}");
        assert!(!line_without_node.contains("Go "), "{line_without_node}");
        let longest = line(&skipped(|_| false, false));
        for name in ["Node.js", "Go ", "Rust"] {
            assert!(longest.contains(name), "{longest}");
        }
        assert_eq!(longest.lines().count(), 1);
    }

    #[test]
    fn runs_selected_parts_only() {
        let selected = ["b".to_owned()];
        let mut parts = Parts::new(&selected);
        parts.run("a", || Err("deselected".into())).unwrap();
        parts.run("b", || Ok(())).unwrap();
        assert!(parts.passed.iter().map(|(name, _)| *name).eq(["b"]));
        parts.report().unwrap();
        let unknown = ["c".to_owned()];
        parts.selected = &unknown;
        assert!(parts.report().unwrap_err().to_string().contains("a, b"));
    }
}
