//! Caveats: the conditions under which a certificate or a discharge is valid.

use super::{
    Algorithms, BlessingError, Hash, NameList, Pattern,
    discharge::{Discharges, ThirdParty},
    hash::Digest,
    vom::{self, Document, Types, VomError},
};
use crate::{
    error_messages,
    wire::{Full, Reader},
};
use core::{cell::Cell, fmt};

/// The identifier of a kind of caveat.
pub type CaveatId = [u8; 16];

/// The parameter is a bool, which must be true.
pub const CONST: CaveatId = [0; 16];
/// The parameter is a time, at which the caveat ceases to hold.
pub const EXPIRY: CaveatId = id(0xa64c_2d01_19fb_a334_8071_feeb_2f30_8000);
/// The parameter is a time, after which the caveat begins to hold.
pub const NOT_BEFORE: CaveatId = id(0xbaaf_6839_a98f_9c13_8399_cd69_d6ff_9925);
/// The parameter is a list of methods.
pub const METHOD: CaveatId = id(0x54a6_7639_8137_187e_cdb2_6d2d_69ba_0003);
/// The parameter is a list of patterns, one of which a name of the verifier must match.
pub const PEER_BLESSINGS: CaveatId = id(0x0577_f856_4c8e_5ffe_ff8e_2b1f_4d6d_8000);
/// The parameter names a third party, whose discharge is required.
pub const THIRD_PARTY: CaveatId = id(0x7972_ce17_4a7b_a93f_7954_7d76_9c91_8000);
/// The parameter is a list of tags, one of which the method must have. It belongs to Vanadium's package `access`.
pub const ACCESS_TAG: CaveatId = id(0xefcd_e375_1416_c73b_189c_e89c_cc93_8000);

/// A kind that is known here.
#[derive(Clone, Copy)]
enum Kind {
    Const,
    Expiry,
    NotBefore,
    Method,
    PeerBlessings,
    ThirdParty,
    AccessTag,
}

impl Kind {
    const ALL: [(CaveatId, Self); 7] = [
        (CONST, Self::Const),
        (EXPIRY, Self::Expiry),
        (NOT_BEFORE, Self::NotBefore),
        (METHOD, Self::Method),
        (PEER_BLESSINGS, Self::PeerBlessings),
        (THIRD_PARTY, Self::ThirdParty),
        (ACCESS_TAG, Self::AccessTag),
    ];

    fn of(id: &CaveatId) -> Option<Self> {
        let known = Self::ALL.iter().find(|(known, _)| known == id);
        known.map(|(_, kind)| *kind)
    }
}

const fn id(value: u128) -> CaveatId {
    value.to_be_bytes()
}

/// The seconds from year 1, from which VOM counts, to 1970.
pub(super) const YEAR_1_TO_1970: i64 = 62_135_596_800;

/// The deepest nesting of third-party caveats: discharges of discharges.
const MAX_THIRD_PARTIES: u8 = 4;

/// The most third-party caveats that are checked for the names of a principal, discharges of discharges included.
pub const MAX_DISCHARGE_CHECKS: u8 = 32;

/// A point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// Nanoseconds, less than 1,000,000,000.
    pub nanoseconds: u32,
}

/// The verifier's knowledge of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// It has a clock.
    At(Timestamp),
    /// It has no clock: the time is not before this one, when its software was built, for example. NotBefore caveats hold then, and Expiry caveats until
    /// this time do not.
    NotBefore(Timestamp),
}

/// The circumstances in which caveats are checked.
#[derive(Clone, Copy)]
pub struct CheckContext<'a> {
    /// The time.
    pub time: Time,
    /// The method that the peer calls. The handshake itself has none: it is empty then.
    pub method: &'a str,
    /// The tags of the method.
    pub method_tags: &'a [&'a str],
    /// The verifier's own names.
    pub local_names: &'a NameList,
    /// The discharges that the peer presents.
    pub discharges: &'a dyn Discharges,
    /// The algorithms for the signatures of discharges.
    pub algorithms: &'a Algorithms,
}

/// A caveat. Its parameter is kept as it was encoded: digests are over these bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Caveat<'a> {
    /// The kind.
    pub id: CaveatId,
    /// The parameter in VOM.
    pub parameter: &'a [u8],
}

