//! Passwords of people, from the terminal or from a file. They are never options: those are seen by other users and kept in histories.

use crate::{
    failure::Failure,
    files::{named, read_text},
};
use clap::Args;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Where a password comes from.
#[derive(Args)]
pub(crate) struct PasswordArguments {
    /// A file with the password in its first line; without it the terminal is asked.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl PasswordArguments {
    /// Reads a password that exists.
    pub(crate) fn read(&self, user: &str) -> Result<Zeroizing<String>, Failure> {
        match &self.password_file {
            Some(path) => from_file(path),
            None => ask(&format!("Password of {user}: ")),
        }
    }

    /// Reads a new password. A person is asked twice.
    pub(crate) fn read_new(&self, user: &str) -> Result<Zeroizing<String>, Failure> {
        if let Some(path) = &self.password_file {
            return from_file(path);
        }
        let password = ask(&format!("New password of {user}: "))?;
        if ask("The same again: ")? != password {
            return Err("the two passwords differ: nothing was written".into());
        }
        Ok(password)
    }
}

fn from_file(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let text = read_text(path)?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        return Err(named(
            path,
            "the first line is empty: write the password there",
        ));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, Failure> {
    let password = rpassword::prompt_password(prompt).map_err(|error| {
        format!("the terminal cannot be asked for the password ({error}): use --password-file")
    })?;
    Ok(Zeroizing::new(password))
}
