use crate::der::{Reader, Tag, oid};
use core::net::IpAddr;

/// A subject alternative name (RFC 5280 section 4.2.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubjectAltName<'c> {
    /// A DNS name (dNSName).
    Dns(&'c str),
    /// A URI (uniformResourceIdentifier).
    Uri(&'c str),
    /// An IP address (iPAddress).
    Ip(IpAddr),
    /// An e-mail address (rfc822Name).
    Email(&'c str),
}

/// An iterator over the subject alternative names of a certificate, in their order in the certificate. Names of other kinds and
/// names that are not ASCII are skipped.
#[derive(Debug, Clone)]
pub struct SubjectAltNames<'c> {
    rest: Reader<'c>,
}

impl<'c> SubjectAltNames<'c> {
    /// Parses the value of the extension, a SEQUENCE OF GeneralName. Returns `None` if it is malformed.
    pub(super) fn new(value: Option<&'c [u8]>) -> Option<Self> {
        let Some(value) = value else {
            return Some(Self::default());
        };
        let mut value = Reader::new(value);
        let rest = value.sequence().ok()?;
        let mut names = rest;
        while !names.is_empty() {
            match names.element().ok()? {
                // The tags `[0]` to `[8]`.
                (Tag(0x80..=0x88 | 0xa0..=0xa8), _) => {}
                _ => return None,
            }
        }
        value.is_empty().then_some(Self { rest })
    }
}

impl<'c> Iterator for SubjectAltNames<'c> {
    type Item = SubjectAltName<'c>;

    fn next(&mut self) -> Option<SubjectAltName<'c>> {
        loop {
            let (Tag(tag), value) = self.rest.element().ok()?;
            let text = || str::from_utf8(value).ok().filter(|text| text.is_ascii());
            let name = match tag {
                0x81 => text().map(SubjectAltName::Email),
                0x82 => text().map(SubjectAltName::Dns),
                0x86 => text().map(SubjectAltName::Uri),
                0x87 => ip(value).map(SubjectAltName::Ip),
                _ => None,
            };
            if name.is_some() {
                return name;
            }
        }
    }
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(value).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from))
        .ok()
}

impl Default for SubjectAltNames<'_> {
    /// Returns an empty iterator.
    fn default() -> Self {
        Self {
            rest: Reader::new(&[]),
        }
    }
}

/// Returns the last common name of a Name: RDNSequence ::= SEQUENCE OF SET OF SEQUENCE { OBJECT IDENTIFIER, string }.
pub(super) fn common_name(name: &[u8]) -> Option<&str> {
    let mut sets = Reader::new(name).sequence().ok()?;
    let mut found = None;
    while let Ok(set) = sets.contents(Tag::SET) {
        let mut attributes = Reader::new(set);
        while let Ok(mut attribute) = attributes.sequence() {
            if let (Ok(oid::COMMON_NAME), Ok((Tag::UTF8_STRING | Tag::PRINTABLE_STRING, value))) = (
                attribute.contents(Tag::OBJECT_IDENTIFIER),
                attribute.element(),
            ) {
                found = str::from_utf8(value).ok();
            }
        }
    }
    found
}
