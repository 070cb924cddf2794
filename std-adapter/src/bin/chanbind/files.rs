//! The files that the commands read and write.

use crate::failure::Failure;
use chanbind::tpm::{Auth, KeyFile};
use std::{
    collections::HashSet,
    fmt, fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// An error with the file that it is about.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
pub(crate) struct FileError {
    path: PathBuf,
    error: String,
}

/// Creates an error with the file that it is about.
pub(crate) fn named(path: &Path, error: impl fmt::Display) -> Failure {
    FileError {
        path: path.to_owned(),
        error: error.to_string(),
    }
    .into()
}

/// The maximum length of a file, in bytes, to detect a wrong path. Registries have no limit.
const MAX_LEN: u64 = 16 * 1024 * 1024;

/// Reads a file, or standard input if the path is `-`. The contents may be secret and are zeroized when dropped.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    read_at_most(path, MAX_LEN)
}

/// Reads a UTF-8 file of any length, or standard input if the path is `-`. The contents are zeroized when dropped.
pub(crate) fn read_text(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let mut bytes = read_at_most(path, u64::MAX)?;
    let text = String::from_utf8(std::mem::take(&mut *bytes)).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        drop(Zeroizing::new(error.into_bytes()));
        named(path, format_args!("not UTF-8 text: byte {at} is invalid"))
    })?;
    Ok(Zeroizing::new(text))
}

fn read_at_most(path: &Path, max: u64) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut bytes = Zeroizing::new(Vec::new());
    let read = if path.as_os_str() == "-" {
        io::stdin().take(max).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).and_then(|file| {
            // Reserve all memory at once, because a growing buffer would leave copies of a secret behind.
            let len = file.metadata()?.len().min(max);
            bytes.reserve_exact(usize::try_from(len).unwrap_or(0).saturating_add(1));
            file.take(max).read_to_end(&mut bytes)
        })
    };
    let len = read.map_err(|error| named(path, error))?;
    if u64::try_from(len).is_ok_and(|len| len == max) {
        let mebibytes = max / (1024 * 1024);
        return Err(named(
            path,
            format_args!(
                "{mebibytes} MiB or more, which is too large for such a file: check the path"
            ),
        ));
    }
    Ok(bytes)
}

/// A password from a file, without the line ending. The file is optional.
pub(crate) struct Password(Option<Zeroizing<Vec<u8>>>);

impl Password {
    pub(crate) fn read(file: Option<&Path>) -> Result<Self, Failure> {
        let bytes = file.map(read).transpose()?;
        Ok(Self(bytes.map(|mut bytes| {
            let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
            let len = text.strip_suffix(b"\r").unwrap_or(text).len();
            bytes.truncate(len);
            bytes
        })))
    }

    /// Returns whether a file was given.
    pub(crate) fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// Returns the password for a TPM, or `None` if no file was given. Each use consumes its own [`Auth`].
    pub(crate) fn auth(&self) -> Result<Option<Auth>, Failure> {
        let auth = self.0.as_deref().map(|password| Auth::new(password));
        Ok(auth.transpose()?)
    }
}

/// Reads a TSS2 PEM key file.
pub(crate) fn key_file(path: &Path) -> Result<KeyFile, Failure> {
    let bytes = read(path)?;
    let text =
        str::from_utf8(&bytes).map_err(|_| named(path, "not UTF-8 text; a key file is PEM"))?;
    KeyFile::from_pem(text).map_err(|error| named(path, error))
}

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

/// Writes `text` to standard output and flushes it.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    say_bytes(text.as_bytes())
}

/// Writes bytes to standard output.
pub(crate) fn say_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|error| format!("standard output: {error}").into())
}
