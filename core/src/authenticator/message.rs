use super::{Extensions, MalformedMessage, extension::Extension};
use crate::{
    wire::{Full, Reader, Writer},
    x509::SignatureScheme,
};

/// The types of handshake messages (RFC 8446 section 4; RFC 9261 section 8.3).
pub(super) const CERTIFICATE: u8 = 11;
pub(super) const CERTIFICATE_REQUEST: u8 = 13;
pub(super) const CERTIFICATE_VERIFY: u8 = 15;
pub(super) const CLIENT_CERTIFICATE_REQUEST: u8 = 17;
pub(super) const FINISHED: u8 = 20;

/// The length of the header of a handshake message, which holds its type and length.
pub(super) const HEADER_LEN: usize = 4;

/// A parsed authenticator, which has not been validated.
#[derive(Debug, Clone, Copy)]
pub enum Authenticator<'a> {
    /// The messages Certificate, CertificateVerify and Finished (RFC 9261 section 5.2).
    Certified(Certified<'a>),
    /// The verify_data of a single Finished message, by which the peer declines (RFC 9261 section 6).
    Empty(&'a [u8]),
}

/// The messages of an authenticator with a certificate.
#[derive(Debug, Clone, Copy)]
pub struct Certified<'a> {
    /// The complete Certificate message.
    pub(super) certificate: &'a [u8],
    context: &'a [u8],
    entries: Entries<'a>,
    /// The complete CertificateVerify message.
    pub(super) certificate_verify: &'a [u8],
    scheme: SignatureScheme,
    signature: &'a [u8],
    verify_data: &'a [u8],
}

/// An iterator over the entries of a Certificate message. The leaf is first.
#[derive(Debug, Clone, Copy)]
pub struct Entries<'a> {
    rest: Reader<'a>,
}

/// A certificate and its extensions (RFC 8446 section 4.4.2).
#[derive(Debug, Clone, Copy)]
pub struct CertificateEntry<'a> {
    /// The certificate in DER. It is not empty.
    pub certificate: &'a [u8],
    /// The extensions of the entry, for example an OCSP response.
    pub extensions: Extensions<'a>,
}

impl<'a> Authenticator<'a> {
    /// Parses an authenticator without validating it.
    ///
    /// # Errors
    /// [`MalformedMessage`] if the bytes are not an authenticator.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, MalformedMessage> {
        let mut messages = Reader::new(bytes);
        let authenticator = if bytes.first() == Some(&FINISHED) {
            Self::Empty(finished(&mut messages)?)
        } else {
            Self::Certified(Certified::parse(&mut messages)?)
        };
        if messages.is_empty() {
            Ok(authenticator)
        } else {
            Err(MalformedMessage::TrailingBytes)
        }
    }

    /// Returns the certificate_request_context, 0 to 255 bytes (the "get context" API, RFC 9261 section 7.2). Returns `None` for
    /// the empty authenticator, which has no context; [`super::Endpoint::is_declined`] finds the request that it answers.
    #[must_use]
    pub fn context(&self) -> Option<&'a [u8]> {
        match self {
            Self::Certified(certified) => Some(certified.context),
            Self::Empty(_) => None,
        }
    }
}

impl<'a> Certified<'a> {
    fn parse(messages: &mut Reader<'a>) -> Result<Self, MalformedMessage> {
        let (certificate, body) = handshake(messages, CERTIFICATE)?;
        let mut body = Reader::new(body);
        let context = body.sized8()?;
        let entries = Entries::parse(body.sized24()?)?;
        expect_end(&body)?;
        let (certificate_verify, body) = handshake(messages, CERTIFICATE_VERIFY)?;
        let mut body = Reader::new(body);
        let scheme = SignatureScheme(body.u16()?);
        let signature = body.sized16()?;
        expect_end(&body)?;
        let verify_data = finished(messages)?;
        Ok(Self {
            certificate,
            context,
            entries,
            certificate_verify,
            scheme,
            signature,
            verify_data,
        })
    }

