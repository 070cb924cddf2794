//! Parsers for a certificate's subject alternative names on the command line.

use rcgen::SanType;
use rustls::pki_types::DnsName;

/// Parses an absolute URI (RFC 5280 section 4.2.1.6).
pub(super) fn uri(text: &str) -> Result<SanType, String> {
    const ADVICE: &str = "write an absolute URI, like urn:example:device:1";
    let (scheme, rest) = text.split_once(':').ok_or(ADVICE)?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !is_scheme || rest.is_empty() || !rest.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ADVICE.to_owned());
    }
    text.try_into()
        .map(SanType::URI)
        .map_err(replace_with(ADVICE))
}

/// Parses a DNS name without wildcards.
pub(super) fn dns(text: &str) -> Result<SanType, String> {
    const ADVICE: &str = "write a DNS name, like device1.example";
    DnsName::try_from(text).map_err(replace_with(ADVICE))?;
    (text.try_into())
        .map(SanType::DnsName)
        .map_err(replace_with(ADVICE))
}

fn replace_with<E>(advice: &str) -> impl Fn(E) -> String {
    move |_| advice.to_owned()
}
