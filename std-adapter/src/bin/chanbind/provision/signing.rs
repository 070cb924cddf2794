//! Provisioning of signing keys, with certificate requests and certificates for them.

use super::{
    Arguments,
    certificate::{Authority, parameters, request},
    key_table, names,
};
use crate::{
    failure::Failure,
    files::{NewFiles, Password},
};
use chanbind::core::otp::ClientId;
use clap::{ArgGroup, Args};
use rcgen::SanType;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The options for an authenticator's key and certificate.
#[derive(Args)]
#[command(
    next_help_heading = "With --authenticator",
    group(ArgGroup::new("wanted").args(["csr", "certificate"]).multiple(true))
)]
pub(super) struct SigningArguments {
    /// Create an ECDSA P-256 key inside the TPM, for Exported Authenticators (RFC 9261). Give --csr, --certificate, or both.
    #[arg(long, requires = "wanted", help_heading = None)]
    pub(super) authenticator: bool,

    /// Write a certificate request (PKCS #10, PEM), signed by the TPM, for another tool to issue the certificate.
    #[arg(long, value_name = "FILE", requires = "authenticator", conflicts_with_all = ["secret_file", "inside"])]
    csr: Option<PathBuf>,

    /// The certificate of the authority that issues the certificate, PEM.
    #[arg(long, value_name = "FILE", requires_all = ["authenticator", "ca_key", "certificate"])]
    ca: Option<PathBuf>,

    /// The private key of that authority, PEM.
    #[arg(long, value_name = "FILE", requires_all = ["authenticator", "ca", "certificate"])]
    ca_key: Option<PathBuf>,

    /// Write the certificate (PEM), issued by --ca and --ca-key.
    #[arg(long, value_name = "FILE", requires_all = ["authenticator", "ca", "ca_key"], conflicts_with_all = ["secret_file", "inside"])]
    certificate: Option<PathBuf>,

    /// The number of days for which the certificate is valid, from now.
    #[arg(long, value_name = "N", requires = "certificate", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,

    /// A URI for the certificate's subject alternative names, like urn:example:device:1. Gateways identify the device by the
    /// first one. May be repeated.
    #[arg(long, value_name = "URI", requires = "authenticator", conflicts_with_all = ["secret_file", "inside"], value_parser = names::uri)]
    uri: Vec<SanType>,

    /// A DNS name for the certificate's subject alternative names. May be repeated.
    #[arg(long, value_name = "NAME", requires = "authenticator", conflicts_with_all = ["secret_file", "inside"], value_parser = names::dns)]
    dns: Vec<SanType>,
}

impl SigningArguments {
    /// Returns the files that will be written.
    pub(super) fn files(&self) -> [Option<&PathBuf>; 2] {
        [self.csr.as_ref(), self.certificate.as_ref()]
    }

    /// Returns the authority that issues the certificate and the path of the certificate, if one is to be issued.
    fn issue(&self) -> Result<Option<(Authority, &Path)>, Failure> {
        match (&self.ca, &self.ca_key, &self.certificate) {
            (Some(ca), Some(key), Some(certificate)) => {
                Ok(Some((Authority::read(ca, key)?, certificate)))
            }
            _ => Ok(None),
        }
    }
}

pub(super) async fn run(
    arguments: &Arguments,
    client: ClientId<'_>,
    password: &Password,
    mut files: NewFiles,
) -> Result<ExitCode, Failure> {
    let signing = &arguments.signing;
    let alternative_names = [&signing.uri[..], &signing.dns].concat();
    let parameters = parameters(client, alternative_names)?;
    let issue = signing.issue()?;
    let options = arguments.key_options(client, password)?;

    let tpm = arguments.tpm.open().await?;
    let result = async {
        let parent_name = tpm.parent_name(arguments.parent).await?;
        let file = tpm.create_signing_key(options).await?;
        let key = tpm.load_signing_key(file.clone(), password.auth()?).await?;
        let public_key = *key.public_key();
        let request = match &signing.csr {
            Some(path) => Some((path, request(parameters.clone(), key).await?)),
            None => None,
        };
        Ok::<_, Failure>((parent_name, file, public_key, request))
    }
    .await;
    // Flush the TPM now, also after an error: the worker thread does not outlive the process.
    tpm.close().await;
    let (parent_name, file, public_key, request) = result?;
    let certificate = match &issue {
        Some((authority, path)) => Some((
            *path,
            authority.issue(parameters, &public_key, signing.days)?,
        )),
        None => None,
    };

    files.write(&arguments.out, file.to_pem()?.as_bytes())?;
    if let Some((path, request)) = &request {
        files.write(path, request.as_bytes())?;
    }
    if let Some((path, certificate)) = &certificate {
        files.write(path, certificate.as_bytes())?;
    }
    if let Some(path) = &arguments.device_config {
        let table = key_table(&parent_name, &file, password);
        let certificates = certificates(signing)?;
        let toml = format!("proof = \"authenticator\"\n{certificates}\n\n{table}");
        files.write(path, toml.as_bytes())?;
    }
    files.keep();
    report(arguments);
    eprintln!("pin this TPM in later commands: --parent-name {parent_name}");
    Ok(ExitCode::SUCCESS)
}

/// Returns the line `certificates` of a firmware's configuration.
fn certificates(signing: &SigningArguments) -> Result<String, Failure> {
    let quoted = |path: &Path| {
        let text = path.to_str().ok_or_else(|| {
            format!(
                "{}: the path is not UTF-8, which chanbind.toml requires",
                path.display()
            )
        })?;
        Ok::<_, Failure>(toml::Value::from(text).to_string())
    };
    match (&signing.certificate, &signing.csr) {
        (Some(certificate), _) => Ok(format!("certificates = [{}]", quoted(certificate)?)),
        (None, Some(csr)) => Ok(format!(
            "# certificates = [\"...\"]  # put here the path of the certificate that is issued for {}",
            quoted(csr)?
        )),
        (None, None) => Ok(String::new()),
    }
}

/// Reports the files that were written and the next steps.
fn report(arguments: &Arguments) {
    let signing = &arguments.signing;
    eprintln!(
        "wrote {}, a key that was created in this TPM and never leaves it",
        arguments.out.display()
    );
    if let Some(csr) = &signing.csr {
        eprintln!("wrote {}, the request for its certificate", csr.display());
    }
    match (&signing.certificate, &signing.ca) {
        (Some(certificate), Some(ca)) => {
            eprintln!(
                "wrote {}, its certificate for {} days",
                certificate.display(),
                signing.days
            );
            eprintln!(
                "next: chanbind gateway --authenticator-ca {} ..., and chanbind connect --authenticator --certificate {} --key {} ...",
                ca.display(),
                certificate.display(),
                arguments.out.display()
            );
        }
        _ => eprintln!(
            "next: have an authority sign the request, and give that authority's certificate to chanbind gateway --authenticator-ca"
        ),
    }
}
