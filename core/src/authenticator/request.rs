use super::{
    Extension, ExtensionType, Extensions, MAX_EXTENSIONS, MalformedMessage, RequestError,
    message::{CERTIFICATE_REQUEST, CLIENT_CERTIFICATE_REQUEST, HEADER_LEN, end, handshake},
};
use crate::{
    binding::Side,
    wire::{Full, Reader, Truncated, Writer},
    x509::SignatureScheme,
};

/// The longest certificate_request_context, in bytes.
pub const MAX_CONTEXT_LEN: usize = 255;

/// What a request asks for (RFC 9261 section 4).
#[derive(Debug, Clone, Copy)]
pub struct RequestParameters<'a> {
    /// certificate_request_context: at most [`MAX_CONTEXT_LEN`] bytes, used once on a connection, and best 16 random ones or more: who
    /// can foresee it and has the use of the peer's key for a moment makes authenticators in advance.
    pub context: &'a [u8],
    /// The schemes that are verified, those preferred first; one at least.
    pub signature_algorithms: &'a [SignatureScheme],
    /// Those of signatures in certificates, if they are others; else empty.
    pub signature_algorithms_cert: &'a [SignatureScheme],
    /// Distinguished names of the authorities that are trusted, DER; empty for any.
    pub certificate_authorities: &'a [&'a [u8]],
    /// What the certificate's extensions must have.
    pub oid_filters: &'a [OidFilter<'a>],
    /// The server that is asked for; only a client can ask so.
    pub server_name: Option<&'a str>,
    /// Further extensions, which the peer may answer in its certificate's entry: an empty status_request, say.
    pub other: &'a [Extension<'a>],
}

/// A certificate extension and what it must have (RFC 8446 section 4.2.5). Those that are known, and not ignored, are key usage and
/// extended key usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OidFilter<'a> {
    /// The OBJECT IDENTIFIER of the extension, DER, 1 to 255 bytes.
    pub oid: &'a [u8],
    /// Its value, DER; empty if it only has to be there.
    pub values: &'a [u8],
}

impl<'a> RequestParameters<'a> {
    /// For a context and schemes, and nothing else.
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

    /// The length of the request, in bytes.
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
        let known = parts.into_iter().filter(|(is_there, _)| *is_there);
        let lens = known.map(|(_, len)| len);
        let others = self.other.iter().map(|extension| extension.data.len());
        let head = self.context.len().saturating_add(HEADER_LEN + 1 + 2);
        lens.chain(others).fold(head, |sum, len| {
            sum.saturating_add(len).saturating_add(EXTENSION_HEADER_LEN)
        })
    }

    /// # Errors
    /// [`RequestError`] for parameters that no request can have.
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
        if let Some(known) = others.find(|one| one.extension_type.is_never_in_certificates()) {
            return Err(RequestError::Extension(known.extension_type));
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

/// An extension whose data is a list behind a length of two bytes.
fn put_list(
    to: &mut Writer<'_>,
    extension_type: ExtensionType,
    contents: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
) -> Result<(), Full> {
    to.u16(extension_type.0)?;
    to.length16(|to| to.length16(contents))
}

/// An authenticator request: a CertificateRequest of a server, or a ClientCertificateRequest of a client.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    message: &'a [u8],
    sender: Side,
    context: &'a [u8],
    extensions: Extensions<'a>,
}

