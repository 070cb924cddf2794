//! Attacks on the gateway's table of sessions, by clients without a password.

use axum::http::{Request, header};
use chanbind::{
    gateway::Channel,
    proof::{
        RequestHead, Verdict, Verification, Verifier,
        mutual::{MutualVerifier, RealmSettings, SessionTableLimits, UserTable},
    },
};
use chanbind_core::{
    exporter::ExporterSecret,
    mutual::{
        Algorithm, ClientExchange, ClientSession, HostValidation, MAX_MESSAGE_LEN, Number, Origin,
        Realm, SecretNumber, SessionId, SessionLimits, StoredCredential,
    },
};
use std::sync::Arc;

const PASSWORD: &str = "correct horse";

struct Site {
    verifier: Arc<MutualVerifier>,
    users: Arc<UserTable>,
    realm: Realm,
    channel: Channel,
    made: u64,
}

/// A client after its first req-VFY-C message.
struct LoggedIn {
    session: ClientSession,
    message: String,
    answer: Answer,
}

#[derive(Debug, PartialEq)]
enum Answer {
    Proved,
    /// The value of `reason`, or the challenge of a key exchange.
    Challenge(String),
}

impl Site {
    fn new(limits: SessionTableLimits) -> Self {
        let realm = Realm::new(Algorithm::P256_SHA256, "gateway.example", "a realm").unwrap();
        let john = StoredCredential::register(&realm, "john", PASSWORD).unwrap();
        let users = UserTable::new([("john".to_owned(), john)]).unwrap();
        let origin = Origin::parse("https://gateway.example").unwrap();
        let mut settings = RealmSettings::new(realm.clone(), origin);
        settings.limits = limits;
        Self {
            verifier: MutualVerifier::new(settings, Arc::clone(&users)).unwrap(),
            users,
            realm,
            channel: Channel::new(ExporterSecret::sha256(&[7; 32])),
            made: 0,
        }
    }

    fn connection(&self) -> HostValidation {
        HostValidation::tls_exporter(&self.channel.exporter()).unwrap()
    }

    async fn ask(&self, message: &str) -> Answer {
        let request = Request::get("/").header(header::AUTHORIZATION, message);
        let request = request.body(()).unwrap();
        let verifier = Arc::clone(&self.verifier);
        let verdict = match verifier.verify(&self.channel, &RequestHead::of(&request)) {
            Verification::Ready(verdict) => verdict,
            Verification::Pending(pending) => pending.await,
        };
        match verdict {
            Verdict::Accepted { .. } => Answer::Proved,
            Verdict::Continue { fields } => {
                Answer::Challenge(fields[0].1.to_str().unwrap().to_owned())
            }
            Verdict::Refused(refusal) => {
                let fields = refusal.fields();
                Answer::Challenge(parameter(fields[0].1.to_str().unwrap(), "reason"))
            }
            _ => panic!("no verdict"),
        }
    }

    async fn log_in(&mut self, user: &str, pi: &SecretNumber) -> LoggedIn {
        self.made += 1;
        let random = crate::parties::random(self.made);
        let connection = self.connection();
        let exchange = ClientExchange::begin(self.realm.clone(), pi.clone(), &random).unwrap();
        let mut out = [0; MAX_MESSAGE_LEN];
        let message = exchange.write(connection.method(), user, &mut out).unwrap();
        let Answer::Challenge(kex_s1) = self.ask(message).await else {
            panic!("proved by a key exchange")
        };
        let octets = |name| hex::decode(parameter(&kex_s1, name)).unwrap();
        let sid = SessionId::from_slice(&octets("sid")).unwrap();
        let limits = SessionLimits {
            nc_max: 1_000,
            nc_window: 128,
            time: 300,
        };
        let value = Number::new(&octets("ks1")).unwrap();
        let mut session = exchange.finish(sid, value, limits).unwrap();
        let mut out = [0; MAX_MESSAGE_LEN];
        let message = session.write(&connection, &mut out).unwrap().0.to_owned();
        let answer = self.ask(&message).await;
        LoggedIn {
            session,
            message,
            answer,
        }
    }
}

fn parameter(message: &str, name: &str) -> String {
    let (_, rest) = message.split_once(&format!(" {name}=")).unwrap();
    let value = rest.split(',').next().unwrap();
    value.trim_matches('"').to_owned()
}

fn reason(text: &str) -> Answer {
    Answer::Challenge(text.to_owned())
}

/// Sessions of wrong passwords and unknown users look the same, also when the users change afterwards.
#[tokio::test]
async fn a_change_of_the_users_does_not_show_who_exists() {
    let mut site = Site::new(SessionTableLimits::default());
    let wrong = site.realm.credential("john", "wrong").unwrap();
    let known = site.log_in("john", &wrong).await;
    let unknown = site.log_in("mary", &wrong).await;
    assert_eq!(known.answer, reason("auth-failed"));
    assert_eq!(unknown.answer, reason("auth-failed"));
    let again = |message: String| {
        let site = &site;
        async move { site.ask(&message).await }
    };
    for _ in 0..2 {
        assert_eq!(again(known.message.clone()).await, reason("stale-session"));
        assert_eq!(
            again(unknown.message.clone()).await,
            reason("stale-session")
        );
        let bob = StoredCredential::register(&site.realm, "bob", "x").unwrap();
        site.users.set("bob", Some(bob));
    }
}

/// Clients without a password cannot fill the room of sessions that are proved.
#[tokio::test]
async fn failed_logins_end_no_session() {
    let limits = SessionTableLimits {
        sessions: 8,
        pending: 4,
        ..SessionTableLimits::default()
    };
    let mut site = Site::new(limits);
    let right = site.realm.credential("john", PASSWORD).unwrap();
    let mut honest = site.log_in("john", &right).await;
    assert_eq!(honest.answer, Answer::Proved);
    for _ in 0..12 {
        let other = site.log_in("mary", &right).await;
        assert_eq!(other.answer, reason("auth-failed"));
    }
    let mut out = [0; MAX_MESSAGE_LEN];
    let connection = site.connection();
    let (message, _) = honest.session.write(&connection, &mut out).unwrap();
    assert_eq!(site.ask(message).await, Answer::Proved);
}
