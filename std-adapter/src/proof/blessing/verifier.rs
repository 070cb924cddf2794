use super::{
    ALGORITHMS, BlessingNames, DischargeRequest, DischargeSource, KIND, MAX_BLESSINGS_LEN,
    PeerPatterns, Principal, missing,
    trust::{PeerNames, names_of_peer},
};
use crate::{
    gateway::Channel,
    proof::{
        Identity, Recipient, Refusal, RequestHead, Verdict, Verification, Verifier,
        remove_credentials,
    },
};
use axum::http::{HeaderMap, HeaderValue};
use chanbind_core::blessing::{
    BlessingError, EncodedBlessings, Evidence, MAX_AUTH_LEN, PublicKey, ServerExchange,
    ServerProof, auth_message,
    http::{self, MAX_DISCHARGES, SCHEME},
};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// Asks clients for blessings, after it has shown those of a principal of its own. `docs/proofs/BLESSING.md` says what travels.
///
/// A client proves its key once for each connection. Its names are determined anew for each request, so that caveats are checked against the time and the
/// method of the request: the HTTP method.
pub struct BlessingVerifier {
    principal: Arc<Principal>,
    peers: PeerPatterns,
    source: Option<Arc<dyn DischargeSource>>,
}

/// The state of a connection.
#[derive(Default)]
struct Session {
    state: Mutex<State>,
    /// Held while discharges are fetched. The time until which none are.
    fetching: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Default)]
enum State {
    /// The gateway has not proved itself.
    #[default]
    New,
    /// The gateway cannot prove itself: its operator knows why.
    Failed(String),
    /// The gateway has proved itself, and the client may.
    Proved {
        challenge: HeaderValue,
        proof: ServerProof,
        client: Option<Arc<Presented>>,
    },
}

/// The blessings, whose signatures have been verified, and the discharges that a client has presented.
struct Presented {
    blessings: Vec<u8>,
    discharges: Vec<Vec<u8>>,
}

impl Presented {
    fn discharges(&self) -> Vec<&[u8]> {
        self.discharges.iter().map(Vec::as_slice).collect()
    }
}

impl BlessingVerifier {
    /// Creates a verifier that shows the blessings of `principal`, and admits clients with names that `peers` admits.
    #[must_use]
    pub fn new(principal: &Arc<Principal>, peers: PeerPatterns) -> Arc<Self> {
        Self::with(principal, peers, None)
    }

    /// Creates a verifier that fetches discharges from `source`, when a client with a recognized root has not brought those that it needs.
    #[must_use]
    pub fn with_discharges(
        principal: &Arc<Principal>,
        peers: PeerPatterns,
        source: Arc<dyn DischargeSource>,
    ) -> Arc<Self> {
        Self::with(principal, peers, Some(source))
    }

    fn with(
        principal: &Arc<Principal>,
        peers: PeerPatterns,
        source: Option<Arc<dyn DischargeSource>>,
    ) -> Arc<Self> {
        if let Some(warning) = peers.warning() {
            tracing::warn!("{warning}");
        }
        Arc::new(Self {
            principal: Arc::clone(principal),
            peers,
            source,
        })
    }

    fn session(&self, channel: &Channel) -> Arc<Session> {
        channel.state(self.principal.id(), Session::default)
    }

    /// Signs the connection's binding, once.
    async fn prove(&self, channel: &Channel, session: &Session) {
        if !matches!(*session.lock(), State::New) {
            return;
        }
        let proved = self.challenge(channel).await;
        let mut state = session.lock();
        // Another request may have done the same meanwhile, and clients may have answered its challenge.
        if !matches!(*state, State::New) {
            return;
        }
        *state = match proved {
            Ok((proof, challenge)) => State::Proved {
                challenge,
                proof,
                client: None,
            },
            Err(reason) => State::Failed(reason),
        };
    }

    async fn challenge(&self, channel: &Channel) -> Result<(ServerProof, HeaderValue), String> {
        let exchange = ServerExchange::new(channel.exporter());
        let exchange = exchange.map_err(|error| error.to_string())?;
        let key = self.principal.key().public_key();
        let key = PublicKey::parse(key, &ALGORITHMS).ok_or("the key is not supported")?;
        let request = exchange.request(&key).map_err(|error| error.to_string())?;
        let signature = self.principal.sign(&request).await;
        let signature = signature.map_err(|error| error.to_string())?;
        let mut message = [0; MAX_AUTH_LEN];
        let discharges = self.principal.discharges();
        let mut evidence = Evidence {
            blessings: self.principal.blessings(),
            auth: auth_message(&signature, !discharges.is_empty(), &mut message),
            ..Evidence::default()
        };
        for discharge in discharges {
            let _ = evidence.discharges.push(discharge);
        }
        let mut out = vec![0; evidence.encoded_len()];
        let text = evidence
            .encode(&mut out)
            .map_err(|error| error.to_string())?;
        let value = HeaderValue::from_str(text).map_err(|error| error.to_string())?;
        Ok((exchange.proved(), value))
    }