impl<'a> Caveat<'a> {
    fn read(types: Types<'a>, id: u64, reader: &mut Reader<'a>) -> Result<Self, BlessingError> {
        let mut caveat = Self {
            id: CONST,
            parameter: &[],
        };
        types.fields::<BlessingError>(id, reader, &mut |name, field, reader| {
            match name {
                b"Id" => {
                    let id = types.bytes(field, reader)?;
                    caveat.id = id.try_into().map_err(|_| VomError::WrongType)?;
                }
                b"ParamVom" => caveat.parameter = types.bytes(field, reader)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(caveat)
    }

    pub(crate) fn digest(&self, hash: Hash) -> Digest {
        let parts = [&self.id[..], self.parameter].map(|part| hash.of(&[part]));
        let [id, parameter] = &parts;
        hash.of(&[id.as_bytes(), parameter.as_bytes()])
    }

    /// Checks the caveat.
    ///
    /// # Errors
    /// [`CaveatError`], the reason why it does not hold. A caveat of an unknown kind does not hold.
    pub fn check(&self, context: &CheckContext<'_>) -> Result<(), CaveatError> {
        self.check_within(context, MAX_THIRD_PARTIES, &Budget::new())
    }

    fn check_within(
        &self,
        context: &CheckContext<'_>,
        depth: u8,
        budget: &Budget,
    ) -> Result<(), CaveatError> {
        // The kind says how the parameter is read, so it is determined first.
        let kind = Kind::of(&self.id).ok_or(CaveatError::Unknown)?;
        let document = Document::parse(self.parameter)?;
        let (types, id, mut reader) = document.value();
        let reader = &mut reader;
        match kind {
            Kind::Const => {
                let holds = types.boolean(id, reader)?;
                end(reader)?;
                holds.then_some(()).ok_or(CaveatError::Const)
            }
            Kind::Expiry => {
                let until = timestamp(types, id, reader)?;
                let (Time::At(now) | Time::NotBefore(now)) = context.time;
                (now <= until).then_some(()).ok_or(CaveatError::Expired)
            }
            Kind::NotBefore => {
                let after = timestamp(types, id, reader)?;
                match context.time {
                    Time::At(now) if now <= after => Err(CaveatError::NotYet),
                    _ => Ok(()),
                }
            }
            Kind::Method => strings(types, id, reader, &mut |one| one == context.method)?
                .then_some(())
                .ok_or(CaveatError::Method),
            Kind::PeerBlessings => {
                let is_met = &mut |one: &str| Pattern(one).is_matched_by(context.local_names);
                strings(types, id, reader, is_met)?
                    .then_some(())
                    .ok_or(CaveatError::Peer)
            }
            Kind::AccessTag => strings(types, id, reader, &mut |one| {
                context.method_tags.contains(&one)
            })?
            .then_some(())
            .ok_or(CaveatError::Tag),
            Kind::ThirdParty => {
                let depth = depth.checked_sub(1).ok_or(CaveatError::TooDeep)?;
                budget.take()?;
                let third_party = ThirdParty::read(types, id, reader)?;
                end(reader)?;
                third_party.check(context, &mut |caveat| {
                    caveat.check_within(context, depth, budget)
                })
            }
        }
    }

    /// Returns the time in the parameter; `None` if the caveat is of another kind or malformed.
    #[must_use]
    pub fn time(&self) -> Option<Timestamp> {
        if ![EXPIRY, NOT_BEFORE].contains(&self.id) {
            return None;
        }
        let document = Document::parse(self.parameter).ok()?;
        let (types, id, mut reader) = document.value();
        timestamp(types, id, &mut reader).ok()
    }

    /// Calls `f` with each string of a parameter that is a list of methods, patterns or tags.
    ///
    /// # Errors
    /// [`CaveatError::Parameter`], also if the caveat is of another kind.
    pub fn for_each_string(&self, f: &mut dyn FnMut(&str)) -> Result<(), CaveatError> {
        let document = Document::parse(self.parameter)?;
        let (types, id, mut reader) = document.value();
        strings(types, id, &mut reader, &mut |one| {
            f(one);
            false
        })?;
        Ok(())
    }

    /// Returns the third party that must discharge the caveat; `None` if the caveat is of another kind.
    ///
    /// # Errors
    /// [`CaveatError::Parameter`]
    pub fn with_third_party<T>(
        &self,
        use_it: impl FnOnce(&ThirdParty<'_>) -> T,
    ) -> Result<Option<T>, CaveatError> {
        if self.id != THIRD_PARTY {
            return Ok(None);
        }
        let document = Document::parse(self.parameter)?;
        let (types, id, mut reader) = document.value();
        let third_party = ThirdParty::read(types, id, &mut reader)?;
        Ok(Some(use_it(&third_party)))
    }
}

/// The third-party caveats that may still be checked. Each costs a signature, and a discharge may require others: without a limit, a few discharges
/// could make a verifier work for minutes.
pub(crate) struct Budget(Cell<u8>);

impl Budget {
    pub(crate) const fn new() -> Self {
        Self(Cell::new(MAX_DISCHARGE_CHECKS))
    }

    fn take(&self) -> Result<(), CaveatError> {
        let left = self.0.get().checked_sub(1);
        self.0.set(left.ok_or(CaveatError::TooManyDischarges)?);
        Ok(())
    }
}

/// Checks all caveats of a certificate.
#[inline(never)]
pub(crate) fn check_all(
    caveats: &Caveats<'_>,
    context: &CheckContext<'_>,
    budget: &Budget,
) -> Result<(), CaveatError> {
    let mut result = Ok(());
    let walked = caveats.for_each(&mut |caveat| {
        if result.is_ok() {
            result = caveat.check_within(context, MAX_THIRD_PARTIES, budget);
        }
        Ok(())
    });
    walked.map_err(|_| CaveatError::Parameter(VomError::Malformed))?;
    result
}

fn end(reader: &Reader<'_>) -> Result<(), CaveatError> {
    if reader.is_empty() {
        Ok(())
    } else {
        Err(CaveatError::Parameter(VomError::Trailing))
    }
}

/// Reads a time: seconds since year 1, and nanoseconds.
fn timestamp<'a>(
    types: Types<'a>,
    id: u64,
    reader: &mut Reader<'a>,
) -> Result<Timestamp, CaveatError> {
    let (mut seconds, mut nanoseconds) = (0, 0);
    let read = types.fields::<BlessingError>(id, reader, &mut |name, field, reader| {
        match name {
            b"Seconds" => seconds = types.signed(field, reader)?,
            b"Nanos" => nanoseconds = types.signed(field, reader)?,
            _ => return Ok(false),
        }
        Ok(true)
    });
    read.map_err(|_| CaveatError::Parameter(VomError::Malformed))?;
    end(reader)?;
    let nanoseconds = u32::try_from(nanoseconds)
        .ok()
        .filter(|nanoseconds| *nanoseconds < 1_000_000_000);
    let (Some(nanoseconds), Some(seconds)) = (nanoseconds, seconds.checked_sub(YEAR_1_TO_1970))
    else {
        return Err(CaveatError::Parameter(VomError::Malformed));
    };
    Ok(Timestamp {
        seconds,
        nanoseconds,
    })
}

/// Reads a list of strings to its end, and returns whether one of them is met.
fn strings<'a>(
    types: Types<'a>,
    id: u64,
    reader: &mut Reader<'a>,
    is_met: &mut dyn FnMut(&str) -> bool,
) -> Result<bool, CaveatError> {
    let (count, element) = types.list(id, reader)?;
    let mut any = false;
    for _ in 0..count {
        let octets = types.string(element, reader)?;
        // Text that is not UTF-8 is no method, pattern or tag that a verifier has.
        any |= str::from_utf8(octets).is_ok_and(&mut *is_met);
    }
    end(reader)?;
    Ok(any)
}

/// The caveats of a certificate or a discharge.
#[derive(Clone, Copy)]
pub struct Caveats<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    /// They are a part of an encoding.
    Encoded {
        types: Types<'a>,
        element: u64,
        count: usize,
        value: Reader<'a>,
    },
    /// They are to be encoded.
    List(&'a [Caveat<'a>]),
}

