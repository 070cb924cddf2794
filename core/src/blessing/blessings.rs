//! Blessings: chains of certificates that end in one public key.

use super::{
    Algorithms, BlessingError, Certificate, CheckContext, MAX_CHAINS, MAX_DEPTH, NameList,
    PublicKey, Roots,
    caveat::{Budget, check_all},
    certificate::ChainDigests,
    hash::{Digest, Hasher},
    names::{SEPARATOR, check_extension},
    signature::BLESS,
    vom::{self, Document, Types},
};
use crate::wire::{Full, Reader};
use core::fmt;

/// An encoding of blessings, as the tool `principal` writes it: VOM, with the definitions of the types.
///
/// ```
/// use chanbind_core::blessing::{Algorithms, BlessingError, EncodedBlessings};
///
/// fn first_name(encoded: &[u8]) -> Result<Option<String>, BlessingError> {
///     let encoded = EncodedBlessings::parse(encoded)?;
///     let blessings = encoded.blessings().verify(&Algorithms::DEFAULT)?;
///     let names = blessings.claimed_names()?;
///     Ok(names.iter().next().map(str::to_owned))
/// }
/// ```
pub struct EncodedBlessings<'a>(Document<'a>);

impl<'a> EncodedBlessings<'a> {
    /// Parses the definitions of the types. The blessings themselves are parsed by their methods.
    ///
    /// # Errors
    /// [`BlessingError::Vom`] if the definitions or their value's length are invalid, or if bytes follow the value.
    pub fn parse(encoded: &'a [u8]) -> Result<Self, BlessingError> {
        Ok(Self(Document::parse(encoded)?))
    }

    /// Returns the blessings, which are not verified.
    #[must_use]
    pub fn blessings(&self) -> Blessings<'_> {
        let (types, id, value) = self.0.value();
        Blessings { types, id, value }
    }
}

/// Blessings that are not verified.
#[derive(Clone, Copy)]
pub struct Blessings<'a> {
    pub(crate) types: Types<'a>,
    pub(crate) id: u64,
    pub(crate) value: Reader<'a>,
}

/// The place of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The number of its chain, from 0.
    pub chain: usize,
    /// Its number in the chain, from 0.
    pub index: usize,
    /// True if it is the last one of the chain.
    pub is_last: bool,
}