    async fn check(
        &self,
        session: &Session,
        method: &str,
        credentials: Option<&str>,
    ) -> Result<Verdict, Refusal> {
        let mut refused = None;
        if let Some(known) = session.client()? {
            match self.admit(session, known, method).await {
                Ok(admitted) => return Ok(admitted),
                Err(refusal) => refused = Some(refusal),
            }
        }
        // A client whose blessings have expired may show others.
        match (credentials.and_then(http::credentials), refused) {
            (Some(params), _) => {
                let presented = session.present(params)?;
                self.admit(session, presented, method).await
            }
            (None, Some(refusal)) => Err(refusal),
            (None, None) => Ok(Verdict::Absent),
        }
    }

    /// Identifies a client that has proved its key, with discharges that are fetched if it needs them.
    async fn admit(
        &self,
        session: &Session,
        presented: Arc<Presented>,
        method: &str,
    ) -> Result<Verdict, Refusal> {
        let refused = match self.identify(&presented, method) {
            Ok(admitted) => {
                session.keep(presented);
                return Ok(admitted);
            }
            Err(refused) => refused,
        };
        let requests = self.missing(&presented, &refused.undischarged, method);
        match &self.source {
            Some(source) if !requests.is_empty() => {
                let admitted = self.admit_later(session, &presented, method, (&**source, requests));
                admitted.await.unwrap_or(Err(refused.refusal))
            }
            _ => Err(refused.refusal),
        }
    }

    /// Fetches discharges, and identifies the client again. Returns `None` if nothing has been fetched.
    async fn admit_later(
        &self,
        session: &Session,
        presented: &Presented,
        method: &str,
        (source, requests): (&dyn DischargeSource, Vec<DischargeRequest>),
    ) -> Option<Result<Verdict, Refusal>> {
        let mut paused = session.fetching.lock().await;
        // Another request of the connection may have fetched them meanwhile.
        if let Ok(Some(known)) = session.client()
            && let Ok(admitted) = self.identify(&known, method)
        {
            return Some(Ok(admitted));
        }
        let now = Instant::now();
        if paused.is_some_and(|until| now < until) {
            return None;
        }
        let mut discharges = missing::fetch(source, requests).await;
        *paused = now.checked_add(missing::PAUSE);
        if discharges.is_empty() {
            return None;
        }
        // The first discharge for a caveat is the one that counts, so the new ones go before those that may have expired.
        discharges.extend_from_slice(&presented.discharges);
        discharges.truncate(2 * MAX_DISCHARGES);
        let presented = Presented {
            blessings: presented.blessings.clone(),
            discharges,
        };
        let identified = self.identify(&presented, method);
        Some(identified.map_err(|refused| refused.refusal).inspect(|_| {
            *paused = None;
            session.keep(Arc::new(presented));
        }))
    }

    /// Determines the names of a client that has proved its key.
    fn identify(&self, presented: &Presented, method: &str) -> Result<Verdict, NotAdmitted> {
        let discharges = presented.discharges();
        let identify = || -> Result<(PeerNames, Vec<u8>), BlessingError> {
            let encoded = EncodedBlessings::parse(&presented.blessings)?;
            let verified = encoded.blessings().verified_before(&ALGORITHMS)?;
            let principal = &self.principal;
            let names = names_of_peer(principal, &verified, &&discharges[..], method)?;
            Ok((names, verified.public_key().as_der().to_vec()))
        };
        let (peer, public_key) = identify().map_err(|error| NotAdmitted {
            refusal: Refusal::not_proved(error),
            undischarged: Vec::new(),
        })?;
        let PeerNames {
            names,
            rejected,
            mut undischarged,
        } = peer;
        if !self.peers.admits(&names) {
            let names: Vec<_> = names.iter().collect();
            let reason =
                format_args!("the names {names:?} are not admitted; rejected: {rejected:?}");
            undischarged.retain(|(_, name)| self.peers.admits_name(name));
            return Err(NotAdmitted {
                refusal: Refusal::not_proved(reason),
                undischarged: undischarged.into_iter().map(|(chain, _)| chain).collect(),
            });
        }
        let names: Arc<[String]> = self.peers.admitted(&names).into();
        // A list that admits every peer admits those without names too.
        let subject = names.first().cloned().unwrap_or_default();
        let details = BlessingNames {
            names,
            public_key: public_key.into(),
        };
        Ok(Verdict::accepted(Identity::new(subject, KIND, details)))
    }

