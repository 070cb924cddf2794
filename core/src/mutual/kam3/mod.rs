//! The key agreement of RFC 8121 section 3, over any group in which it is defined.
//!
//! The formulas are written once, for a [`Group`]; what differs between elliptic curves and the multiplicative group of a prime field are the
//! elements and their encoding. All operations on secrets run in constant time. K_c1, K_s1, and so t_1 and t_2, are public.

#[cfg(feature = "mutual-dl")]
mod dl;
mod ec;

use super::{
    Number, SecretNumber,
    algorithm::{NumberFormat, ServerSuite, Suite},
};
use crate::crypto::SecretBytes;
use core::marker::PhantomData;
use zeroize::{Zeroize, Zeroizing};

pub(super) static P256_SHA256: Kam3<ec::P256> = Kam3(PhantomData);
#[cfg(feature = "mutual-p521")]
pub(super) static P521_SHA512: Kam3<ec::P521> = Kam3(PhantomData);
#[cfg(feature = "mutual-dl")]
pub(super) static DL2048_SHA256: Kam3<dl::Modp2048> = Kam3(PhantomData);
#[cfg(feature = "mutual-dl")]
pub(super) static DL4096_SHA512: Kam3<dl::Modp4096> = Kam3(PhantomData);

/// The longest hash, in bytes.
const MAX_DIGEST_LEN: usize = if cfg!(any(feature = "mutual-p521", feature = "mutual-dl")) {
    64
} else {
    32
};

/// A group of prime order r with a generator, and the hash that goes with it.
pub(super) trait Group: Send + Sync + 'static {
    /// A number modulo r.
    type Scalar: Copy + Zeroize;
    /// An element of the group.
    type Element: Copy;

    const TOKEN: &'static str;
    /// The length of the hash.
    const HASH_LEN: usize;
    const FORMAT: NumberFormat;
    /// The natural length of an element.
    const ELEMENT_LEN: usize;
    /// The length of r in bytes.
    const SCALAR_LEN: usize;
    /// The bits that the first byte of r has.
    const SCALAR_TOP: u8;

    /// Writes H of the concatenated parts to the front of `out` and returns its length.
    fn digest(parts: &[&[u8]], out: &mut [u8; MAX_DIGEST_LEN]) -> usize;
    /// Fills `out` with PBKDF2-HMAC-H.
    fn stretch(password: &[u8], salt: &[u8], out: &mut [u8]);
    /// Fills `out` with HKDF-Expand of the seed, for the attempt `nth`.
    fn expand(seed: &[u8; 64], nth: u8, out: &mut [u8]);
    /// Returns the scalar with these bytes, [`Group::SCALAR_LEN`] of them or fewer; `None` if it is 0, not less than r, or too small for S_c1.
    fn scalar(octets: &[u8]) -> Option<Self::Scalar>;
    /// Returns a hash modulo r.
    fn reduce(hash: &[u8]) -> Self::Scalar;
    fn is_zero(scalar: &Self::Scalar) -> bool;
    /// Returns a * b.
    fn multiply_scalars(a: &Self::Scalar, b: &Self::Scalar) -> Self::Scalar;
    /// Returns a + b.
    fn add_scalars(a: &Self::Scalar, b: &Self::Scalar) -> Self::Scalar;
    /// Returns 1 / a; `None` if a is 0. The time may depend on a.
    fn invert_vartime(a: &Self::Scalar) -> Option<Self::Scalar>;
    /// Returns the element that the octets stand for, if it is in the range that section 3.2 or 3.3 allows.
    fn decode(octets: &[u8]) -> Option<Self::Element>;
    /// Writes the element; returns false for one that is out of this range.
    fn encode(element: &Self::Element, out: &mut [u8]) -> bool;
    /// Returns the generator, k times.
    fn generate(k: &Self::Scalar) -> Self::Element;
    /// Returns an element, k times.
    fn multiply(element: &Self::Element, k: &Self::Scalar) -> Self::Element;
    /// Returns the generator.
    fn generator() -> Self::Element;
    /// Returns (a + b * t) * s, for `b_and_t` of which t is no secret.
    fn multiply_sum(
        a: &Self::Element,
        b_and_t: (&Self::Element, &Self::Scalar),
        s: &Self::Scalar,
    ) -> Self::Element;
}

/// An algorithm.
pub(super) struct Kam3<G>(PhantomData<G>);

impl<G: Group> Kam3<G> {
    /// Returns t_1.
    fn t_1(client_value: &Number) -> G::Scalar {
        Self::hash_to_scalar(&[&[1], client_value.as_bytes()])
    }

