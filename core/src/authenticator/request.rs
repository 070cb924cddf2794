use super::{
    Extension, ExtensionType, Extensions, MAX_EXTENSIONS, MalformedMessage, RequestError,
    message::{CERTIFICATE_REQUEST, CLIENT_CERTIFICATE_REQUEST, HEADER_LEN, expect_end, handshake},
};
use crate::{
    binding::Side,
    wire::{Full, Reader, Truncated, Writer},
    x509::SignatureScheme,
};

/// The maximum length of a certificate_request_context, in bytes.
pub const MAX_CONTEXT_LEN: usize = 255;

/// The parameters of a request (RFC 9261 section 4).
#[derive(Debug, Clone, Copy)]
pub struct RequestParameters<'a> {
    /// The certificate_request_context, at most [`MAX_CONTEXT_LEN`] bytes, which must not be used twice on a connection.
    ///
    /// Use at least 16 random bytes: an attacker who can predict the context and has temporary access to the peer's key can create
    /// authenticators in advance.
    pub context: &'a [u8],
    /// The signature schemes that can be verified, in order of preference. At least one is required.
    pub signature_algorithms: &'a [SignatureScheme],
    /// The signature schemes that can be verified in certificates. If empty, `signature_algorithms` applies to certificates too.
    pub signature_algorithms_cert: &'a [SignatureScheme],
    /// The distinguished names of the trusted authorities, in DER. If empty, any authority is accepted.
    pub certificate_authorities: &'a [&'a [u8]],
    /// The requirements for the extensions of the certificate.
    pub oid_filters: &'a [OidFilter<'a>],
    /// The name of the requested server. Only a client can use it.
    pub server_name: Option<&'a str>,
    /// Other extensions that the peer can answer in the entry of its certificate, for example an empty status_request.
    pub other: &'a [Extension<'a>],
}

/// A requirement for an extension of the certificate (RFC 8446 section 4.2.5). Key usage and extended key usage are supported;
/// filters for other extensions are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OidFilter<'a> {
    /// The OBJECT IDENTIFIER of the extension in DER, 1 to 255 bytes.
    pub oid: &'a [u8],
    /// The required value of the extension in DER. If empty, the extension must be present with any value.
    pub values: &'a [u8],
}

impl<'a> RequestParameters<'a> {
    /// Creates parameters with a context and signature schemes only.
    #[must_use]
    pub const fn new(context: &'a [u8], signature_algorithms: &'a [SignatureScheme]) -> Self {
        Self {
            context,
            signature_algorithms,
            signature_algorithms_cert: &[],
            certificate_authorities: &[],
            oid_filters: &[],
            server_name: None,
            other: &[],
        }
    }

    /// Returns the length of the encoded request, in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let schemes = |list: &[_]| list.len().saturating_mul(2).saturating_add(2);
        let authorities = (self.certificate_authorities.iter()).fold(2usize, |sum, name| {
            sum.saturating_add(name.len()).saturating_add(2)
        });
        let filters = self.oid_filters.iter().fold(2usize, |sum, filter| {
            let len = filter.oid.len().saturating_add(filter.values.len());
            sum.saturating_add(len).saturating_add(3)
        });
        let name = self.server_name.map_or(0, str::len);
        let parts = [
            (true, schemes(self.signature_algorithms)),
            (
                !self.signature_algorithms_cert.is_empty(),
                schemes(self.signature_algorithms_cert),
            ),
            (!self.certificate_authorities.is_empty(), authorities),
            (!self.oid_filters.is_empty(), filters),
            (self.server_name.is_some(), name.saturating_add(5)),
        ];
        let present = parts.into_iter().filter(|(is_present, _)| *is_present);
        let lens = present.map(|(_, len)| len);
        let others = self.other.iter().map(|extension| extension.data.len());
        let head = self.context.len().saturating_add(HEADER_LEN + 1 + 2);
        lens.chain(others).fold(head, |sum, len| {
            sum.saturating_add(len).saturating_add(EXTENSION_HEADER_LEN)
        })
    }

    /// Checks the parameters before they are encoded.
    ///
    /// # Errors
    /// [`RequestError`] if the parameters are not allowed in a request of `sender`.
    pub(super) fn check(&self, sender: Side) -> Result<(), RequestError> {
        if self.context.len() > MAX_CONTEXT_LEN {
            return Err(RequestError::ContextTooLong {
                actual: self.context.len(),
            });
        }
        if self.signature_algorithms.is_empty() {
            return Err(RequestError::NoSignatureAlgorithms);
        }
        if self.server_name.is_some() && sender == Side::Server {
            return Err(RequestError::ServerName);
        }
        let mut others = self.other.iter();
        if let Some(invalid) = others.find(|one| one.extension_type.is_never_in_certificates()) {
            return Err(RequestError::Extension(invalid.extension_type));
        }
        Ok(())
    }

    /// Writes the request.
    pub(super) fn encode(&self, sender: Side, to: &mut Writer<'_>) -> Result<(), Full> {
        to.u8(match sender {
            Side::Server => CERTIFICATE_REQUEST,
            Side::Client => CLIENT_CERTIFICATE_REQUEST,
        })?;
        to.length24(|to| {
            to.length8(|to| to.put(self.context))?;
            to.length16(|to| {
                put_schemes(
                    to,
                    ExtensionType::SIGNATURE_ALGORITHMS,
                    self.signature_algorithms,
                )?;
                put_schemes(
                    to,
                    ExtensionType::SIGNATURE_ALGORITHMS_CERT,
                    self.signature_algorithms_cert,
                )?;
                if !self.certificate_authorities.is_empty() {
                    put_list(to, ExtensionType::CERTIFICATE_AUTHORITIES, |to| {
                        let mut names = self.certificate_authorities.iter();
                        names.try_for_each(|name| to.sized16(name))
                    })?;
                }
                if !self.oid_filters.is_empty() {
                    put_list(to, ExtensionType::OID_FILTERS, |to| {
                        self.oid_filters.iter().try_for_each(|filter| {
                            to.length8(|to| to.put(filter.oid))?;
                            to.sized16(filter.values)
                        })
                    })?;
                }
                if let Some(name) = self.server_name {
                    put_list(to, ExtensionType::SERVER_NAME, |to| {
                        to.u8(HOST_NAME)?;
                        to.sized16(name.as_bytes())
                    })?;
                }
                self.other.iter().try_for_each(|extension| {
                    to.u16(extension.extension_type.0)?;
                    to.sized16(extension.data)
                })
            })
        })
    }
}

