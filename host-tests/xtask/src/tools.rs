//! Installs programs from crates.io that parts of `cargo x` run. They are built into `target/tools`, in the versions stated here, if they
//! are not there yet.

use crate::{root, run};
use std::{
    error::Error,
    path::{Path, PathBuf},
    process::Command,
};

/// A program from crates.io.
pub(crate) struct Tool {
    /// The name of the crate and of its program.
    name: &'static str,
    version: &'static str,
}

/// Checks licences, sources and advisories of dependencies.
pub(crate) const CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
};

/// Builds packages for Debian.
pub(crate) const CARGO_DEB: Tool = Tool {
    name: "cargo-deb",
    version: "3.8.0",
};

/// Finds dependencies that are not used.
pub(crate) const CARGO_MACHETE: Tool = Tool {
    name: "cargo-machete",
    version: "0.9.2",
};

/// Finds changes of public interfaces that need a higher version.
pub(crate) const CARGO_SEMVER_CHECKS: Tool = Tool {
    name: "cargo-semver-checks",
    version: "0.51.0",
};

/// The folder of the programs, relative to the root folder of the workspace.
const FOLDER: &str = "target/tools";

impl Tool {
    /// Returns a command that runs the program in the root folder of the workspace. Installs the program first if necessary.
    pub(crate) fn command(&self, arguments: &[&str]) -> Result<Command, Box<dyn Error>> {
        let program = self.install()?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(root());
        Ok(command)
    }

    fn install(&self) -> Result<PathBuf, Box<dyn Error>> {
        let program = root().join(FOLDER).join("bin").join(self.name);
        if self.is_installed(&program) {
            return Ok(program);
        }
        let mut install = run::cargo(&["install", "--locked", "--quiet", "--root", FOLDER]);
        install.args([self.name, "--version", self.version]);
        run::quietly(
            &format!(
                "build {} {}, which takes some minutes",
                self.name, self.version
            ),
            &mut install,
        )?;
        Ok(program)
    }

    fn is_installed(&self, program: &Path) -> bool {
        Command::new(program)
            .arg("--version")
            .output()
            .is_ok_and(|output| {
                let version = String::from_utf8_lossy(&output.stdout);
                version.split_whitespace().last() == Some(self.version)
            })
    }
}
