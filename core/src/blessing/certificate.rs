//! Certificates, of which blessings are chains, and their digests.

use super::{
    BlessingError, Caveats, Hash, Signature,
    hash::{Digest, Hasher},
    vom::{self, Types},
};
use crate::wire::{Full, Reader};

/// A certificate: it binds an extension of its signer's name to a public key.
#[derive(Clone, Copy)]
pub struct Certificate<'a> {
    /// The extension. A nameless certificate has none.
    pub extension: &'a str,
    /// The public key: SubjectPublicKeyInfo in DER.
    pub public_key: &'a [u8],
    /// The conditions under which the certificate is valid.
    pub caveats: Caveats<'a>,
    /// An X.509 certificate. It is a part of the digest, and is not used otherwise.
    pub x509: &'a [u8],
    /// The signature: by the certificate's own key for the first of a chain, by the key of the one before for the others.
    pub signature: Signature<'a>,
}

impl<'a> Certificate<'a> {
    pub(crate) fn read(
        types: Types<'a>,
        id: u64,
        reader: &mut Reader<'a>,
    ) -> Result<Self, BlessingError> {
        let mut certificate = Self {
            extension: "",
            public_key: &[],
            caveats: Caveats::NONE,
            x509: &[],
            signature: Signature::default(),
        };
        types.fields::<BlessingError>(id, reader, &mut |name, field, reader| {
            match name {
                b"Extension" => {
                    let octets = types.string(field, reader)?;
                    let text = str::from_utf8(octets);
                    certificate.extension = text.map_err(|_| BlessingError::Extension)?;
                }
                b"PublicKey" => certificate.public_key = types.bytes(field, reader)?,
                b"Caveats" => certificate.caveats = Caveats::read(types, field, reader)?,
                b"X509Raw" => certificate.x509 = types.bytes(field, reader)?,
                b"Signature" => certificate.signature = Signature::read(types, field, reader)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(certificate)
    }

    /// Returns whether only the public key is set.
    pub(crate) fn is_nameless(&self) -> bool {
        self.extension.is_empty()
            && self.caveats.is_empty()
            && self.x509.is_empty()
            && self.signature.is_absent()
    }

    /// Returns the digest of all fields but the signature.
    fn content(&self, hash: Hash) -> Result<Digest, BlessingError> {
        let mut hasher = Hasher::new(hash);
        for part in [self.public_key, self.extension.as_bytes()] {
            hasher.update(hash.of(&[part]).as_bytes());
        }
        self.caveats.for_each(&mut |caveat| {
            hasher.update(caveat.digest(hash).as_bytes());
            Ok(())
        })?;
        if !self.x509.is_empty() {
            hasher.update(hash.of(&[self.x509]).as_bytes());
        }
        Ok(hasher.finish())
    }

    pub(crate) fn write(&self, writer: &mut vom::Writer<'_>) -> Result<(), Full> {
        writer.octets_field(0, self.extension.as_bytes())?;
        writer.octets_field(1, self.public_key)?;
        if !self.caveats.is_empty() {
            writer.unsigned(2)?;
            self.caveats.write(writer)?;
        }
        writer.octets_field(3, self.x509)?;
        if !self.signature.is_absent() {
            writer.unsigned(4)?;
            self.signature.write(writer)?;
        }
        writer.end()
    }
}

/// The digests of a certificate in its chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChainDigests {
    /// The message that the certificate's signature is over.
    pub(crate) signed: Digest,
    /// The digest that the next certificate's depends on.
    pub(crate) chained: Digest,
}

impl ChainDigests {
    /// Computes the digests by the hash of the certificate's signer, from the digest of the certificate before.
    #[inline(never)]
    pub(crate) fn of(
        certificate: &Certificate<'_>,
        hash: Hash,
        before: Option<&Digest>,
    ) -> Result<Self, BlessingError> {
        let content = certificate.content(hash)?;
        let signature = certificate.signature.digest(hash);
        let full = hash.of(&[content.as_bytes(), signature.as_bytes()]);
        let Some(before) = before else {
            return Ok(Self {
                signed: content,
                chained: full,
            });
        };
        let before = hash.of(&[before.as_bytes()]);
        Ok(Self {
            signed: hash.of(&[before.as_bytes(), content.as_bytes()]),
            chained: hash.of(&[before.as_bytes(), full.as_bytes()]),
        })
    }
}
