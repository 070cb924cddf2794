//! The answer to a gateway that asks for an Exported Authenticator (RFC 9261).

use crate::{event::Failure, generator::Generator};
use chanbind_core::{
    authenticator::{
        AuthenticateError, CertificateChain, Client, Endpoint, Request, Unsuitable, http,
    },
    crypto::{ecdsa, wipe},
    x509::{PublicKey, SignatureScheme, subject_public_key_info},
};
use chanbind_device_config::{Config, MAX_CERTIFICATES_LEN};
use chanbind_tpm_spi::{
    Chip,
    command::EccPoint,
    key::{SigningKey, TpmKeys},
};

/// The longest request that is answered, in bytes.
const REQUEST_LEN: usize = 768;

/// The longest authenticator that is made, in bytes: the longest certificates of a configuration, and what is around them.
const AUTHENTICATOR_LEN: usize = MAX_CERTIFICATES_LEN + 448;

/// The longest head of an answer, in bytes: a challenge is in it.
pub(crate) const HEAD_LEN: usize = 1536;

/// Its text.
const TEXT_LEN: usize = 23 + AUTHENTICATOR_LEN.div_ceil(3) * 4;

/// The memory of requests and answers.
pub(crate) struct Scratch {
    request: [u8; REQUEST_LEN],
    authenticator: [u8; AUTHENTICATOR_LEN],
    text: [u8; TEXT_LEN],
    text_len: usize,
}

impl Scratch {
    pub(crate) const fn new() -> Self {
        Self {
            request: [0; REQUEST_LEN],
            authenticator: [0; AUTHENTICATOR_LEN],
            text: [0; TEXT_LEN],
            text_len: 0,
        }
    }

    /// The value of the field Authorization, if there is one to be sent, and the place for what the gateway asks for.
    pub(crate) fn outgoing(&mut self) -> (Option<&str>, &mut [u8]) {
        let text = self.text.get(..self.text_len).unwrap_or_default();
        let text = str::from_utf8(text).ok().filter(|text| !text.is_empty());
        (text, &mut self.request)
    }

    /// It is sent once: the proof is good for the connection.
    pub(crate) fn clear(&mut self) {
        self.text_len = 0;
        wipe(&mut self.text);
        wipe(&mut self.authenticator);
    }
}

/// Whether the configuration's certificate is that of the key.
pub(crate) fn matches_key(config: &Config<'_>, key: &EccPoint) -> bool {
    let leaf = config.certificates().first().copied().unwrap_or_default();
    let public_key = subject_public_key_info(leaf).and_then(PublicKey::from_spki);
    let mut point = [0x04; 65];
    for (to, from) in point.iter_mut().skip(1).zip(key.x.iter().chain(&key.y)) {
        *to = *from;
    }
    public_key == Ok(PublicKey::P256(point))
}

/// Answers the request of `len` bytes in `scratch`: with an authenticator, or, where the certificate is not what is asked for, by
/// declining, and then it says why.
pub(crate) async fn answer<'m, C: Chip>(
    config: &Config<'_>,
    endpoint: &mut Endpoint<Client>,
    keys: &mut TpmKeys<'m, C, Generator>,
    key: &mut SigningKey<'_, 'm>,
    scratch: &mut Scratch,
    len: usize,
) -> Result<Option<Unsuitable>, Failure<C::Error>> {
    let Scratch {
        request,
        authenticator,
        text,
        text_len,
    } = scratch;
    let request = request.get(..len).unwrap_or_default();
    let request = Request::parse(request).map_err(Failure::Challenge)?;
    let chain = CertificateChain::new(
        config.certificates(),
        SignatureScheme::ECDSA_SECP256R1_SHA256,
    );
    let mut unsuitable = None;
    let bytes = match endpoint.authenticate(&request, &chain, authenticator) {
        Ok(unsigned) => {
            let signed = keys.sign(key, &unsigned.sha256()).await;
            let signature = signed.map_err(Failure::Tpm)?;
            let (r, s) = (signature.r, signature.s);
            unsigned.sign_ecdsa(&ecdsa::Signature { r, s })
        }
        Err(AuthenticateError::Unsuitable(why)) => {
            unsuitable = Some(why);
            endpoint.decline(&request, authenticator)
        }
        Err(error) => Err(error),
    };
    let bytes = bytes.map_err(Failure::Authenticate)?;
    let text = http::encode_credentials(bytes, text);
    // There is room for the longest.
    *text_len = text.map_or(0, str::len);
    Ok(unsuitable)
}
