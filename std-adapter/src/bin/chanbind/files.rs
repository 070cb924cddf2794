//! Files that commands read, and those that they write.

use crate::shared::Failure;
use chanbind::tpm::{Auth, KeyFile};
use std::{
    collections::HashSet,
    fmt, fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// An error with the file that it is about.
pub(crate) fn named(path: &Path, error: impl fmt::Display) -> Failure {
    format!("{}: {error}", path.display()).into()
}

/// Reads a file, or standard input for `-`; at most 16 MiB.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    const MAX: u64 = 16 * 1024 * 1024;
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        io::stdin().take(MAX).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).and_then(|file| file.take(MAX).read_to_end(&mut bytes))
    }
    .map_err(|error| named(path, error))?;
    Ok(bytes)
}

/// A password from a file, without the end of its line.
pub(crate) struct Password(Option<Zeroizing<Vec<u8>>>);

impl Password {
    pub(crate) fn read(file: Option<&Path>) -> Result<Self, Failure> {
        let bytes = file.map(read).transpose()?.map(Zeroizing::new);
        Ok(Self(bytes.map(|mut bytes| {
            let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            let len = text.strip_suffix(b"\r").unwrap_or(text).len();
            bytes.truncate(len);
            bytes
        })))
    }

    pub(crate) fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// For each use of it anew.
    pub(crate) fn auth(&self) -> Result<Option<Auth>, Failure> {
        let auth = self.0.as_deref().map(|password| Auth::new(password));
        Ok(auth.transpose()?)
    }
}

pub(crate) fn key_file(path: &Path) -> Result<KeyFile, Failure> {
    let text =
        String::from_utf8(read(path)?).map_err(|_| named(path, "not text; a key file is PEM"))?;
    KeyFile::from_pem(&text).map_err(|error| named(path, error))
}

/// New files of this run. Unless they are kept, they are removed again: what is made half is in the way of the next try.
#[derive(Default)]
pub(crate) struct NewFiles {
    written: Vec<PathBuf>,
}

impl NewFiles {
    /// For these paths, at which nothing is yet.
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

    /// Writes one, for its owner's eyes only; an existing one is not touched.
    pub(crate) fn write(&mut self, path: &Path, contents: &[u8]) -> Result<(), Failure> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(path),
            _ => named(path, error),
        })?;
        self.written.push(path.to_owned());
        file.write_all(contents).map_err(|error| named(path, error))
    }

    /// All is well.
    pub(crate) fn keep(mut self) {
        self.written.clear();
    }
}

impl Drop for NewFiles {
    fn drop(&mut self) {
        for path in &self.written {
            if let Err(error) = fs::remove_file(path) {
                eprintln!("{}: not removed again: {error}", path.display());
            }
        }
    }
}

fn exists(path: &Path) -> Failure {
    format!(
        "{} exists: it was left as it is; move it away or name another file",
        path.display()
    )
    .into()
}

/// Writes to standard output.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| format!("standard output: {error}").into())
}
