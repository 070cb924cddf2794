//! Vanadium's blessings, of a principal whose key is in the TPM.

use super::{
    ProofError,
    signing::{point, signing_key},
};
use crate::signatures::p256;
use chanbind_core::blessing::{
    AccessList, Algorithms, ClientPrincipal, DischargeList, EncodedBlessings, MAX_AUTH_LEN,
    NameList, Pattern, ProveError, Prover, Root, Roots, Time, Timestamp, http, p256_public_key,
};
use chanbind_device_config::{
    Config, TimeSource,
    proof::blessing::{self, MAX_BLESSINGS_LEN, MAX_DISCHARGES, MAX_ROOTS, MAX_SERVERS},
};
use chanbind_tpm_spi::key::SigningKey;
use heapless::Vec;

pub(super) use blessing::TAG;

/// The longest blessings, discharges and Auth message of a server together, in bytes.
const EVIDENCE_LEN: usize = 1536;

/// The longest head of a response, in bytes: the server's evidence is in it.
pub(super) const HEAD_LEN: usize = http::evidence_len(EVIDENCE_LEN) + 512;

pub(super) const FIELDS_LEN: usize =
    "authorization".len() + http::evidence_len(MAX_BLESSINGS_LEN + MAX_AUTH_LEN);

/// The memory of a server's evidence.
pub(super) struct Memory {
    evidence: [u8; EVIDENCE_LEN],
}

impl Memory {
    pub(super) const fn new() -> Self {
        Self {
            evidence: [0; EVIDENCE_LEN],
        }
    }
}

/// A device that proves itself by blessings.
pub(crate) struct Proof<'a> {
    pub(crate) prover: Prover<Principal<'a>, &'a mut [u8]>,
    pub(crate) key: SigningKey<'a, 'a>,
}

/// The device as a principal.
pub(crate) struct Principal<'a> {
    blessings: &'a [u8],
    pub(crate) discharges: Vec<&'a [u8], MAX_DISCHARGES>,
    roots: Known<'a>,
    servers: Vec<Pattern<'a>, MAX_SERVERS>,
    algorithms: Algorithms,
    time: TimeSource,
}

/// The roots that the device recognizes.
struct Known<'a>(Vec<Root<'a>, MAX_ROOTS>);

impl Roots for Known<'_> {
    fn are_of(&self, public_key: &[u8], name: &str) -> bool {
        self.0.as_slice().are_of(public_key, name)
    }
}

impl<'a> Proof<'a> {
    pub(super) fn new(
        section: &'a [u8],
        config: &Config<'_>,
        memory: &'a mut Memory,
    ) -> Result<(Self, &'a [u8]), ProofError> {
        let blessing::Section {
            blessings,
            discharges,
            roots,
            servers,
            key,
        } = blessing::Section::parse(section)?;
        let signing = signing_key(&key)?;
        let public_key = p256_public_key(&point(&signing));
        let encoded = EncodedBlessings::parse(blessings).map_err(ProveError::Own)?;
        let is_for_key = encoded.blessings().with_leaf(|leaf| Ok(leaf == public_key));
        if !is_for_key.map_err(ProveError::Own)? {
            return Err(ProofError::Blessings);
        }
        let mut algorithms = Algorithms::DEFAULT;
        algorithms.p256 = p256();
        let roots = roots.iter().map(|&(public_key, pattern)| Root {
            public_key,
            pattern: Pattern(pattern),
        });
        let principal = Principal {
            blessings,
            discharges,
            roots: Known(roots.collect()),
            servers: servers.iter().copied().map(Pattern).collect(),
            algorithms,
            time: config.time,
        };
        let proof = Self {
            prover: Prover::new(principal, &mut memory.evidence),
            key: signing,
        };
        Ok((proof, key.parent_name))
    }
}

impl ClientPrincipal for Principal<'_> {
    fn blessings(&self) -> &[u8] {
        self.blessings
    }

    fn discharges(&self) -> DischargeList<'_> {
        self.discharges.clone()
    }

    fn roots(&self) -> &dyn Roots {
        &self.roots
    }

    fn trusts(&self, names: &NameList) -> bool {
        let list = AccessList {
            admit: &self.servers,
            exclude: &[],
        };
        list.admits(names)
    }

    fn algorithms(&self) -> &Algorithms {
        &self.algorithms
    }

    fn time(&self, clock: Option<u64>) -> Time {
        let seconds = match (self.time, clock) {
            (TimeSource::Board, Some(now)) => return Time::At(timestamp(now)),
            (TimeSource::NotBefore(seconds), _) => seconds,
            (TimeSource::Board | TimeSource::DangerousUnknown, _) => 0,
        };
        Time::NotBefore(timestamp(seconds))
    }
}

fn timestamp(seconds: u64) -> Timestamp {
    Timestamp {
        seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
        nanoseconds: 0,
    }
}

impl From<ProveError> for ProofError {
    fn from(error: ProveError) -> Self {
        Self::Blessing(error)
    }
}
