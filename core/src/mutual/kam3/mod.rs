//! The key agreement of RFC 8121 section 3, over any group in which it is defined.
//!
//! The formulas are written once, for a [`Group`]; what differs between elliptic curves and the multiplicative group of a prime field are the
//! elements and their encoding. All operations on secrets run in constant time. K_c1, K_s1, and so t_1 and t_2, are public.

#[cfg(feature = "mutual-dl")]
mod dl;
mod ec;

use super::{
    Number, SecretNumber,
    algorithm::{NumberFormat, Suite},
};
use core::marker::PhantomData;
use digest::Digest;
use zeroize::{Zeroize, Zeroizing};

pub(super) static P256_SHA256: Kam3<ec::P256> = Kam3(PhantomData);
#[cfg(feature = "mutual-p521")]
pub(super) static P521_SHA512: Kam3<ec::P521> = Kam3(PhantomData);
#[cfg(feature = "mutual-dl")]
pub(super) static DL2048_SHA256: Kam3<dl::Modp2048> = Kam3(PhantomData);
#[cfg(feature = "mutual-dl")]
pub(super) static DL4096_SHA512: Kam3<dl::Modp4096> = Kam3(PhantomData);

/// A group of prime order r with a generator, and the hash that goes with it.
pub(super) trait Group: Send + Sync + 'static {
    type Hash: Digest;
    /// A number modulo r.
    type Scalar: Copy + Zeroize;
    /// An element of the group.
    type Element: Copy;

    const TOKEN: &'static str;
    const FORMAT: NumberFormat;
    /// The natural length of an element.
    const ELEMENT_LEN: usize;
    /// The length of r in bytes.
    const SCALAR_LEN: usize;
    /// The bits that the first byte of r has.
    const SCALAR_TOP: u8;

    /// Fills `out` with PBKDF2-HMAC-H.
    fn stretch(password: &[u8], salt: &[u8], out: &mut [u8]);
    /// Fills `out` with HKDF-Expand of the seed, for the attempt `nth`.
    fn expand(seed: &[u8; 64], nth: u8, out: &mut [u8]);
    /// Returns the scalar with these bytes, [`Group::SCALAR_LEN`] of them or fewer; `None` if it is 0, not less than r, or too small for S_c1.
    fn scalar(octets: &[u8]) -> Option<Self::Scalar>;
    /// Returns a hash modulo r.
    fn reduce(hash: &[u8]) -> Self::Scalar;
    /// Returns a * b + c.
    fn multiply_add(a: &Self::Scalar, b: &Self::Scalar, c: &Self::Scalar) -> Self::Scalar;
    /// Returns a + b.
    fn add_scalars(a: &Self::Scalar, b: &Self::Scalar) -> Self::Scalar;
    /// Returns 1 / a; `None` if a is 0.
    fn invert(a: &Self::Scalar) -> Option<Self::Scalar>;
    /// Returns the element that the octets stand for, if it is in the range that section 3.2 or 3.3 allows.
    fn decode(octets: &[u8]) -> Option<Self::Element>;
    /// Writes the element; returns false for one that is out of this range.
    fn encode(element: &Self::Element, out: &mut [u8]) -> bool;
    /// Returns the generator, k times.
    fn generate(k: &Self::Scalar) -> Self::Element;
    /// Returns an element, k times.
    fn multiply(element: &Self::Element, k: &Self::Scalar) -> Self::Element;
    /// Returns the element, k times, for a k that is no secret.
    fn multiply_public(element: &Self::Element, k: &Self::Scalar) -> Self::Element;
    /// Returns the generator, k times, for a k that is no secret.
    fn generate_public(k: &Self::Scalar) -> Self::Element;
    fn add(a: &Self::Element, b: &Self::Element) -> Self::Element;
}

/// An algorithm.
pub(super) struct Kam3<G>(PhantomData<G>);

impl<G: Group> Kam3<G> {
    fn digest(parts: &[&[u8]]) -> digest::Output<G::Hash> {
        let mut hash = G::Hash::new();
        parts.iter().for_each(|part| hash.update(part));
        hash.finalize()
    }

    /// Returns t_1.
    fn t_1(client_value: &Number) -> G::Scalar {
        G::reduce(&Self::digest(&[&[1], client_value.as_bytes()]))
    }

    /// Returns t_2.
    fn t_2((client_value, server_value): (&Number, &Number)) -> G::Scalar {
        G::reduce(&Self::digest(&[
            &[2],
            client_value.as_bytes(),
            server_value.as_bytes(),
        ]))
    }

