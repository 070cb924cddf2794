//! Runs other programs and reports their progress.

use crate::root;
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    error::Error,
    io::IsTerminal,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Returns a command that runs in the root folder of the workspace. `line` is the program and its arguments.
pub(crate) fn command(line: &[&str]) -> Command {
    let (program, arguments) = line.split_first().unwrap_or((&"true", &[]));
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    // The other modules expect the built programs in the folder `target`.
    command.env_remove("CARGO_TARGET_DIR");
    command
}

/// Returns a command of the cargo that runs this program.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    command(&[&[cargo.as_str()], arguments].concat())
}

/// Runs a command and shows its output to the user.
pub(crate) fn show(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let status = command
        .status()
        .map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{} ended with {status}", line(command)).into())
    }
}

/// Runs a long command and shows `title` with a spinner on a terminal, or as a line otherwise. The command's output is shown only if it
/// fails. Returns the time that it took.
pub(crate) fn quietly(title: &str, command: &mut Command) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    let spinner = if std::io::stderr().is_terminal() {
        let spinner = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}") {
            spinner.set_style(style);
        }
        spinner.set_message(title.to_owned());
        spinner.enable_steady_tick(Duration::from_millis(120));
        Some(spinner)
    } else {
        eprintln!("... {title}");
        None
    };
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    if let Some(spinner) = spinner {
        spinner.finish_and_clear();
    }
    let elapsed = start.elapsed();
    if !output.status.success() {
        eprint!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        return Err(format!("{title}: {} ended with {}", line(command), output.status).into());
    }
    eprintln!("ok  {title} ({:.0} s)", elapsed.as_secs_f64());
    Ok(elapsed)
}

/// Returns whether a folder of `PATH` has a file of this name.
pub(crate) fn is_installed(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    })
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}
