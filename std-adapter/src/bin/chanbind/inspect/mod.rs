//! The command `inspect`, which prints the contents of files, tokens and header fields for human readers.

mod authenticator;
mod certificate;
mod container;
mod key;
mod name;
mod otp;
mod request;

pub(crate) use name::visible;

use crate::{
    failure::Failure,
    files::{named, read, say},
};
use chanbind::protocol::binding::ChannelBinding;
use clap::{Args, Subcommand};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use std::{
    fmt::{Display, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Explain a key file, a token, a channel binding, or an Exported Authenticator. Nothing is verified and no TPM is needed.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  chanbind inspect key client1.pem\n  curl -sik https://localhost:8443/get | chanbind inspect request -"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Subcommand)]
enum Subject {
    /// Explain a TSS2 PEM key file: the use of its key, its parent, its policy, its name.
    #[command(after_help = "Example:\n  chanbind inspect key client1.pem")]
    Key {
        /// The file; `-` reads standard input.
        file: PathBuf,
    },
    /// Explain a one-time password in the form of a token: its form, header and claims. The token itself is not printed, because it is
    /// a secret while its connection lasts.
    #[command(after_help = "Example:\n  chanbind inspect otp token.txt")]
    Otp {
        /// The file with the token; `-` reads standard input. A token on the command line would be visible to other users.
        file: PathBuf,
    },
    /// Print the tls-server-end-point binding of a certificate (RFC 5929), and explain its value.
    #[command(after_help = "Example:\n  chanbind inspect binding chain.pem")]
    Binding {
        /// The server's certificate, PEM; `-` reads standard input.
        certificate: PathBuf,
    },
    /// Explain an Exported Authenticator (RFC 9261): its certificates and its signature. Only the peer on its connection can
    /// verify it.
    #[command(
        after_help = "Example:\n  echo 'Authorization: Exported-Authenticator CwAB...' | chanbind inspect authenticator -"
    )]
    Authenticator {
        /// The file with the authenticator, as bytes, as base64url, or in its header fields; `-` reads standard input.
        file: PathBuf,
    },
    /// Explain a request for an authenticator: the certificates that it accepts.
    #[command(
        after_help = "Example:\n  curl -sik https://localhost:8443/get | chanbind inspect request -"
    )]
    Request {
        /// The file with the request, as bytes, as base64url, or in its header fields; `-` reads standard input.
        file: PathBuf,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut out = String::new();
    match &arguments.subject {
        Subject::Key { file } => key::key(&mut out, file)?,
        Subject::Otp { file } => otp::token(&mut out, file)?,
        Subject::Binding { certificate } => binding(&mut out, certificate)?,
        Subject::Authenticator { file } => authenticator::authenticator(&mut out, file)?,
        Subject::Request { file } => request::request(&mut out, file)?,
    }
    say(&out)?;
    Ok(ExitCode::SUCCESS)
}

/// Appends a line with a label and a value.
fn line(out: &mut String, label: &str, value: impl Display) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "  {label:<12} {value}");
}

fn binding(out: &mut String, path: &Path) -> Result<(), Failure> {
    let certificate = CertificateDer::from_pem_slice(&read(path)?).map_err(|error| {
        named(
            path,
            format!(
                "no certificate can be read ({error}): give PEM with -----BEGIN CERTIFICATE-----"
            ),
        )
    })?;
    let binding = ChannelBinding::tls_server_end_point(&certificate)?;
    writeln!(
        out,
        "tls-server-end-point (RFC 5929): identifies the server's certificate, not a connection"
    )?;
    writeln!(out, "  value    {}", hex::encode(binding.as_bytes()))?;
    writeln!(
        out,
        "  hash     {} bits, by the certificate's signature algorithm",
        binding.as_bytes().len() * 8
    )?;
    writeln!(
        out,
        "tls-exporter (RFC 9266) identifies a connection and exists only on it: both ends export it themselves"
    )?;
    Ok(())
}
