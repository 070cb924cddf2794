//! Requests to the collector.

use crate::failure::Failure;
use axum::{
    body::Body,
    http::{Request, Response},
};
use bytes::Bytes;
use chanbind::tls::crypto_provider;
use http_body_util::{BodyExt, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use opentelemetry_http::{HttpClient, HttpError};
use std::{
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use tokio::runtime::Handle;

/// The content of an answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// The time that the collector has to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// A client of the collector. The exporter has a thread of its own, so its requests are sent from the runtime.
#[derive(Debug)]
pub(super) struct Collector {
    client: Client<HttpsConnector<HttpConnector>, Body>,
    runtime: Handle,
    /// True after a failure: the next ones are not logged, and the end of them is.
    has_failed: AtomicBool,
}

impl Collector {
    pub(super) fn new(endpoint: &str) -> Result<Self, Failure> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() && endpoint.starts_with("https:") {
            return Err("the certificate of the collector of traces cannot be verified: install the system's authorities (Debian: ca-certificates), or set SSL_CERT_FILE".into());
        }
        let tls = rustls::ClientConfig::builder_with_provider(crypto_provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(connector);
        Ok(Self {
            client,
            runtime: Handle::try_current()?,
            has_failed: AtomicBool::new(false),
        })
    }

    /// Logs the first failure in a row, with its causes, and the first success after it.
    fn note(&self, result: &Result<Response<Bytes>, HttpError>) {
        let reason = match result {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("the collector answered {}", response.status())),
            Err(error) => {
                let mut reason = error.to_string();
                let mut source = error.source();
                while let Some(error) = source {
                    reason = format!("{reason}: {error}");
                    source = error.source();
                }
                Some(reason)
            }
        };
        let had_failed = self.has_failed.swap(reason.is_some(), Ordering::Relaxed);
        match reason {
            Some(reason) if !had_failed => {
                tracing::warn!(
                    reason,
                    "traces cannot be sent: until they can, they are lost"
                );
            }
            None if had_failed => tracing::info!("traces are sent again"),
            _ => {}
        }
    }
}

impl HttpClient for Collector {
    fn send_bytes<'s, 'f>(
        &'s self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'f>>
    where
        's: 'f,
        Self: 'f,
    {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move {
            let exchange = async {
                let response = client.request(request.map(Body::from)).await?;
                let (parts, body) = response.into_parts();
                let content = Limited::new(body, MAX_ANSWER).collect().await?;
                Ok(Response::from_parts(parts, content.to_bytes()))
            };
            match tokio::time::timeout(LIMIT, exchange).await {
                Ok(result) => result,
                Err(_) => Err(HttpError::from("the collector did not answer in time")),
            }
        });
        Box::pin(async move {
            let result = sent.await.unwrap_or_else(|error| Err(error.into()));
            self.note(&result);
            result
        })
    }
}
