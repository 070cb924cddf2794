//! The end that proves: one TLS connection, HTTP on it, and the proof that goes with its requests.
//!
//! [`Connection`] is a verified TLS connection to a server. A [`Session`] is one with a proof: it runs any
//! [`Prover`](chanbind_core::proof::Prover) with any [`KeyHolder`](crate::proof::KeyHolder), and sends any request. A [`Pool`] opens sessions as they are
//! needed, as a `tower` service.
//!
//! ```no_run
//! use chanbind::{
//!     client::{ConnectOptions, Connection, Session},
//!     proof::otp::{self, Form, Settings},
//!     protocol::otp::ClientId,
//!     tls,
//!     tpm::{KeyFile, OpenOptions, Tpm},
//! };
//! use axum::http::Request;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let tpm = Tpm::open("device:/dev/tpmrm0", OpenOptions::default()).await?;
//! let key = tpm.load(KeyFile::from_pem(&std::fs::read_to_string("client1.pem")?)?, None).await?;
//!
//! let tls = tls::client_config(tls::roots_from_pem(&std::fs::read("ca.pem")?)?)?;
//! let connection = Connection::open("gateway.example", 443, tls, &ConnectOptions::default()).await?;
//! let prover = otp::prover(&Settings::default(), ClientId::new("client1")?, Form::ApiKey);
//! let mut session = Session::begin(connection, prover, key).await?;
//!
//! let request = Request::post("https://gateway.example/readings").body("23.5".into())?;
//! let answer = session.send(request).await?;
//! println!("{}, {:?}", answer.response.status(), answer.outcome);
//! let content = answer.response.into_body().bytes(1024).await?;
//! # Ok(())
//! # }
//! ```

mod body;
mod channel;
mod connection;
mod error;
mod pool;
mod proxy;
mod session;

pub use body::{BoxError, RequestBody, ResponseBody};
pub use channel::ClientChannel;
pub use connection::{ConnectOptions, Connection};
pub use error::{ClientError, TlsFailure};
pub use pool::{Pool, PoolError};
pub use session::{Answer, Session, SessionError};
