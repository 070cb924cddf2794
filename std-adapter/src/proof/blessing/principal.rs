use super::{ALGORITHMS, PrincipalKey, Roots};
use crate::proof::{KeyError, KeyHolder};
use crate::unique;
use base64::{Engine, prelude::BASE64_URL_SAFE};
use chanbind_core::blessing::{
    BlessingError, Caveat, Caveats, Certificate, Condition, Discharge, EncodedBlessings, NameList,
    PublicKey, Signature, SigningRequest, ThirdParty, encode_chains,
};
use std::fmt;

/// The longest encoding of blessings that is made or read from a file, in bytes.
pub const MAX_BLESSINGS_LEN: usize = 16 * 1024;

/// A principal: its key, the blessings that it shows, and the roots that it recognizes.
#[derive(Clone)]
pub struct Principal {
    /// Distinguishes its state on a connection from that of other principals. Copies have the same.
    id: u64,
    key: PrincipalKey,
    blessings: Vec<u8>,
    discharges: Vec<Vec<u8>>,
    roots: Roots,
}

/// The error of a principal.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrincipalError {
    /// The blessings are invalid.
    #[error("{0}")]
    Blessings(#[from] BlessingError),
    /// The blessings are for another key.
    #[error("the blessings are for another key than this principal's")]
    OtherKey,
    /// A discharge was refused.
    #[error("the third party refuses the discharge")]
    Refused,
    /// The key did not sign.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// The text is not base64url.
    #[error("the text is not blessings in base64url with padding, on one line")]
    Base64,
    /// There are more discharges than can be shown.
    #[error(
        "at most {} discharges can be shown",
        chanbind_core::blessing::http::MAX_DISCHARGES
    )]
    TooManyDischarges,
}

impl Principal {
    /// Creates a principal. The blessings are VOM, with the definitions of the types.
    ///
    /// # Errors
    /// [`PrincipalError`] if the blessings are invalid or for another key.
    pub fn new(
        key: PrincipalKey,
        blessings: Vec<u8>,
        roots: Roots,
    ) -> Result<Self, PrincipalError> {
        let encoded = EncodedBlessings::parse(&blessings)?;
        let verified = encoded.blessings().verify(&ALGORITHMS)?;
        if verified.public_key().as_der() != key.public_key() {
            return Err(PrincipalError::OtherKey);
        }
        Ok(Self {
            id: unique::id(),
            key,
            blessings,
            discharges: Vec::new(),
            roots,
        })
    }

    /// Creates a principal that has no name.
    ///
    /// # Errors
    /// [`PrincipalError`] if the algorithm of the key is not supported.
    pub fn nameless(key: PrincipalKey, roots: Roots) -> Result<Self, PrincipalError> {
        let certificate = Certificate {
            extension: "",
            public_key: key.public_key(),
            caveats: Caveats::NONE,
            x509: &[],
            signature: Signature::default(),
        };
        let blessings = encode(&[&[certificate]])?;
        Self::new(key, blessings, roots)
    }

