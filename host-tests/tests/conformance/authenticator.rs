//! The fixture of Exported Authenticators.

use crate::{
    hold::Hold,
    kind::{Kind, Party, Traits, Who},
};
use axum::http::{HeaderMap, HeaderValue};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chanbind::{
    gateway::Requirement,
    proof::{
        Responder,
        authenticator::{
            AuthenticatorProver, AuthenticatorVerifier, Credentials, ServerIdentities, Trust,
            WithServerIdentity, decliner, header_fields, prover,
        },
    },
};
use chanbind_core::{authenticator::http, proof::Prover};
use chanbind_host_tests::{
    client::{Fresh, TestClient, Texts, challenged, fields},
    pki::{Authority, Issued, for_device},
};
use rcgen::ExtendedKeyUsagePurpose;
use std::sync::Arc;

/// An authority of devices, and another one of the same name.
pub(crate) struct Authenticator {
    authority: Authority,
    stranger: Authority,
    uris: [String; 2],
}

impl Authenticator {
    fn trust(&self) -> Trust {
        Trust::from_pem(self.authority.pem().as_bytes()).unwrap()
    }
}

fn credentials(issued: &Issued) -> Credentials {
    Credentials::from_pem(issued.pem().as_bytes(), issued.key_pem().as_bytes()).unwrap()
}

fn device(authority: &Authority, uri: &str) -> Credentials {
    credentials(&authority.issue(|params| for_device(params, uri)).unwrap())
}

impl Kind for Authenticator {
    type Prover = AuthenticatorProver;

    const TRAITS: Traits = Traits {
        is_per_connection: true,
        is_repeatable: true,
        is_spent_by_failure: true,
        is_spent_by_relay: false,
        is_looked_up: false,
        has_key: true,
    };

    const FIELDS: &'static [&'static str] = &["authorization"];

    fn new(seed: u8) -> Self {
        Self {
            authority: Authority::new("devices").unwrap(),
            stranger: Authority::new("devices").unwrap(),
            uris: [1, 2].map(|number| format!("urn:device:{seed}:{number}")),
        }
    }

    fn requirement(&self, _: &Hold) -> Requirement {
        (&AuthenticatorVerifier::new(self.trust())).into()
    }

    /// The gateway proves an identity that would be accepted of a device, so that nothing but its direction prevents reflection.
    fn responders(&self) -> Vec<Arc<dyn Responder>> {
        let both = self.authority.issue(|params| {
            for_device(params, "urn:gateway");
            let server = ExtendedKeyUsagePurpose::ServerAuth;
            params.extended_key_usages.push(server);
        });
        vec![ServerIdentities::new(vec![credentials(&both.unwrap())])]
    }

    fn party(&self, who: Who) -> Party<AuthenticatorProver> {
        let [one, two] = &self.uris;
        let (own, uri) = match who {
            Who::Honest | Who::WrongKey => (device(&self.authority, one), one),
            Who::Other => (device(&self.authority, two), two),
            Who::Unknown => (device(&self.stranger, one), one),
        };
        let key = match who {
            Who::WrongKey => device(&self.authority, one),
            _ => own.clone(),
        };
        Party {
            prover: prover(&own),
            key: Arc::new(key),
            subject: uri.clone(),
        }
    }

    /// The context of a request is random, and new once the last one was answered.
    fn without_random_values(&self, name: &str, value: &HeaderValue) -> HeaderValue {
        let text = value.to_str().unwrap();
        let Some(request) = http::challenge(text).filter(|_| name == "www-authenticate") else {
            return value.clone();
        };
        let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(request).unwrap();
        let context = 5..5 + usize::from(bytes[4]);
        bytes[context].fill(0);
        header_fields::challenge(&bytes)
    }

    /// Asks for an authenticator of the gateway: with a context of the client's, and with the context that the gateway waits for.
    fn questions(&self, wire: &TestClient, challenge: &HeaderMap) -> Vec<Texts> {
        let mut asker = WithServerIdentity::new(decliner(), self.trust(), None).unwrap();
        let _ = asker.begin(wire.channel(), &Fresh::new().inputs());
        let request = axum::http::Request::get("https://localhost/get").body(().into());
        let usual = fields(&mut asker, &request.unwrap()).unwrap();
        let mut request = challenged(challenge).unwrap();
        // The handshake type of a ClientCertificateRequest (RFC 9261 section 4); the rest has the same form.
        request[0] = 17;
        let name = header_fields::REQUEST_HEADER.to_string();
        let own = BASE64_URL_SAFE_NO_PAD.encode(request);
        vec![usual, Texts(vec![(name, own)])]
    }

    /// The name of the scheme is not case-sensitive (RFC 9110 section 11.1).
    fn is_same(_: &str, one: &[u8], other: &[u8]) -> bool {
        let len = header_fields::SCHEME.len();
        one[..len].eq_ignore_ascii_case(&other[..len]) && one[len..] == other[len..]
    }
}
