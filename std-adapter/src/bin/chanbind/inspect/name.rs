//! Names in certificates, for people: what is in them is somebody else's, and nothing of it reaches the terminal as it is
//! that is not a letter, a digit or visible ASCII.

use std::{
    fmt::Write,
    net::{Ipv4Addr, Ipv6Addr},
};
use x509_parser::{
    der_parser::asn1_rs::{Any, Oid, Tag, ToDer},
    extensions::GeneralName,
    prelude::FromDer,
    x509::{AttributeTypeAndValue, X509Name},
};

/// A distinguished name, DER, much as RFC 4514 writes it: the last attribute first.
pub(super) fn distinguished_name(der: &[u8]) -> String {
    match X509Name::from_der(der) {
        Ok(([], name)) => written(&name),
        _ => format!("no distinguished name: {}", hex::encode(der)),
    }
}

/// As [`distinguished_name`].
pub(super) fn written(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name
        .iter_rdn()
        .map(|part| part.iter().map(attribute).collect::<Vec<_>>().join("+"))
        .collect();
    parts.reverse();
    if parts.is_empty() {
        "empty".to_owned()
    } else {
        parts.join(",")
    }
}

/// A subject alternative name.
pub(super) fn alternative(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) => format!("DNS:{}", visible(name)),
        GeneralName::URI(uri) => format!("URI:{}", visible(uri)),
        GeneralName::RFC822Name(address) => format!("email:{}", visible(address)),
        GeneralName::IPAddress(bytes) => {
            match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
                (Ok(address), _) => format!("IP:{}", Ipv4Addr::from(address)),
                (_, Ok(address)) => format!("IP:{}", Ipv6Addr::from(address)),
                _ => format!("IP, malformed: {}", hex::encode(bytes)),
            }
        }
        GeneralName::DirectoryName(name) => format!("name:{}", written(name)),
        GeneralName::RegisteredID(oid) => format!("OID:{oid}"),
        GeneralName::OtherName(oid, value) => format!("{oid}:{}", hex::encode(value)),
        GeneralName::Invalid(tag, value) => {
            format!("malformed, of kind {}: {}", tag.0, hex::encode(value))
        }
        _ => "of another kind".to_owned(),
    }
}

/// Text with everything escaped that could be taken for something else on a terminal.
pub(crate) fn visible(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric() {
            out.push(c);
        } else {
            escape(&mut out, c);
        }
    }
    out
}

/// The name of an OBJECT IDENTIFIER that a request may have in a filter.
pub(super) fn object_identifier(der: &[u8]) -> String {
    match Oid::from_der(der) {
        Ok(([], oid)) => {
            let oid = oid.to_id_string();
            match oid.as_str() {
                "2.5.29.15" => "keyUsage".to_owned(),
                "2.5.29.37" => "extendedKeyUsage".to_owned(),
                _ => oid,
            }
        }
        _ => format!("malformed, {}", hex::encode(der)),
    }
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type().to_id_string();
    let value = attribute.attr_value();
    let known = SHORT_NAMES.iter().find(|(known, _)| *known == oid);
    match (known, string(value)) {
        (Some((_, name)), Some(text)) => format!("{name}={}", escaped(&text)),
        _ => {
            let der = value.to_der_vec().unwrap_or_default();
            format!("{oid}=#{}", hex::encode(der))
        }
    }
}

fn string(value: &Any<'_>) -> Option<String> {
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::NumericString => {
            str::from_utf8(value.data).ok().map(str::to_owned)
        }
        Tag::BmpString => {
            let units = value.data.chunks(2).map(|unit| match unit {
                [high, low] => Some(u16::from_be_bytes([*high, *low])),
                _ => None,
            });
            String::from_utf16(&units.collect::<Option<Vec<_>>>()?).ok()
        }
        _ => None,
    }
}

/// By RFC 4514 section 2.4.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    let last = text.chars().count().saturating_sub(1);
    for (at, c) in text.chars().enumerate() {
        let is_special = matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\')
            || (c == ' ' && (at == 0 || at == last))
            || (c == '#' && at == 0);
        if is_special {
            out.push('\\');
            out.push(c);
        } else {
            out.push_str(&visible(c.encode_utf8(&mut [0; 4])));
        }
    }
    out
}

/// As its bytes in UTF-8, each with a backslash.
fn escape(out: &mut String, c: char) {
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        // Strings take whatever is written.
        let _ = write!(out, "\\{byte:02X}");
    }
}

/// RFC 4514 section 3, and two that are seen often.
const SHORT_NAMES: &[(&str, &str)] = &[
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("2.5.4.5", "serialNumber"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];
