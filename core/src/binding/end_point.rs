//! The hash of a certificate with the hash function of its signature algorithm (RFC 5929 section 4.1).

use super::{BindingError, MAX_BINDING_LEN};
use crate::{
    der::{Reader, Tag, oid},
    wire::Truncated,
};
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};

/// Hashes `certificate` and writes the hash to the front of `out`.
pub(super) fn hash<'a>(
    certificate: &[u8],
    out: &'a mut [u8; MAX_BINDING_LEN],
) -> Result<&'a [u8], BindingError> {
    let hash = signature_hash(certificate).map_err(|_| BindingError::Certificate)?;
    let digest = hash.ok_or(BindingError::Undefined)?.digest;
    digest(certificate, out).ok_or(BindingError::Undefined)
}

/// A hash function, and the one that replaces it in a binding: MD5 and SHA-1 are replaced by SHA-256.
struct HashFunction {
    /// The object identifier of the hash function.
    oid: &'static [u8],
    digest: DigestFunction,
}

type DigestFunction = for<'a> fn(&[u8], &'a mut [u8; MAX_BINDING_LEN]) -> Option<&'a [u8]>;

fn digest<'a, H: Digest>(input: &[u8], out: &'a mut [u8; MAX_BINDING_LEN]) -> Option<&'a [u8]> {
    let hash = H::digest(input);
    let place = out.get_mut(..hash.len())?;
    place.copy_from_slice(&hash);
    Some(place)
}

/// Returns the hash function of the signature algorithm of
/// Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue } (RFC 5280 section 4.1), or `None` if it is not
/// known or there are several ones.
fn signature_hash(certificate: &[u8]) -> Result<Option<&'static HashFunction>, Truncated> {
    let mut outer = Reader::new(certificate);
    let mut fields = outer.sequence()?;
    fields.contents(Tag::SEQUENCE)?;
    let (oid, parameters) = fields.algorithm()?;
    fields.contents(Tag::BIT_STRING)?;
    if !outer.is_empty() || !fields.is_empty() {
        return Err(Truncated);
    }
    if oid == oid::RSASSA_PSS {
        return pss_hash(parameters);
    }
    let algorithm = SIGNATURE_ALGORITHMS.iter().find(|(known, _)| *known == oid);
    Ok(algorithm.and_then(|(_, hash)| hash_function(hash)))
}

/// Returns the hash function of RSASSA-PSS-params (RFC 4055 section 3.1), if the message and the mask generation use the same one.
fn pss_hash(mut parameters: Reader<'_>) -> Result<Option<&'static HashFunction>, Truncated> {
    let mut fields = parameters.sequence()?;
    let (mut message, mut mask) = (hash_function(oid::SHA1), hash_function(oid::SHA1));
    while !fields.is_empty() {
        let (tag, contents) = fields.element()?;
        let mut contents = Reader::new(contents);
        let hash = match tag {
            Tag::CONTEXT_0 => &mut message,
            Tag::CONTEXT_1 => {
                let (oid::MGF1, parameters) = contents.algorithm()? else {
                    return Ok(None);
                };
                contents = parameters;
                &mut mask
            }
            _ => continue,
        };
        *hash = hash_function(contents.algorithm()?.0);
        if hash.is_none() {
            return Ok(None);
        }
    }
    Ok(message.filter(|message| mask.is_some_and(|mask| mask.oid == message.oid)))
}

fn hash_function(oid: &[u8]) -> Option<&'static HashFunction> {
    HASH_FUNCTIONS.iter().find(|known| known.oid == oid)
}

/// Signature algorithms with the object identifiers of their hash functions.
const SIGNATURE_ALGORITHMS: &[(&[u8], &[u8])] = &[
    (oid::MD5_WITH_RSA, oid::MD5),
    (oid::SHA1_WITH_RSA, oid::SHA1),
    (oid::SHA224_WITH_RSA, oid::SHA224),
    (oid::SHA256_WITH_RSA, oid::SHA256),
    (oid::SHA384_WITH_RSA, oid::SHA384),
    (oid::SHA512_WITH_RSA, oid::SHA512),
    (oid::SHA512_224_WITH_RSA, oid::SHA512_224),
    (oid::SHA512_256_WITH_RSA, oid::SHA512_256),
    (oid::ECDSA_WITH_SHA1, oid::SHA1),
    (oid::ECDSA_WITH_SHA224, oid::SHA224),
    (oid::ECDSA_WITH_SHA256, oid::SHA256),
    (oid::ECDSA_WITH_SHA384, oid::SHA384),
    (oid::ECDSA_WITH_SHA512, oid::SHA512),
    (oid::DSA_WITH_SHA1, oid::SHA1),
    (oid::DSA_WITH_SHA224, oid::SHA224),
    (oid::DSA_WITH_SHA256, oid::SHA256),
];

static HASH_FUNCTIONS: [HashFunction; 8] = [
    HashFunction::new(oid::MD5, digest::<Sha256>),
    HashFunction::new(oid::SHA1, digest::<Sha256>),
    HashFunction::new(oid::SHA224, digest::<Sha224>),
    HashFunction::new(oid::SHA256, digest::<Sha256>),
    HashFunction::new(oid::SHA384, digest::<Sha384>),
    HashFunction::new(oid::SHA512, digest::<Sha512>),
    HashFunction::new(oid::SHA512_224, digest::<Sha512_224>),
    HashFunction::new(oid::SHA512_256, digest::<Sha512_256>),
];

impl HashFunction {
    const fn new(oid: &'static [u8], digest: DigestFunction) -> Self {
        Self { oid, digest }
    }
}
