use super::PathError;
use crate::wire::{Reader, Truncated};

/// The fields of a certificate that are looked at (RFC 5280 section 4.1), each as it stands there. What webpki has verified is found
/// again here, with the lifetime of the caller's bytes.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'c> {
    /// AlgorithmIdentifier of the signature, without its tag and length.
    #[cfg_attr(not(feature = "authenticator"), expect(dead_code))]
    pub(crate) signature_algorithm: &'c [u8],
    /// Name, with its tag and length.
    pub(crate) issuer: &'c [u8],
    /// Name, with its tag and length.
    pub(crate) subject: &'c [u8],
    /// SubjectPublicKeyInfo, with its tag and length.
    pub(crate) spki: &'c [u8],
    /// What stands behind it.
    rest: Reader<'c>,
}

impl<'c> Fields<'c> {
    /// # Errors
    /// [`PathError::Certificate`] for bytes that are no certificate as far as the public key.
    pub(crate) fn of(certificate: &'c [u8]) -> Result<Self, PathError> {
        Self::find(certificate).map_err(|_| PathError::Certificate)
    }

    /// Certificate ::= SEQUENCE { tbsCertificate SEQUENCE { version `[0]`, serialNumber, signature, issuer, validity, subject,
    /// subjectPublicKeyInfo, ... } ... }
    fn find(certificate: &'c [u8]) -> Result<Self, Truncated> {
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

    /// The value of an extension, by the contents of its OBJECT IDENTIFIER; the first, if there are several.
    pub(crate) fn extension(&self, oid: &[u8]) -> Option<&'c [u8]> {
        let mut rest = self.rest;
        loop {
            // Behind the unique identifiers, `[1]` and `[2]`.
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

    /// Whether the key may make signatures: what TLS asks of a leaf (RFC 8446 section 4.4.2.2).
    pub(crate) fn may_sign(&self) -> bool {
        self.may(DIGITAL_SIGNATURE)
    }

    /// Whether the key may sign certificates (RFC 5280 section 6.1.4 (n)), which webpki does not look at.
    pub(super) fn may_sign_certificates(&self) -> bool {
        self.may(KEY_CERT_SIGN)
    }

    /// Whether there is no key usage, or it has this bit (RFC 5280 section 4.2.1.3).
    #[inline(never)]
    fn may(&self, bit: u8) -> bool {
        let Some(value) = self.extension(OID_KEY_USAGE) else {
            return true;
        };
        let mut value = Reader::new(value);
        // BIT STRING: how many bits at the end are unused, which are zero, and the bits.
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

/// What is signed of a certificate, and the signature.
pub(super) struct Signed<'c> {
    /// tbsCertificate, with its tag and length.
    pub(super) tbs: &'c [u8],
    /// The signature's bits.
    pub(super) signature: &'c [u8],
}

impl<'c> Signed<'c> {
    /// Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue BIT STRING }
    pub(super) fn of(certificate: &'c [u8]) -> Option<Self> {
        let mut parts = Reader::new(sequence(&mut Reader::new(certificate)).ok()?);
        let tbs = whole(&mut parts, SEQUENCE).ok()?;
        sequence(&mut parts).ok()?;
        match parts.der().ok()? {
            (BIT_STRING, [0, signature @ ..]) => Some(Self { tbs, signature }),
            _ => None,
        }
    }
}

/// The contents of a SEQUENCE.
#[inline(never)]
pub(super) fn sequence<'c>(from: &mut Reader<'c>) -> Result<&'c [u8], Truncated> {
    match from.der()? {
        (SEQUENCE, contents) => Ok(contents),
        _ => Err(Truncated),
    }
}

/// An element with its tag and length.
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

/// The first bit of a key usage.
const DIGITAL_SIGNATURE: u8 = 0x80;
/// The sixth.
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
