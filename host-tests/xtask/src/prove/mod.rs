//! Checks the models of the proofs in `docs/models` with the theorem prover SPASS.
//!
//! Every property must hold, and SPASS must find an attack on every broken twin: a model whose properties held for another reason than
//! the protocol would be found so.

mod clauses;
mod notation;

use crate::{TaskResult, root, setup};
use notation::{Fact, Model, Property, Rule};
use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Check only the models with these names.
    #[arg(value_name = "MODEL")]
    models: Vec<String>,

    /// Print the clauses of one property or broken twin, as SPASS reads them, instead of checking anything.
    #[arg(long, value_name = "NAME")]
    clauses: Option<String>,
}

/// The time limit of SPASS for a property, in seconds. Each takes a fraction of a second.
const LIMIT: u32 = 60;

pub(crate) fn run(arguments: &Arguments) -> TaskResult {
    let models = models(&arguments.models)?;
    if let Some(name) = &arguments.clauses {
        return print_clauses(&models, name);
    }
    setup::install_for_proofs()?;
    let start = Instant::now();
    let mut wrong = 0_usize;
    let mut count = 0_usize;
    for (name, model) in &models {
        println!("{name}");
        for check in checks(model).map_err(|error| format!("{name}: {error}"))? {
            let problem = check
                .model
                .clauses(&check.fact, &check.given)
                .map_err(|error| format!("{name}: {}: {error}", check.title))?;
            let outcome = spass(&problem)?;
            let verdict = if outcome == check.expected {
                ""
            } else {
                "  WRONG"
            };
            println!(
                "  {:14} {}{verdict}",
                outcome.text(check.is_reached),
                check.title
            );
            count += 1;
            wrong += usize::from(outcome != check.expected);
        }
    }
    println!(
        "{count} checks of {} models in {:.1} s",
        models.len(),
        start.elapsed().as_secs_f32()
    );
    if wrong > 0 {
        return Err(format!("{wrong} checks have an outcome that is not expected").into());
    }
    Ok(())
}

/// Checks all models.
pub(crate) fn all() -> TaskResult {
    run(&Arguments {
        models: Vec::new(),
        clauses: None,
    })
}

/// The result of SPASS.
#[derive(Clone, Copy, PartialEq)]
enum Outcome {
    /// The fact cannot be derived.
    Unreachable,
    /// The fact can be derived.
    Reachable,
}

impl Outcome {
    fn text(self, is_reached: bool) -> &'static str {
        match self {
            Self::Reachable if is_reached => "reached",
            Self::Reachable => "attack found",
            Self::Unreachable if is_reached => "not reached",
            Self::Unreachable => "holds",
        }
    }
}

/// A question to SPASS, with the expected answer.
struct Check {
    title: String,
    model: Model,
    fact: Fact,
    given: Vec<Rule>,
    is_reached: bool,
    expected: Outcome,
}

/// Returns a check for every property and for every broken twin of a model.
fn checks(model: &Model) -> Result<Vec<Check>, String> {
    let check = |title: String, model: Model, property: &Property, expected| Check {
        title,
        model,
        fact: property.fact.clone(),
        given: property.given.clone(),
        is_reached: property.is_reached,
        expected,
    };
    let mut checks = Vec::new();
    for property in &model.properties {
        let expected = if property.is_reached {
            Outcome::Reachable
        } else {
            Outcome::Unreachable
        };
        checks.push(check(
            property.name.clone(),
            model.clone(),
            property,
            expected,
        ));
        for twin in &model.twins {
            if twin.breaks == property.name {
                let title = format!("{}, broken: {}", property.name, twin.name);
                let broken = model.broken(twin)?;
                checks.push(check(title, broken, property, Outcome::Reachable));
            }
        }
    }
    Ok(checks)
}

/// Reads the models with these names, or all of them.
fn models(names: &[String]) -> Result<Vec<(String, Model)>, Box<dyn std::error::Error>> {
    let folder = root().join("docs/models");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "model")
        })
        .collect();
    files.sort();
    let name = |path: &Path| {
        let stem = path.file_stem().unwrap_or_default();
        stem.to_string_lossy().into_owned()
    };
    let known: Vec<_> = files.iter().map(|path| name(path)).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(format!("no model {unknown}: the models are {}", known.join(", ")).into());
    }
    files.retain(|path| names.is_empty() || names.contains(&name(path)));
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path)?;
        let model = Model::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok((name(path), model))
    };
    files.iter().map(read).collect()
}

fn print_clauses(models: &[(String, Model)], title: &str) -> TaskResult {
    for (_, model) in models {
        for check in checks(model)? {
            if check.title == title || check.title.ends_with(&format!("broken: {title}")) {
                print!("{}", check.model.clauses(&check.fact, &check.given)?);
                return Ok(());
            }
        }
    }
    Err(format!("no property or broken twin {title:?}").into())
}

/// Runs SPASS on a problem.
fn spass(problem: &str) -> Result<Outcome, Box<dyn std::error::Error>> {
    let mut child = Command::new("SPASS")
        .args([
            "-Stdin",
            "-PGiven=0",
            "-PProblem=0",
            &format!("-TimeLimit={LIMIT}"),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("SPASS: {error}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(problem.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("SPASS beiseite: Completion found.") {
        Ok(Outcome::Unreachable)
    } else if text.contains("SPASS beiseite: Proof found.") {
        Ok(Outcome::Reachable)
    } else {
        Err(format!("SPASS decides nothing:\n{text}").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "secret k\npublic a\nrole device\n  send a\n  claim sent(a)\n\
        property sent\n  reached sent(a)\n\
        property secret\n  never known(k)\n";
    const TWIN: &str = "broken told\n  breaks secret\n  given k\n";

    fn error(text: &str) -> String {
        let model = match Model::parse(text) {
            Ok(model) => model,
            Err(error) => return error,
        };
        let checks = match checks(&model) {
            Ok(checks) => checks,
            Err(error) => return error,
        };
        let mut clauses = checks
            .iter()
            .map(|check| check.model.clauses(&check.fact, &check.given));
        clauses.find_map(Result::err).unwrap_or_default()
    }

    #[test]
    fn a_model_that_says_less_than_it_seems_to_is_an_error() {
        assert_eq!(error(&format!("{SECRET}{TWIN}")), "");
        for (text, expected) in [
            (SECRET.to_owned(), "property secret: add a broken twin"),
            (
                format!("{SECRET}broken told\n  breaks another\n"),
                "broken told: breaks no property",
            ),
            (
                format!("{SECRET}broken told\n  breaks secret\n  drop check\n"),
                "broken told: Drop(\"check\") changes nothing",
            ),
            (
                format!("{SECRET}{TWIN}").replace("reached", "never"),
                "add a property with reached: the protocol can be completed",
            ),
            (
                format!("{SECRET}{TWIN}").replace("known(k)", "admitted(k)"),
                "no role claims admitted",
            ),
            (
                format!("{SECRET}{TWIN}").replace("  send a", "  send kk"),
                "role device: kk is neither declared nor received",
            ),
            (
                format!("{SECRET}{TWIN}").replace("  send a", "  send a(k)"),
                "line 4: a has 0 arguments",
            ),
            (format!("public k\n{SECRET}"), "line 2: k is declared twice"),
        ] {
            let error = error(&text);
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