fn put_schemes(
    to: &mut Writer<'_>,
    extension_type: ExtensionType,
    schemes: &[SignatureScheme],
) -> Result<(), Full> {
    if schemes.is_empty() {
        return Ok(());
    }
    put_list(to, extension_type, |to| {
        schemes.iter().try_for_each(|scheme| to.u16(scheme.0))
    })
}

/// Writes an extension whose data is a list that is preceded by its length in two bytes.
fn put_list(
    to: &mut Writer<'_>,
    extension_type: ExtensionType,
    contents: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
) -> Result<(), Full> {
    to.u16(extension_type.0)?;
    to.length16(|to| to.length16(contents))
}

/// A parsed authenticator request: a CertificateRequest of a server, or a ClientCertificateRequest of a client.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    message: &'a [u8],
    sender: Side,
    context: &'a [u8],
    extensions: Extensions<'a>,
}

impl<'a> Request<'a> {
    /// Parses a request. Unknown extensions are kept and ignored.
    ///
    /// # Errors
    /// [`MalformedMessage`] if the bytes are not a request, or if a known extension in it is malformed.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, MalformedMessage> {
        let mut messages = Reader::new(bytes);
        let (sender, expected) = match bytes.first() {
            Some(&CLIENT_CERTIFICATE_REQUEST) => (Side::Client, CLIENT_CERTIFICATE_REQUEST),
            _ => (Side::Server, CERTIFICATE_REQUEST),
        };
        let (message, body) = handshake(&mut messages, expected)?;
        expect_end(&messages)?;
        let mut body = Reader::new(body);
        let context = body.sized8()?;
        let extensions = Extensions::parse(&mut body)?;
        expect_end(&body)?;
        let request = Self {
            message,
            sender,
            context,
            extensions,
        };
        request.check()?;
        Ok(request)
    }

    fn check(&self) -> Result<(), MalformedMessage> {
        if !self.has(ExtensionType::SIGNATURE_ALGORITHMS) {
            return Err(MalformedMessage::NoSignatureAlgorithms);
        }
        for Extension {
            extension_type,
            data,
        } in self.extensions
        {
            let well_formed = match extension_type {
                ExtensionType::SIGNATURE_ALGORITHMS | ExtensionType::SIGNATURE_ALGORITHMS_CERT => {
                    check_list(data, |from| from.u16().map(|_| ()))
                }
                ExtensionType::CERTIFICATE_AUTHORITIES => {
                    check_list(data, |from| check_not_empty(from.sized16()?))
                }
                ExtensionType::OID_FILTERS => {
                    check_optional_list(data, |from| check_not_empty(read_filter(from)?.oid))
                        .and_then(|()| check_unique_filters(list(data)))
                }
                ExtensionType::SERVER_NAME if self.sender == Side::Client => {
                    host_name(data).map(|_| ())
                }
                // Only a client may request a server name (RFC 9261 section 8.1).
                ExtensionType::SERVER_NAME => Err(Truncated),
                _ => Ok(()),
            };
            well_formed.map_err(|_| MalformedMessage::Extension(extension_type))?;
        }
        Ok(())
    }

    /// Returns the encoded request: a handshake message with its type and length.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.message
    }

    /// Returns the side that sent the request.
    #[must_use]
    pub fn sender(&self) -> Side {
        self.sender
    }

    /// Returns the certificate_request_context, 0 to 255 bytes (the "get context" API, RFC 9261 section 7.2).
    #[must_use]
    pub fn context(&self) -> &'a [u8] {
        self.context
    }

    /// Returns an iterator over all extensions.
    #[must_use]
    pub fn extensions(&self) -> Extensions<'a> {
        self.extensions
    }

    /// Returns an iterator over the signature schemes that the sender can verify, in its order of preference.
    pub fn signature_algorithms(&self) -> impl Iterator<Item = SignatureScheme> + use<'a> {
        self.schemes(ExtensionType::SIGNATURE_ALGORITHMS)
    }

    /// Returns an iterator over the signature schemes that the sender can verify in certificates: those in
    /// signature_algorithms_cert, or those in signature_algorithms if that extension is absent.
    pub fn signature_algorithms_cert(&self) -> impl Iterator<Item = SignatureScheme> + use<'a> {
        if self.has(ExtensionType::SIGNATURE_ALGORITHMS_CERT) {
            self.schemes(ExtensionType::SIGNATURE_ALGORITHMS_CERT)
        } else {
            self.schemes(ExtensionType::SIGNATURE_ALGORITHMS)
        }
    }

    /// Returns an iterator over the distinguished names of the requested authorities in DER, or `None` if any authority is
    /// accepted.
    #[must_use]
    pub fn certificate_authorities(&self) -> Option<impl Iterator<Item = &'a [u8]> + use<'a>> {
        let mut names = list(
            self.extensions
                .find(ExtensionType::CERTIFICATE_AUTHORITIES)?,
        );
        Some(core::iter::from_fn(move || names.sized16().ok()))
    }

    /// Returns an iterator over the requirements for the extensions of the certificate.
    pub fn oid_filters(&self) -> impl Iterator<Item = OidFilter<'a>> + use<'a> {
        let data = self.extensions.find(ExtensionType::OID_FILTERS);
        let mut filters = list(data.unwrap_or_default());
        core::iter::from_fn(move || read_filter(&mut filters).ok())
    }

    /// Returns the server name that a client requests.
    #[must_use]
    pub fn server_name(&self) -> Option<&'a str> {
        host_name(self.extensions.find(ExtensionType::SERVER_NAME)?).ok()
    }

    fn has(&self, extension_type: ExtensionType) -> bool {
        self.extensions.find(extension_type).is_some()
    }

    fn schemes(
        &self,
        extension_type: ExtensionType,
    ) -> impl Iterator<Item = SignatureScheme> + use<'a> {
        let mut schemes = list(self.extensions.find(extension_type).unwrap_or_default());
        core::iter::from_fn(move || schemes.u16().ok().map(SignatureScheme))
    }
}

