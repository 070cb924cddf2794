//! Both sides of an exchange in memory, message by message.

use chanbind_core::{
    exporter::{Exporter, ExporterSecret},
    mutual::{
        Algorithm, Credentials, Decoy, HostValidation, MAX_MESSAGE_LEN, MutualFailure,
        MutualProver, MutualSettings, Origin, Password, Realm, Reason, ServerSession, SessionId,
        StoredCredential, Validation, Verdict, write_init,
    },
    proof::{Fields, Inputs, Outcome, Prover, RequestTarget, ResponseHead, Step},
};
use std::{collections::HashMap, sync::OnceLock};

pub(crate) const USER: &str = "john";
pub(crate) const PASSWORD: &str = "correct horse";

/// Bytes that are different for each number, in place of random ones.
pub(crate) fn random(number: u64) -> [u8; 64] {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5555;
    std::array::from_fn(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33).to_le_bytes()[0]
    })
}

pub(crate) fn realm() -> Realm {
    Realm::new(Algorithm::P256_SHA256, "server.example", "a realm").unwrap()
}

pub(crate) fn origin() -> Origin {
    Origin::parse("https://server.example").unwrap()
}

/// J of the user, which takes a while to derive.
pub(crate) fn stored() -> &'static StoredCredential {
    static STORED: OnceLock<StoredCredential> = OnceLock::new();
    STORED.get_or_init(|| StoredCredential::register(&realm(), USER, PASSWORD).unwrap())
}

/// The exporter of a connection.
pub(crate) fn connection(number: u8) -> ExporterSecret {
    ExporterSecret::sha256(&[number; 32])
}

pub(crate) fn validation(channel: &ExporterSecret) -> HostValidation {
    HostValidation::tls_exporter(channel).unwrap()
}

/// The head of a response.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(&'static str, String)>,
}

impl Head {
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status,
            fields: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    pub(crate) fn challenge(value: impl Into<String>) -> Self {
        Self::new(401).with("www-authenticate", value)
    }

    /// Returns the first value of a field.
    pub(crate) fn value(&self, name: &str) -> &str {
        let mut all = self.fields.iter();
        &all.find(|(one, _)| *one == name).unwrap().1
    }
}

impl ResponseHead for Head {
    fn status(&self) -> u16 {
        self.status
    }

    fn field(&self, name: &str, nth: usize) -> Option<&[u8]> {
        let mut all = self.fields.iter();
        let mut same = all.by_ref().filter(|(one, _)| *one == name);
        same.nth(nth).map(|(_, value)| value.as_bytes())
    }
}

/// A server with one user, after RFC 8120 section 11.
pub(crate) struct Server {
    pub(crate) realm: Realm,
    pub(crate) offered: Vec<Validation>,
    pub(crate) nc_max: u32,
    pub(crate) sessions: HashMap<SessionId, ServerSession>,
    pub(crate) served: u64,
    decoy: Decoy,
    made: u64,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self {
            realm: realm(),
            offered: vec![Validation::TlsExporter],
            nc_max: 1_000,
            sessions: HashMap::new(),
            served: 0,
            decoy: Decoy::new(&realm(), &random(77)).unwrap(),
            made: 1_000,
        }
    }

    pub(crate) fn init(&self, reason: Reason) -> Head {
        let mut head = Head::new(401);
        for method in &self.offered {
            let mut out = [0; MAX_MESSAGE_LEN];
            let text = write_init(&self.realm, *method, reason, &mut out).unwrap();
            head = head.with("www-authenticate", text);
        }
        head
    }

    /// Answers a request.
    pub(crate) fn answer(&mut self, authorization: Option<&str>, channel: &ExporterSecret) -> Head {
        let parsed = authorization.and_then(Credentials::parse);
        let credentials = match parsed {
            None => return self.init(Reason::Initial),
            Some(Err(_)) => return self.init(Reason::InvalidParameters),
            Some(Ok(credentials)) => credentials,
        };
        let validations = [validation(channel), HostValidation::host(&origin())];
        let is_offered = |method: &Validation| credentials.are_for(&self.realm, *method);
        if !self.offered.iter().any(is_offered) {
            return self.init(Reason::InvalidParameters);
        }
        self.made += 1;
        if let Some(user) = credentials.user() {
            let j = (user == USER).then(|| stored().j(&self.realm, user).unwrap());
            let sid = SessionId::from_slice(&random(self.made)[..16]).unwrap();
            let session = ServerSession::begin(
                &self.realm,
                &credentials,
                j,
                &self.decoy,
                self.nc_max,
                &random(self.made),
            );
            let Ok(session) = session else {
                return self.init(Reason::InvalidParameters);
            };
            let method = *self.offered.iter().find(|one| is_offered(one)).unwrap();
            let mut out = [0; MAX_MESSAGE_LEN];
            let head = Head::challenge(session.write(method, &sid, 300, &mut out).unwrap());
            self.sessions.insert(sid, session);
            return head;
        }
        let sid = credentials.session().unwrap();
        let Some(session) = self.sessions.get_mut(sid) else {
            return self.init(Reason::StaleSession);
        };
        match session.verify(&credentials, &validations) {
            Verdict::Proved(proof) => {
                self.served += 1;
                let mut out = [0; MAX_MESSAGE_LEN];
                let info = proof.write(&mut out).unwrap();
                Head::new(200).with("authentication-info", info)
            }
            Verdict::Refused => self.init(Reason::AuthFailed),
            Verdict::Stale => self.init(Reason::StaleSession),
        }
    }
}

