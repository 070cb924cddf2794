//! A gateway in this process, on a free port.

use crate::pki::{Authority, Pki};
use axum::{
    Router,
    body::Body,
    http::{Request, Response},
    routing::get,
};
use chanbind::{
    authenticator::{CertifiedIdentity, Trust},
    client::{ClientError, Connection},
    gateway::{AuthenticatorLayer, AuthenticatorPolicy, Identity, ProofLayer, Registry, serve},
    proof::Settings,
    tls,
};
use std::{convert::Infallible, error::Error};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tower::{Layer, Service};

/// A running gateway; ended when dropped, or in order by [`TestGateway::stop`].
pub struct TestGateway {
    /// The authority that vouches for it, and its certificate.
    pub pki: Pki,
    /// Its port on 127.0.0.1.
    pub port: u16,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl TestGateway {
    /// A gateway that answers GET /get with `ok CLIENT FORM`, for the clients of `registry`.
    ///
    /// # Errors
    /// As TLS and the system say.
    pub async fn start(
        registry: Registry,
        settings: Settings,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Self::start_as(registry, settings, Pki::new()?, 0).await
    }

    /// As [`TestGateway::start`], with the certificate and the port of one that has ended.
    ///
    /// # Errors
    /// As TLS and the system say.
    pub async fn start_as(
        registry: Registry,
        settings: Settings,
        pki: Pki,
        port: u16,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let who = |who: Identity| async move { format!("ok {} {}", who.client(), who.form()) };
        let app = Router::new().route("/get", get(who));
        Self::serve_as(ProofLayer::new(registry, settings).layer(app), pki, port).await
    }

    /// A gateway that answers GET /get with `ok URI` to devices of `authority`, which prove their certificates.
    ///
    /// # Errors
    /// As TLS and the system say.
    pub async fn certified(
        authority: &Authority,
        pki: Pki,
        port: u16,
    ) -> Result<(Self, AuthenticatorLayer), Box<dyn Error + Send + Sync>> {
        let trust = Trust::from_pem(authority.pem().as_bytes())?;
        let layer = AuthenticatorLayer::new(AuthenticatorPolicy::new().require("/", &trust));
        let who = |who: CertifiedIdentity| async move { format!("ok {}", who.name()) };
        let app = layer.layer(Router::new().route("/get", get(who)));
        Ok((Self::serve_as(app, pki, port).await?, layer))
    }

    /// A gateway around any application.
    ///
    /// # Errors
    /// As TLS and the system say.
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

    async fn serve_as<S>(app: S, pki: Pki, port: u16) -> Result<Self, Box<dyn Error + Send + Sync>>
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
        let task = tokio::spawn(serve(listener, tls, app, async {
            let _ = stopped.await;
        }));
        Ok(Self {
            pki,
            port,
            stop: Some(stop),
            task,
        })
    }

    /// The address of a path.
    #[must_use]
    pub fn uri(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// A new connection to it.
    ///
    /// # Errors
    /// As the connection says.
    pub async fn connect(&self) -> Result<Connection, ClientError> {
        let roots = tls::roots_from_pem(self.pki.ca.as_bytes())
            .map_err(|error| ClientError::Uri(error.to_string()))?;
        let config =
            tls::client_config(roots).map_err(|error| ClientError::Uri(error.to_string()))?;
        Connection::open("localhost", self.port, config).await
    }

    /// Ends it in order.
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
