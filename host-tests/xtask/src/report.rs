//! Compares figures with their goals and prints them, as a table for people or as JSON for programs.

use crate::{TaskResult, root};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Print one JSON array of rows instead of a table.
    #[arg(long)]
    pub(crate) json: bool,

    /// Fail if a figure does not meet its goal.
    #[arg(long)]
    pub(crate) check: bool,
}

/// A measured or counted figure.
#[derive(Debug, Deserialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
}

/// The contents of `host-tests/goals.toml`: the goals by table and name of the figure.
#[derive(Deserialize)]
struct Goals {
    #[serde(flatten)]
    tables: BTreeMap<String, BTreeMap<String, Goal>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Goal {
    at_most: Option<f64>,
    at_least: Option<f64>,
}

impl Goal {
    fn holds(&self, value: f64) -> bool {
        self.at_most.is_none_or(|most| value <= most)
            && self.at_least.is_none_or(|least| value >= least)
    }

    /// Describes the goal for the table.
    fn describe(&self) -> String {
        match (self.at_least, self.at_most) {
            (Some(least), Some(most)) => format!("{least} to {most}"),
            (Some(least), None) => format!("at least {least}"),
            (None, Some(most)) => format!("at most {most}"),
            (None, None) => String::new(),
        }
    }
}

#[derive(Serialize)]
struct Row<'f> {
    name: &'f str,
    value: f64,
    unit: &'f str,
    goal: Option<String>,
    holds: Option<bool>,
}

/// Compares `figures` with the goals of `table` and prints both.
pub(crate) fn print(table: &str, figures: &[Figure], arguments: &Arguments) -> TaskResult {
    let path = root().join("host-tests/goals.toml");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| format!("host-tests/goals.toml: {error}"))?;
    let goals: Goals = toml::from_str(&text)?;
    let goals = goals.tables.get(table);
    let rows: Vec<_> = figures
        .iter()
        .map(|figure| {
            let goal = goals.and_then(|goals| goals.get(&figure.name));
            Row {
                name: &figure.name,
                value: figure.value,
                unit: &figure.unit,
                goal: goal.map(Goal::describe),
                holds: goal.map(|goal| goal.holds(figure.value)),
            }
        })
        .collect();
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else if rows.is_empty() {
        println!("there are no figures");
    } else {
        let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
        println!(
            "{:width$} {:>10} {:12} {:16} holds",
            "name", "value", "unit", "goal"
        );
        for row in &rows {
            let holds = row
                .holds
                .map_or("", |holds| if holds { "yes" } else { "NO" });
            let digits = if row.unit == "ratio" { 3 } else { 0 };
            println!(
                "{:width$} {:10.digits$} {:12} {:16} {holds}",
                row.name,
                row.value,
                row.unit,
                row.goal.as_deref().unwrap_or("")
            );
        }
    }
    let measured = |name: &String| figures.iter().any(|figure| figure.name == *name);
    let unmeasured: Vec<_> = goals
        .into_iter()
        .flatten()
        .map(|(name, _)| name)
        .filter(|name| !measured(name))
        .collect();
    if !unmeasured.is_empty() {
        return Err(
            format!("these goals of host-tests/goals.toml have no figure: {unmeasured:?}").into(),
        );
    }
    if arguments.check && rows.iter().any(|row| row.holds == Some(false)) {
        return Err("a figure does not meet its goal in host-tests/goals.toml".into());
    }
    Ok(())
}
