//! The files that a provisioning command creates.

use crate::{
    failure::Failure,
    files::{named, owner_only},
};
use std::{
    collections::HashSet,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The files that a command creates. They are removed when this value is dropped, unless [`NewFiles::keep`] was called, so that a
/// failed command leaves nothing behind that would make the next attempt fail.
#[derive(Default)]
pub(crate) struct NewFiles {
    written: Vec<PathBuf>,
}

impl NewFiles {
    /// Checks that the paths differ from each other and that no file exists at any of them.
    pub(crate) fn at<'p>(paths: impl IntoIterator<Item = &'p PathBuf>) -> Result<Self, Failure> {
        let mut all = HashSet::new();
        for path in paths {
            if path.exists() {
                return Err(exists(path));
            }
            if !all.insert(path) {
                return Err(named(
                    path,
                    "named twice: each file needs a name of its own",
                ));
            }
        }
        Ok(Self::default())
    }

    /// Writes a new file that only its owner may read and write. Returns an error if the file exists already.
    pub(crate) fn write(&mut self, path: &Path, contents: &[u8]) -> Result<(), Failure> {
        let file = owner_only().write(true).create_new(true).open(path);
        let mut file = file.map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(path),
            _ => named(path, error),
        })?;
        self.written.push(path.to_owned());
        file.write_all(contents).map_err(|error| named(path, error))
    }

    /// Keeps the files, because the command has succeeded.
    pub(crate) fn keep(mut self) {
        self.written.clear();
    }
}

impl Drop for NewFiles {
    fn drop(&mut self) {
        for path in &self.written {
            if let Err(error) = fs::remove_file(path) {
                eprintln!(
                    "{}: cannot remove the file of a failed command: {error}",
                    path.display()
                );
            }
        }
    }
}

fn exists(path: &Path) -> Failure {
    format!(
        "{} exists: it was left as it is; move it or choose another file name",
        path.display()
    )
    .into()
}
