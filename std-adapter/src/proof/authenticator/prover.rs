use super::{
    Credentials, MAX_REQUESTS,
    header_fields::{MAX_AUTHENTICATOR_LEN, MAX_REQUEST_LEN},
};
use chanbind_core::authenticator::Prover;

/// A prover of authenticators; see [`prover`].
pub type AuthenticatorProver<I = Credentials> = Prover<I, Vec<u8>, MAX_REQUESTS>;

/// Creates a prover that answers with `credentials`, and declines where the gateway asks for other ones. The credentials are also the
/// holder of its key.
#[must_use]
pub fn prover(credentials: &Credentials) -> AuthenticatorProver {
    with(credentials.clone())
}

/// Creates a prover that declines all requests, for clients without a certificate.
#[must_use]
pub fn decliner() -> AuthenticatorProver<()> {
    with(())
}

fn with<I: chanbind_core::authenticator::ClientIdentity>(identity: I) -> AuthenticatorProver<I> {
    Prover::new(
        identity,
        vec![0; MAX_REQUEST_LEN],
        vec![0; MAX_AUTHENTICATOR_LEN],
    )
}
