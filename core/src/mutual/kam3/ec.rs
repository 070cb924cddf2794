//! The curves P-256 with SHA-256, and P-521 with SHA-512.

use super::{Group, NumberFormat};
use crate::mutual::ITERATIONS;

macro_rules! curve {
    ($name:ident, $curve:ident, $uint:ident, $hash:ty, $token:literal, $coordinate:literal, $element:literal, $top:literal, $expand:expr) => {
        pub(crate) struct $name;

        const _: () = {
            use $curve::{
                AffinePoint, FieldBytes, ProjectivePoint, Scalar,
                elliptic_curve::{
                    Field, PrimeField,
                    ops::{Invert, Reduce},
                    point::{AffineCoordinates, DecompressPoint},
                    subtle::Choice,
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
                type Hash = $hash;
                type Scalar = Scalar;
                type Element = ProjectivePoint;

                const TOKEN: &'static str = $token;
                const FORMAT: NumberFormat = NumberFormat::Hex;
                const ELEMENT_LEN: usize = $element;
                const SCALAR_LEN: usize = $coordinate;
                const SCALAR_TOP: u8 = $top;

                fn stretch(password: &[u8], salt: &[u8], out: &mut [u8]) {
                    pbkdf2::pbkdf2_hmac::<$hash>(password, salt, ITERATIONS, out);
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

                fn multiply_add(a: &Scalar, b: &Scalar, c: &Scalar) -> Scalar {
                    a.multiply(b).add(c)
                }

                fn add_scalars(a: &Scalar, b: &Scalar) -> Scalar {
                    a.add(b)
                }

                fn invert(a: &Scalar) -> Option<Scalar> {
                    Invert::invert(a).into()
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
                    *element != ProjectivePoint::IDENTITY
                }

                fn generate(k: &Scalar) -> ProjectivePoint {
                    ProjectivePoint::GENERATOR * k
                }

                fn multiply(element: &ProjectivePoint, k: &Scalar) -> ProjectivePoint {
                    element * k
                }

                fn multiply_public(element: &ProjectivePoint, k: &Scalar) -> ProjectivePoint {
                    element * k
                }

                fn generate_public(k: &Scalar) -> ProjectivePoint {
                    ProjectivePoint::GENERATOR * k
                }

                fn add(a: &ProjectivePoint, b: &ProjectivePoint) -> ProjectivePoint {
                    a + b
                }
            }
        };
    };
}

curve!(
    P256,
    p256,
    U256,
    sha2::Sha256,
    "iso-kam3-ec-p256-sha256",
    32,
    33,
    0xff,
    expand_sha256
);
#[cfg(feature = "mutual-p521")]
curve!(
    P521,
    p521,
    U576,
    sha2::Sha512,
    "iso-kam3-ec-p521-sha512",
    66,
    66,
    0x01,
    super::expand::<sha2::Sha512>
);

/// As [`super::expand`], by the HKDF that firmware has anyway.
fn expand_sha256(seed: &[u8; 64], nth: u8, out: &mut [u8]) {
    // Cannot fail: the output is one block.
    let _ = crate::crypto::hkdf_expand(seed, [&[nth], &[], &[], &[]], out);
}
