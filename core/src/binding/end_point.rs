//! The hash of a certificate with the hash function of its signature algorithm (RFC 5929 section 4.1).

use super::{BindingError, MAX_BINDING_LEN};
use crate::wire::Reader;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};

/// Hashes `certificate` and writes the hash to the front of `out`.
pub(super) fn hash<'a>(
    certificate: &[u8],
    out: &'a mut [u8; MAX_BINDING_LEN],
) -> Result<&'a [u8], BindingError> {
    match signature_hash(certificate)? {
        HashFunction::Md5 | HashFunction::Sha1 | HashFunction::Sha256 => {
            digest::<Sha256>(certificate, out)
        }
        HashFunction::Sha224 => digest::<Sha224>(certificate, out),
        HashFunction::Sha384 => digest::<Sha384>(certificate, out),
        HashFunction::Sha512 => digest::<Sha512>(certificate, out),
        HashFunction::Sha512_224 => digest::<Sha512_224>(certificate, out),
        HashFunction::Sha512_256 => digest::<Sha512_256>(certificate, out),
    }
}

fn digest<'a, H: Digest>(
    certificate: &[u8],
    out: &'a mut [u8; MAX_BINDING_LEN],
) -> Result<&'a [u8], BindingError> {
    let hash = H::digest(certificate);
    let place = out.get_mut(..hash.len()).ok_or(BindingError::Undefined)?;
    place.copy_from_slice(&hash);
    Ok(place)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum HashFunction {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512_224,
    Sha512_256,
}

/// Returns the hash function of the signature algorithm of
/// Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm, signatureValue } (RFC 5280 section 4.1).
fn signature_hash(certificate: &[u8]) -> Result<HashFunction, BindingError> {
    let mut outer = Reader::new(certificate);
    let mut fields = Reader::new(element(&mut outer, SEQUENCE)?);
    element(&mut fields, SEQUENCE)?;
    let (oid, parameters) = algorithm_identifier(&mut fields)?;
    element(&mut fields, BIT_STRING)?;
    if !outer.is_empty() || !fields.is_empty() {
        return Err(BindingError::Certificate);
    }
    if oid == RSASSA_PSS {
        return pss_hash(parameters);
    }
    SIGNATURE_ALGORITHMS
        .iter()
        .find(|(known, _)| *known == oid)
        .map(|&(_, hash)| hash)
        .ok_or(BindingError::Undefined)
}

/// Returns the hash function of RSASSA-PSS-params (RFC 4055 section 3.1), if the message and the mask generation use the same one.
fn pss_hash(mut parameters: Reader<'_>) -> Result<HashFunction, BindingError> {
    let mut fields = Reader::new(element(&mut parameters, SEQUENCE)?);
    let (mut message, mut mask) = (HashFunction::Sha1, HashFunction::Sha1);
    while !fields.is_empty() {
        let (tag, contents) = fields.der().map_err(|_| BindingError::Certificate)?;
        let mut contents = Reader::new(contents);
        match tag {
            EXPLICIT_0 => message = hash_function(algorithm_identifier(&mut contents)?.0)?,
            EXPLICIT_1 => {
                let (oid, mut parameters) = algorithm_identifier(&mut contents)?;
                if oid != MGF1 {
                    return Err(BindingError::Undefined);
                }
                mask = hash_function(algorithm_identifier(&mut parameters)?.0)?;
            }
            _ => {}
        }
    }
    if message == mask {
        Ok(message)
    } else {
        Err(BindingError::Undefined)
    }
}

fn hash_function(oid: &[u8]) -> Result<HashFunction, BindingError> {
    HASH_FUNCTIONS
        .iter()
        .find(|(known, _)| *known == oid)
        .map(|&(_, hash)| hash)
        .ok_or(BindingError::Undefined)
}

/// Reads AlgorithmIdentifier ::= SEQUENCE { algorithm OBJECT IDENTIFIER, parameters ANY OPTIONAL }. Returns the contents of the
/// OBJECT IDENTIFIER and a reader of the parameters.
fn algorithm_identifier<'a>(from: &mut Reader<'a>) -> Result<(&'a [u8], Reader<'a>), BindingError> {
    let mut fields = Reader::new(element(from, SEQUENCE)?);
    let oid = element(&mut fields, OBJECT_IDENTIFIER)?;
    Ok((oid, fields))
}

fn element<'a>(from: &mut Reader<'a>, tag: u8) -> Result<&'a [u8], BindingError> {
    match from.der() {
        Ok((found, contents)) if found == tag => Ok(contents),
        _ => Err(BindingError::Certificate),
    }
}

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const OBJECT_IDENTIFIER: u8 = 0x06;
const EXPLICIT_0: u8 = 0xa0;
const EXPLICIT_1: u8 = 0xa1;

/// The object identifier id-RSASSA-PSS, 1.2.840.113549.1.1.10.
const RSASSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
/// The object identifier id-mgf1, 1.2.840.113549.1.1.8.
const MGF1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8];

/// Signature algorithms with their hash functions (RFC 8017 appendix A.2.4, RFC 5758 section 3, RFC 3279 section 2.2).
const SIGNATURE_ALGORITHMS: &[(&[u8], HashFunction)] = &[
    // RSASSA-PKCS1-v1_5: 1.2.840.113549.1.1.x
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 4],
        HashFunction::Md5,
    ),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5],
        HashFunction::Sha1,
    ),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11],
        HashFunction::Sha256,
    ),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12],
        HashFunction::Sha384,
    ),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13],
        HashFunction::Sha512,
    ),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 14],
        HashFunction::Sha224,
    ),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 15],
        HashFunction::Sha512_224,
    ),
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 16],
        HashFunction::Sha512_256,
    ),
    // ECDSA: 1.2.840.10045.4.x
    (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 1], HashFunction::Sha1),
    (
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 1],
        HashFunction::Sha224,
    ),
    (
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2],
        HashFunction::Sha256,
    ),
    (
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3],
        HashFunction::Sha384,
    ),
    (
        &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4],
        HashFunction::Sha512,
    ),
    // DSA: 1.2.840.10040.4.3, 2.16.840.1.101.3.4.3.x
    (&[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 3], HashFunction::Sha1),
    (
        &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 1],
        HashFunction::Sha224,
    ),
    (
        &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 2],
        HashFunction::Sha256,
    ),
];

/// Hash functions with their object identifiers (RFC 8017 appendix B.1).
const HASH_FUNCTIONS: &[(&[u8], HashFunction)] = &[
    (
        &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 5],
        HashFunction::Md5,
    ),
    (&[0x2b, 0x0e, 3, 2, 0x1a], HashFunction::Sha1),
    (
        &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1],
        HashFunction::Sha256,
    ),
    (
        &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2],
        HashFunction::Sha384,
    ),
    (
        &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3],
        HashFunction::Sha512,
    ),
    (
        &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 4],
        HashFunction::Sha224,
    ),
    (
        &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 5],
        HashFunction::Sha512_224,
    ),
    (
        &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 6],
        HashFunction::Sha512_256,
    ),
];