    /// Returns 1 / (S_c1 * t_1 + pi).
    fn inverse(
        pi: &SecretNumber,
        client_secret: &G::Scalar,
        client_value: &Number,
    ) -> Option<Zeroizing<G::Scalar>> {
        let pi = Zeroizing::new(G::reduce(pi.as_bytes()));
        let t_1 = Self::t_1(client_value);
        let sum = Zeroizing::new(G::multiply_add(client_secret, &t_1, &pi));
        G::invert(&sum).map(Zeroizing::new)
    }

    fn public(element: &G::Element) -> Option<Number> {
        let secret = Self::secret(element)?;
        Number::new(secret.as_bytes())
    }

    fn secret(element: &G::Element) -> Option<SecretNumber> {
        let mut is_in_range = false;
        let number =
            SecretNumber::with(G::ELEMENT_LEN, |out| is_in_range = G::encode(element, out));
        number.filter(|_| is_in_range)
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
        <G::Hash as Digest>::output_size()
    }

    fn format(&self) -> NumberFormat {
        G::FORMAT
    }

    fn hash(&self, parts: &[&[u8]]) -> Option<SecretNumber> {
        let mut hash = Self::digest(parts);
        let number = SecretNumber::new(&hash);
        crate::crypto::wipe(&mut hash);
        number
    }

    fn stretch(&self, password: &[u8], salt: &[u8]) -> Option<SecretNumber> {
        SecretNumber::with(self.hash_len(), |out| G::stretch(password, salt, out))
    }

    fn scalar(&self, seed: &[u8; 64]) -> Option<SecretNumber> {
        // A candidate is out of range with a probability of 2^-32 at most.
        (0_u8..4).find_map(|nth| {
            let candidate = SecretNumber::with(G::SCALAR_LEN, |out| {
                G::expand(seed, nth, out);
                if let Some(first) = out.first_mut() {
                    *first &= G::SCALAR_TOP;
                }
            })?;
            Self::scalar_of(&candidate).map(|_| candidate)
        })
    }

    fn stored(&self, pi: &SecretNumber) -> Option<Number> {
        let pi = Zeroizing::new(G::reduce(pi.as_bytes()));
        Self::public(&G::generate(&pi))
    }

    fn client_value(&self, client_secret: &SecretNumber) -> Option<Number> {
        Self::public(&G::generate(&*Self::scalar_of(client_secret)?))
    }

    fn is_usable(
        &self,
        pi: &SecretNumber,
        client_secret: &SecretNumber,
        client_value: &Number,
    ) -> bool {
        Self::scalar_of(client_secret)
            .is_some_and(|secret| Self::inverse(pi, &secret, client_value).is_some())
    }

    fn client_z(
        &self,
        pi: &SecretNumber,
        client_secret: &SecretNumber,
        values: (&Number, &Number),
    ) -> Option<SecretNumber> {
        let server_element = Self::element(values.1)?;
        let secret = Self::scalar_of(client_secret)?;
        let inverse = Self::inverse(pi, &secret, values.0)?;
        let sum = Zeroizing::new(G::add_scalars(&secret, &Self::t_2(values)));
        let zero = Zeroizing::new(G::reduce(&[]));
        let exponent = Zeroizing::new(G::multiply_add(&sum, &inverse, &zero));
        Self::secret(&G::multiply(&server_element, &exponent))
    }

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
        let powered = G::multiply_public(&element, &Self::t_1(client_value));
        Self::public(&G::multiply(&G::add(&stored, &powered), &secret))
    }

    fn server_z(
        &self,
        server_secret: &SecretNumber,
        values: (&Number, &Number),
    ) -> Option<SecretNumber> {
        let element = Self::element(values.0)?;
        let secret = Self::scalar_of(server_secret)?;
        let base = G::add(&element, &G::generate_public(&Self::t_2(values)));
        Self::secret(&G::multiply(&base, &secret))
    }
}

/// Fills `out` with HKDF-Expand (RFC 5869 section 2.3). The seed is as long as a hash of SHA-512, or longer than one of SHA-256.
#[cfg(any(feature = "mutual-p521", feature = "mutual-dl"))]
fn expand<H>(seed: &[u8; 64], nth: u8, out: &mut [u8])
where
    H: digest::core_api::BlockSizeUser + Digest + Clone,
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
