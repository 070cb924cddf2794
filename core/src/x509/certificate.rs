use super::PathError;
use crate::{
    der::{Reader, Tag, oid},
    wire::Truncated,
};

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
        let mut fields = Reader::new(certificate).sequence()?.sequence()?;
        if fields.next_tag() == Some(Tag::CONTEXT_0) {
            fields.element()?;
        }
        fields.element()?;
        let signature_algorithm = fields.contents(Tag::SEQUENCE)?;
        let issuer = fields.whole(Tag::SEQUENCE)?;
        fields.element()?;
        let subject = fields.whole(Tag::SEQUENCE)?;
        let spki = fields.whole(Tag::SEQUENCE)?;
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
            let (tag, contents) = rest.element().ok()?;
            if tag == Tag::CONTEXT_3 {
                let mut extensions = Reader::new(contents).sequence().ok()?;
                loop {
                    let mut extension = extensions.sequence().ok()?;
                    if extension.contents(Tag::OBJECT_IDENTIFIER).ok()? != oid {
                        continue;
                    }
                    if extension.next_tag() == Some(Tag::BOOLEAN) {
                        extension.element().ok()?;
                    }
                    return extension.contents(Tag::OCTET_STRING).ok();
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
        let Some(value) = self.extension(oid::KEY_USAGE) else {
            return true;
        };
        let mut value = Reader::new(value);
        // BIT STRING: the number of unused bits at the end, which must be zero, followed by the bits.
        match value.contents(Tag::BIT_STRING) {
            Ok([unused @ 0..=7, bits @ ..]) if value.is_empty() => {
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
        let mut parts = Reader::new(certificate).sequence().ok()?;
        let tbs = parts.whole(Tag::SEQUENCE).ok()?;
        parts.contents(Tag::SEQUENCE).ok()?;
        let signature = parts.bit_string_of_bytes().ok()?;
        Some(Self { tbs, signature })
    }
}

/// The bit digitalSignature of a key usage, which is bit 0.
const DIGITAL_SIGNATURE: u8 = 0x80;
/// The bit keyCertSign of a key usage, which is bit 5.
const KEY_CERT_SIGN: u8 = 0x04;
