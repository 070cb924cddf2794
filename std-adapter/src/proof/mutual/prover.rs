use super::{PreparationError, prepared_password, prepared_user};
use chanbind_core::mutual::{MutualError, MutualProver, Origin, Password};

/// The error of creating a prover.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProverError {
    /// The name or the password has a character that is not allowed.
    #[error("{0}")]
    Preparation(#[from] PreparationError),
    /// The name or the password is too long.
    #[error("{0}")]
    Mutual(MutualError),
}

/// Creates a prover for a user of a server. Prepares both texts as RFC 8265 says. The prover needs no key: give its session `()`.
///
/// Deriving the password takes as long as 33,000 compressions of a hash, once, and runs where the session runs.
///
/// # Examples
///
/// ```no_run
/// # async fn example(connection: chanbind::client::Connection) -> Result<(), Box<dyn std::error::Error>> {
/// use chanbind::{client::Session, proof::mutual, protocol::mutual::Origin};
///
/// let origin = Origin::parse("https://gateway.example")?;
/// let prover = mutual::prover(origin, "john", "correct horse")?;
/// let session = Session::begin(connection, prover, ()).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ProverError`] if the name or the password is empty, too long, or has characters that are not allowed.
pub fn prover(origin: Origin, user: &str, password: &str) -> Result<MutualProver, ProverError> {
    let user = prepared_user(user)?;
    let password = Password::new(&prepared_password(password)?).map_err(ProverError::Mutual)?;
    MutualProver::new(origin, &user, password).map_err(ProverError::Mutual)
}
