//! The parsers of RFC 8120 on any text: they are total, agree with each other, and no text is a server's proof.
#![no_main]

#[path = "../../tests/mutual/parties.rs"]
#[allow(dead_code, reason = "the tests use all of it")]
mod parties;

use chanbind_core::{
    http_auth::{challenges, credentials, params},
    mutual::{Control, Credentials, SCHEME, StoredCredential, Validation},
    proof::Outcome,
};
use libfuzzer_sys::fuzz_target;
use parties::{Client, Head, connection, realm};

fuzz_target!(|text: &str| {
    let mut len = 0;
    for challenge in challenges(text) {
        // The challenges are parts of the text, in its order.
        len += challenge.scheme.len() + challenge.params.len();
        assert!(len <= text.len());
        for (name, value) in params(challenge.params).map_while(Result::ok) {
            assert!(!name.is_empty());
            assert!(value.bytes().count() <= challenge.params.len());
        }
    }
    let _ = Control::parse(text, &realm());
    if let Ok(stored) = StoredCredential::parse(text) {
        assert!(stored.to_text().eq_ignore_ascii_case(text));
    }
    if let Some(Ok(parsed)) = Credentials::parse(text) {
        assert!(credentials(text).is_some_and(|one| one.is(SCHEME)));
        assert_ne!(parsed.user().is_some(), parsed.session().is_some());
        for method in Validation::ALL {
            assert!(!parsed.are_for(&realm(), method) || parsed.are_of(&realm()));
        }
    }
    let mut client = Client::honest();
    client.connect(&connection(1));
    for head in [
        Head::challenge(text),
        Head::new(200)
            .with("authentication-info", text)
            .with("optional-www-authenticate", text),
    ] {
        if let Ok(_) = client.request("GET") {
            assert_ne!(client.response(&head), Some(Ok(Outcome::Proved)));
        }
    }
});