    /// Returns the third-party caveats of these chains for which a discharge is missing.
    fn missing(
        &self,
        presented: &Presented,
        chains: &[usize],
        method: &str,
    ) -> Vec<DischargeRequest> {
        let discharges = presented.discharges();
        let blessings = &presented.blessings;
        let missing = missing::missing(&self.principal, blessings, chains, &discharges, method);
        missing.unwrap_or_default()
    }
}

/// The refusal of a client whose names are not admitted.
struct NotAdmitted {
    refusal: Refusal,
    /// The chains with names that would be admitted if there were a discharge.
    undischarged: Vec<usize>,
}

/// Verifies what a client presents.
fn present(proof: &ServerProof, params: &str) -> Result<Arc<Presented>, Refusal> {
    let mut buffer = vec![0; params.len().min(MAX_BLESSINGS_LEN)];
    let evidence = Evidence::decode(params, &mut buffer).map_err(|_| {
        Refusal::malformed("Authorization: the blessings are malformed or too long")
    })?;
    let encoded = EncodedBlessings::parse(evidence.blessings).map_err(Refusal::not_proved)?;
    proof
        .verify(&encoded, &evidence, &ALGORITHMS)
        .map_err(Refusal::not_proved)?;
    Ok(Arc::new(Presented {
        blessings: evidence.blessings.to_vec(),
        discharges: evidence.discharges.iter().map(|one| one.to_vec()).collect(),
    }))
}

impl Session {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what the client of the connection has presented, if there is one.
    fn client(&self) -> Result<Option<Arc<Presented>>, Refusal> {
        match &*self.lock() {
            State::Proved { client, .. } => Ok(client.clone()),
            State::Failed(reason) => Err(Refusal::internal(reason.clone())),
            State::New => Ok(None),
        }
    }

    /// Verifies what a client presents.
    fn present(&self, params: &str) -> Result<Arc<Presented>, Refusal> {
        match &*self.lock() {
            State::Proved { proof, .. } => present(proof, params),
            _ => Err(Refusal::internal("the gateway has not proved itself yet")),
        }
    }

    /// Makes an admitted client that of the connection, for later requests.
    fn keep(&self, presented: Arc<Presented>) {
        if let State::Proved { client, .. } = &mut *self.lock() {
            *client = Some(presented);
        }
    }
}

impl Verifier for BlessingVerifier {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn verify(self: Arc<Self>, channel: &Channel, request: &RequestHead<'_>) -> Verification {
        let session = self.session(channel);
        let method = request.method.as_str().to_owned();
        let field = request.recipient.credentials_field();
        let mut values = request.headers.get_all(&field).iter();
        let first = values.next().map(|value| value.to_str().map(str::to_owned));
        let credentials = match (first, values.next()) {
            (None, _) => None,
            (Some(Ok(text)), None) => Some(text),
            _ => {
                let reason = format!("{field}: the field is repeated, or is not text");
                return Verification::Ready(Verdict::Refused(Refusal::malformed(reason)));
            }
        };
        let channel = channel.clone();
        Verification::Pending(Box::pin(async move {
            self.prove(&channel, &session).await;
            self.check(&session, &method, credentials.as_deref())
                .await
                .unwrap_or_else(Verdict::Refused)
        }))
    }

    fn challenges(&self, channel: &Channel) -> Result<Vec<HeaderValue>, Refusal> {
        let session = self.session(channel);
        match &*session.lock() {
            State::Proved { challenge, .. } => Ok(vec![challenge.clone()]),
            State::Failed(reason) => Err(Refusal::internal(reason.clone())),
            State::New => Err(Refusal::internal("the gateway has not proved itself yet")),
        }
    }

    fn remove_proof(&self, recipient: Recipient, headers: &mut HeaderMap) {
        remove_credentials(headers, recipient, SCHEME);
    }
}

impl fmt::Debug for BlessingVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlessingVerifier({:?})", self.principal)
    }
}
