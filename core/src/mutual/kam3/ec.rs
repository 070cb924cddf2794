//! The curves P-256 with SHA-256, and P-521 with SHA-512.

use super::{Group, MAX_DIGEST_LEN, NumberFormat};
use crate::{
    crypto::{HmacSha256State, SecretBytes, hkdf_expand, sha256_of_parts},
    mutual::ITERATIONS,
};
use zeroize::Zeroizing;

macro_rules! curve {
    ($name:ident, $curve:ident, $uint:ident, $token:literal, $hash_len:literal, $coordinate:literal, $element:literal, $top:literal, $stretch:expr, $digest:expr, $expand:expr) => {
        pub(crate) struct $name;

        const _: () = {
            use $curve::{
                AffinePoint, FieldBytes, ProjectivePoint, Scalar,
                elliptic_curve::{
                    Field, PrimeField,
                    ops::{Invert, Reduce},
                    point::{AffineCoordinates, DecompressPoint, Double},
                    subtle::{Choice, ConditionallySelectable, ConstantTimeEq},
                },
                $uint,
            };

            /// Returns the octets, right-aligned. A hash is not longer than a coordinate.
            fn aligned(octets: &[u8]) -> FieldBytes {
                let mut field = FieldBytes::default();
                for (to, from) in field.iter_mut().rev().zip(octets.iter().rev()) {
                    *to = *from;
                }
                field
            }

            #[allow(
                clippy::arithmetic_side_effects,
                reason = "operations of the group and its field do not overflow"
            )]
            impl Group for $name {
                const HASH_LEN: usize = $hash_len;
                type Scalar = Scalar;
                type Element = ProjectivePoint;

                const TOKEN: &'static str = $token;
                const FORMAT: NumberFormat = NumberFormat::Hex;
                const ELEMENT_LEN: usize = $element;
                const SCALAR_LEN: usize = $coordinate;
                const SCALAR_TOP: u8 = $top;

                fn stretch(password: &[u8], salt: &[u8], out: &mut [u8]) {
                    $stretch(password, salt, ITERATIONS, out);
                }

                fn digest(parts: &[&[u8]], out: &mut [u8; MAX_DIGEST_LEN]) -> usize {
                    $digest(parts, out)
                }

                fn expand(seed: &[u8; 64], nth: u8, out: &mut [u8]) {
                    $expand(seed, nth, out);
                }

                fn scalar(octets: &[u8]) -> Option<Scalar> {
                    if octets.len() != $coordinate {
                        return None;
                    }
                    let scalar: Option<Scalar> = Scalar::from_repr(aligned(octets)).into();
                    scalar.filter(|scalar| !bool::from(Field::is_zero(scalar)))
                }

                fn reduce(hash: &[u8]) -> Scalar {
                    <Scalar as Reduce<$uint>>::reduce_bytes(&aligned(hash))
                }

                fn is_zero(scalar: &Scalar) -> bool {
                    Field::is_zero(scalar).into()
                }

                fn multiply_scalars(a: &Scalar, b: &Scalar) -> Scalar {
                    a.multiply(b)
                }

                fn add_scalars(a: &Scalar, b: &Scalar) -> Scalar {
                    a.add(b)
                }

                fn invert_vartime(a: &Scalar) -> Option<Scalar> {
                    Invert::invert_vartime(a).into()
                }

                /// P'(k): x is k >> 1, and the parity of y is k & 1 (RFC 8121 section 3.3).
                fn decode(octets: &[u8]) -> Option<ProjectivePoint> {
                    let (x, parity) = super::halve::<$coordinate>(octets)?;
                    let point: Option<AffinePoint> =
                        AffinePoint::decompress(&aligned(&x), Choice::from(parity)).into();
                    point.map(ProjectivePoint::from)
                }

                fn encode(element: &ProjectivePoint, out: &mut [u8]) -> bool {
                    let affine = element.to_affine();
                    super::double(&affine.x(), affine.y_is_odd().unwrap_u8(), out);
                    // The identity is the only point without coordinates.
                    !bool::from(affine.is_identity())
                }

                fn generate(k: &Scalar) -> ProjectivePoint {
                    ProjectivePoint::GENERATOR * k
                }

                fn multiply(element: &ProjectivePoint, k: &Scalar) -> ProjectivePoint {
                    element * k
                }

                fn generator() -> ProjectivePoint {
                    ProjectivePoint::GENERATOR
                }

                fn multiply_sum(
                    a: &ProjectivePoint,
                    (b, t): (&ProjectivePoint, &Scalar),
                    s: &Scalar,
                ) -> ProjectivePoint {
                    let product = Zeroizing::new(t.multiply(s));
                    multiply_two((a, s), (b, &product))
                }
            }

            /// Returns a * k + b * l, with the doublings of one multiplication (Straus), in constant time.
            #[allow(
                clippy::arithmetic_side_effects,
                reason = "operations of the group do not overflow"
            )]
            fn multiply_two(
                (a, k): (&ProjectivePoint, &Scalar),
                (b, l): (&ProjectivePoint, &Scalar),
            ) -> ProjectivePoint {
                let tables = [multiples(a), multiples(b)];
                let [k, l] = [k, l].map(|scalar| Zeroizing::new(scalar.to_repr()));
                let mut sum = ProjectivePoint::IDENTITY;
                for digits in k.iter().zip(l.iter()) {
                    for shift in [4, 0] {
                        for _ in 0..4 {
                            sum = sum.double();
                        }
                        for (table, digits) in tables.iter().zip([digits.0, digits.1]) {
                            sum += select(table, (digits >> shift) & 0xf);
                        }
                    }
                }
                sum
            }

            /// Returns the multiples of a point from 0 to 15.
            #[allow(
                clippy::arithmetic_side_effects,
                reason = "operations of the group do not overflow"
            )]
            fn multiples(point: &ProjectivePoint) -> [ProjectivePoint; 16] {
                let mut next = ProjectivePoint::IDENTITY;
                [(); 16].map(|()| {
                    let this = next;
                    next += point;
                    this
                })
            }

            /// Returns the multiple with this number, in a time that does not depend on it.
            fn select(table: &[ProjectivePoint; 16], number: u8) -> ProjectivePoint {
                let mut selected = ProjectivePoint::IDENTITY;
                for (multiple, this) in table.iter().zip(0_u8..) {
                    selected.conditional_assign(multiple, this.ct_eq(&number));
                }
                selected
            }
        };
    };
}

