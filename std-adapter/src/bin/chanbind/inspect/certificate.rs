//! Certificates in authenticators.

use super::{
    line,
    name::{alternative, written},
};
use chanbind::core::x509::{PublicKey, spki_sha256};
use x509_parser::{
    certificate::X509Certificate, extensions::ParsedExtension, oid_registry::OID_SIG_ED25519,
    prelude::FromDer, public_key::PublicKey as AnyKey, time::ASN1Time,
};

/// Prints what a certificate says.
pub(super) fn certificate(out: &mut String, der: &[u8]) {
    let certificate = match X509Certificate::from_der(der) {
        Ok(([], certificate)) => certificate,
        Ok((rest, _)) => {
            let text = format!("malformed: {} bytes stand behind it", rest.len());
            return line(out, "  malformed", text);
        }
        Err(error) => return line(out, "  malformed", error),
    };
    line(out, "  subject", written(certificate.subject()));
    line(out, "  issuer", written(certificate.issuer()));
    for extension in certificate.iter_extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                for name in &names.general_names {
                    line(out, "  also", alternative(name));
                }
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                let usages = [
                    (usage.client_auth, "clients"),
                    (usage.server_auth, "servers"),
                    (usage.any, "anything"),
                ];
                let usages: Vec<_> = usages.iter().filter(|(is_there, _)| *is_there).collect();
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
        "; it has expired"
    } else if now < validity.not_before {
        "; it has not begun"
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

fn key(certificate: &X509Certificate<'_>) -> String {
    let spki = certificate.public_key();
    if PublicKey::from_spki(spki.raw).is_ok() {
        return "on P-256".to_owned();
    }
    if spki.algorithm.algorithm == OID_SIG_ED25519 {
        return "Ed25519".to_owned();
    }
    match spki.parsed() {
        Ok(AnyKey::RSA(key)) => format!("RSA, {} bits", key.key_size()),
        Ok(AnyKey::EC(point)) => format!("on a curve of {} bits", point.key_size()),
        _ => format!("of algorithm {}", spki.algorithm.algorithm),
    }
}