/// Takes a certificate and its place.
pub(crate) type Visitor<'f, 'a> =
    dyn FnMut(Place, &Certificate<'a>) -> Result<(), BlessingError> + 'f;

impl<'a> Blessings<'a> {
    /// Calls `f` with each certificate, in order, and returns the number of chains.
    ///
    /// # Errors
    /// The error of `f`; [`BlessingError::Vom`], [`BlessingError::EmptyChain`], [`BlessingError::TooManyChains`] or [`BlessingError::TooDeep`] if the
    /// encoding is invalid or too large. `f` may have been called before.
    pub fn for_each(&self, f: &mut Visitor<'_, 'a>) -> Result<usize, BlessingError> {
        let (types, mut reader) = (self.types, self.value);
        let mut chains = 0;
        types.fields::<BlessingError>(self.id, &mut reader, &mut |name, field, reader| {
            if name != b"CertificateChains" {
                return Ok(false);
            }
            let chain_type;
            (chains, chain_type) = types.list(field, reader)?;
            if chains > MAX_CHAINS {
                return Err(BlessingError::TooManyChains);
            }
            for chain in 0..chains {
                visit_chain(types, chain_type, chain, reader, f)?;
            }
            Ok(true)
        })?;
        if !reader.is_empty() {
            return Err(vom::VomError::Trailing.into());
        }
        Ok(chains)
    }

    /// Verifies all signatures and extensions.
    ///
    /// The names are then those that the first certificate of each chain gives itself: [`VerifiedBlessings::names`] decides which of them count.
    ///
    /// # Errors
    /// - [`BlessingError::NoChain`] if there are no chains;
    /// - [`BlessingError::Purpose`], [`BlessingError::Extension`], [`BlessingError::Key`] or [`BlessingError::Signature`] for a certificate that is invalid;
    /// - [`BlessingError::KeysDiffer`] if the chains end in different keys;
    /// - the errors of [`Blessings::for_each`].
    pub fn verify(self, algorithms: &Algorithms) -> Result<VerifiedBlessings<'a>, BlessingError> {
        self.checked(algorithms, true)
    }

    /// Does the same for blessings whose signatures the caller has verified before: they are not verified again.
    ///
    /// # Errors
    /// Those of [`Blessings::verify`], but for [`BlessingError::Signature`].
    #[doc(hidden)]
    #[cfg(feature = "blessing-channel")]
    pub fn verified_before(
        self,
        algorithms: &Algorithms,
    ) -> Result<VerifiedBlessings<'a>, BlessingError> {
        self.checked(algorithms, false)
    }

    fn checked(
        self,
        algorithms: &Algorithms,
        are_signatures_new: bool,
    ) -> Result<VerifiedBlessings<'a>, BlessingError> {
        let mut leaf: Option<PublicKey<'a>> = None;
        let (mut nameless, mut others) = (0_usize, 0_usize);
        let mut unique: Option<Hasher> = None;
        let mut signer: Option<(PublicKey<'a>, Digest)> = None;
        let chains = self.for_each(&mut |place, certificate| {
            let key =
                PublicKey::parse(certificate.public_key, algorithms).ok_or(BlessingError::Key)?;
            let before = if place.index == 0 {
                None
            } else {
                signer.take()
            };
            let hash = before.as_ref().map_or(key, |(signer, _)| *signer).hash();
            let before_digest = before.as_ref().map(|(_, digest)| digest);
            let digests = ChainDigests::of(certificate, hash, before_digest)?;
            if place.index == 0 && place.is_last && certificate.is_nameless() {
                nameless = nameless.saturating_add(1);
            } else {
                others = others.saturating_add(1);
                check_extension(certificate.extension)?;
                if certificate.signature.purpose != BLESS {
                    return Err(BlessingError::Purpose);
                }
                let by = before.as_ref().map_or(&key, |(signer, _)| signer);
                let signed = digests.signed;
                let signature = &certificate.signature;
                if are_signatures_new
                    && !by.verify(BLESS, &[signed.as_bytes()], signature, algorithms)
                {
                    return Err(BlessingError::Signature);
                }
            }
            if place.is_last {
                match &leaf {
                    Some(leaf) if leaf.as_der() != key.as_der() => {
                        return Err(BlessingError::KeysDiffer);
                    }
                    _ => leaf = Some(key),
                }
                unique
                    .get_or_insert_with(|| Hasher::new(key.hash()))
                    .update(digests.chained.as_bytes());
            }
            signer = Some((key, digests.chained));
            Ok(())
        })?;
        let (Some(public_key), Some(unique)) = (leaf, unique) else {
            return Err(BlessingError::NoChain);
        };
        if nameless > 0 && (others > 0 || chains != 1) {
            return Err(BlessingError::Purpose);
        }
        Ok(VerifiedBlessings {
            blessings: self,
            public_key,
            is_nameless: nameless > 0,
            unique_id: unique.finish(),
        })
    }

    /// Calls `f` with the public key in which the first chain ends. The signatures are not verified: it is for a principal's own blessings.
    ///
    /// # Errors
    /// [`BlessingError::NoChain`], the errors of [`Blessings::for_each`], and the error of `f`.
    pub fn with_leaf<T>(
        &self,
        f: impl FnOnce(&[u8]) -> Result<T, BlessingError>,
    ) -> Result<T, BlessingError> {
        let mut leaf = None;
        self.for_each(&mut |place, certificate| {
            if place.is_last && leaf.is_none() {
                leaf = Some(certificate.public_key);
            }
            Ok(())
        })?;
        f(leaf.ok_or(BlessingError::NoChain)?)
    }

    /// Returns the names at this principal itself: those whose root it recognizes. Neither signatures nor caveats are checked: it is for a principal's own
    /// blessings.
    ///
    /// # Errors
    /// [`BlessingError::NamesTooLong`], and the errors of [`Blessings::for_each`].
    pub fn local_names(&self, roots: &dyn Roots) -> Result<NameList, BlessingError> {
        self.select(&mut |chain, name| self.is_recognized(chain, name, roots))
    }

    /// Writes the blessings with the definitions that upstream writes, and returns them.
    ///
    /// # Errors
    /// [`BlessingError::BufferTooSmall`], or the errors of [`Blessings::for_each`].
    pub fn encode<'o>(&self, out: &'o mut [u8]) -> Result<&'o mut [u8], BlessingError> {
        let mut writer = vom::Writer::new(out);
        writer.begin(vom::BLESSINGS)?;
        let mut result = Ok(());
        writer.value(vom::BLESSINGS_TYPE, |writer| {
            result = self.write(writer);
            Ok(())
        })?;
        result?;
        Ok(writer.finish())
    }

    /// Returns the names of the chains that `is_selected` selects.
    fn select(
        &self,
        is_selected: &mut dyn FnMut(usize, &str) -> Result<bool, BlessingError>,
    ) -> Result<NameList, BlessingError> {
        let mut names = NameList::new();
        self.for_each(&mut |place, certificate| {
            if place.index == 0 && place.is_last && certificate.is_nameless() {
                return Ok(());
            }
            let separator = if place.index == 0 { "" } else { SEPARATOR };
            names.extend_last(&[separator, certificate.extension])?;
            if place.is_last {
                if is_selected(place.chain, names.last())? {
                    names.end_last()?;
                } else {
                    names.drop_last();
                }
            }
            Ok(())
        })?;
        Ok(names)
    }

    /// Returns whether the root of a chain is recognized for this name.
    fn is_recognized(
        &self,
        chain: usize,
        name: &str,
        roots: &dyn Roots,
    ) -> Result<bool, BlessingError> {
        let mut is_recognized = false;
        self.for_each(&mut |place, certificate| {
            if place.chain == chain && place.index == 0 {
                is_recognized = roots.are_of(certificate.public_key, name);
            }
            Ok(())
        })?;
        Ok(is_recognized)
    }

    /// Writes the value without its type and length.
    pub(crate) fn write(&self, writer: &mut vom::Writer<'_>) -> Result<(), BlessingError> {
        // Counts come before the certificates, so the lists are walked once for each.
        let mut lens = heapless::Vec::<usize, MAX_CHAINS>::new();
        let chains = self.for_each(&mut |place, _| {
            if place.is_last {
                let _ = lens.push(place.index.saturating_add(1));
            }
            Ok(())
        })?;
        if chains > 0 {
            writer.unsigned(0)?;
            writer.count(chains)?;
            self.for_each(&mut |place, certificate| {
                if place.index == 0 {
                    writer.count(lens.get(place.chain).copied().unwrap_or(0))?;
                }
                certificate.write(writer)?;
                Ok(())
            })?;
        }
        writer.end()?;
        Ok(())
    }
}

