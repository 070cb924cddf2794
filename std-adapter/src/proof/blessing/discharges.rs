//! Discharges of third-party caveats over HTTPS: how a gateway fetches them, and how a third party gives them.

use super::{ALGORITHMS, MAX_BLESSINGS_LEN, Principal, PrincipalError, trust::now};
use crate::client::{ConnectOptions, Connection};
use axum::{
    body::Bytes,
    http::{Request, StatusCode, Uri, header},
    routing::{MethodRouter, post},
};
use chanbind_core::blessing::{
    BlessingError, Caveat, CheckContext, Condition, NameList, THIRD_PARTY, ThirdParty,
};
use http_body_util::{BodyExt, Limited};
use rustls::ClientConfig;
use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

/// A third-party caveat of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DischargeRequest {
    /// The place where the third party gives discharges.
    pub location: String,
    /// The parameter of the caveat in VOM.
    pub parameter: Vec<u8>,
}

/// The result of fetching a discharge: VOM with the definitions of the types, or the reason for an operator.
pub type Fetched<'a> = Pin<Box<dyn Future<Output = Result<Vec<u8>, String>> + Send + 'a>>;

/// A source of discharges for the caveats of clients, which a gateway asks for those that a client has not brought.
pub trait DischargeSource: Send + Sync + 'static {
    /// Fetches a discharge.
    fn fetch(&self, request: DischargeRequest) -> Fetched<'_>;
}

/// Fetches discharges from third parties whose locations are URLs, by POST over HTTPS, as [`discharger`] gives them.
#[derive(Clone)]
pub struct HttpsDischarges {
    allowed: Vec<Uri>,
    tls: Arc<ClientConfig>,
    limit: Duration,
    /// The fetches that may run at the same time.
    free: Arc<Semaphore>,
}

/// The most fetches of an [`HttpsDischarges`] that run at the same time: clients cannot make a gateway flood a third party.
const MAX_FETCHES: usize = 16;

impl HttpsDischarges {
    /// Creates a source for the locations at or below these URLs: a client cannot lead the gateway to others. `tls` says which servers are trusted.
    #[must_use]
    pub fn new(allowed: impl IntoIterator<Item = Uri>, tls: impl Into<Arc<ClientConfig>>) -> Self {
        Self {
            allowed: allowed.into_iter().collect(),
            tls: tls.into(),
            limit: Duration::from_secs(5),
            free: Arc::new(Semaphore::new(MAX_FETCHES)),
        }
    }

    /// Sets the time within which a third party must answer, and in which a fetch waits for others to end; 5 seconds by default.
    #[must_use]
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    fn allows(&self, location: &Uri) -> bool {
        let path = location.path();
        // Servers read these in more than one way, so that a path with them could leave the allowed one.
        let is_plain = location.query().is_none()
            && !path.contains(['%', '\\', ';'])
            && path.split('/').all(|part| part != "." && part != "..");
        is_plain
            && self.allowed.iter().any(|allowed| {
                let rest = path.strip_prefix(allowed.path());
                allowed.scheme() == location.scheme()
                    && allowed.authority() == location.authority()
                    && rest.is_some_and(|rest| {
                        rest.is_empty() || rest.starts_with('/') || allowed.path().ends_with('/')
                    })
            })
    }

    async fn post(&self, request: DischargeRequest) -> Result<Vec<u8>, String> {
        let _turn = self
            .free
            .acquire()
            .await
            .map_err(|error| error.to_string())?;
        let uri: Uri = request
            .location
            .parse()
            .map_err(|_| "the location is not a URL".to_owned())?;
        if uri.scheme_str() != Some("https") || !self.allows(&uri) {
            return Err("the location is not one of those that are allowed".to_owned());
        }
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(443);
        let options = ConnectOptions::default();
        let connection = Connection::open(host, port, Arc::clone(&self.tls), &options).await;
        let mut connection = connection.map_err(|error| error.to_string())?;
        let post = Request::post(uri.clone())
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(request.parameter.into())
            .map_err(|error| error.to_string())?;
        let response = connection.send(post).await;
        let response = response.map_err(|error| error.to_string())?;
        if response.status() != StatusCode::OK {
            return Err(format!("the third party answered {}", response.status()));
        }
        let content = Limited::new(response.into_body(), MAX_BLESSINGS_LEN);
        let content = content.collect().await.map_err(|error| error.to_string())?;
        Ok(content.to_bytes().to_vec())
    }
}