/// A client.
pub(crate) struct Client {
    pub(crate) prover: MutualProver,
    pub(crate) now: Option<u64>,
    made: u64,
}

/// The end of a sequence of requests.
pub(crate) type Ended = Result<Outcome, MutualFailure>;

impl Client {
    pub(crate) fn new(user: &str, password: &str) -> Self {
        let password = Password::new(password).unwrap();
        Self::of(MutualProver::new(origin(), user, password).unwrap())
    }

    pub(crate) fn of(prover: MutualProver) -> Self {
        Self {
            prover,
            now: Some(1_000_000),
            made: 0,
        }
    }

    pub(crate) fn honest() -> Self {
        Self::new(USER, PASSWORD)
    }

    pub(crate) fn with_settings(set: impl FnOnce(&mut MutualSettings)) -> Self {
        let mut settings = MutualSettings::of(&origin());
        set(&mut settings);
        let password = Password::new(PASSWORD).unwrap();
        let prover = MutualProver::new(origin(), USER, password).unwrap();
        Self::of(prover.with_settings(settings))
    }

    pub(crate) fn prover_declined(&self) -> Option<MutualFailure> {
        self.prover.declined()
    }

    fn fresh(&mut self) -> [u8; 64] {
        self.made += 1;
        random(self.made)
    }

    pub(crate) fn connect(&mut self, channel: &dyn Exporter) {
        let random = self.fresh();
        let inputs = Inputs {
            unix_time: self.now,
            random: &random,
        };
        assert!(matches!(self.prover.begin(channel, &inputs), Step::Send));
    }

    /// Returns the value of Authorization for the next request.
    pub(crate) fn request(&mut self, method: &str) -> Result<Option<String>, MutualFailure> {
        let random = self.fresh();
        let inputs = Inputs {
            unix_time: self.now,
            random: &random,
        };
        let target = RequestTarget {
            method,
            authority: "server.example",
            path: "/",
        };
        let mut buffer = [0; MAX_MESSAGE_LEN + 20];
        let mut fields = Fields::new(&mut buffer);
        self.prover.write_fields(&target, &inputs, &mut fields)?;
        let mut all = fields.iter();
        let field = all.next().map(|(name, value)| {
            assert_eq!(name, "authorization");
            value.to_owned()
        });
        assert!(all.next().is_none());
        Ok(field)
    }

    /// Takes a response; `None` if the request is to be sent again.
    pub(crate) fn response(&mut self, head: &Head) -> Option<Ended> {
        let random = self.fresh();
        let inputs = Inputs {
            unix_time: self.now,
            random: &random,
        };
        match self.prover.response(head, &inputs) {
            Step::Send => None,
            Step::Done(outcome) => Some(Ok(outcome)),
            Step::Failed(failure) => Some(Err(failure)),
            Step::Key(_) => panic!("asked for a key"),
        }
    }

    /// Sends one request of the application, with all exchanges that it takes. Returns the end and their number.
    pub(crate) fn send(&mut self, mut answer: impl FnMut(Option<&str>) -> Head) -> (Ended, usize) {
        for exchanges in 1..10 {
            let request = match self.request("GET") {
                Ok(request) => request,
                Err(failure) => return (Err(failure), exchanges),
            };
            let head = answer(request.as_deref());
            if let Some(ended) = self.response(&head) {
                return (ended, exchanges);
            }
        }
        panic!("no end");
    }
}