/// Writes chains of certificates with the definitions that upstream writes, and returns them: new blessings, which are not verified.
///
/// # Errors
/// [`BlessingError::BufferTooSmall`]
pub fn encode_chains<'o>(
    chains: &[&[Certificate<'_>]],
    out: &'o mut [u8],
) -> Result<&'o mut [u8], BlessingError> {
    let mut writer = vom::Writer::new(out);
    writer.begin(vom::BLESSINGS)?;
    writer.value(vom::BLESSINGS_TYPE, |writer| {
        if !chains.is_empty() {
            writer.unsigned(0)?;
            writer.count(chains.len())?;
        }
        for chain in chains {
            writer.count(chain.len())?;
            for certificate in *chain {
                certificate.write(writer)?;
            }
        }
        writer.end()
    })?;
    Ok(writer.finish())
}

fn visit_chain<'a>(
    types: Types<'a>,
    chain_type: u64,
    chain: usize,
    reader: &mut Reader<'a>,
    f: &mut Visitor<'_, 'a>,
) -> Result<(), BlessingError> {
    let (count, certificate_type) = types.list(chain_type, reader)?;
    if count == 0 {
        return Err(BlessingError::EmptyChain);
    }
    if count > MAX_DEPTH {
        return Err(BlessingError::TooDeep);
    }
    for index in 0..count {
        let certificate = Certificate::read(types, certificate_type, reader)?;
        let place = Place {
            chain,
            index,
            is_last: index.saturating_add(1) == count,
        };
        f(place, &certificate)?;
    }
    Ok(())
}

