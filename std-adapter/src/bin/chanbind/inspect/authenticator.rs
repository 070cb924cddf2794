//! `inspect authenticator`: prints an Exported Authenticator.

use super::{
    certificate::certificate,
    container::{Kind, read_kind},
    line,
};
use crate::{failure::Failure, files::named};
use chanbind::{
    proof::authenticator::header_fields::MAX_AUTHENTICATOR_LEN,
    protocol::{
        authenticator::{Authenticator, Certified},
        x509::MAX_CANDIDATES,
    },
};
use std::{fmt::Write, path::Path};

pub(super) fn authenticator(out: &mut String, path: &Path) -> Result<(), Failure> {
    let container = read_kind(path, Kind::Authenticator)?;
    let bytes = &container.bytes;
    let parsed = Authenticator::parse(bytes)
        .map_err(|error| named(path, format!("not an authenticator: {error}")))?;
    match parsed {
        Authenticator::Empty(verify_data) => {
            writeln!(
                out,
                "empty authenticator: the sender declines; not verified here"
            )?;
            line(out, "finished", finished(verify_data.len()));
        }
        Authenticator::Certified(certified) => {
            writeln!(out, "authenticator with a certificate; not verified here")?;
            print_certified(out, &certified);
            line(out, "finished", finished(certified.verify_data().len()));
        }
    }
    line(out, "size", size(bytes.len(), MAX_AUTHENTICATOR_LEN));
    if let Some(remark) = container.remark {
        line(out, "text", remark);
    }
    Ok(())
}

fn print_certified(out: &mut String, certified: &Certified<'_>) {
    const MAX: usize = MAX_CANDIDATES + 1;
    line(out, "context", context(certified.context()));
    let count = certified.entries().count();
    let remark = if count > MAX {
        format!(", more than the {MAX} that a peer may consider")
    } else {
        String::new()
    };
    for (at, entry) in certified.entries().enumerate() {
        let owner = if at == 0 { ", the sender's" } else { "" };
        line(
            out,
            "certificate",
            format_args!(
                "{} of {count}{remark}{owner}, {} bytes",
                at + 1,
                entry.certificate.len()
            ),
        );
        certificate(out, entry.certificate);
        for extension in entry.extensions {
            line(
                out,
                "  extension",
                format_args!(
                    "{}, {} bytes",
                    extension.extension_type,
                    extension.data.len()
                ),
            );
        }
    }
    let remark = if certified.scheme().is_for_messages() {
        ""
    } else {
        ", which TLS 1.3 allows for certificates only: a peer would reject it"
    };
    line(
        out,
        "signature",
        format_args!(
            "{}, {} bytes{remark}",
            certified.scheme(),
            certified.signature().len()
        ),
    );
}

/// Formats a certificate_request_context.
pub(super) fn context(context: &[u8]) -> String {
    match context.len() {
        0 => "empty".to_owned(),
        len => format!("{} ({len} bytes)", hex::encode(context)),
    }
}

/// Formats a length in bytes, with the limit of `docs/proofs/AUTHENTICATOR.md`.
pub(super) fn size(len: usize, max: usize) -> String {
    if len > max {
        format!("{len} bytes: too long, a peer accepts at most {max}")
    } else {
        format!("{len} bytes of at most {max}")
    }
}

/// Formats the length of verify_data, with the hash of the connection that it implies.
fn finished(len: usize) -> String {
    let suite = match len {
        32 => "of a connection with SHA-256",
        48 => "of a connection with SHA-384",
        _ => "no cipher suite of TLS 1.3 has such a hash",
    };
    format!("{len} bytes: {suite}")
}
