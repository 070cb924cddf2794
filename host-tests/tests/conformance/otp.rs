//! The fixtures of one-time passwords: one for each form.

use crate::{
    hold::Hold,
    kind::{Kind, Party, Traits, Who},
};
use chanbind::{
    gateway::{ClientKey, ClientTable, LookUp, MemoryRegistry, Registry, Requirement},
    proof::otp::{Form, OtpProver, OtpVerifier, Settings, prover},
};
use chanbind_core::{kdf::HmacSha256, otp::ClientId};
use std::sync::Arc;
use tokio::sync::watch;

/// Clients with an HMAC key each.
struct Clients([u8; 1]);

impl Clients {
    fn secret(&self, client: &str) -> Vec<u8> {
        [b"secret of ", client.as_bytes(), &self.0].concat()
    }

    fn requirement(&self, look_ups: &Hold) -> Requirement {
        let known = ["client1", "client2"];
        let known = known.map(|id| (id.to_owned(), ClientKey::secret(&self.secret(id))));
        let registry = Arc::new(SlowRegistry {
            inner: MemoryRegistry::new(ClientTable::new(known).unwrap()),
            look_ups: look_ups.clone(),
        });
        (&OtpVerifier::new(registry, Settings::default())).into()
    }

    fn party(&self, who: Who, form: Form) -> Party<OtpProver> {
        let (id, secret) = match who {
            Who::Honest => ("client1", self.secret("client1")),
            Who::Other => ("client2", self.secret("client2")),
            Who::Unknown => ("client3", self.secret("client3")),
            Who::WrongKey => ("client1", b"another".to_vec()),
        };
        Party {
            prover: prover(&Settings::default(), ClientId::new(id).unwrap(), form),
            key: Arc::new(HmacSha256::new(&secret)),
            subject: id.to_owned(),
        }
    }
}

/// A registry whose answers take as long as a test wants.
struct SlowRegistry {
    inner: Arc<MemoryRegistry>,
    look_ups: Hold,
}

impl Registry for SlowRegistry {
    fn find<'a>(&'a self, client: ClientId<'a>) -> LookUp<'a> {
        Box::pin(async move {
            self.look_ups.pass().await;
            self.inner.find(client).await
        })
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes()
    }
}

macro_rules! form {
    ($name:ident, $form:expr, $field:literal, is_repeatable: $is_repeatable:literal) => {
        pub(crate) struct $name(Clients);

        impl Kind for $name {
            type Prover = OtpProver;

            const TRAITS: Traits = Traits {
                is_per_connection: false,
                is_repeatable: $is_repeatable,
                is_spent_by_failure: false,
                is_spent_by_relay: false,
                is_looked_up: true,
                has_key: true,
            };

            const FIELDS: &'static [&'static str] = &["chanbind-client", $field];

            fn new(seed: u8) -> Self {
                Self(Clients([seed]))
            }

            fn requirement(&self, look_ups: &Hold) -> Requirement {
                self.0.requirement(look_ups)
            }

            fn party(&self, who: Who) -> Party<OtpProver> {
                self.0.party(who, $form)
            }

            /// The name of a scheme is not case-sensitive (RFC 9110 section 11.1).
            fn is_same(name: &str, one: &[u8], other: &[u8]) -> bool {
                let parts = |value: &[u8]| (value[..6].to_ascii_lowercase(), value[6..].to_vec());
                name == "authorization" && parts(one) == parts(other)
            }
        }
    };
}

// An API key is the connection's, a token is one request's.
form!(ApiKey, Form::ApiKey, "chanbind-key", is_repeatable: true);
form!(Jws, Form::Jws, "authorization", is_repeatable: false);
form!(Nested, Form::Nested, "authorization", is_repeatable: false);