impl DischargeSource for HttpsDischarges {
    fn fetch(&self, request: DischargeRequest) -> Fetched<'_> {
        Box::pin(async move {
            let fetched = tokio::time::timeout(self.limit, self.post(request)).await;
            fetched.unwrap_or_else(|_| Err("the third party did not answer in time".to_owned()))
        })
    }
}

impl fmt::Debug for HttpsDischarges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpsDischarges({:?})", self.allowed)
    }
}

/// Gives a discharge for a third-party caveat of `principal`'s key, whose parameter in VOM is `parameter`, if the caveats in it hold now. `decide`
/// returns the conditions of the discharge, such as the time until which it is good, or `None` to refuse.
///
/// # Errors
/// [`PrincipalError`]: also if a caveat does not hold, or if `decide` refuses.
pub async fn give_discharge(
    principal: &Principal,
    parameter: &[u8],
    decide: &(dyn Fn(&ThirdParty<'_>) -> Option<Vec<Condition<'static>>> + Send + Sync),
) -> Result<Vec<u8>, PrincipalError> {
    if parameter.len() > MAX_BLESSINGS_LEN {
        return Err(PrincipalError::Refused);
    }
    let (id, conditions) = decided(principal, parameter, decide)?;
    principal.discharge_of(&id, &conditions).await
}

/// Returns the identifier of the caveat, and the conditions of its discharge.
fn decided(
    principal: &Principal,
    parameter: &[u8],
    decide: &dyn Fn(&ThirdParty<'_>) -> Option<Vec<Condition<'static>>>,
) -> Result<(String, Vec<Condition<'static>>), PrincipalError> {
    let caveat = Caveat {
        id: THIRD_PARTY,
        parameter,
    };
    let no_discharges: &[&[u8]] = &[];
    let local_names = NameList::new();
    let context = CheckContext {
        time: now(),
        method: "",
        method_tags: &[],
        local_names: &local_names,
        discharges: &no_discharges,
        algorithms: &ALGORITHMS,
    };
    let decided = caveat.with_third_party(|party| {
        let mut holds = Ok(());
        party.caveats().for_each(&mut |caveat| {
            holds = holds.and_then(|()| caveat.check(&context));
            Ok(())
        })?;
        holds.map_err(BlessingError::Caveat)?;
        let conditions = decide(party).ok_or(PrincipalError::Refused)?;
        Ok::<_, PrincipalError>((principal.discharge_id(party)?, conditions))
    });
    let decided = decided.map_err(BlessingError::Caveat)?;
    decided.ok_or(PrincipalError::Refused)?
}

/// Returns a handler that gives discharges by POST, as [`HttpsDischarges`] asks for them: the content of a request is the parameter of the caveat, and
/// that of the response the discharge, both in VOM. It answers 403 if `decide` refuses or if a caveat does not hold.
pub fn discharger<D>(principal: &Arc<Principal>, decide: D) -> MethodRouter
where
    D: Fn(&ThirdParty<'_>) -> Option<Vec<Condition<'static>>> + Send + Sync + 'static,
{
    let principal = Arc::clone(principal);
    let decide = Arc::new(decide);
    post(move |parameter: Bytes| {
        let (principal, decide) = (Arc::clone(&principal), Arc::clone(&decide));
        async move {
            let given = give_discharge(&principal, &parameter, &*decide).await;
            given.map_err(|error| {
                tracing::info!(%error, "discharge refused");
                StatusCode::FORBIDDEN
            })
        }
    })
}
