//! The fixture of HTTP Mutual authentication.

use crate::{
    hold::Hold,
    kind::{Kind, Party, Traits, Who},
};
use axum::http::HeaderValue;
use chanbind::{
    gateway::Requirement,
    proof::mutual::{MutualVerifier, RealmSettings, UserLookUp, UserStore, UserTable, prover},
};
use chanbind_core::{
    http_auth,
    mutual::{Algorithm, MutualProver, Origin, Realm, StoredCredential},
};
use chanbind_host_tests::client::Texts;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};
use tokio::sync::watch;

/// Users with a password each.
pub(crate) struct Mutual(u8);

impl Mutual {
    fn realm(&self) -> Realm {
        let name = format!("tests {}", self.0);
        Realm::new(Algorithm::P256_SHA256, "localhost", &name).unwrap()
    }

    fn password(&self, user: &str) -> String {
        format!("password {} of {user}", self.0)
    }

    /// Returns the users, whose passwords take a while to register.
    fn registered(&self) -> Vec<(String, StoredCredential)> {
        static REGISTERED: Mutex<BTreeMap<u8, Vec<(String, StoredCredential)>>> =
            Mutex::new(BTreeMap::new());
        let register = |user: &str| {
            let password = self.password(user);
            let credential = StoredCredential::register(&self.realm(), user, &password);
            (user.to_owned(), credential.unwrap())
        };
        let mut registered = REGISTERED.lock().unwrap();
        let users = registered
            .entry(self.0)
            .or_insert_with(|| ["user1", "user2"].map(register).to_vec());
        users.clone()
    }
}

/// Users whose look-ups take as long as a test wants.
struct SlowUsers {
    table: Arc<UserTable>,
    look_ups: Hold,
}

impl UserStore for SlowUsers {
    fn find<'a>(&'a self, user: &'a str) -> UserLookUp<'a> {
        Box::pin(async move {
            self.look_ups.pass().await;
            self.table.find(user).await
        })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.table.changes()
    }
}

impl Kind for Mutual {
    type Prover = MutualProver;

    const TRAITS: Traits = Traits {
        is_per_connection: false,
        is_repeatable: false,
        is_spent_by_failure: true,
        // The first proof of a key exchange decides it (RFC 8120 section 11).
        is_spent_by_relay: true,
        // At the key exchange, before the proof.
        is_looked_up: false,
        has_key: false,
    };

    const FIELDS: &'static [&'static str] = &["authorization"];

    fn new(seed: u8) -> Self {
        Self(seed)
    }

    fn requirement(&self, look_ups: &Hold) -> Requirement {
        let origin = Origin::parse("https://localhost").unwrap();
        let users = Arc::new(SlowUsers {
            table: UserTable::new(self.registered()).unwrap(),
            look_ups: look_ups.clone(),
        });
        let settings = RealmSettings::new(self.realm(), origin);
        (&MutualVerifier::new(settings, users).unwrap()).into()
    }

    fn party(&self, who: Who) -> Party<MutualProver> {
        let (user, password) = match who {
            Who::Honest => ("user1", self.password("user1")),
            Who::Other => ("user2", self.password("user2")),
            Who::Unknown => ("user3", self.password("user3")),
            Who::WrongKey => ("user1", "another".to_owned()),
        };
        let origin = Origin::parse("https://localhost").unwrap();
        Party {
            prover: prover(origin, user, &password).unwrap(),
            key: Arc::new(()),
            subject: user.to_owned(),
        }
    }

    /// A key exchange goes in the same field.
    fn is_complete(proof: &Texts) -> bool {
        proof.0.iter().any(|(_, value)| value.contains("vkc="))
    }

    fn without_random_values(&self, _: &str, value: &HeaderValue) -> HeaderValue {
        let Ok(text) = value.to_str() else {
            return value.clone();
        };
        let parts = text.split(", ").map(|part| match part.split_once('=') {
            Some((name @ ("sid" | "ks1"), digits)) => format!("{name}={}", digits.len()),
            _ => part.to_owned(),
        });
        let parts: Vec<_> = parts.collect();
        parts.join(", ").parse().unwrap()
    }

    /// Outside of quoted strings.
    fn is_caseless(value: &[u8], at: usize) -> bool {
        let before = value.get(..at).unwrap_or_default();
        let quotes = before.iter().filter(|byte| **byte == b'"');
        quotes.count().is_multiple_of(2)
    }

    /// Names, tokens and hexadecimal digits mean the same in either case.
    fn is_same(_: &str, one: &[u8], other: &[u8]) -> bool {
        let meaning = |value: &[u8]| -> Option<BTreeMap<String, Vec<u8>>> {
            let credentials = http_auth::credentials(str::from_utf8(value).ok()?)?;
            credentials.is("Mutual").then_some(())?;
            let params = http_auth::params(credentials.params).map(|param| {
                let (name, value) = param.ok()?;
                let mut bytes = value.bytes().collect::<Option<Vec<u8>>>()?;
                let name = name.to_ascii_lowercase();
                if !matches!(name.as_str(), "realm" | "auth-scope") {
                    bytes.make_ascii_lowercase();
                }
                Some((name, bytes))
            });
            params.collect()
        };
        meaning(one).is_some() && meaning(one) == meaning(other)
    }
}
