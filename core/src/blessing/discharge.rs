//! Third-party caveats, and the discharges that satisfy them.

use super::{
    BlessingError, CaveatError, Caveats, CheckContext, Hash, PublicKey, Signature,
    caveat::Caveat,
    hash::{Digest, Hasher},
    signature::DISCHARGE,
    vom::{self, Document, Types, VomError},
};
use crate::wire::Reader;
use base64ct::{Base64UrlUnpadded, Encoding};

/// The longest identifier of a third-party caveat, in bytes: base64 of a hash of 64 bytes.
pub const MAX_DISCHARGE_ID_LEN: usize = 88;

/// The parameter of a third-party caveat.
#[derive(Debug, Clone, Copy)]
pub struct ThirdParty<'a> {
    nonce: &'a [u8],
    caveats: Caveats<'a>,
    /// The public key of the third party.
    pub public_key: &'a [u8],
    /// The place where it gives discharges: an object name or a URL, by its own convention.
    pub location: &'a str,
}

impl<'a> ThirdParty<'a> {
    pub(crate) fn read(
        types: Types<'a>,
        id: u64,
        reader: &mut Reader<'a>,
    ) -> Result<Self, CaveatError> {
        let mut third_party = Self {
            nonce: &[0; 16],
            caveats: Caveats::NONE,
            public_key: &[],
            location: "",
        };
        let read = types.fields::<BlessingError>(id, reader, &mut |name, field, reader| {
            match name {
                b"Nonce" => third_party.nonce = types.bytes(field, reader)?,
                b"Caveats" => third_party.caveats = Caveats::read(types, field, reader)?,
                b"DischargerKey" => third_party.public_key = types.bytes(field, reader)?,
                b"DischargerLocation" => {
                    let octets = types.string(field, reader)?;
                    third_party.location = str::from_utf8(octets).unwrap_or_default();
                }
                _ => return Ok(false),
            }
            Ok(true)
        });
        read.map_err(|_| CaveatError::Parameter(VomError::Malformed))?;
        Ok(third_party)
    }

    /// Returns the caveats that the third party must check before it gives a discharge. They do not bind the verifier.
    #[must_use]
    pub fn caveats(&self) -> &Caveats<'a> {
        &self.caveats
    }

    /// Writes the identifier, by which discharges name the caveat, and returns it. `hash` is that of the third party's key.
    fn id<'o>(
        &self,
        hash: Hash,
        out: &'o mut [u8; MAX_DISCHARGE_ID_LEN],
    ) -> Result<&'o str, CaveatError> {
        let mut hasher = Hasher::new(hash);
        for part in [self.nonce, self.public_key] {
            hasher.update(hash.of(&[part]).as_bytes());
        }
        hash_caveats(&self.caveats, hash, &mut hasher)?;
        base64(hasher.finish().as_bytes(), out).ok_or(CaveatError::Discharge)
    }

    /// Calls `f` with the identifier of the caveat. Returns `None` if the third party's key is not supported.
    pub fn with_id<T>(
        &self,
        algorithms: &super::Algorithms,
        f: impl FnOnce(&str) -> T,
    ) -> Option<T> {
        let key = PublicKey::parse(self.public_key, algorithms)?;
        let mut out = [0; MAX_DISCHARGE_ID_LEN];
        self.id(key.hash(), &mut out).ok().map(f)
    }

    /// Checks that there is a valid discharge, whose own caveats `check` checks. Only the first one with the right identifier is looked at.
    pub(crate) fn check(
        &self,
        context: &CheckContext<'_>,
        check: &mut dyn FnMut(Caveat<'_>) -> Result<(), CaveatError>,
    ) -> Result<(), CaveatError> {
        let key = PublicKey::parse(self.public_key, context.algorithms)
            .ok_or(CaveatError::Parameter(VomError::Unsupported))?;
        let mut out = [0; MAX_DISCHARGE_ID_LEN];
        let id = self.id(key.hash(), &mut out)?;
        let mut result = Err(CaveatError::NoDischarge);
        context.discharges.find(id, &mut |discharge| {
            result = discharge.satisfies(&key, context, check);
        });
        result
    }
}

/// Encodes a digest in base64 with padding (RFC 4648 section 4): from its encoding in base64url, which header fields have too.
fn base64<'o>(digest: &[u8], out: &'o mut [u8; MAX_DISCHARGE_ID_LEN]) -> Option<&'o str> {
    let len = digest.len().div_ceil(3).checked_mul(4)?;
    let out = out.get_mut(..len)?;
    let encoded = Base64UrlUnpadded::encode(digest, out).ok()?.len();
    for (at, character) in out.iter_mut().enumerate() {
        *character = match *character {
            _ if at >= encoded => b'=',
            b'-' => b'+',
            b'_' => b'/',
            same => same,
        };
    }
    str::from_utf8(out).ok()
}

fn hash_caveats(caveats: &Caveats<'_>, hash: Hash, hasher: &mut Hasher) -> Result<(), CaveatError> {
    caveats
        .for_each(&mut |caveat| {
            hasher.update(caveat.digest(hash).as_bytes());
            Ok(())
        })
        .map_err(|_| CaveatError::Parameter(VomError::Malformed))
}

