//! The files that the commands read and write.

use crate::failure::Failure;
use std::{
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

/// Writes `text` to standard output and flushes it.
pub(crate) fn say(text: &str) -> Result<(), Failure> {
    say_bytes(text.as_bytes())
}

/// Returns options by which new files are readable and writable by their owner alone.
pub(crate) fn owner_only() -> fs::OpenOptions {
    let mut options = fs::OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Writes bytes to standard output.
pub(crate) fn say_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|error| format!("standard output: {error}").into())
}
