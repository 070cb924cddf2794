//! The findings, and their printing.

use crate::files::say;
use std::process::ExitCode;

/// The findings.
#[derive(Default)]
pub(super) struct Findings {
    lines: Vec<String>,
    bad: usize,
}

impl Findings {
    pub(super) fn good(&mut self, text: &str) {
        self.lines.push(format!("ok     {text}"));
    }

    pub(super) fn note(&mut self, text: &str) {
        self.lines.push(format!("note   {text}"));
    }

    /// Adds what is wrong, and the way out.
    pub(super) fn bad(&mut self, text: &str, remedy: &str) {
        self.lines.push(format!("WRONG  {text}\n       {remedy}"));
        self.bad += 1;
    }

    pub(super) fn are_good(&self) -> bool {
        self.bad == 0
    }

    /// Prints everything.
    pub(super) fn report(&self) -> ExitCode {
        let mut text = self.lines.join("\n");
        text.push('\n');
        match say(&text) {
            Ok(()) if self.are_good() => ExitCode::SUCCESS,
            _ => ExitCode::FAILURE,
        }
    }
}
