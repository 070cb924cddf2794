//! A gateway that runs in the test's process on a port of 127.0.0.1.

use crate::{
    client::TestClient,
    pki::{Authority, Pki},
};
use axum::{
    Router,
    body::Body,
    http::{Request, Response},
    routing::get,
};
use chanbind::{
    client::{ClientError, ConnectOptions, Connection},
    gateway::{Identity, Limits, Policy, ProofLayer, Registry, serve_with},
    proof::{
        authenticator::{AuthenticatorVerifier, CertifiedIdentity, Revocations, Trust},
        otp::{self, OtpVerifier, Settings},
    },
    tls,
};
use std::{convert::Infallible, error::Error, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tower::{Layer, Service};

/// A running gateway.
///
/// Dropping it aborts the gateway; [`TestGateway::stop`] shuts it down gracefully.
pub struct TestGateway {
    /// The gateway's certificate and the authority that issued it.
    pub pki: Pki,
    /// The port on 127.0.0.1 on which the gateway listens.
    pub port: u16,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl TestGateway {
    /// Starts a gateway for the clients of `registry`, on a free port and with a new certificate. It responds to `GET /get` with
    /// `ok CLIENT FORM`.
    ///
    /// # Errors
    /// Returns an error if the certificate cannot be created, if rustls rejects it, or if no socket can be bound.
    pub async fn start(
        registry: Arc<dyn Registry>,
        settings: Settings,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Self::start_as(registry, settings, Pki::new()?, 0).await
    }

    /// Starts a gateway as [`TestGateway::start`] does, with the certificate of `pki` and on `port`, for example those of a gateway that
    /// was stopped. The port 0 stands for a free port.
    ///
    /// # Errors
    /// Returns an error if rustls rejects the certificate, or if `port` cannot be bound.
    pub async fn start_as(
        registry: Arc<dyn Registry>,
        settings: Settings,
        pki: Pki,
        port: u16,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let handler = |identity: Identity| async move {
            let form = identity.details().map(otp::Details::form);
            format!(
                "ok {} {}",
                identity.subject(),
                form.map_or("", |form| form.name())
            )
        };
        let app = Router::new().route("/get", get(handler));
        let policy = Policy::new().require("/", OtpVerifier::new(registry, settings));
        Self::serve_as(ProofLayer::new(policy).layer(app), pki, port).await
    }

    /// Starts a gateway that requires an Exported Authenticator with a certificate of `authority`, and responds to `GET /get` with
    /// `ok URI`. Returns the gateway and its list of revoked keys. The port 0 stands for a free port.
    ///
    /// # Errors
    /// Returns an error if the authority's certificate is rejected, if rustls rejects the gateway's certificate, or if `port` cannot be
    /// bound.
    pub async fn certified(
        authority: &Authority,
        pki: Pki,
        port: u16,
    ) -> Result<(Self, Arc<Revocations>), Box<dyn Error + Send + Sync>> {
        let trust = Trust::from_pem(authority.pem().as_bytes())?;
        let revocations = Revocations::new();
        let verifier = AuthenticatorVerifier::with_revocations(trust, &revocations);
        let layer = ProofLayer::new(Policy::new().require("/", verifier));
        let handler =
            |identity: CertifiedIdentity| async move { format!("ok {}", identity.name()) };
        let app = layer.layer(Router::new().route("/get", get(handler)));
        Ok((Self::serve_as(app, pki, port).await?, revocations))
    }

    /// Starts a gateway that serves `app`, on a free port and with a new certificate.
    ///
    /// # Errors
    /// Returns an error if the certificate cannot be created, if rustls rejects it, or if no socket can be bound.
    pub async fn serve<S>(app: S) -> Result<Self, Box<dyn Error + Send + Sync>>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
    {
        Self::serve_as(app, Pki::new()?, 0).await
    }

    /// Starts a gateway as [`TestGateway::serve`] does, with the certificate of `pki` and on `port`.
    ///
    /// # Errors
    /// Returns an error if rustls rejects the certificate, or if `port` cannot be bound.
    pub async fn serve_as<S>(
        app: S,
        pki: Pki,
        port: u16,
    ) -> Result<Self, Box<dyn Error + Send + Sync>>
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
    {
        let tls = tls::server_config_from_pem(pki.certificate.as_bytes(), pki.key.as_bytes())?;
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let port = listener.local_addr()?.port();
        let (stop, stopped) = oneshot::channel();
        // An emulated board is far slower than its clock says, above all on a machine that does other work too.
        let mut limits = Limits::default();
        limits.handshake = Duration::from_secs(120);
        limits.head = Duration::from_secs(180);
        limits.idle = limits.head;
        let task = tokio::spawn(serve_with(listener, tls, app, limits, async {
            let _ = stopped.await;
        }));
        Ok(Self {
            pki,
            port,
            stop: Some(stop),
            task,
        })
    }

    /// Returns the URI of `path` on this gateway.
    #[must_use]
    pub fn uri(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// Opens a connection to the gateway, with trust in its authority.
    ///
    /// # Errors
    /// Returns the error of [`Connection::open`], and [`ClientError::Uri`] if the authority's certificate is rejected.
    pub async fn connect(&self) -> Result<TestClient, ClientError> {
        let roots = tls::roots_from_pem(self.pki.ca.as_bytes())
            .map_err(|error| ClientError::Uri(error.to_string()))?;
        let config =
            tls::client_config(roots).map_err(|error| ClientError::Uri(error.to_string()))?;
        let options = ConnectOptions::default();
        let connection = Connection::open("localhost", self.port, config, &options).await?;
        Ok(TestClient::new(connection))
    }

    /// Shuts the gateway down gracefully and waits for its end.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = (&mut self.task).await;
    }
}

impl Drop for TestGateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}
