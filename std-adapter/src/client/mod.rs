//! The end that proves: one TLS connection, HTTP on it, and the headers that say who is speaking.
//!
//! ```no_run
//! use chanbind::{client::{Connection, Prover}, core::otp::ClientId, proof::{Form, Settings}, tls, tpm::{KeyFile, OpenOptions, Tpm}};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let tpm = Tpm::open("device:/dev/tpmrm0", OpenOptions::default()).await?;
//! let mut key = tpm.load(KeyFile::from_pem(&std::fs::read_to_string("client1.pem")?)?, None).await?;
//!
//! let tls = tls::client_config(tls::roots_from_pem(&std::fs::read("ca.pem")?)?)?;
//! let mut connection = Connection::open("gateway.example", 443, tls).await?;
//! let prover = Prover::new(Settings::default(), ClientId::new("client1")?);
//! let mut request = Connection::get(&"https://gateway.example/".parse()?)?;
//! prover.prove(Form::ApiKey, connection.channel(), &mut key, &mut request).await?;
//! let response = connection.send(request).await?;
//! # Ok(())
//! # }
//! ```

mod certified;
mod connection;
mod prover;

pub use certified::{Asked, CertifiedError};
pub use connection::{ClientError, Connection};
pub use prover::{ProveError, Prover, TOKEN_LIFETIME};