    /// Shows these discharges of third-party caveats with the blessings. Each is VOM, with the definitions of the types.
    ///
    /// # Errors
    /// [`PrincipalError::TooManyDischarges`]
    pub fn with_discharges(mut self, discharges: Vec<Vec<u8>>) -> Result<Self, PrincipalError> {
        if discharges.len() > chanbind_core::blessing::http::MAX_DISCHARGES {
            return Err(PrincipalError::TooManyDischarges);
        }
        self.discharges = discharges;
        Ok(self)
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Returns the key.
    #[must_use]
    pub fn key(&self) -> &PrincipalKey {
        &self.key
    }

    /// Returns the blessings: VOM, with the definitions of the types.
    #[must_use]
    pub fn blessings(&self) -> &[u8] {
        &self.blessings
    }

    /// Returns the discharges.
    #[must_use]
    pub fn discharges(&self) -> &[Vec<u8>] {
        &self.discharges
    }

    /// Returns the roots.
    #[must_use]
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// Returns the names of the principal that it recognizes itself.
    ///
    /// # Errors
    /// [`PrincipalError::Blessings`] if the names are too long.
    pub fn local_names(&self) -> Result<NameList, PrincipalError> {
        let encoded = EncodedBlessings::parse(&self.blessings)?;
        Ok(encoded.blessings().local_names(&self.roots)?)
    }

    /// Signs by the principal's key.
    pub(super) async fn sign(
        &self,
        request: &SigningRequest,
    ) -> Result<chanbind_core::blessing::OwnedSignature, PrincipalError> {
        let answer = self.key.answer(request.key_request()).await?;
        Ok(request.finish(&answer)?)
    }

    /// Blesses another principal: returns this one's blessings, extended for the other's public key (SubjectPublicKeyInfo in DER). Without conditions, the
    /// other may use the name everywhere and for ever.
    ///
    /// # Errors
    /// [`PrincipalError`]
    pub async fn bless(
        &self,
        public_key: &[u8],
        extension: &str,
        conditions: &[Condition<'_>],
    ) -> Result<Vec<u8>, PrincipalError> {
        let encoded = EncodedBlessings::parse(&self.blessings)?;
        let mut chains: Vec<Vec<Certificate<'_>>> = Vec::new();
        encoded.blessings().for_each(&mut |place, certificate| {
            if place.index == 0 {
                chains.push(Vec::new());
            }
            if let Some(chain) = chains.last_mut() {
                chain.push(*certificate);
            }
            Ok(())
        })?;
        if encoded.blessings().verify(&ALGORITHMS)?.is_nameless() {
            return Err(BlessingError::NoChain.into());
        }
        self.sign_last(&mut chains, public_key, extension, conditions)
            .await
    }

    /// Blesses the principal by itself: returns blessings whose only certificate has this name.
    ///
    /// # Errors
    /// [`PrincipalError`]
    pub async fn bless_self(
        key: &PrincipalKey,
        name: &str,
        conditions: &[Condition<'_>],
    ) -> Result<Vec<u8>, PrincipalError> {
        let principal = Self::nameless(key.clone(), Roots::new())?;
        let own = key.public_key();
        principal
            .sign_last(&mut [Vec::new()], own, name, conditions)
            .await
    }

    /// Appends a certificate to each chain, which this principal signs.
    async fn sign_last(
        &self,
        chains: &mut [Vec<Certificate<'_>>],
        public_key: &[u8],
        extension: &str,
        conditions: &[Condition<'_>],
    ) -> Result<Vec<u8>, PrincipalError> {
        let parameters = parameters(conditions)?;
        let caveats: Vec<_> = caveats(conditions, &parameters);
        let certificate = Certificate {
            extension,
            public_key,
            caveats: Caveats::new(&caveats),
            x509: &[],
            signature: Signature::default(),
        };
        let mut signatures = Vec::new();
        for chain in chains.iter() {
            let mut chain = chain.clone();
            chain.push(certificate);
            let request = SigningRequest::of_certificate(&chain, &ALGORITHMS)?;
            signatures.push(self.sign(&request).await?);
        }
        let mut extended = Vec::new();
        for (chain, signature) in chains.iter().zip(&signatures) {
            let mut chain = chain.clone();
            chain.push(Certificate {
                signature: signature.signature(),
                ..certificate
            });
            extended.push(chain);
        }
        let extended: Vec<&[Certificate<'_>]> = extended.iter().map(Vec::as_slice).collect();
        encode(&extended)
    }

    /// Gives a discharge for a third-party caveat that names this principal's key, under conditions. The caller has checked the caveats in it.
    ///
    /// # Errors
    /// [`PrincipalError::OtherKey`] if the caveat names another third party, and the other errors of a principal.
    pub async fn discharge(
        &self,
        third_party: &ThirdParty<'_>,
        conditions: &[Condition<'_>],
    ) -> Result<Vec<u8>, PrincipalError> {
        let id = self.discharge_id(third_party)?;
        self.discharge_of(&id, conditions).await
    }

    /// Returns the identifier of a third-party caveat that names this principal's key.
    pub(super) fn discharge_id(
        &self,
        third_party: &ThirdParty<'_>,
    ) -> Result<String, PrincipalError> {
        if third_party.public_key != self.key.public_key() {
            return Err(PrincipalError::OtherKey);
        }
        let id = third_party.with_id(&ALGORITHMS, str::to_owned);
        Ok(id.ok_or(BlessingError::Key)?)
    }

    /// Gives a discharge for the caveat with this identifier.
    pub(super) async fn discharge_of(
        &self,
        id: &str,
        conditions: &[Condition<'_>],
    ) -> Result<Vec<u8>, PrincipalError> {
        let parameters = parameters(conditions)?;
        let caveats = caveats(conditions, &parameters);
        let mut discharge = Discharge {
            caveat_id: id,
            caveats: Caveats::new(&caveats),
            signature: Signature::default(),
        };
        let key = PublicKey::parse(self.key.public_key(), &ALGORITHMS).ok_or(BlessingError::Key)?;
        let request = SigningRequest::of_discharge(&discharge, &key)?;
        let signature = self.sign(&request).await?;
        discharge.signature = signature.signature();
        let mut out = vec![0; MAX_BLESSINGS_LEN];
        Ok(discharge.encode(&mut out)?.to_vec())
    }
}

/// Encodes the parameters of conditions.
fn parameters(conditions: &[Condition<'_>]) -> Result<Vec<Vec<u8>>, PrincipalError> {
    let mut parameters = Vec::new();
    for condition in conditions {
        let mut out = vec![0; MAX_BLESSINGS_LEN];
        parameters.push(condition.encode(&mut out)?.to_vec());
    }
    Ok(parameters)
}

fn caveats<'p>(conditions: &[Condition<'_>], parameters: &'p [Vec<u8>]) -> Vec<Caveat<'p>> {
    let both = conditions.iter().zip(parameters);
    both.map(|(condition, parameter)| Caveat {
        id: condition.id(),
        parameter,
    })
    .collect()
}

fn encode(chains: &[&[Certificate<'_>]]) -> Result<Vec<u8>, PrincipalError> {
    let mut out = vec![0; MAX_BLESSINGS_LEN];
    Ok(encode_chains(chains, &mut out)?.to_vec())
}

/// Joins blessings of the same key: all chains of all of them, sorted as upstream does, by length and then by name.
///
/// # Errors
/// [`PrincipalError`], also if the keys differ.
pub fn union(all: &[&[u8]]) -> Result<Vec<u8>, PrincipalError> {
    let mut documents = Vec::new();
    for one in all {
        documents.push(EncodedBlessings::parse(one)?);
    }
    let mut chains: Vec<(String, Vec<Certificate<'_>>)> = Vec::new();
    for document in &documents {
        document.blessings().for_each(&mut |place, certificate| {
            if place.index == 0 {
                chains.push((String::new(), Vec::new()));
            }
            if let Some((name, chain)) = chains.last_mut() {
                if place.index > 0 {
                    name.push(':');
                }
                name.push_str(certificate.extension);
                chain.push(*certificate);
            }
            Ok(())
        })?;
    }
    chains.sort_by(|(a_name, a), (b_name, b)| (a.len(), a_name).cmp(&(b.len(), b_name)));
    let chains: Vec<&[Certificate<'_>]> = chains.iter().map(|(_, chain)| &chain[..]).collect();
    let encoded = encode(&chains)?;
    EncodedBlessings::parse(&encoded)?
        .blessings()
        .verify(&ALGORITHMS)?;
    Ok(encoded)
}

/// Returns the text in which the tool `principal` reads and writes blessings and discharges: base64url with padding.
#[must_use]
pub fn to_text(encoded: &[u8]) -> String {
    BASE64_URL_SAFE.encode(encoded)
}

/// Reads blessings or a discharge as [`to_text`] writes it. Line breaks are ignored.
///
/// # Errors
/// [`PrincipalError::Base64`]
pub fn from_text(text: &str) -> Result<Vec<u8>, PrincipalError> {
    let text: String = text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect();
    BASE64_URL_SAFE
        .decode(text)
        .map_err(|_| PrincipalError::Base64)
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Principal({:?})", self.key)
    }
}