impl<'a> Caveats<'a> {
    /// No caveats.
    pub const NONE: Self = Self(Source::List(&[]));

    /// Creates caveats for a new certificate.
    #[must_use]
    pub const fn new(caveats: &'a [Caveat<'a>]) -> Self {
        Self(Source::List(caveats))
    }

    /// Reads the list up to its end.
    pub(crate) fn read(
        types: Types<'a>,
        id: u64,
        reader: &mut Reader<'a>,
    ) -> Result<Self, BlessingError> {
        let (count, element) = types.list(id, reader)?;
        if count > super::MAX_CAVEATS {
            return Err(BlessingError::TooManyCaveats);
        }
        let value = *reader;
        for _ in 0..count {
            Caveat::read(types, element, reader)?;
        }
        Ok(Self(Source::Encoded {
            types,
            element,
            count,
            value,
        }))
    }

    /// Returns the number of caveats.
    #[must_use]
    pub fn len(&self) -> usize {
        match self.0 {
            Source::Encoded { count, .. } => count,
            Source::List(list) => list.len(),
        }
    }

    /// Returns whether there are no caveats.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `f` with each caveat.
    ///
    /// # Errors
    /// The error of `f`.
    pub fn for_each(
        &self,
        f: &mut dyn FnMut(Caveat<'a>) -> Result<(), BlessingError>,
    ) -> Result<(), BlessingError> {
        match self.0 {
            Source::Encoded {
                types,
                element,
                count,
                mut value,
            } => {
                for _ in 0..count {
                    f(Caveat::read(types, element, &mut value)?)?;
                }
            }
            Source::List(list) => {
                for caveat in list {
                    f(*caveat)?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn write(&self, writer: &mut vom::Writer<'_>) -> Result<(), Full> {
        writer.count(self.len())?;
        let mut result = Ok(());
        let _ = self.for_each(&mut |caveat| {
            if result.is_ok() {
                result = write_caveat(&caveat, writer);
            }
            Ok(())
        });
        result
    }
}

fn write_caveat(caveat: &Caveat<'_>, writer: &mut vom::Writer<'_>) -> Result<(), Full> {
    // The zero value, which Const has, is left out.
    if caveat.id != CONST {
        // The index of the field, and the zero before the elements of an array.
        writer.raw(&[0, 0])?;
        writer.raw(&caveat.id)?;
    }
    writer.octets_field(1, caveat.parameter)?;
    writer.end()
}

/// The reason why a caveat does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CaveatError {
    /// Its kind is unknown.
    Unknown,
    /// Its parameter is invalid.
    Parameter(VomError),
    /// It is false.
    Const,
    /// Its time has passed.
    Expired,
    /// Its time has not come.
    NotYet,
    /// It does not list the method.
    Method,
    /// It does not list a tag of the method.
    Tag,
    /// It does not list this peer.
    Peer,
    /// There is no discharge for it.
    NoDischarge,
    /// The discharge is malformed, or its signature is invalid.
    Discharge,
    /// Discharges require discharges too deeply.
    TooDeep,
    /// More than [`MAX_DISCHARGE_CHECKS`] discharges are required.
    TooManyDischarges,
}

error_messages! { CaveatError {
    Self::Unknown => "a caveat is of an unknown kind";
    Self::Parameter(error) => "the parameter of a caveat is invalid: {}", error;
    Self::Const => "a caveat never holds";
    Self::Expired => "the blessing has expired: get a new one";
    Self::NotYet => "the blessing is not valid yet: is the clock right?";
    Self::Method => "the blessing is not for this method";
    Self::Tag => "the blessing is not for methods with these tags";
    Self::Peer => "the blessing is not for use with this peer";
    Self::NoDischarge => "the blessing requires a discharge that was not presented";
    Self::Discharge => "a discharge is invalid";
    Self::TooDeep => "discharges require discharges of more than {} levels", MAX_THIRD_PARTIES;
    Self::TooManyDischarges => "the blessings require more than {} discharges", MAX_DISCHARGE_CHECKS;
}}

impl core::error::Error for CaveatError {}

impl From<VomError> for CaveatError {
    fn from(error: VomError) -> Self {
        Self::Parameter(error)
    }
}

impl fmt::Debug for Caveat<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caveat(")?;
        for octet in self.id {
            write!(f, "{octet:02x}")?;
        }
        write!(f, ", {} bytes)", self.parameter.len())
    }
}

impl fmt::Debug for Caveats<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Caveats({})", self.len())
    }
}
