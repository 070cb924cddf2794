//! Connecting with an Exported Authenticator, of a certificate's key.

use super::{exchange::exchange, exit::CommandError, request::RequestArguments};
use crate::{
    failure::Failure,
    files::{named, read},
    inspect::visible,
    tpm::{Password, TpmArguments},
};
use axum::http::StatusCode;
use chanbind::{
    client::Session,
    proof::authenticator::{
        AuthenticatorProver, Credentials, CredentialsError, ServerIdentityError, Trust,
        WithServerIdentity, prover,
    },
    protocol::authenticator::ValidateError,
    tls::TlsConfigError,
    tpm::{KeyFile, KeyFileError},
};
use clap::Args;
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer, time::ASN1Time};
use zeroize::Zeroizing;

/// Prove the key of a certificate, by an Exported Authenticator (RFC 9261), when the gateway asks for it.
#[derive(Args)]
#[command(
    after_help = "Example:\n  chanbind connect authenticator https://localhost:8443/get --ca ca.pem \\\n    --certificate client1.crt --key client1.pem"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    request: RequestArguments,

    /// The device's key file, as `chanbind provision authenticator` wrote it, or a private key outside of a TPM, PEM.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,

    /// A file with the password of the key in the TPM, if it has one.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,

    /// The device's certificate, PEM, followed by those between it and the authority that the gateway trusts.
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,

    /// Ask the gateway for a second identity, of these authorities, 1 to 4, PEM. If it proves none, the exit code is 1.
    #[arg(long, value_name = "FILE")]
    second_ca: Option<PathBuf>,

    /// The DNS name that the second identity must have.
    #[arg(long, value_name = "NAME", requires = "second_ca")]
    second_name: Option<String>,

    #[command(flatten)]
    tpm: TpmArguments,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let chain = read(&arguments.certificate)?;
    let wrong = |error| credentials_error(error, &arguments.certificate, &arguments.key);
    let password = Password::read(arguments.password_file.as_deref())?;
    let file = match Key::read(&arguments.key)? {
        Key::Software(pem) => {
            if password.is_given() {
                return Err(CommandError::usage("--password-file: it is for keys in a TPM; give a private key without a password").into());
            }
            let credentials = Credentials::from_pem(&chain, &pem).map_err(wrong)?;
            return exchange_with(&arguments, credentials).await;
        }
        Key::Tpm(file) => file,
    };

    let tpm = arguments.tpm.open().await?;
    let done = async {
        let key = tpm.load_signing_key(file, password.auth()?).await?;
        let credentials = Credentials::tpm(&chain, key).map_err(wrong)?;
        exchange_with(&arguments, credentials).await
    }
    .await;
    // The worker thread does not outlive the program: keys leave the TPM before it ends, in any case.
    tpm.close().await;
    done
}

/// The longest content that goes with the first request, in bytes. The gateway asks for the proof in its response to that request; after
/// longer content it may close the connection, to which the proof would be bound.
const LONG_CONTENT: usize = 32 * 1024;

async fn exchange_with(
    arguments: &Arguments,
    credentials: Credentials,
) -> Result<ExitCode, Failure> {
    let mut task = arguments.request.task()?;
    task.authenticates_first = task.content_len > LONG_CONTENT;
    let prover = prover(&credentials);
    let advice = |status| explain(&arguments.certificate, status);
    let Some(path) = &arguments.second_ca else {
        let (done, _) = exchange(&arguments.request, task, prover, credentials).await?;
        return Ok(done.report(advice));
    };
    let trust = Trust::from_pem(&read(path)?).map_err(|error| named(path, error))?;
    let name = arguments.second_name.as_deref();
    let prover = WithServerIdentity::new(prover, trust, name)
        .map_err(|error| CommandError::usage(format!("--second-name: {error}")))?;
    let (done, session) = exchange(&arguments.request, task, prover, credentials).await?;
    let has_proved = report_second(name, &session);
    let code = done.report(advice);
    Ok(if code == ExitCode::SUCCESS && !has_proved {
        ExitCode::FAILURE
    } else {
        code
    })
}

/// Says whether the gateway proved a second identity, and which.
fn report_second(
    name: Option<&str>,
    session: &Session<WithServerIdentity<AuthenticatorProver>, Credentials>,
) -> bool {
    match session.prover().server_identity() {
        Ok(identity) => {
            eprintln!("the server also proved to be {}", visible(identity.name()));
            true
        }
        Err(ServerIdentityError::Validate(ValidateError::Empty)) => {
            eprintln!(
                "the server proved no second identity: it has none of the authority in --second-ca{}",
                name.map_or(String::new(), |name| format!(" for {name}"))
            );
            false
        }
        Err(error) => {
            eprintln!("the server proved no second identity: {error}");
            false
        }
    }
}

/// The key, in a TPM or in software.
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

/// Adds the files that an error is about.
fn credentials_error(error: CredentialsError, certificate: &Path, key: &Path) -> Failure {
    match error {
        CredentialsError::Pem(error @ TlsConfigError::Certificate(_)) => named(certificate, error),
        CredentialsError::Pem(error) => named(key, error),
        error => {
            let files = format!("{}, {}", certificate.display(), key.display());
            CommandError::files(format!("{files}: {error}")).into()
        }
    }
}

/// Says what to look at when the gateway does not admit the device.
fn explain(certificate: &Path, status: StatusCode) -> String {
    let file = certificate.display();
    if let Some(reason) = not_valid_now(certificate) {
        return format!("the gateway did not admit this device: {file} {reason}");
    }
    if status == StatusCode::FORBIDDEN {
        return format!(
            "the gateway does not admit the identity in {file}: is it of the authority that the gateway was started with (chanbind gateway authenticator --client-ca), with the certificates between, if there are any, behind it in the file?"
        );
    }
    format!(
        "the gateway did not accept the authenticator of {file}: is it a certificate for clients (extendedKeyUsage clientAuth) of an authority that the gateway trusts? The gateway's log has the reason"
    )
}

/// Returns the reason if the certificate's validity is over or has not begun, by the clock of this host.
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
