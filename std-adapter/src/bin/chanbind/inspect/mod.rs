//! What files, tokens and header fields say, for people.

mod authenticator;
mod certificate;
mod container;
mod key;
mod name;
mod otp;
mod request;

pub(crate) use name::visible;

use crate::{
    files::{named, read, say},
    shared::Failure,
};
use chanbind::core::binding::ChannelBinding;
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
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// A TSS2 PEM key file: what its key is for, its parent, its policy, its name.
    #[command(after_help = "Example:\n  chanbind inspect key client1.pem")]
    Key {
        /// The file; `-` reads standard input.
        file: PathBuf,
    },
    /// A token: its form, header and claims. It is a secret as long as its connection lives, and is not printed.
    #[command(after_help = "Example:\n  chanbind inspect token token.txt")]
    Token {
        /// The file with the token; `-` reads standard input. Tokens on the command line end up in other users' process lists.
        file: PathBuf,
    },
    /// The tls-server-end-point binding of a certificate (RFC 5929), and what its value means.
    #[command(after_help = "Example:\n  chanbind inspect binding chain.pem")]
    Binding {
        /// The server's certificate, PEM; `-` reads standard input.
        certificate: PathBuf,
    },
    /// An Exported Authenticator (RFC 9261): who it is about. Whether it is true, only the other end of its connection knows.
    #[command(
        after_help = "Example:\n  echo 'Authorization: Exported-Authenticator CwAB...' | chanbind inspect authenticator -"
    )]
    Authenticator {
        /// The file with it, as bytes, as base64url, or in the header fields that it came in; `-` reads standard input.
        file: PathBuf,
    },
    /// A request for an authenticator: who is asked for.
    #[command(
        after_help = "Example:\n  curl -sik https://localhost:8443/get | chanbind inspect request -"
    )]
    Request {
        /// The file with it, as bytes, as base64url, or in the header fields that it came in; `-` reads standard input.
        file: PathBuf,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut out = String::new();
    match &arguments.what {
        What::Key { file } => key::key(&mut out, file)?,
        What::Token { file } => otp::token(&mut out, file)?,
        What::Binding { certificate } => binding(&mut out, certificate)?,
        What::Authenticator { file } => authenticator::authenticator(&mut out, file)?,
        What::Request { file } => request::request(&mut out, file)?,
    }
    say(&out)?;
    Ok(ExitCode::SUCCESS)
}

/// A line: what it is, and its value.
fn line(out: &mut String, label: &str, value: impl Display) {
    // Strings take whatever is written.
    let _ = writeln!(out, "  {label:<12} {value}");
}

fn binding(out: &mut String, path: &Path) -> Result<(), Failure> {
    let certificate = CertificateDer::from_pem_slice(&read(path)?).map_err(|error| {
        named(
            path,
            format!("no certificate ({error}): give PEM with -----BEGIN CERTIFICATE-----"),
        )
    })?;
    let binding = ChannelBinding::tls_server_end_point(&certificate)?;
    writeln!(
        out,
        "tls-server-end-point (RFC 5929): names the server's certificate, not a connection"
    )?;
    writeln!(out, "  value    {}", hex::encode(binding.as_bytes()))?;
    writeln!(
        out,
        "  hash     {} bits, by the certificate's signature algorithm",
        binding.as_bytes().len() * 8
    )?;
    writeln!(
        out,
        "tls-exporter (RFC 9266) names the connection and exists only on it: both ends export it themselves"
    )?;
    Ok(())
}
