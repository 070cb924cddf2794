//! HTTP Mutual authentication (RFC 8120), of a user with a password or PIN.

use super::{KeyHolder, MAX_ANSWER_LEN, ProofError};
use crate::generator::Generator;
use chanbind_core::{
    mutual::{
        MAX_MESSAGE_LEN, MutualError, MutualFailure, MutualProver, MutualSettings, Origin,
        Password, UnverifiedResponses,
    },
    proof::KeyRequest,
};
use chanbind_device_config::{Config, proof::mutual};
use chanbind_tpm_spi::{Chip, Error, key::TpmKeys};
use core::fmt::Write;
use heapless::String;

pub(super) use mutual::TAG;

/// The longest head of a response, in bytes: two challenges, or a key exchange, are in it.
pub(super) const HEAD_LEN: usize = 1536;

pub(super) const FIELDS_LEN: usize = "authorization".len() + MAX_MESSAGE_LEN;

pub(crate) struct Proof {
    pub(super) prover: MutualProver,
    pub(super) key: NoKey,
}

/// The proof needs no key: the password is in the configuration.
pub(super) struct NoKey;

impl Proof {
    pub(super) fn new<'a>(
        section: &'a [u8],
        config: &Config<'_>,
    ) -> Result<(Self, &'a [u8]), ProofError> {
        let mutual::Section {
            parent_name,
            user,
            password,
        } = mutual::Section::parse(section)?;
        let mut authority = String::<{ chanbind_core::mutual::MAX_ORIGIN_LEN }>::new();
        write!(authority, "{}:{}", config.server_name, config.port)
            .map_err(|_| failure(MutualError::Origin))?;
        let origin = Origin::new(true, &authority).map_err(failure)?;
        let password = Password::new(password).map_err(failure)?;
        let settings = MutualSettings {
            // The device has no use for a server that does not know it.
            unverified: UnverifiedResponses::Never,
            ..MutualSettings::of(&origin)
        };
        let prover = MutualProver::new(origin, user, password).map_err(failure)?;
        let prover = prover.with_settings(settings);
        let proof = Self { prover, key: NoKey };
        Ok((proof, parent_name))
    }
}

fn failure(error: MutualError) -> ProofError {
    ProofError::Mutual(error.into())
}

impl<'m> KeyHolder<'m> for NoKey {
    async fn answer<C: Chip>(
        &mut self,
        _: &mut TpmKeys<'m, C, Generator>,
        _: KeyRequest<'_>,
        _: &mut [u8; MAX_ANSWER_LEN],
    ) -> Result<Option<usize>, Error<C::Error>> {
        Ok(None)
    }
}

impl From<MutualFailure> for ProofError {
    fn from(error: MutualFailure) -> Self {
        Self::Mutual(error)
    }
}