    /// Returns t_2.
    fn t_2((client_value, server_value): (&Number, &Number)) -> G::Scalar {
        Self::hash_to_scalar(&[&[2], client_value.as_bytes(), server_value.as_bytes()])
    }

    #[inline(never)]
    fn hash_to_scalar(parts: &[&[u8]]) -> G::Scalar {
        let mut hash = SecretBytes::<MAX_DIGEST_LEN>::default();
        let len = G::digest(parts, &mut hash);
        G::reduce(hash.get(..len).unwrap_or_default())
    }

    /// Returns S_c1 * t_1 + pi.
    fn divisor(
        pi: &SecretNumber,
        client_secret: &G::Scalar,
        client_value: &Number,
    ) -> Zeroizing<G::Scalar> {
        let pi = Zeroizing::new(G::reduce(pi.as_bytes()));
        let t_1 = Self::t_1(client_value);
        let product = Zeroizing::new(G::multiply_scalars(client_secret, &t_1));
        Zeroizing::new(G::add_scalars(&product, &pi))
    }

    fn public(element: &G::Element) -> Option<Number> {
        let mut number = Number::default();
        let is_in_range = G::encode(element, number.resized(G::ELEMENT_LEN));
        is_in_range.then_some(number)
    }

    fn element(number: &Number) -> Option<G::Element> {
        (number.as_bytes().len() == G::ELEMENT_LEN)
            .then(|| G::decode(number.as_bytes()))
            .flatten()
    }

    fn scalar_of(number: &SecretNumber) -> Option<Zeroizing<G::Scalar>> {
        G::scalar(number.as_bytes()).map(Zeroizing::new)
    }
}

impl<G: Group> Suite for Kam3<G> {
    fn token(&self) -> &'static str {
        G::TOKEN
    }

    fn element_len(&self) -> usize {
        G::ELEMENT_LEN
    }

    fn hash_len(&self) -> usize {
        G::HASH_LEN
    }

    fn format(&self) -> NumberFormat {
        G::FORMAT
    }

    fn hash(&self, parts: &[&[u8]], out: &mut SecretNumber) {
        let mut hash = SecretBytes::<MAX_DIGEST_LEN>::default();
        let len = G::digest(parts, &mut hash);
        let place = out.resized(len);
        for (to, from) in place.iter_mut().zip(hash.iter()) {
            *to = *from;
        }
    }

    fn stretch(&self, password: &[u8], salt: &[u8], pi: &mut SecretNumber) {
        G::stretch(password, salt, pi.resized(G::HASH_LEN));
    }

    fn scalar(&self, seed: &[u8; 64], out: &mut SecretNumber) -> bool {
        // A candidate is out of range with a probability of 2^-32 at most.
        (0_u8..4).any(|nth| {
            let octets = out.resized(G::SCALAR_LEN);
            G::expand(seed, nth, octets);
            if let Some(first) = octets.first_mut() {
                *first &= G::SCALAR_TOP;
            }
            Self::scalar_of(out).is_some()
        })
    }

    fn stored(&self, pi: &SecretNumber) -> Option<Number> {
        let pi = Zeroizing::new(G::reduce(pi.as_bytes()));
        Self::public(&G::generate(&pi))
    }

    fn client_value(&self, pi: &SecretNumber, client_secret: &SecretNumber) -> Option<Number> {
        let secret = Self::scalar_of(client_secret)?;
        let value = Self::public(&G::generate(&secret))?;
        // The RFC leaves open what to do without an inverse.
        (!G::is_zero(&Self::divisor(pi, &secret, &value))).then_some(value)
    }

    fn client_z(
        &self,
        pi: &SecretNumber,
        client_secret: &SecretNumber,
        values: (&Number, &Number),
        z: &mut SecretNumber,
    ) -> Option<()> {
        let server_element = Self::element(values.1)?;
        let secret = Self::scalar_of(client_secret)?;
        let divisor = Self::divisor(pi, &secret, values.0);
        // The inversion may take a time that depends on its operand: a factor hides that, which depends on the secrets alone.
        let parts = [&[0xff], pi.as_bytes(), client_secret.as_bytes()];
        let factor = Zeroizing::new(Self::hash_to_scalar(&parts));
        let hidden = Zeroizing::new(G::multiply_scalars(&divisor, &factor));
        let inverse = Zeroizing::new(G::invert_vartime(&hidden)?);
        let sum = Zeroizing::new(G::add_scalars(&secret, &Self::t_2(values)));
        let exponent = Zeroizing::new(G::multiply_scalars(&factor, &inverse));
        let exponent = Zeroizing::new(G::multiply_scalars(&sum, &exponent));
        let element = G::multiply(&server_element, &exponent);
        G::encode(&element, z.resized(G::ELEMENT_LEN)).then_some(())
    }
}

