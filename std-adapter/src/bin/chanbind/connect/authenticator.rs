//! By an Exported Authenticator, of a certificate's key.

use super::{Answered, Arguments, Task};
use crate::{
    files::{Password, named, read},
    shared::Failure,
};
use axum::http::StatusCode;
use chanbind::{
    authenticator::{Credentials, CredentialsError, Trust},
    tls::TlsConfigError,
    tpm::{KeyFile, KeyFileError},
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::path::Path;
use x509_parser::{certificate::X509Certificate, prelude::FromDer, time::ASN1Time};
use zeroize::Zeroizing;

pub(super) async fn run(
    arguments: &Arguments,
    certificate: &Path,
    task: Task,
    second: Option<&Trust>,
) -> Result<Answered, Failure> {
    let chain = read(certificate)?;
    let wrong = |error| credentials_error(error, certificate, &arguments.key);
    let password = Password::read(arguments.password_file.as_deref())?;
    let file = match Key::read(&arguments.key)? {
        Key::Software(pem) => {
            if password.is_given() {
                return Err("--password-file: it is for keys in a TPM; give a private key without a password".into());
            }
            let credentials = Credentials::from_pem(&chain, &pem).map_err(wrong)?;
            return exchange(arguments, &credentials, task, second).await;
        }
        Key::Tpm(file) => file,
    };

    let tpm = arguments.tpm.open().await?;
    let answered = async {
        let key = tpm.load_signing_key(file, password.auth()?).await?;
        let credentials = Credentials::tpm(&chain, key).map_err(wrong)?;
        exchange(arguments, &credentials, task, second).await
    }
    .await;
    // The worker thread does not outlive the program: what is in the TPM goes before, in any case.
    tpm.close().await;
    answered
}

async fn exchange(
    arguments: &Arguments,
    credentials: &Credentials,
    mut task: Task,
    second: Option<&Trust>,
) -> Result<Answered, Failure> {
    let mut connection = task.open().await?;
    let name = arguments.second_name.as_deref();
    let asked = second
        .map(|trust| connection.ask(&mut task.request, name, trust))
        .transpose()?;
    let response = connection
        .send_with(task.request, Some(credentials))
        .await?;
    Ok(Answered {
        connection,
        asked,
        response,
    })
}

/// Where the key is.
enum Key {
    Tpm(KeyFile),
    /// The file's contents.
    Software(Zeroizing<Vec<u8>>),
}

impl Key {
    fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = read(path)?;
        let text =
            str::from_utf8(&bytes).map_err(|_| named(path, "not text; a key file is PEM"))?;
        match KeyFile::from_pem(text) {
            Ok(file) => Ok(Self::Tpm(file)),
            Err(KeyFileError::OtherKey) => Ok(Self::Software(bytes)),
            Err(error) => Err(named(path, error)),
        }
    }
}

/// With the files that it is about.
fn credentials_error(error: CredentialsError, certificate: &Path, key: &Path) -> Failure {
    match error {
        CredentialsError::Pem(error @ TlsConfigError::Certificate(_)) => named(certificate, error),
        CredentialsError::Pem(error) => named(key, error),
        error => format!("{}, {}: {error}", certificate.display(), key.display()).into(),
    }
}

/// What to look at when the gateway does not admit the device.
pub(super) fn explain(certificate: &Path, status: StatusCode) -> String {
    let file = certificate.display();
    if let Some(reason) = not_valid_now(certificate) {
        return format!("the gateway did not admit this device: {file} {reason}");
    }
    if status == StatusCode::FORBIDDEN {
        return format!(
            "the gateway does not admit who is in {file}: is it of the authority that the gateway was started with (chanbind gateway --authenticator-ca), with the certificates between, if there are any, behind it in the file?"
        );
    }
    format!(
        "the gateway did not accept the authenticator of {file}: is it a certificate for clients (extendedKeyUsage clientAuth) of an authority that the gateway trusts? The gateway's log has the reason"
    )
}

/// Whether the certificate's validity is over or has not begun, by the clock of this host.
fn not_valid_now(certificate: &Path) -> Option<String> {
    let der = CertificateDer::from_pem_slice(&read(certificate).ok()?).ok()?;
    let (_, certificate) = X509Certificate::from_der(&der).ok()?;
    let validity = certificate.validity();
    let now = ASN1Time::now();
    if now > validity.not_after {
        Some(format!(
            "has expired on {}: have a new one issued",
            validity.not_after
        ))
    } else if now < validity.not_before {
        Some(format!(
            "is valid from {} only: set the clock, or have a new one issued",
            validity.not_before
        ))
    } else {
        None
    }
}