/// Blessings whose signatures are valid.
#[derive(Clone, Copy)]
pub struct VerifiedBlessings<'a> {
    blessings: Blessings<'a>,
    public_key: PublicKey<'a>,
    is_nameless: bool,
    unique_id: Digest,
}

impl<'a> VerifiedBlessings<'a> {
    /// Returns the public key in which all chains end.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey<'a> {
        &self.public_key
    }

    /// Returns the blessings.
    #[must_use]
    pub fn blessings(&self) -> &Blessings<'a> {
        &self.blessings
    }

    /// Returns whether the blessings are a public key without a name.
    #[must_use]
    pub fn is_nameless(&self) -> bool {
        self.is_nameless
    }

    /// Returns the unique id: a hash over all chains. Do not use it to recognise a principal: its holder can change their ids, because
    /// ECDSA has two signatures for each, and chains can be put in another order.
    #[must_use]
    pub fn unique_id(&self) -> &[u8] {
        self.unique_id.as_bytes()
    }

    /// Returns the names that the blessings claim. Neither roots nor caveats are checked.
    ///
    /// # Errors
    /// [`BlessingError::NamesTooLong`]
    pub fn claimed_names(&self) -> Result<NameList, BlessingError> {
        self.blessings.select(&mut |_, _| Ok(true))
    }

    /// Returns the names that count at the peer in `context`: those whose root is recognized, and whose caveats all hold. Calls `rejected` for each
    /// other chain, with its number from 0, its name, and the reason, for the operator.
    ///
    /// # Errors
    /// [`BlessingError::NamesTooLong`]
    pub fn names(
        &self,
        roots: &dyn Roots,
        context: &CheckContext<'_>,
        rejected: &mut dyn FnMut(usize, &str, BlessingError),
    ) -> Result<NameList, BlessingError> {
        let budget = Budget::new();
        self.blessings.select(&mut |chain, name| {
            let reason = self.rejection(chain, name, (roots, context, &budget))?;
            if let Some(reason) = reason {
                rejected(chain, name, reason);
            }
            Ok(reason.is_none())
        })
    }

    /// Returns the reason if the name of a chain does not count.
    #[inline(never)]
    fn rejection(
        &self,
        chain: usize,
        name: &str,
        (roots, context, budget): (&dyn Roots, &CheckContext<'_>, &Budget),
    ) -> Result<Option<BlessingError>, BlessingError> {
        if !self.blessings.is_recognized(chain, name, roots)? {
            return Ok(Some(BlessingError::Root));
        }
        let mut reason = None;
        self.blessings.for_each(&mut |place, certificate| {
            if place.chain == chain && reason.is_none() {
                reason = check_all(&certificate.caveats, context, budget).err();
            }
            Ok(())
        })?;
        Ok(reason.map(BlessingError::Caveat))
    }
}

impl From<Full> for BlessingError {
    fn from(_: Full) -> Self {
        Self::BufferTooSmall
    }
}

impl fmt::Debug for EncodedBlessings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.blessings().fmt(f)
    }
}

impl fmt::Debug for Blessings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blessings({} bytes)", self.value.rest().len())
    }
}

impl fmt::Debug for VerifiedBlessings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifiedBlessings({:?})", self.public_key)
    }
}
