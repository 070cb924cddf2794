//! The encoding of a side's blessings, discharges and Auth message in HTTP header fields (`docs/proofs/BLESSING.md`).

use crate::{http_auth, wire::Full};
use base64ct::{Base64UrlUnpadded, Encoding};

/// The name of the authentication scheme. It is compared without regard to case.
pub const SCHEME: &str = "Blessing";

/// The maximum number of discharges that one side presents.
pub const MAX_DISCHARGES: usize = 4;

/// The names of the parameters.
const BLESSINGS: &str = "blessings";
const DISCHARGES: &str = "discharges";
const AUTH: &str = "auth";

/// The length of a field's value without the values of the parameters, in bytes: names, quotation marks and commas.
const FRAME_LEN: usize = "Blessing blessings=\"\", discharges=\"\", auth=\"\"".len();

/// Returns the maximum length of a field's value with blessings, discharges and an Auth message of `len` bytes together.
#[must_use]
pub const fn evidence_len(len: usize) -> usize {
    // Each value may end with a group of its own, and each discharge but the first has a separator.
    const GROUPS: usize = 2_usize.saturating_mul(MAX_DISCHARGES.saturating_add(2));
    len.saturating_mul(4)
        .div_ceil(3)
        .saturating_add(FRAME_LEN)
        .saturating_add(GROUPS)
}

/// Discharges that one side presents.
pub type DischargeList<'a> = heapless::Vec<&'a [u8], MAX_DISCHARGES>;

/// The blessings of a side, and the proof that it has their key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence<'a> {
    /// The blessings: VOM, with the definitions of the types.
    pub blessings: &'a [u8],
    /// Discharges of their third-party caveats: VOM, with the definitions of the types.
    pub discharges: DischargeList<'a>,
    /// The Auth message, with number 1 for the blessings.
    pub auth: &'a [u8],
}

/// The error of decoding evidence: the parameters are malformed, repeated or missing, or longer than the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedEvidence;

impl<'a> Evidence<'a> {
    /// Returns the maximum length of the value that [`Evidence::encode`] writes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let all = self.discharges.iter().chain([&self.blessings, &self.auth]);
        all.fold(FRAME_LEN, |len, one| {
            len.saturating_add(one.len().saturating_mul(4).div_ceil(3))
                .saturating_add(1)
        })
    }

    /// Writes the value of a WWW-Authenticate or Authorization field to the front of `out` and returns it.
    ///
    /// # Errors
    /// [`Full`] if `out` has less than [`Evidence::encoded_len`] bytes.
    pub fn encode<'o>(&self, out: &'o mut [u8]) -> Result<&'o str, Full> {
        let mut len = 0;
        put(out, &mut len, SCHEME)?;
        put(out, &mut len, " ")?;
        put(out, &mut len, BLESSINGS)?;
        put(out, &mut len, "=\"")?;
        put_base64(out, &mut len, self.blessings)?;
        if !self.discharges.is_empty() {
            put(out, &mut len, "\", ")?;
            put(out, &mut len, DISCHARGES)?;
            let mut separator = "=\"";
            for discharge in &self.discharges {
                put(out, &mut len, separator)?;
                put_base64(out, &mut len, discharge)?;
                separator = " ";
            }
        }
        put(out, &mut len, "\", ")?;
        put(out, &mut len, AUTH)?;
        put(out, &mut len, "=\"")?;
        put_base64(out, &mut len, self.auth)?;
        put(out, &mut len, "\"")?;
        let text = out.get(..len).ok_or(Full)?;
        str::from_utf8(text).map_err(|_| Full)
    }

    /// Decodes the parameters of a challenge or of credentials into `buffer`, which needs three bytes for each four characters of them.
    ///
    /// # Errors
    /// [`MalformedEvidence`]
    pub fn decode(params: &str, buffer: &'a mut [u8]) -> Result<Self, MalformedEvidence> {
        let mut evidence = Self::default();
        let mut rest = buffer;
        for param in http_auth::params(params) {
            let (name, value) = param.map_err(|_| MalformedEvidence)?;
            let value = value.raw();
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            if is(DISCHARGES) {
                if !evidence.discharges.is_empty() {
                    return Err(MalformedEvidence);
                }
                for one in value.split(' ') {
                    let discharge = take_base64(one, &mut rest)?;
                    let pushed = evidence.discharges.push(discharge);
                    pushed.map_err(|_| MalformedEvidence)?;
                }
            } else if is(BLESSINGS) || is(AUTH) {
                let octets = take_base64(value, &mut rest)?;
                let place = if is(AUTH) {
                    &mut evidence.auth
                } else {
                    &mut evidence.blessings
                };
                if !place.is_empty() || octets.is_empty() {
                    return Err(MalformedEvidence);
                }
                *place = octets;
            }
        }
        if evidence.blessings.is_empty() || evidence.auth.is_empty() {
            return Err(MalformedEvidence);
        }
        Ok(evidence)
    }
}

/// Returns the parameters of the first challenge with [`SCHEME`] in the value of a WWW-Authenticate field.
#[must_use]
pub fn challenge(value: &str) -> Option<&str> {
    let mut all = http_auth::challenges(value);
    all.find(|challenge| challenge.is(SCHEME))
        .map(|challenge| challenge.params)
}

/// Returns the parameters in the value of an Authorization field; `None` if the scheme is not [`SCHEME`].
#[must_use]
pub fn credentials(value: &str) -> Option<&str> {
    http_auth::credentials(value)
        .filter(|credentials| credentials.is(SCHEME))
        .map(|credentials| credentials.params)
}

fn put(out: &mut [u8], len: &mut usize, text: &str) -> Result<(), Full> {
    let place = out.get_mut(*len..).unwrap_or_default();
    let place = place.get_mut(..text.len()).ok_or(Full)?;
    place.copy_from_slice(text.as_bytes());
    *len = len.saturating_add(text.len());
    Ok(())
}

fn put_base64(out: &mut [u8], len: &mut usize, octets: &[u8]) -> Result<(), Full> {
    let place = out.get_mut(*len..).unwrap_or_default();
    let text = Base64UrlUnpadded::encode(octets, place).map_err(|_| Full)?;
    *len = len.saturating_add(text.len());
    Ok(())
}

/// Decodes text to the front of the buffer, and leaves the rest of the buffer.
fn take_base64<'a>(text: &str, buffer: &mut &'a mut [u8]) -> Result<&'a [u8], MalformedEvidence> {
    let place = core::mem::take(buffer);
    let len = Base64UrlUnpadded::decode(text, &mut *place)
        .map_err(|_| MalformedEvidence)?
        .len();
    let (octets, rest) = place.split_at_mut_checked(len).ok_or(MalformedEvidence)?;
    *buffer = rest;
    Ok(octets)
}