    /// Returns the certificate_request_context, 0 to 255 bytes.
    #[must_use]
    pub fn context(&self) -> &'a [u8] {
        self.context
    }

    /// Returns an iterator over the certificate entries. There is at least one, and the leaf is first.
    #[must_use]
    pub fn entries(&self) -> Entries<'a> {
        self.entries
    }

    /// Returns the scheme of the signature.
    #[must_use]
    pub fn scheme(&self) -> SignatureScheme {
        self.scheme
    }

    /// Returns the verify_data of the Finished message: 32 bytes with SHA-256, or 48 bytes with SHA-384.
    #[must_use]
    pub fn verify_data(&self) -> &'a [u8] {
        self.verify_data
    }

    /// Returns the signature.
    #[must_use]
    pub fn signature(&self) -> &'a [u8] {
        self.signature
    }
}

impl<'a> Entries<'a> {
    fn parse(list: &'a [u8]) -> Result<Self, MalformedMessage> {
        let mut rest = Reader::new(list);
        if rest.is_empty() {
            return Err(MalformedMessage::NoCertificate);
        }
        while !rest.is_empty() {
            read_entry(&mut rest)?;
        }
        Ok(Self {
            rest: Reader::new(list),
        })
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = CertificateEntry<'a>;

    fn next(&mut self) -> Option<CertificateEntry<'a>> {
        read_entry(&mut self.rest).ok()
    }
}

fn read_entry<'a>(from: &mut Reader<'a>) -> Result<CertificateEntry<'a>, MalformedMessage> {
    let certificate = from.sized24()?;
    if certificate.is_empty() {
        return Err(MalformedMessage::NoCertificate);
    }
    Ok(CertificateEntry {
        certificate,
        extensions: Extensions::parse(from)?,
    })
}

/// Reads a handshake message of the expected type. Returns the complete message and its body, which follows the type and the
/// length.
pub(super) fn handshake<'a>(
    from: &mut Reader<'a>,
    expected: u8,
) -> Result<(&'a [u8], &'a [u8]), MalformedMessage> {
    let before = from.rest();
    let actual = from.u8()?;
    if actual != expected {
        return Err(MalformedMessage::Message { expected, actual });
    }
    let body = from.sized24()?;
    let len = body.len().saturating_add(HEADER_LEN);
    Ok((before.get(..len).unwrap_or_default(), body))
}

/// Reads a Finished message and returns its verify_data, which has the length of SHA-256 or SHA-384.
fn finished<'a>(from: &mut Reader<'a>) -> Result<&'a [u8], MalformedMessage> {
    let (_, verify_data) = handshake(from, FINISHED)?;
    match verify_data.len() {
        32 | 48 => Ok(verify_data),
        _ => Err(MalformedMessage::Length),
    }
}

/// Checks that all bytes have been read.
pub(super) fn expect_end(reader: &Reader<'_>) -> Result<(), MalformedMessage> {
    if reader.is_empty() {
        Ok(())
    } else {
        Err(MalformedMessage::TrailingBytes)
    }
}

/// Writes a Certificate message. `extensions` are those of the first entry.
pub(super) fn put_certificate<'e>(
    to: &mut Writer<'_>,
    context: &[u8],
    certificates: &[&[u8]],
    extensions: impl Iterator<Item = &'e Extension<'e>>,
) -> Result<(), Full> {
    to.u8(CERTIFICATE)?;
    to.length24(|to| {
        to.length8(|to| to.put(context))?;
        to.length24(|to| {
            let mut extensions = Some(extensions);
            for certificate in certificates {
                to.length24(|to| to.put(certificate))?;
                to.length16(|to| {
                    for extension in extensions.take().into_iter().flatten() {
                        to.u16(extension.extension_type.0)?;
                        to.sized16(extension.data)?;
                    }
                    Ok(())
                })?;
            }
            Ok(())
        })
    })
}

/// Writes a CertificateVerify message.
pub(super) fn put_certificate_verify(
    to: &mut Writer<'_>,
    scheme: SignatureScheme,
    signature: &[u8],
) -> Result<(), Full> {
    to.u8(CERTIFICATE_VERIFY)?;
    to.length24(|to| {
        to.u16(scheme.0)?;
        to.sized16(signature)
    })
}

/// Writes a Finished message.
pub(super) fn put_finished(to: &mut Writer<'_>, verify_data: &[u8]) -> Result<(), Full> {
    to.u8(FINISHED)?;
    to.length24(|to| to.put(verify_data))
}
