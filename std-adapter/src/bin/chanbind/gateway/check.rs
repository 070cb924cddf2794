//! Checks of a gateway's files before it serves.

use super::serve::Prepared;
use crate::{failure::Failure, files::say};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::{path::Path, process::ExitCode};
use x509_parser::{certificate::X509Certificate, prelude::FromDer, time::ASN1Time};

/// Warns of certificates that are not valid now, or not for long.
pub(super) fn certificate(path: &Path, pem: &[u8]) -> Vec<String> {
    const SOON_DAYS: i64 = 14;
    let now = ASN1Time::now();
    let mut warnings = Vec::new();
    for der in CertificateDer::pem_slice_iter(pem).flatten() {
        let Ok((_, certificate)) = X509Certificate::from_der(&der) else {
            continue;
        };
        let validity = certificate.validity();
        let subject = certificate.subject().to_string();
        let subject = subject.escape_debug();
        let left = validity.not_after.timestamp() - now.timestamp();
        if left < 0 {
            warnings.push(format!(
                "{}: the certificate of {subject} expired on {}: renew it",
                path.display(),
                validity.not_after
            ));
        } else if validity.not_before > now {
            warnings.push(format!(
                "{}: the certificate of {subject} is not valid before {}: check this host's clock",
                path.display(),
                validity.not_before
            ));
        } else if left < SOON_DAYS * 86_400 {
            warnings.push(format!(
                "{}: the certificate of {subject} expires on {}",
                path.display(),
                validity.not_after
            ));
        }
    }
    warnings
}

/// Warns of a secret file that other users of this host can read.
pub(super) fn secret_file(path: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // systemd gives credentials to the service alone, with modes of its own.
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY");
        if credentials.is_some_and(|folder| !folder.is_empty() && path.starts_with(folder)) {
            return None;
        }
        let mode = std::fs::metadata(path).ok()?.permissions().mode();
        if mode & 0o077 != 0 {
            return Some(format!(
                "{}: the file is a secret, and other users can read or write it (mode {:03o}): chmod 600",
                path.display(),
                mode & 0o777
            ));
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    None
}

/// Prints the result of `--check`. The exit code is 1 if there are warnings.
pub(super) fn report(prepared: &Prepared) -> Result<ExitCode, Failure> {
    for warning in &prepared.warnings {
        eprintln!("warning: {warning}");
    }
    if !prepared.warnings.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    say(&format!("ok: {}\n", prepared.summary.join(", ")))?;
    Ok(ExitCode::SUCCESS)
}
