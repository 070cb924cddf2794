//! The kinds of proof on a device, each in a file of its own. Here, and nowhere else, a feature decides which of them a firmware has.

#[cfg(feature = "authenticator")]
mod authenticator;
#[cfg(feature = "blessing")]
pub(crate) mod blessing;
#[cfg(feature = "mutual")]
mod mutual;
mod otp;
#[cfg(any(feature = "authenticator", feature = "blessing"))]
mod signing;

use crate::{event::Failure, generator::Generator};
use chanbind_core::{
    error_messages,
    exporter::Exporter,
    proof::{FieldSink, Inputs, KeyRequest, Outcome, Prover, RequestTarget, ResponseHead, Step},
};
use chanbind_device_config::{Config, ConfigError};
use chanbind_tpm_spi::{Chip, Error, key::TpmKeys};

/// The proof of a device: the state machine of its kind, and its key.
#[cfg_attr(
    any(feature = "authenticator", feature = "blessing", feature = "mutual"),
    allow(
        clippy::large_enum_variant,
        reason = "there is no heap, and one value per device"
    )
)]
pub(crate) enum Proof<'a> {
    Otp(otp::Proof<'a>),
    #[cfg(feature = "authenticator")]
    Authenticator(authenticator::Proof<'a>),
    #[cfg(feature = "blessing")]
    Blessing(blessing::Proof<'a>),
    #[cfg(feature = "mutual")]
    Mutual(mutual::Proof),
}

/// The memory of the kinds of proof that the firmware has.
pub(crate) struct Memory {
    #[cfg(feature = "authenticator")]
    authenticator: authenticator::Memory,
    #[cfg(feature = "blessing")]
    blessing: blessing::Memory,
}

impl Memory {
    pub(crate) const fn new() -> Self {
        Self {
            #[cfg(feature = "authenticator")]
            authenticator: authenticator::Memory::new(),
            #[cfg(feature = "blessing")]
            blessing: blessing::Memory::new(),
        }
    }
}

/// The longest head of a response that any kind needs, in bytes.
pub(crate) const HEAD_LEN: usize = largest(&[
    512,
    #[cfg(feature = "authenticator")]
    authenticator::HEAD_LEN,
    #[cfg(feature = "blessing")]
    blessing::HEAD_LEN,
    #[cfg(feature = "mutual")]
    mutual::HEAD_LEN,
]);

/// The room for the header fields of the kind that needs most, in bytes.
pub(crate) const FIELDS_LEN: usize = largest(&[
    otp::FIELDS_LEN,
    #[cfg(feature = "authenticator")]
    authenticator::FIELDS_LEN,
    #[cfg(feature = "blessing")]
    blessing::FIELDS_LEN,
    #[cfg(feature = "mutual")]
    mutual::FIELDS_LEN,
]);

const fn largest(mut lens: &[usize]) -> usize {
    let mut largest = 0;
    while let [first, rest @ ..] = lens {
        if *first > largest {
            largest = *first;
        }
        lens = rest;
    }
    largest
}

/// The error of a proof on a device.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum ProofError {
    /// The configuration has a proof that the firmware is built without.
    NotBuilt {
        /// The kind of proof.
        kind: &'static str,
    },
    /// The section of the proof is damaged.
    Section(ConfigError),
    /// The key in the section is malformed.
    Key,
    /// The server did not ask for the proof, with which it would have proved itself: its response is not used.
    ServerUnproved,
    /// The key cannot do what the proof asks of it.
    Unsupported,
    /// One-time passwords.
    Otp(chanbind_core::otp::ProveError),
    /// The first certificate is not for the key.
    #[cfg(feature = "authenticator")]
    Certificate,
    /// Exported Authenticators.
    #[cfg(feature = "authenticator")]
    Authenticator(chanbind_core::authenticator::ProveError),
    /// The blessings are not for the key.
    #[cfg(feature = "blessing")]
    Blessings,
    /// Blessings.
    #[cfg(feature = "blessing")]
    Blessing(chanbind_core::blessing::ProveError),
    /// The application talks on Vanadium's channel, and the configuration has another kind of proof.
    #[cfg(feature = "blessing-channel")]
    Kind {
        /// The kind of proof.
        kind: &'static str,
    },
    /// Vanadium's channel.
    #[cfg(feature = "blessing-channel")]
    Channel(chanbind_core::blessing::channel::ChannelError),
    /// HTTP Mutual authentication.
    #[cfg(feature = "mutual")]
    Mutual(chanbind_core::mutual::MutualFailure),
}

error_messages! { ProofError {
    Self::NotBuilt { kind } => "the configuration has the section [proof.{}], and this firmware was built without that kind of proof: build it with the feature of that name", kind;
    Self::Section(error) => "{}", error;
    Self::Key => "the configuration's key is malformed: write it again with `chanbind provision --device-config`";
    Self::ServerUnproved => "the gateway did not prove itself, because it did not ask for the proof: does its rule for this path need it?";
    Self::Unsupported => "the configuration's key cannot do what the proof needs: provision a key for this kind of proof";
    Self::Otp(error) => "{}", error;
    #[cfg(feature = "authenticator")]
    Self::Certificate => "the configuration's first certificate is not for its key: have one issued for this key";
    #[cfg(feature = "authenticator")]
    Self::Authenticator(error) => "{}", error;
    #[cfg(feature = "blessing")]
    Self::Blessings => "the configuration's blessings are not for its key: have this key blessed, and write the section again";
    #[cfg(feature = "blessing")]
    Self::Blessing(error) => "{}", error;
    #[cfg(feature = "blessing-channel")]
    Self::Kind { kind } => "the configuration has the section [proof.{}], and Vanadium's channel needs [proof.blessing]", kind;
    #[cfg(feature = "blessing-channel")]
    Self::Channel(error) => "{}", error;
    #[cfg(feature = "mutual")]
    Self::Mutual(error) => "{}", error;
}}

impl core::error::Error for ProofError {}

impl From<ConfigError> for ProofError {
    fn from(error: ConfigError) -> Self {
        Self::Section(error)
    }
}

impl<'a> Proof<'a> {
    /// Reads the section of a configuration. Returns the proof, and the name of the TPM's parent key.
    pub(crate) fn new(
        config: &Config<'a>,
        memory: &'a mut Memory,
    ) -> Result<(Self, &'a [u8]), ProofError> {
        let section = config.proof;
        let unknown = chanbind_device_config::proof::name(section.tag).unwrap_or("unknown");
        #[cfg(not(any(feature = "authenticator", feature = "blessing")))]
        let _ = memory;
        match section.tag {
            otp::TAG => {
                otp::Proof::new(section.value).map(|(proof, name)| (Self::Otp(proof), name))
            }
            #[cfg(feature = "authenticator")]
            authenticator::TAG => {
                let made = authenticator::Proof::new(section.value, &mut memory.authenticator);
                made.map(|(proof, name)| (Self::Authenticator(proof), name))
            }
            #[cfg(feature = "blessing")]
            blessing::TAG => {
                let made = blessing::Proof::new(section.value, config, &mut memory.blessing);
                made.map(|(proof, name)| (Self::Blessing(proof), name))
            }
            #[cfg(feature = "mutual")]
            mutual::TAG => {
                let made = mutual::Proof::new(section.value, config);
                made.map(|(proof, name)| (Self::Mutual(proof), name))
            }
            _ => Err(ProofError::NotBuilt { kind: unknown }),
        }
    }

    /// Returns the name of the kind.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Otp(proof) => proof.prover.kind(),
            #[cfg(feature = "authenticator")]
            Self::Authenticator(proof) => proof.prover.kind(),
            #[cfg(feature = "blessing")]
            Self::Blessing(proof) => proof.prover.kind(),
            #[cfg(feature = "mutual")]
            Self::Mutual(proof) => proof.prover.kind(),
        }
    }

    /// Returns true if the proof verifies the server too, whose responses are not used before.
    pub(crate) fn verifies_server(&self) -> bool {
        match self {
            Self::Otp(proof) => proof.prover.verifies_server(),
            #[cfg(feature = "authenticator")]
            Self::Authenticator(proof) => proof.prover.verifies_server(),
            #[cfg(feature = "blessing")]
            Self::Blessing(proof) => proof.prover.verifies_server(),
            #[cfg(feature = "mutual")]
            Self::Mutual(proof) => proof.prover.verifies_server(),
        }
    }

    /// Goes on with the exchange, until the next request is to be sent or the response is for the application.
    pub(crate) async fn advance<C: Chip>(
        &mut self,
        keys: &mut TpmKeys<'a, C, Generator>,
        on: On<'_>,
        inputs: &Inputs<'_>,
    ) -> Result<Next, Failure<C::Error>> {
        match self {
            Self::Otp(otp::Proof { prover, key }) => advance(prover, key, keys, on, inputs).await,
            #[cfg(feature = "authenticator")]
            Self::Authenticator(authenticator::Proof { prover, key }) => {
                advance(prover, key, keys, on, inputs).await
            }
            #[cfg(feature = "blessing")]
            Self::Blessing(blessing::Proof { prover, key }) => {
                advance(prover, key, keys, on, inputs).await
            }
            #[cfg(feature = "mutual")]
            Self::Mutual(mutual::Proof { prover, key }) => {
                advance(prover, key, keys, on, inputs).await
            }
        }
    }

    /// Writes the header fields for a request.
    pub(crate) fn write_fields(
        &mut self,
        request: &RequestTarget<'_>,
        inputs: &Inputs<'_>,
        out: &mut dyn FieldSink,
    ) -> Result<(), ProofError> {
        match self {
            Self::Otp(proof) => Ok(proof.prover.write_fields(request, inputs, out)?),
            #[cfg(feature = "authenticator")]
            Self::Authenticator(proof) => Ok(proof.prover.write_fields(request, inputs, out)?),
            #[cfg(feature = "blessing")]
            Self::Blessing(proof) => Ok(proof.prover.write_fields(request, inputs, out)?),
            #[cfg(feature = "mutual")]
            Self::Mutual(proof) => Ok(proof.prover.write_fields(request, inputs, out)?),
        }
    }

    /// Returns the reason why the proof was declined, if it was.
    pub(crate) fn declined(&self) -> Option<ProofError> {
        match self {
            Self::Otp(proof) => proof.prover.declined().map(Into::into),
            #[cfg(feature = "authenticator")]
            Self::Authenticator(proof) => proof.prover.declined().map(Into::into),
            #[cfg(feature = "blessing")]
            Self::Blessing(proof) => proof.prover.declined().map(Into::into),
            #[cfg(feature = "mutual")]
            Self::Mutual(proof) => proof.prover.declined().map(Into::into),
        }
    }
}

