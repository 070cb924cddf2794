//! Provisioning of signing keys, with certificate requests and certificates for them.

mod certificate;
mod names;

pub(crate) use certificate::PublicPoint;

use super::key::{KeyArguments, Prepared, key_table};
use crate::failure::Failure;
use certificate::{Authority, parameters, request};
use chanbind::proof::authenticator::KIND;
use clap::{ArgGroup, Args};
use rcgen::SanType;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Provision an ECDSA P-256 key with a certificate, for Exported Authenticators (RFC 9261).
///
/// The key is created inside the TPM and never leaves it, and a certificate request or a certificate is written for it. The gateway
/// needs no registry entry, but the certificate of the authority.
#[derive(Args)]
#[command(
    group(ArgGroup::new("wanted").args(["csr", "certificate"]).multiple(true).required(true)),
    after_help = "Examples:\n  chanbind provision authenticator --client-id client1 --out client1.pem \\\n    --ca ca.pem --ca-key ca.key --certificate client1.crt\n  chanbind provision authenticator --client-id client1 --out client1.pem --csr client1.csr"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    key: KeyArguments,

    /// Write a certificate request (PKCS #10, PEM), signed by the TPM, for another tool to issue the certificate.
    #[arg(long, value_name = "FILE")]
    csr: Option<PathBuf>,

    /// The certificate of the authority that issues the certificate, PEM.
    #[arg(long, value_name = "FILE", requires_all = ["ca_key", "certificate"])]
    ca: Option<PathBuf>,

    /// The private key of that authority, PEM.
    #[arg(long, value_name = "FILE", requires_all = ["ca", "certificate"])]
    ca_key: Option<PathBuf>,

    /// Write the certificate (PEM), issued by --ca and --ca-key.
    #[arg(long, value_name = "FILE", requires_all = ["ca", "ca_key"])]
    certificate: Option<PathBuf>,

    /// The number of days for which the certificate is valid, from now.
    #[arg(long, value_name = "N", requires = "certificate", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,

    /// A URI for the certificate's subject alternative names, like urn:example:device:1. Gateways identify the device by the
    /// first one. May be repeated.
    #[arg(long, value_name = "URI", value_parser = names::uri)]
    uri: Vec<SanType>,

    /// A DNS name for the certificate's subject alternative names. May be repeated.
    #[arg(long, value_name = "NAME", value_parser = names::dns)]
    dns: Vec<SanType>,
}

impl Arguments {
    /// Returns the files that will be written.
    fn files(&self) -> [Option<&PathBuf>; 2] {
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

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let key_arguments = &arguments.key;
    let Prepared {
        client,
        password,
        mut files,
    } = key_arguments.prepare(arguments.files())?;
    let alternative_names = [&arguments.uri[..], &arguments.dns].concat();
    let parameters = parameters(client, alternative_names)?;
    let issue = arguments.issue()?;
    let options = key_arguments.options(client, &password)?;

    let tpm = key_arguments.tpm.open().await?;
    let result = async {
        let parent_name = tpm.parent_name(key_arguments.parent).await?;
        let file = tpm.create_signing_key(options).await?;
        let key = tpm.load_signing_key(file.clone(), password.auth()?).await?;
        let public_key = *key.public_key();
        let request = match &arguments.csr {
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
            authority.issue(parameters, &public_key, arguments.days)?,
        )),
        None => None,
    };

    files.write(&key_arguments.out, file.to_pem()?.as_bytes())?;
    if let Some((path, request)) = &request {
        files.write(path, request.as_bytes())?;
    }
    if let Some((path, certificate)) = &certificate {
        files.write(path, certificate.as_bytes())?;
    }
    if let Some(path) = &key_arguments.device_config {
        let table = key_table(KIND, &parent_name, &file, &password);
        let certificates = certificates(&arguments)?;
        let toml = format!("[proof.{KIND}]\n{certificates}\n\n{table}");
        files.write(path, toml.as_bytes())?;
    }
    files.keep();
    report(&arguments);
    eprintln!("pin this TPM in later commands: --parent-name {parent_name}");
    Ok(ExitCode::SUCCESS)
}

/// Returns the line `certificates` of a firmware's configuration.
fn certificates(arguments: &Arguments) -> Result<String, Failure> {
    let quoted = |path: &Path| {
        let text = path.to_str().ok_or_else(|| {
            format!(
                "{}: the path is not UTF-8, which chanbind.toml requires",
                path.display()
            )
        })?;
        Ok::<_, Failure>(toml::Value::from(text).to_string())
    };
    match (&arguments.certificate, &arguments.csr) {
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
    eprintln!(
        "wrote {}, a key that was created in this TPM and never leaves it",
        arguments.key.out.display()
    );
    if let Some(csr) = &arguments.csr {
        eprintln!("wrote {}, the request for its certificate", csr.display());
    }
    match (&arguments.certificate, &arguments.ca) {
        (Some(certificate), Some(ca)) => {
            eprintln!(
                "wrote {}, its certificate for {} days",
                certificate.display(),
                arguments.days
            );
            eprintln!(
                "next: chanbind gateway authenticator --client-ca {} ..., and chanbind connect authenticator --certificate {} --key {} ...",
                ca.display(),
                certificate.display(),
                arguments.key.out.display()
            );
        }
        _ => eprintln!(
            "next: have an authority sign the request, and give that authority's certificate to chanbind gateway authenticator --client-ca"
        ),
    }
}
