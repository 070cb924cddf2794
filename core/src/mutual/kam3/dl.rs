//! The multiplicative groups of RFC 3526 section 3 (2048 bits) with SHA-256, and section 5 (4096 bits) with SHA-512.

use super::{Group, MAX_DIGEST_LEN, NumberFormat};
use crate::mutual::ITERATIONS;
use core::marker::PhantomData;
use crypto_bigint::{
    Encoding, U2048, U4096, Zero,
    modular::runtime_mod::{DynResidue, DynResidueParams},
    subtle::ConstantTimeLess,
};
use sha2::{Sha256, Sha512};

const Q2048: U2048 = U2048::from_be_hex(include_str!("modp2048.hex"));
const Q4096: U4096 = U4096::from_be_hex(include_str!("modp4096.hex"));

macro_rules! modp {
    ($name:ident, $uint:ident, $hash:ident, $hash_len:literal, $q:ident, $bytes:literal, $token:literal) => {
        pub(crate) struct $name(PhantomData<()>);

        impl $name {
            /// The order of the subgroup that 2 generates: (q - 1) / 2.
            const R: $uint = $q.shr_vartime(1);

            fn field() -> DynResidueParams<{ $uint::LIMBS }> {
                DynResidueParams::new(&$q)
            }

            fn order() -> DynResidueParams<{ $uint::LIMBS }> {
                DynResidueParams::new(&Self::R)
            }

            /// 1 < K < q - 1 (RFC 8121 section 3.2).
            fn is_in_range(element: &$uint) -> bool {
                let last = $q.wrapping_sub(&$uint::ONE);
                bool::from($uint::ONE.ct_lt(element) & element.ct_lt(&last))
            }

            fn raise(base: &$uint, k: &$uint, bits: usize) -> $uint {
                let base = DynResidue::new(base, Self::field());
                base.pow_bounded_exp(k, bits).retrieve()
            }
        }

        impl Group for $name {
            const HASH_LEN: usize = $hash_len;
            type Scalar = $uint;
            type Element = $uint;

            const TOKEN: &'static str = $token;
            const FORMAT: NumberFormat = NumberFormat::Base64;
            const ELEMENT_LEN: usize = $bytes;
            const SCALAR_LEN: usize = $bytes;
            const SCALAR_TOP: u8 = 0x7f;

            fn stretch(password: &[u8], salt: &[u8], out: &mut [u8]) {
                pbkdf2::pbkdf2_hmac::<$hash>(password, salt, ITERATIONS, out);
            }

            fn digest(parts: &[&[u8]], out: &mut [u8; MAX_DIGEST_LEN]) -> usize {
                super::digest::<$hash>(parts, out)
            }

            fn expand(seed: &[u8; 64], nth: u8, out: &mut [u8]) {
                super::expand::<$hash>(seed, nth, out);
            }

            /// S_c1 must exceed log(q) / log(g), which is a little less than the number of bits (RFC 8121 Appendix B).
            fn scalar(octets: &[u8]) -> Option<$uint> {
                let octets: [u8; $bytes] = octets.try_into().ok()?;
                let scalar = $uint::from_be_bytes(octets);
                let least = $uint::from($bytes * 8 - 1_u32);
                let is_in_range = scalar.ct_lt(&Self::R) & least.ct_lt(&scalar);
                bool::from(is_in_range).then_some(scalar)
            }

            fn reduce(hash: &[u8]) -> $uint {
                let mut octets = [0; $bytes];
                for (to, from) in octets.iter_mut().rev().zip(hash.iter().rev()) {
                    *to = *from;
                }
                // A hash is much shorter than r.
                $uint::from_be_bytes(octets)
            }

            fn is_zero(scalar: &$uint) -> bool {
                scalar.is_zero().into()
            }

            fn multiply_scalars(a: &$uint, b: &$uint) -> $uint {
                let [a, b] = [a, b].map(|one| DynResidue::new(one, Self::order()));
                a.mul(&b).retrieve()
            }

            fn add_scalars(a: &$uint, b: &$uint) -> $uint {
                a.add_mod(b, &Self::R)
            }

            /// Fermat: r is a prime. The time does not depend on a.
            fn invert_vartime(a: &$uint) -> Option<$uint> {
                let exponent = Self::R.wrapping_sub(&$uint::from(2_u32));
                let inverse = DynResidue::new(a, Self::order()).pow(&exponent).retrieve();
                (!bool::from(a.is_zero())).then_some(inverse)
            }

            fn decode(octets: &[u8]) -> Option<$uint> {
                let octets: [u8; $bytes] = octets.try_into().ok()?;
                let element = $uint::from_be_bytes(octets);
                Self::is_in_range(&element).then_some(element)
            }

            fn encode(element: &$uint, out: &mut [u8]) -> bool {
                out.copy_from_slice(&element.to_be_bytes());
                Self::is_in_range(element)
            }

            fn generate(k: &$uint) -> $uint {
                Self::raise(&$uint::from(2_u32), k, $bytes * 8)
            }

            fn multiply(element: &$uint, k: &$uint) -> $uint {
                Self::raise(element, k, $bytes * 8)
            }

            fn generator() -> $uint {
                $uint::from(2_u32)
            }

            /// t is a hash, and so much shorter than s that two exponentiations take less time than one with their product.
            fn multiply_sum(a: &$uint, (b, t): (&$uint, &$uint), s: &$uint) -> $uint {
                let power = Self::raise(b, t, t.bits_vartime());
                let [a, power] = [a, &power].map(|one| DynResidue::new(one, Self::field()));
                Self::multiply(&a.mul(&power).retrieve(), s)
            }
        }
    };
}

modp!(
    Modp2048,
    U2048,
    Sha256,
    32,
    Q2048,
    256,
    "iso-kam3-dl-2048-sha256"
);
modp!(
    Modp4096,
    U4096,
    Sha512,
    64,
    Q4096,
    512,
    "iso-kam3-dl-4096-sha512"
);