/// An event of the connection.
pub(crate) enum On<'e> {
    /// It is open.
    Open(&'e dyn Exporter),
    /// A response has come.
    Response(&'e dyn ResponseHead),
}

/// The next step on the connection.
pub(crate) struct Next {
    /// The outcome of the exchange; `None` if a request is to be sent, with the proof's fields.
    pub(crate) outcome: Option<Outcome>,
    /// True if the key was used.
    pub(crate) has_used_key: bool,
}

/// The longest answer of a key, in bytes: that of ECDSA on P-256.
pub(crate) const MAX_ANSWER_LEN: usize = 72;

/// A key in the TPM.
pub(crate) trait KeyHolder<'m> {
    /// Carries out a request, and returns the length of the answer; `None` if the key cannot do it.
    async fn answer<C: Chip>(
        &mut self,
        keys: &mut TpmKeys<'m, C, Generator>,
        request: KeyRequest<'_>,
        out: &mut [u8; MAX_ANSWER_LEN],
    ) -> Result<Option<usize>, Error<C::Error>>;
}

async fn advance<'m, P, K, C>(
    prover: &mut P,
    key: &mut K,
    keys: &mut TpmKeys<'m, C, Generator>,
    on: On<'_>,
    inputs: &Inputs<'_>,
) -> Result<Next, Failure<C::Error>>
where
    P: Prover<Failure: Into<ProofError>>,
    K: KeyHolder<'m>,
    C: Chip,
{
    let mut answer = chanbind_core::crypto::SecretBytes::<MAX_ANSWER_LEN>::default();
    let mut next = Next {
        outcome: None,
        has_used_key: false,
    };
    let mut step = match on {
        On::Open(channel) => prover.begin(channel, inputs),
        On::Response(head) => prover.response(head, inputs),
    };
    loop {
        let request = match step {
            Step::Key(request) => request,
            Step::Send => return Ok(next),
            Step::Done(outcome) => {
                next.outcome = Some(outcome);
                return Ok(next);
            }
            Step::Failed(failure) => return Err(Failure::Proof(failure.into())),
        };
        let len = key.answer(keys, request, &mut answer).await;
        let len = len.map_err(Failure::Tpm)?;
        let len = len.ok_or(Failure::Proof(ProofError::Unsupported))?;
        next.has_used_key = true;
        step = prover.answered(answer.get(..len).unwrap_or_default());
    }
}
