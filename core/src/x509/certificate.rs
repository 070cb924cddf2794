use super::PathError;
use crate::wire::{Reader, Truncated};

/// The fields of a certificate that this crate uses (RFC 5280 section 4.1), as slices of the certificate. webpki returns slices
/// with a shorter lifetime, so the fields are parsed again here with the lifetime of the caller's bytes.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'c> {
    /// The AlgorithmIdentifier of the signature, without its tag and length.
    #[cfg_attr(not(feature = "authenticator"), expect(dead_code))]
    pub(crate) signature_algorithm: &'c [u8],
    /// The issuer, a Name with its tag and length.
    pub(crate) issuer: &'c [u8],
    /// The subject, a Name with its tag and length.
    pub(crate) subject: &'c [u8],
    /// The SubjectPublicKeyInfo, with its tag and length.
    pub(crate) spki: &'c [u8],
    /// The fields after the SubjectPublicKeyInfo.
    rest: Reader<'c>,
}

impl<'c> Fields<'c> {
    /// Parses the fields up to the public key.
    ///
    /// # Errors
    /// [`PathError::Certificate`] if the bytes up to the public key are not those of a certificate.
    pub(crate) fn parse(certificate: &'c [u8]) -> Result<Self, PathError> {
        Self::read(certificate).map_err(|_| PathError::Certificate)
    }

    /// Reads Certificate ::= SEQUENCE { tbsCertificate SEQUENCE { version `[0]`, serialNumber, signature, issuer, validity,
    /// subject, subjectPublicKeyInfo, ... } ... }.
    fn read(certificate: &'c [u8]) -> Result<Self, Truncated> {
        let fields = sequence(&mut Reader::new(certificate))?;
        let mut fields = Reader::new(sequence(&mut Reader::new(fields))?);
        if fields.rest().first() == Some(&EXPLICIT_0) {
            fields.der()?;
        }
        fields.der()?;
        let signature_algorithm = sequence(&mut fields)?;
        let issuer = whole(&mut fields, SEQUENCE)?;
        fields.der()?;
        let subject = whole(&mut fields, SEQUENCE)?;
        let spki = whole(&mut fields, SEQUENCE)?;
        Ok(Self {
            signature_algorithm,
            issuer,
            subject,
            spki,
            rest: fields,
        })
    }

    /// Returns the value of the first extension with this OBJECT IDENTIFIER, of which `oid` is the contents.
    pub(crate) fn extension(&self, oid: &[u8]) -> Option<&'c [u8]> {
        let mut rest = self.rest;
        loop {
            // The extensions `[3]` follow the optional unique identifiers `[1]` and `[2]`.
            let (tag, contents) = rest.der().ok()?;
            if tag == EXPLICIT_3 {
                let mut extensions = Reader::new(sequence(&mut Reader::new(contents)).ok()?);
                loop {
                    let mut extension = Reader::new(sequence(&mut extensions).ok()?);
                    let (OBJECT_IDENTIFIER, name) = extension.der().ok()? else {
                        return None;
                    };
                    if name != oid {
                        continue;
                    }
                    return match extension.der().ok()? {
                        (BOOLEAN, _) => match extension.der().ok()? {
                            (OCTET_STRING, value) => Some(value),
                            _ => None,
                        },
                        (OCTET_STRING, value) => Some(value),
                        _ => None,
                    };
                }
            }
        }
    }

    /// Returns whether the key may be used for signatures, which TLS requires of a leaf (RFC 8446 section 4.4.2.2).
    pub(crate) fn may_sign(&self) -> bool {
        self.may(DIGITAL_SIGNATURE)
    }

    /// Returns whether the key may sign certificates (RFC 5280 section 6.1.4 (n)), which webpki does not check.
    pub(super) fn may_sign_certificates(&self) -> bool {
        self.may(KEY_CERT_SIGN)
    }

    /// Returns whether the key usage extension is absent or has this bit (RFC 5280 section 4.2.1.3).
    #[inline(never)]
    fn may(&self, bit: u8) -> bool {
        let Some(value) = self.extension(OID_KEY_USAGE) else {
            return true;
        };
        let mut value = Reader::new(value);
        // BIT STRING: the number of unused bits at the end, which must be zero, followed by the bits.
        match value.der() {
            Ok((BIT_STRING, [unused @ 0..=7, bits @ ..])) if value.is_empty() => {
                let padding = bits.last().copied().unwrap_or_default();
                let are_zero = padding.trailing_zeros() >= u32::from(*unused);
                are_zero && bits.first().is_some_and(|first| first & bit != 0)
            }
            _ => false,
        }
    }
}

/// The signed part of a certificate and its signature.
pub(super) struct Signed<'c> {
    /// The tbsCertificate, with its tag and length.
    pub(super) tbs: &'c [u8],
    /// The bits of the signature.
    pub(super) signature: &'c [u8],
}

impl<'c> Signed<'c> {
    /// Parses Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue BIT STRING }.
    pub(super) fn parse(certificate: &'c [u8]) -> Option<Self> {
        let mut parts = Reader::new(sequence(&mut Reader::new(certificate)).ok()?);
        let tbs = whole(&mut parts, SEQUENCE).ok()?;
        sequence(&mut parts).ok()?;
        match parts.der().ok()? {
            (BIT_STRING, [0, signature @ ..]) => Some(Self { tbs, signature }),
            _ => None,
        }
    }
}

/// Reads a SEQUENCE and returns its contents.
#[inline(never)]
pub(super) fn sequence<'c>(from: &mut Reader<'c>) -> Result<&'c [u8], Truncated> {
    match from.der()? {
        (SEQUENCE, contents) => Ok(contents),
        _ => Err(Truncated),
    }
}

/// Reads an element and returns it with its tag and length.
#[inline(never)]
fn whole<'c>(from: &mut Reader<'c>, expected: u8) -> Result<&'c [u8], Truncated> {
    let before = from.rest();
    let (tag, _) = from.der()?;
    let len = before.len().saturating_sub(from.rest().len());
    before
        .get(..len)
        .filter(|_| tag == expected)
        .ok_or(Truncated)
}

/// The bit digitalSignature of a key usage, which is bit 0.
const DIGITAL_SIGNATURE: u8 = 0x80;
/// The bit keyCertSign of a key usage, which is bit 5.
const KEY_CERT_SIGN: u8 = 0x04;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
const EXPLICIT_0: u8 = 0xa0;
const EXPLICIT_3: u8 = 0xa3;

/// id-ce-subjectAltName, 2.5.29.17
pub(crate) const OID_SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// id-ce-keyUsage, 2.5.29.15
pub(crate) const OID_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
/// id-ce-extKeyUsage, 2.5.29.37
#[cfg(feature = "authenticator")]
pub(crate) const OID_EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