impl<G: Group> ServerSuite for Kam3<G> {
    fn is_stored(&self, stored: &Number) -> bool {
        Self::element(stored).is_some()
    }

    fn server_value(
        &self,
        stored: &Number,
        server_secret: &SecretNumber,
        client_value: &Number,
    ) -> Option<Number> {
        let (stored, element) = (Self::element(stored)?, Self::element(client_value)?);
        let secret = Self::scalar_of(server_secret)?;
        let part = (&element, &Self::t_1(client_value));
        Self::public(&G::multiply_sum(&stored, part, &secret))
    }

    fn server_z(
        &self,
        server_secret: &SecretNumber,
        values: (&Number, &Number),
        z: &mut SecretNumber,
    ) -> Option<()> {
        let element = Self::element(values.0)?;
        let secret = Self::scalar_of(server_secret)?;
        let part = (&G::generator(), &Self::t_2(values));
        let element = G::multiply_sum(&element, part, &secret);
        G::encode(&element, z.resized(G::ELEMENT_LEN)).then_some(())
    }
}

/// Writes the hash of the concatenated parts to the front of `out` and returns its length.
#[cfg(any(feature = "mutual-p521", feature = "mutual-dl"))]
fn digest<H: digest::Digest>(parts: &[&[u8]], out: &mut [u8; MAX_DIGEST_LEN]) -> usize {
    let mut hash = H::new();
    parts.iter().for_each(|part| hash.update(part));
    let hash = hash.finalize();
    for (to, from) in out.iter_mut().zip(&hash) {
        *to = *from;
    }
    hash.len()
}

/// Fills `out` with HKDF-Expand (RFC 5869 section 2.3). The seed is as long as a hash of SHA-512, or longer than one of SHA-256.
#[cfg(any(feature = "mutual-p521", feature = "mutual-dl"))]
fn expand<H>(seed: &[u8; 64], nth: u8, out: &mut [u8])
where
    H: digest::core_api::BlockSizeUser + digest::Digest + Clone,
{
    // Cannot fail: the output is shorter than 255 hashes.
    if let Ok(hkdf) = hkdf::SimpleHkdf::<H>::from_prk(seed) {
        let _ = hkdf.expand(&[nth], out);
    }
}

/// Writes P of a point: 2 * x + parity, big-endian, one bit longer than x at most.
fn double(x: &[u8], parity: u8, out: &mut [u8]) {
    let mut carry = parity & 1;
    let mut places = out.iter_mut().rev();
    for byte in x.iter().rev() {
        if let Some(place) = places.next() {
            *place = (byte << 1) | carry;
        }
        carry = byte >> 7;
    }
    for place in places {
        *place = carry;
        carry = 0;
    }
}

/// Splits 2 * x + parity into x of `LEN` bytes and the parity; `None` if x is longer.
fn halve<const LEN: usize>(octets: &[u8]) -> Option<([u8; LEN], u8)> {
    let mut x = [0; LEN];
    let mut carry = 0;
    let extra = octets.len().checked_sub(LEN)?;
    let (front, back) = octets.split_at_checked(extra)?;
    for byte in front {
        // Only the last byte before x may have a bit, which belongs to x.
        if carry != 0 || byte >> 1 != 0 {
            return None;
        }
        carry = byte & 1;
    }
    for (to, byte) in x.iter_mut().zip(back) {
        *to = (byte >> 1) | (carry << 7);
        carry = byte & 1;
    }
    Some((x, carry))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_numbers_of_one_bit_more() {
        let mut out = [0; 3];
        double(&[0xff, 0x01], 1, &mut out);
        assert_eq!(out, [1, 0xfe, 0x03]);
        assert_eq!(halve::<2>(&out), Some(([0xff, 0x01], 1)));
        assert_eq!(halve::<2>(&[2, 0, 0]), None);
        assert_eq!(halve::<2>(&[1, 0, 0, 0]), None);
        assert_eq!(halve::<2>(&[0]), None);
        // As in P-521: the number is as long as x.
        double(&[0x01, 0xff], 0, &mut out[..2]);
        assert_eq!(out[..2], [0x03, 0xfe]);
        assert_eq!(halve::<2>(&[0x03, 0xfe]), Some(([0x01, 0xff], 0)));
    }
}
