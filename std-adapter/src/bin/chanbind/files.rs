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

/// The most that is read of a file, but for registries, which have no limit: larger ones are not what they are taken for.
const MAX_LEN: u64 = 16 * 1024 * 1024;

/// Reads a file, or standard input for `-`. SecretBytes when dropped, as it may be a secret.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    read_at_most(path, MAX_LEN)
}

/// Reads a text of any length.
pub(crate) fn read_text(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let mut bytes = read_at_most(path, u64::MAX)?;
    let text = String::from_utf8(std::mem::take(&mut *bytes)).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        drop(Zeroizing::new(error.into_bytes()));
        named(path, format_args!("not text in UTF-8, from byte {at} on"))
    })?;
    Ok(Zeroizing::new(text))
}

fn read_at_most(path: &Path, max: u64) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut bytes = Zeroizing::new(Vec::new());
    let read = if path.as_os_str() == "-" {
        io::stdin().take(max).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).and_then(|file| {
            // In one piece, so that growing leaves no copies behind.
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
            format_args!("{mebibytes} MiB or more, which no such file has: is it the right one?"),
        ));
    }
    Ok(bytes)
}

/// A password from a file, without the end of its line.
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
    let bytes = read(path)?;
    let text = str::from_utf8(&bytes).map_err(|_| named(path, "not text; a key file is PEM"))?;
    KeyFile::from_pem(text).map_err(|error| named(path, error))
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