impl<'a> Request<'a> {
    /// Reads a request: any bytes give a value or an error. Extensions that are not known are let stand, and ignored.
    ///
    /// # Errors
    /// [`MalformedMessage`]
    pub fn parse(bytes: &'a [u8]) -> Result<Self, MalformedMessage> {
        let mut messages = Reader::new(bytes);
        let (sender, expected) = match bytes.first() {
            Some(&CLIENT_CERTIFICATE_REQUEST) => (Side::Client, CLIENT_CERTIFICATE_REQUEST),
            _ => (Side::Server, CERTIFICATE_REQUEST),
        };
        let (message, body) = handshake(&mut messages, expected)?;
        end(&messages)?;
        let mut body = Reader::new(body);
        let context = body.sized8()?;
        let extensions = Extensions::parse(&mut body)?;
        end(&body)?;
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
                    each(data, |from| from.u16().map(|_| ()))
                }
                ExtensionType::CERTIFICATE_AUTHORITIES => {
                    each(data, |from| not_empty(from.sized16()?))
                }
                ExtensionType::OID_FILTERS => optional(data, |from| not_empty(filter(from)?.oid))
                    .and_then(|()| each_once(list(data))),
                ExtensionType::SERVER_NAME if self.sender == Side::Client => {
                    host_name(data).map(|_| ())
                }
                // Only a client may ask for a name (section 8.1).
                ExtensionType::SERVER_NAME => Err(Truncated),
                _ => Ok(()),
            };
            well_formed.map_err(|_| MalformedMessage::Extension(extension_type))?;
        }
        Ok(())
    }

    /// The request as it is sent: a handshake message with its type and length.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.message
    }

    /// Who sent it.
    #[must_use]
    pub fn sender(&self) -> Side {
        self.sender
    }

    /// The "get context" API (RFC 9261 section 7.2): the certificate_request_context, 0 to 255 bytes.
    #[must_use]
    pub fn context(&self) -> &'a [u8] {
        self.context
    }

    /// All extensions.
    #[must_use]
    pub fn extensions(&self) -> Extensions<'a> {
        self.extensions
    }

    /// The schemes that the sender verifies, in its order.
    pub fn signature_algorithms(&self) -> impl Iterator<Item = SignatureScheme> + use<'a> {
        self.schemes(ExtensionType::SIGNATURE_ALGORITHMS)
    }

    /// The schemes that it verifies in certificates: of signature_algorithms_cert, or the same as the others.
    pub fn signature_algorithms_cert(&self) -> impl Iterator<Item = SignatureScheme> + use<'a> {
        if self.has(ExtensionType::SIGNATURE_ALGORITHMS_CERT) {
            self.schemes(ExtensionType::SIGNATURE_ALGORITHMS_CERT)
        } else {
            self.schemes(ExtensionType::SIGNATURE_ALGORITHMS)
        }
    }

    /// Distinguished names of authorities, DER; `None` where any will do.
    #[must_use]
    pub fn certificate_authorities(&self) -> Option<impl Iterator<Item = &'a [u8]> + use<'a>> {
        let mut names = list(
            self.extensions
                .find(ExtensionType::CERTIFICATE_AUTHORITIES)?,
        );
        Some(core::iter::from_fn(move || names.sized16().ok()))
    }

    /// What the certificate's extensions must have.
    pub fn oid_filters(&self) -> impl Iterator<Item = OidFilter<'a>> + use<'a> {
        let data = self.extensions.find(ExtensionType::OID_FILTERS);
        let mut filters = list(data.unwrap_or_default());
        core::iter::from_fn(move || filter(&mut filters).ok())
    }

    /// The server that a client asks for.
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

/// A list behind a length of two bytes, and nothing behind it.
fn list(data: &[u8]) -> Reader<'_> {
    Reader::new(Reader::new(data).sized16().unwrap_or_default())
}

/// Reads each element of a list that is well-formed and not empty.
fn each<'a>(
    data: &'a [u8],
    element: impl Fn(&mut Reader<'a>) -> Result<(), Truncated>,
) -> Result<(), Truncated> {
    if data.len() <= 2 {
        return Err(Truncated);
    }
    optional(data, element)
}

/// As [`each`], of a list that may be empty.
fn optional<'a>(
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

/// No extension is asked for twice (RFC 8446 section 4.2.5), and no more than [`MAX_EXTENSIONS`].
fn each_once(all: Reader<'_>) -> Result<(), Truncated> {
    let mut rest = all;
    for before in 0..=MAX_EXTENSIONS {
        if rest.is_empty() {
            return Ok(());
        }
        let filter = filter(&mut rest)?;
        let mut earlier = all;
        for _ in 0..before {
            if self::filter(&mut earlier)?.oid == filter.oid {
                return Err(Truncated);
            }
        }
    }
    Err(Truncated)
}

fn filter<'a>(from: &mut Reader<'a>) -> Result<OidFilter<'a>, Truncated> {
    Ok(OidFilter {
        oid: from.sized8()?,
        values: from.sized16()?,
    })
}

fn not_empty(bytes: &[u8]) -> Result<(), Truncated> {
    if bytes.is_empty() {
        Err(Truncated)
    } else {
        Ok(())
    }
}

/// The one host_name of a server_name extension (RFC 6066 section 3).
fn host_name(data: &[u8]) -> Result<&str, Truncated> {
    let mut data = Reader::new(data);
    let mut names = Reader::new(data.sized16()?);
    let kind = names.u8()?;
    let name = names.sized16()?;
    not_empty(name)?;
    let is_text = name.iter().all(u8::is_ascii_graphic);
    if kind != HOST_NAME || !names.is_empty() || !data.is_empty() || !is_text {
        return Err(Truncated);
    }
    str::from_utf8(name).map_err(|_| Truncated)
}

const HOST_NAME: u8 = 0;
const EXTENSION_HEADER_LEN: usize = 4;
