use crate::shared::{Failure, key_file, read, say};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chanbind::{
    core::{
        binding::ChannelBinding,
        token::{jwe, jws, scratch_len},
    },
    tpm::PolicyCommand,
};
use clap::{Args, Subcommand};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use sha2::{Digest, Sha256};
use std::{fmt::Write, path::PathBuf, process::ExitCode};

/// Explain a key file, a token, or a channel binding. Nothing is verified and no TPM is needed.
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// A TSS2 PEM key file: its parent, its policy, its name.
    Key {
        /// The file; `-` reads standard input.
        file: PathBuf,
    },
    /// A token: its form, header and claims. It is a secret as long as its connection lives, and is not printed.
    Token {
        /// The file with the token; `-` reads standard input. Tokens on the command line end up in other users' process lists.
        file: PathBuf,
    },
    /// The tls-server-end-point binding of a certificate (RFC 5929), and what its value means.
    Binding {
        /// The server's certificate, PEM; `-` reads standard input.
        certificate: PathBuf,
    },
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut out = String::new();
    match &arguments.what {
        What::Key { file } => key(&mut out, file)?,
        What::Token { file } => token(&mut out, file)?,
        What::Binding { certificate } => binding(&mut out, certificate)?,
    }
    say(&out)?;
    Ok(ExitCode::SUCCESS)
}

fn key(out: &mut String, path: &std::path::Path) -> Result<(), Failure> {
    let file = key_file(path)?;
    writeln!(out, "TSS2 key file, loadable")?;
    writeln!(out, "  parent       {}", file.parent)?;
    if let Some(description) = &file.description {
        writeln!(out, "  description  {description:?}")?;
    }
    writeln!(
        out,
        "  password     {}",
        if file.empty_auth {
            "none"
        } else {
            "asked for, or not said"
        }
    )?;
    for command in &file.policy {
        match command {
            PolicyCommand::Pcr { digest, selection } => {
                writeln!(
                    out,
                    "  policy       PCRs {} have digest {}",
                    hex::encode(selection),
                    hex::encode(digest)
                )?;
            }
            PolicyCommand::AuthValue => {
                writeln!(out, "  policy       the password is proved by HMAC")?
            }
            other => writeln!(out, "  policy       {other:?}")?,
        }
    }
    let public = file.public.get(2..).unwrap_or_default();
    let kind = match public.get(..2) {
        Some([0x00, 0x08]) => "keyed hash (HMAC)",
        Some([0x00, 0x23]) => "ECC",
        Some([0x00, 0x01]) => "RSA",
        Some([0x00, 0x25]) => "symmetric cipher",
        _ => "unknown",
    };
    writeln!(out, "  type         {kind}")?;
    if public.get(2..4) == Some(&[0x00, 0x0b]) {
        writeln!(
            out,
            "  name         000b{}",
            hex::encode(Sha256::digest(public))
        )?;
    }
    writeln!(
        out,
        "  private      {} bytes, encrypted by the TPM: of no use without it",
        file.private.len()
    )?;
    Ok(())
}

fn token(out: &mut String, path: &std::path::Path) -> Result<(), Failure> {
    let bytes = read(path)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| format!("{}: not text", path.display()))?
        .trim();
    let text = text.strip_prefix("Bearer ").unwrap_or(text);
    let parts: Vec<_> = text.split('.').collect();
    let mut scratch = vec![0; scratch_len(text.len())];
    let (form, checked) = match parts.len() {
        1 if text.len() == 44 => {
            writeln!(
                out,
                "API key: 32 bytes in base64, good on one connection only"
            )?;
            return Ok(());
        }
        3 => (
            "JWS, signed",
            jws::peek_header(text, &mut scratch).map(|_| ()),
        ),
        5 => (
            "JWE, encrypted",
            jwe::peek_header(text, &mut scratch).map(|_| ()),
        ),
        _ => {
            return Err(
                "no token: an API key has 44 characters, a JWS three parts, a JWE five".into(),
            );
        }
    };
    writeln!(out, "{form}; not verified here")?;
    let json = |part: &str| {
        BASE64_URL_SAFE_NO_PAD.decode(part).map_or_else(
            |error| format!("not base64url ({error})"),
            |bytes| {
                String::from_utf8_lossy(&bytes)
                    .escape_debug()
                    .to_string()
                    .replace("\\\"", "\"")
            },
        )
    };
    writeln!(
        out,
        "  header   {}",
        json(parts.first().copied().unwrap_or_default())
    )?;
    if parts.len() == 3 {
        writeln!(
            out,
            "  claims   {}",
            json(parts.get(1).copied().unwrap_or_default())
        )?;
    } else {
        writeln!(
            out,
            "  content  {} characters, hidden without the key",
            parts.get(3).map_or(0, |part| part.len())
        )?;
    }
    match checked {
        Ok(()) => writeln!(out, "  a gateway would look at it")?,
        Err(error) => writeln!(out, "  a gateway would not take it: {error}")?,
    }
    Ok(())
}

fn binding(out: &mut String, path: &std::path::Path) -> Result<(), Failure> {
    let certificate = CertificateDer::from_pem_slice(&read(path)?).map_err(|error| {
        format!(
            "{}: no certificate ({error}): give PEM with -----BEGIN CERTIFICATE-----",
            path.display()
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
