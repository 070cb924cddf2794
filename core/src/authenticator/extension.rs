use super::MalformedMessage;
use crate::wire::Reader;
use core::fmt;

/// The maximum number of extensions in a request or in a certificate entry.
pub const MAX_EXTENSIONS: usize = 32;

/// The type of a TLS extension, identified by its code point.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExtensionType(pub u16);

impl ExtensionType {
    /// `server_name` (RFC 6066), for requests of a client only.
    pub const SERVER_NAME: Self = Self(0);
    /// `status_request` (RFC 6066), for an OCSP response.
    pub const STATUS_REQUEST: Self = Self(5);
    /// `signature_algorithms` (RFC 8446 section 4.2.3).
    pub const SIGNATURE_ALGORITHMS: Self = Self(13);
    /// `signed_certificate_timestamp` (RFC 6962).
    pub const SIGNED_CERTIFICATE_TIMESTAMP: Self = Self(18);
    /// `certificate_authorities` (RFC 8446 section 4.2.4).
    pub const CERTIFICATE_AUTHORITIES: Self = Self(47);
    /// `oid_filters` (RFC 8446 section 4.2.5).
    pub const OID_FILTERS: Self = Self(48);
    /// `signature_algorithms_cert` (RFC 8446 section 4.2.3).
    pub const SIGNATURE_ALGORITHMS_CERT: Self = Self(50);

    /// Returns whether this extension is not allowed in a certificate entry, by the table in RFC 8446 section 4.2 and IANA's
    /// registry.
    pub(super) fn is_never_in_certificates(self) -> bool {
        matches!(self.0, 0 | 1 | 10 | 13..=16 | 19..=21 | 41..=45 | 47..=51)
    }
}

impl fmt::Display for ExtensionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SERVER_NAME => f.write_str("server_name"),
            Self::STATUS_REQUEST => f.write_str("status_request"),
            Self::SIGNATURE_ALGORITHMS => f.write_str("signature_algorithms"),
            Self::SIGNED_CERTIFICATE_TIMESTAMP => f.write_str("signed_certificate_timestamp"),
            Self::CERTIFICATE_AUTHORITIES => f.write_str("certificate_authorities"),
            Self::OID_FILTERS => f.write_str("oid_filters"),
            Self::SIGNATURE_ALGORITHMS_CERT => f.write_str("signature_algorithms_cert"),
            Self(other) => write!(f, "{other:#06x}"),
        }
    }
}

impl fmt::Debug for ExtensionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for ExtensionType {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=u16}", self.0);
    }
}

/// A TLS extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extension<'a> {
    /// The type (extension_type).
    pub extension_type: ExtensionType,
    /// The data (extension_data), 0 to 65,535 bytes.
    pub data: &'a [u8],
}

/// An iterator over extensions in their order. Each type occurs at most once.
#[derive(Debug, Clone, Copy)]
pub struct Extensions<'a> {
    rest: Reader<'a>,
}

impl<'a> Extensions<'a> {
    /// Reads a list of extensions, which is preceded by its length in two bytes.
    pub(super) fn parse(from: &mut Reader<'a>) -> Result<Self, MalformedMessage> {
        let all = Self {
            rest: Reader::new(from.sized16()?),
        };
        let mut rest = all.rest;
        for before in 0..=MAX_EXTENSIONS {
            if rest.is_empty() {
                return Ok(all);
            }
            let extension = read_extension(&mut rest)?;
            if (all.take(before)).any(|other| other.extension_type == extension.extension_type) {
                return Err(MalformedMessage::DuplicateExtension(
                    extension.extension_type,
                ));
            }
        }
        Err(MalformedMessage::TooManyExtensions)
    }

    /// Returns the data of the extension of this type, if it is present.
    #[must_use]
    pub fn find(mut self, extension_type: ExtensionType) -> Option<&'a [u8]> {
        self.find_map(|one| (one.extension_type == extension_type).then_some(one.data))
    }
}

impl<'a> Iterator for Extensions<'a> {
    type Item = Extension<'a>;

    fn next(&mut self) -> Option<Extension<'a>> {
        read_extension(&mut self.rest).ok()
    }
}

fn read_extension<'a>(from: &mut Reader<'a>) -> Result<Extension<'a>, MalformedMessage> {
    Ok(Extension {
        extension_type: ExtensionType(from.u16()?),
        data: from.sized16()?,
    })
}
