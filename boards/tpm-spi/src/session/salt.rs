//! The salt of a session, from an ECDH exchange with a key in the chip (TPM 2.0 Part 1 sections 19.6.8 and C.6.1).

use crate::command::{Entity, SessionType, StartAuthSession};
use chanbind_core::crypto::{SecretBytes, ecdsa::PublicPoint, kdfe};
use p256::{
    EncodedPoint, PublicKey,
    ecdh::EphemeralSecret,
    elliptic_curve::sec1::{FromEncodedPoint, ToEncodedPoint},
};
use rand_core::{CryptoRng, RngCore};

pub(crate) struct Salt {
    value: SecretBytes<32>,
    ephemeral: PublicPoint,
    nonce_caller: [u8; 32],
}

impl Salt {
    /// Generates a salt for the public key `point`. Returns `None` if the point is not on P-256.
    #[inline(never)]
    pub(crate) fn new(point: &PublicPoint, rng: &mut (impl CryptoRng + RngCore)) -> Option<Self> {
        // Not `PublicKey::from_sec1_bytes`, which links more than 1 KiB of code for compressed points.
        let encoded =
            EncodedPoint::from_affine_coordinates(&point.x.into(), &point.y.into(), false);
        let public = Option::<PublicKey>::from(PublicKey::from_encoded_point(&encoded))?;
        let ephemeral = EphemeralSecret::random(rng);
        let shared = ephemeral.diffie_hellman(&public);
        let encoded = ephemeral.public_key().to_encoded_point(false);
        let ephemeral = PublicPoint::from_sec1(encoded.as_bytes())?;
        let mut nonce_caller = [0; 32];
        rng.fill_bytes(&mut nonce_caller);
        Some(Self {
            value: kdfe(shared.raw_secret_bytes(), b"SECRET", &ephemeral.x, &point.x),
            ephemeral,
            nonce_caller,
        })
    }

    /// Returns the command that starts a session with this salt.
    pub(crate) fn command<'s>(
        &'s self,
        tpm_key: &'s Entity,
        session_type: SessionType,
    ) -> StartAuthSession<'s> {
        StartAuthSession {
            tpm_key,
            nonce_caller: &self.nonce_caller,
            salt: &self.ephemeral,
            session_type,
        }
    }

    pub(crate) fn value(&self) -> &[u8; 32] {
        &self.value
    }

    pub(crate) fn nonce_caller(&self) -> &[u8; 32] {
        &self.nonce_caller
    }
}
