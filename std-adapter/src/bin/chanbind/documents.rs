//! The manual pages and the completions of this command, for packages and shells.

use crate::{
    Arguments,
    failure::Failure,
    files::{named, say_bytes},
};
use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Print the completions of a shell, for its configuration.
#[derive(Args)]
#[command(after_help = "Example:\n  chanbind completions bash > /etc/bash_completion.d/chanbind")]
pub(crate) struct CompletionsArguments {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Write the manual pages of this command and its subcommands.
#[derive(Args)]
pub(crate) struct ManArguments {
    /// The folder of the pages, which has to exist.
    folder: PathBuf,
}

pub(crate) fn completions(arguments: &CompletionsArguments) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(
        arguments.shell,
        &mut Arguments::command(),
        "chanbind",
        &mut text,
    );
    say_bytes(&text)
}

pub(crate) fn man(arguments: &ManArguments) -> Result<(), Failure> {
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    pages(&command, &arguments.folder)
}

/// Writes the page of a command, and those of its subcommands: `chanbind-gateway.1`, `chanbind-gateway-otp.1`.
fn pages(command: &Command, folder: &Path) -> Result<(), Failure> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let path = folder.join(format!("{name}.1"));
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .title(name)
        .render(&mut page)?;
    fs::write(&path, page).map_err(|error| named(&path, error))?;
    let visible = command.get_subcommands().filter(|one| !one.is_hide_set());
    for subcommand in visible {
        pages(subcommand, folder)?;
    }
    Ok(())
}