/// Returns a reader of the contents of a list that is preceded by its length in two bytes.
fn list(data: &[u8]) -> Reader<'_> {
    Reader::new(Reader::new(data).sized16().unwrap_or_default())
}

/// Checks that `data` is a list with at least one element, in which `element` accepts each element.
fn check_list<'a>(
    data: &'a [u8],
    element: impl Fn(&mut Reader<'a>) -> Result<(), Truncated>,
) -> Result<(), Truncated> {
    if data.len() <= 2 {
        return Err(Truncated);
    }
    check_optional_list(data, element)
}

/// Checks `data` as [`check_list`] does, but accepts an empty list.
fn check_optional_list<'a>(
    data: &'a [u8],
    element: impl Fn(&mut Reader<'a>) -> Result<(), Truncated>,
) -> Result<(), Truncated> {
    let mut data = Reader::new(data);
    let mut elements = Reader::new(data.sized16()?);
    while !elements.is_empty() {
        element(&mut elements)?;
    }
    if data.is_empty() {
        Ok(())
    } else {
        Err(Truncated)
    }
}

/// Checks that there are at most [`MAX_EXTENSIONS`] filters, each for a different extension (RFC 8446 section 4.2.5).
fn check_unique_filters(all: Reader<'_>) -> Result<(), Truncated> {
    let mut rest = all;
    for before in 0..=MAX_EXTENSIONS {
        if rest.is_empty() {
            return Ok(());
        }
        let filter = read_filter(&mut rest)?;
        let mut earlier = all;
        for _ in 0..before {
            if read_filter(&mut earlier)?.oid == filter.oid {
                return Err(Truncated);
            }
        }
    }
    Err(Truncated)
}

fn read_filter<'a>(from: &mut Reader<'a>) -> Result<OidFilter<'a>, Truncated> {
    Ok(OidFilter {
        oid: from.sized8()?,
        values: from.sized16()?,
    })
}

fn check_not_empty(bytes: &[u8]) -> Result<(), Truncated> {
    if bytes.is_empty() {
        Err(Truncated)
    } else {
        Ok(())
    }
}

/// Returns the host_name of a server_name extension, which must contain exactly one name (RFC 6066 section 3).
fn host_name(data: &[u8]) -> Result<&str, Truncated> {
    let mut data = Reader::new(data);
    let mut names = Reader::new(data.sized16()?);
    let kind = names.u8()?;
    let name = names.sized16()?;
    check_not_empty(name)?;
    let is_text = name.iter().all(u8::is_ascii_graphic);
    if kind != HOST_NAME || !names.is_empty() || !data.is_empty() || !is_text {
        return Err(Truncated);
    }
    str::from_utf8(name).map_err(|_| Truncated)
}

const HOST_NAME: u8 = 0;
const EXTENSION_HEADER_LEN: usize = 4;
