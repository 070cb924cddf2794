//! Prints the certificates of an authenticator.

use super::{
    line,
    name::{format_alternative_name, format_name},
};
use chanbind::protocol::x509::{PublicKey, spki_sha256};
use x509_parser::{
    certificate::X509Certificate, extensions::ParsedExtension, oid_registry::OID_SIG_ED25519,
    prelude::FromDer, public_key::PublicKey as AnyKey, time::ASN1Time,
};

/// Prints the names, the usage, the validity and the key of a certificate.
pub(super) fn certificate(out: &mut String, der: &[u8]) {
    let certificate = match X509Certificate::from_der(der) {
        Ok(([], certificate)) => certificate,
        Ok((rest, _)) => {
            let text = format!("malformed: {} bytes follow it", rest.len());
            return line(out, "  malformed", text);
        }
        Err(error) => return line(out, "  malformed", error),
    };
    line(out, "  subject", format_name(certificate.subject()));
    line(out, "  issuer", format_name(certificate.issuer()));
    for extension in certificate.iter_extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                for name in &names.general_names {
                    line(out, "  alt name", format_alternative_name(name));
                }
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                let usages = [
                    (usage.client_auth, "clients"),
                    (usage.server_auth, "servers"),
                    (usage.any, "anything"),
                ];
                let usages: Vec<_> = usages.iter().filter(|(is_set, _)| *is_set).collect();
                let usages: Vec<_> = usages.iter().map(|(_, usage)| *usage).collect();
                let usages = if usages.is_empty() {
                    "neither clients nor servers".to_owned()
                } else {
                    usages.join(", ")
                };
                line(out, "  for", usages);
            }
            _ => {}
        }
    }
    let validity = certificate.validity();
    let now = ASN1Time::now();
    let remark = if now > validity.not_after {
        "; expired"
    } else if now < validity.not_before {
        "; not yet valid"
    } else {
        ""
    };
    line(
        out,
        "  valid",
        format_args!("{} to {}{remark}", validity.not_before, validity.not_after),
    );
    line(out, "  key", key(&certificate));
    match spki_sha256(der) {
        Ok(pin) => line(
            out,
            "  pin",
            format_args!("{} (SHA-256 of SubjectPublicKeyInfo)", hex::encode(pin)),
        ),
        Err(error) => line(out, "  pin", format_args!("none: {error}")),
    }
}

/// Formats the type of a certificate's key.
fn key(certificate: &X509Certificate<'_>) -> String {
    let spki = certificate.public_key();
    if PublicKey::from_spki(spki.raw).is_ok() {
        return "EC on P-256".to_owned();
    }
    if spki.algorithm.algorithm == OID_SIG_ED25519 {
        return "Ed25519".to_owned();
    }
    match spki.parsed() {
        Ok(AnyKey::RSA(key)) => format!("RSA, {} bits", key.key_size()),
        Ok(AnyKey::EC(point)) => format!("EC on a curve of {} bits", point.key_size()),
        _ => format!("algorithm {}", spki.algorithm.algorithm),
    }
}
