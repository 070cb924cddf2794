//! Formatting of names in certificates. The names come from an untrusted peer, so everything but letters, digits, spaces and
//! visible ASCII is escaped before it reaches the terminal.

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

/// Formats a distinguished name, given in DER, similar to RFC 4514: the last attribute comes first.
pub(super) fn distinguished_name(der: &[u8]) -> String {
    match X509Name::from_der(der) {
        Ok(([], name)) => format_name(&name),
        _ => format!("not a distinguished name: {}", hex::encode(der)),
    }
}

/// Formats a parsed distinguished name like [`distinguished_name`].
pub(super) fn format_name(name: &X509Name<'_>) -> String {
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

/// Formats a subject alternative name.
pub(super) fn format_alternative_name(name: &GeneralName<'_>) -> String {
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
        GeneralName::DirectoryName(name) => format!("name:{}", format_name(name)),
        GeneralName::RegisteredID(oid) => format!("OID:{oid}"),
        GeneralName::OtherName(oid, value) => format!("{oid}:{}", hex::encode(value)),
        GeneralName::Invalid(tag, value) => {
            format!("malformed, kind {}: {}", tag.0, hex::encode(value))
        }
        _ => "another kind of name".to_owned(),
    }
}

/// Escapes all characters but letters, digits, spaces and visible ASCII, which a terminal could interpret or which could mislead
/// the reader.
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

/// Formats an OBJECT IDENTIFIER, given in DER, by name if it is one that filters of requests commonly use.
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

/// Formats an attribute, with a short name and a string if both are known.
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

/// Decodes a string, or returns `None` if its type is not supported or it is malformed.
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

/// Escapes an attribute value by RFC 4514 section 2.4.
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

/// Appends the UTF-8 bytes of a character in hexadecimal, each after a backslash.
fn escape(out: &mut String, c: char) {
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        // Writing to a string cannot fail.
        let _ = write!(out, "\\{byte:02X}");
    }
}

/// The short names of attributes from RFC 4514 section 3, and two other common ones.
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