/// A discharge of a third-party caveat.
#[derive(Debug, Clone, Copy)]
pub struct Discharge<'a> {
    /// The identifier of the caveat.
    pub caveat_id: &'a str,
    /// The conditions under which the discharge is valid.
    pub caveats: Caveats<'a>,
    /// The signature of the third party.
    pub signature: Signature<'a>,
}

impl<'a> Discharge<'a> {
    /// Checks that the third party with this key has signed the discharge, and that its own caveats hold.
    #[inline(never)]
    fn satisfies(
        &self,
        key: &PublicKey<'_>,
        context: &CheckContext<'_>,
        check: &mut dyn FnMut(Caveat<'_>) -> Result<(), CaveatError>,
    ) -> Result<(), CaveatError> {
        self.verify(key, context.algorithms)?;
        let mut result = Ok(());
        let walked = self.caveats.for_each(&mut |caveat| {
            if result.is_ok() {
                // A verifier that can get another discharge looks for one, whatever does not hold of this one.
                result = check(caveat).map_err(|error| match error {
                    CaveatError::TooDeep | CaveatError::TooManyDischarges => error,
                    _ => CaveatError::Discharge,
                });
            }
            Ok(())
        });
        walked.map_err(|_| CaveatError::Discharge)?;
        result
    }

    /// Reads the union WireDischarge.
    pub(crate) fn read(
        types: Types<'a>,
        id: u64,
        reader: &mut Reader<'a>,
    ) -> Result<Self, BlessingError> {
        let (name, id) = types.choice(id, reader)?;
        if name != b"PublicKey" {
            return Err(VomError::WrongType.into());
        }
        let mut discharge = Self {
            caveat_id: "",
            caveats: Caveats::NONE,
            signature: Signature::default(),
        };
        types.fields::<BlessingError>(id, reader, &mut |name, field, reader| {
            match name {
                b"ThirdPartyCaveatId" => {
                    let octets = types.string(field, reader)?;
                    let text = str::from_utf8(octets);
                    discharge.caveat_id = text.map_err(|_| VomError::Malformed)?;
                }
                b"Caveats" => discharge.caveats = Caveats::read(types, field, reader)?,
                b"Signature" => discharge.signature = Signature::read(types, field, reader)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(discharge)
    }

    /// Returns the message that the signature is over.
    pub(crate) fn signed(&self, hash: Hash) -> Result<Digest, CaveatError> {
        let mut hasher = Hasher::new(hash);
        hasher.update(hash.of(&[self.caveat_id.as_bytes()]).as_bytes());
        hash_caveats(&self.caveats, hash, &mut hasher)?;
        Ok(hasher.finish())
    }

    fn verify(
        &self,
        key: &PublicKey<'_>,
        algorithms: &super::Algorithms,
    ) -> Result<(), CaveatError> {
        let signed = self.signed(key.hash())?;
        key.verify(DISCHARGE, &[signed.as_bytes()], &self.signature, algorithms)
            .then_some(())
            .ok_or(CaveatError::Discharge)
    }

    /// Writes the discharge with the definitions that upstream writes, and returns it.
    ///
    /// # Errors
    /// [`BlessingError::BufferTooSmall`]
    pub fn encode<'o>(&self, out: &'o mut [u8]) -> Result<&'o mut [u8], BlessingError> {
        let mut writer = vom::Writer::new(out);
        writer.begin(vom::DISCHARGE)?;
        writer.value(vom::DISCHARGE_TYPE, |writer| self.write(writer))?;
        Ok(writer.finish())
    }

    /// Writes the discharge in an encoding of its own to a list.
    #[cfg(feature = "blessing-channel")]
    pub(crate) fn copy(encoded: &[u8], writer: &mut vom::Writer<'_>) -> Result<(), BlessingError> {
        let document = Document::parse(encoded)?;
        let (types, id, mut reader) = document.value();
        Discharge::read(types, id, &mut reader)?.write(writer)?;
        Ok(())
    }

    pub(crate) fn write(&self, writer: &mut vom::Writer<'_>) -> Result<(), crate::wire::Full> {
        writer.unsigned(0)?;
        writer.octets_field(0, self.caveat_id.as_bytes())?;
        if !self.caveats.is_empty() {
            writer.unsigned(1)?;
            self.caveats.write(writer)?;
        }
        if !self.signature.is_absent() {
            writer.unsigned(2)?;
            self.signature.write(writer)?;
        }
        writer.end()
    }
}

/// A set of discharges.
pub trait Discharges {
    /// Calls `use_it` with the first discharge of the caveat with this identifier, if there is one.
    fn find(&self, caveat_id: &str, use_it: &mut dyn FnMut(&Discharge<'_>));
}

/// No discharges.
impl Discharges for () {
    fn find(&self, _: &str, _: &mut dyn FnMut(&Discharge<'_>)) {}
}

/// Encodings of one discharge each. Those that are malformed are ignored.
impl Discharges for &[&[u8]] {
    fn find(&self, caveat_id: &str, use_it: &mut dyn FnMut(&Discharge<'_>)) {
        for encoded in *self {
            let Ok(document) = Document::parse(encoded) else {
                continue;
            };
            let (types, id, mut reader) = document.value();
            match Discharge::read(types, id, &mut reader) {
                Ok(discharge) if reader.is_empty() && discharge.caveat_id == caveat_id => {
                    return use_it(&discharge);
                }
                _ => {}
            }
        }
    }
}
