//! The parameters of new caveats, as upstream encodes them.

use super::{
    BlessingError, Caveats, Timestamp,
    caveat::{
        CONST, CaveatId, EXPIRY, METHOD, NOT_BEFORE, PEER_BLESSINGS, THIRD_PARTY, YEAR_1_TO_1970,
    },
    vom::{self, BOOL_TYPE, FIRST_TYPE, STRINGS_TYPE},
};
use crate::wire::Full;

/// A condition for a new certificate or discharge.
#[derive(Debug, Clone, Copy)]
pub enum Condition<'a> {
    /// Holds always if true, never if false. A certificate without conditions has one that is true.
    Const(bool),
    /// Holds up to and at this time.
    Expiry(Timestamp),
    /// Holds after this time.
    NotBefore(Timestamp),
    /// Holds for these methods.
    Methods(&'a [&'a str]),
    /// Holds at a verifier with a name that one of these patterns matches.
    Peers(&'a [&'a str]),
    /// Holds if a third party gives a discharge.
    ThirdParty {
        /// Random bytes.
        nonce: &'a [u8; 16],
        /// The conditions under which the third party gives a discharge.
        caveats: Caveats<'a>,
        /// The public key of the third party: SubjectPublicKeyInfo in DER.
        public_key: &'a [u8],
        /// The place where it gives discharges.
        location: &'a str,
    },
}

impl Condition<'_> {
    /// Returns the kind of the caveat.
    #[must_use]
    pub fn id(&self) -> CaveatId {
        match self {
            Self::Const(_) => CONST,
            Self::Expiry(_) => EXPIRY,
            Self::NotBefore(_) => NOT_BEFORE,
            Self::Methods(_) => METHOD,
            Self::Peers(_) => PEER_BLESSINGS,
            Self::ThirdParty { .. } => THIRD_PARTY,
        }
    }

    /// Writes the parameter of the caveat to the front of `out` and returns it.
    ///
    /// # Errors
    /// [`BlessingError::BufferTooSmall`]
    pub fn encode<'o>(&self, out: &'o mut [u8]) -> Result<&'o mut [u8], BlessingError> {
        let mut writer = vom::Writer::new(out);
        self.write(&mut writer)?;
        Ok(writer.finish())
    }

    fn write(&self, writer: &mut vom::Writer<'_>) -> Result<(), Full> {
        match self {
            Self::Const(value) => {
                writer.begin(&[])?;
                writer.unsigned(BOOL_TYPE << 1)?;
                writer.raw(&[u8::from(*value)])
            }
            Self::Expiry(time) | Self::NotBefore(time) => {
                writer.begin(vom::TIME)?;
                writer.value(FIRST_TYPE, |writer| write_time(time, writer))
            }
            Self::Methods(methods) => {
                writer.begin(&[])?;
                writer.value(STRINGS_TYPE, |writer| write_strings(methods, writer))
            }
            Self::Peers(patterns) => {
                writer.begin(vom::PATTERNS)?;
                writer.value(FIRST_TYPE, |writer| write_strings(patterns, writer))
            }
            Self::ThirdParty {
                nonce,
                caveats,
                public_key,
                location,
            } => {
                writer.begin(vom::THIRD_PARTY)?;
                writer.value(FIRST_TYPE, |writer| {
                    if **nonce != [0; 16] {
                        // The index of the field, and the zero before the elements of an array.
                        writer.raw(&[0, 0])?;
                        writer.raw(&nonce[..])?;
                    }
                    if !caveats.is_empty() {
                        writer.unsigned(1)?;
                        caveats.write(writer)?;
                    }
                    writer.octets_field(2, public_key)?;
                    writer.octets_field(3, location.as_bytes())?;
                    writer.end()
                })
            }
        }
    }
}

fn write_time(time: &Timestamp, writer: &mut vom::Writer<'_>) -> Result<(), Full> {
    let seconds = time.seconds.saturating_add(YEAR_1_TO_1970);
    for (index, value) in [(0, seconds), (1, i64::from(time.nanoseconds))] {
        if value != 0 {
            writer.unsigned(index)?;
            writer.signed(value)?;
        }
    }
    writer.end()
}

fn write_strings(strings: &[&str], writer: &mut vom::Writer<'_>) -> Result<(), Full> {
    writer.count(strings.len())?;
    for one in strings {
        writer.octets(one.as_bytes())?;
    }
    Ok(())
}