curve!(
    P256,
    p256,
    U256,
    "iso-kam3-ec-p256-sha256",
    32,
    32,
    33,
    0xff,
    stretch_sha256,
    digest_sha256,
    expand_sha256
);
#[cfg(feature = "mutual-p521")]
curve!(
    P521,
    p521,
    U576,
    "iso-kam3-ec-p521-sha512",
    64,
    66,
    66,
    0x01,
    pbkdf2::pbkdf2_hmac::<sha2::Sha512>,
    super::digest::<sha2::Sha512>,
    super::expand::<sha2::Sha512>
);

// SHA-256 and HMAC are those that firmware has anyway.

/// PBKDF2-HMAC-SHA256 (RFC 8018 section 5.2) with one block.
fn stretch_sha256(password: &[u8], salt: &[u8], iterations: u32, out: &mut [u8]) {
    let hmac = HmacSha256State::new(password);
    let mut block = SecretBytes::new(hmac.mac_of_parts(&[salt, &1_u32.to_be_bytes()]));
    let mut sum = SecretBytes::new(*block);
    for _ in 1..iterations {
        *block = hmac.mac_of_parts(&[&*block]);
        for (sum, byte) in sum.iter_mut().zip(block.iter()) {
            *sum ^= byte;
        }
    }
    for (to, from) in out.iter_mut().zip(sum.iter()) {
        *to = *from;
    }
}

fn digest_sha256(parts: &[&[u8]], out: &mut [u8; MAX_DIGEST_LEN]) -> usize {
    let hash = sha256_of_parts(parts);
    for (to, from) in out.iter_mut().zip(&hash) {
        *to = *from;
    }
    hash.len()
}

/// As [`super::expand`].
fn expand_sha256(seed: &[u8; 64], nth: u8, out: &mut [u8]) {
    // Cannot fail: the output is one block.
    let _ = hkdf_expand(seed, [&[nth], &[], &[], &[]], out);
}
