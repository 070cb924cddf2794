//! Attacks on the client and on messages, by one who can answer in the server's place.

use crate::parties::{
    Client, Head, PASSWORD, Server, USER, connection, origin, random, realm, validation,
};
use chanbind_core::{
    http_auth::challenges,
    mutual::{
        Algorithm, ClientExchange, Credentials, Decoy, MAX_MESSAGE_LEN, MutualError, MutualFailure,
        MutualProver, Password, Realm, Reason, ServerSession, UnverifiedResponses, Validation,
        write_init,
    },
    proof::Outcome,
};

const PROVED: Result<Outcome, MutualFailure> = Ok(Outcome::Proved);
const UNPROVED: Result<Outcome, MutualFailure> =
    Err(MutualFailure::ServerNotProved { status: 200 });

fn knowing_the_realm() -> Client {
    let password = Password::new(PASSWORD).unwrap();
    let prover = MutualProver::new(origin(), USER, password).unwrap();
    let mut client = Client::of(prover.with_realm(realm(), Validation::TlsExporter));
    client.connect(&connection(1));
    client
}

fn other_realm() -> Realm {
    Realm::new(Algorithm::P256_SHA256, realm().auth_scope(), "another").unwrap()
}

fn init(realm: &Realm, reason: Reason) -> Head {
    let mut out = [0; MAX_MESSAGE_LEN];
    Head::challenge(write_init(realm, Validation::TlsExporter, reason, &mut out).unwrap())
}

#[test]
fn a_server_that_has_asked_cannot_be_made_one_that_does_not() {
    // A forged refusal.
    let mut client = knowing_the_realm();
    let forged = init(&realm(), Reason::AuthFailed);
    assert_eq!(client.send(|_| forged.clone()), (Ok(Outcome::Refused), 1));
    assert_eq!(client.send(|_| Head::new(200)), (UNPROVED, 1));
    // A connection that breaks in the key exchange.
    let mut client = knowing_the_realm();
    assert!(client.request("GET").unwrap().unwrap().contains("kc1="));
    client.connect(&connection(2));
    assert_eq!(client.send(|_| Head::new(200)), (UNPROVED, 1));
    // A realm that the server has named, and a session.
    let (mut server, mut client) = (Server::new(), Client::honest());
    client.connect(&connection(1));
    assert_eq!(
        client.send(|request| server.answer(request, &connection(1))),
        (PROVED, 3)
    );
    assert_eq!(client.send(|_| forged.clone()), (Ok(Outcome::Refused), 1));
    for _ in 0..2 {
        assert_eq!(client.send(|_| Head::new(200)), (UNPROVED, 1));
    }
    // The honest server finds it willing.
    assert_eq!(
        client.send(|request| server.answer(request, &connection(1))),
        (PROVED, 2)
    );
}

#[test]
fn a_client_may_accept_no_unverified_response_at_all() {
    let mut client = Client::with_settings(|settings| {
        settings.unverified = UnverifiedResponses::Never;
    });
    client.connect(&connection(1));
    assert_eq!(client.send(|_| Head::new(200)), (UNPROVED, 1));
    let post = client.request("POST").unwrap();
    assert_eq!(
        (post, client.response(&Head::new(200))),
        (None, Some(UNPROVED))
    );
    let mut server = Server::new();
    assert_eq!(
        client.send(|request| server.answer(request, &connection(1))),
        (PROVED, 3)
    );
}

#[test]
fn a_password_is_used_in_one_realm() {
    let (mut elsewhere, mut server) = (Server::new(), Server::new());
    elsewhere.realm = other_realm();
    let channel = connection(1);
    let refused = (Ok(Outcome::Refused), 1);
    // The realm that was given, and the first one that was proved.
    let mut given = knowing_the_realm();
    assert_eq!(
        given.send(|request| elsewhere.answer(request, &channel)),
        refused
    );
    assert_eq!(given.prover_declined(), Some(MutualFailure::OtherRealm));
    let mut proved = Client::honest();
    proved.connect(&channel);
    assert_eq!(
        proved.send(|request| server.answer(request, &channel)),
        (PROVED, 3)
    );
    proved.prover.log_out();
    assert_eq!(
        proved.send(|_| init(&other_realm(), Reason::Initial)),
        refused
    );
    assert_eq!(
        proved.send(|request| server.answer(request, &channel)),
        (PROVED, 2)
    );
    // With the setting, a key exchange for the other realm begins.
    let mut following = Client::with_settings(|settings| settings.follows_realms = true);
    following.connect(&channel);
    assert_eq!(
        following.send(|request| server.answer(request, &channel)),
        (PROVED, 3)
    );
    let head = init(&other_realm(), Reason::Initial);
    let _ = following.request("GET").unwrap();
    assert_eq!(following.response(&head), None);
    assert!(
        following
            .request("GET")
            .unwrap()
            .unwrap()
            .contains("realm=\"another\"")
    );
}

#[test]
fn a_realm_can_be_set_on_a_prover_that_has_served_another() {
    let (mut server, channel) = (Server::new(), connection(1));
    let password = Password::new(PASSWORD).unwrap();
    let prover = MutualProver::new(origin(), USER, password).unwrap();
    let mut client = Client::of(prover.with_realm(other_realm(), Validation::TlsExporter));
    client.connect(&channel);
    // pi of the other realm is derived.
    assert!(client.request("GET").unwrap().is_some());
    let mut client = Client::of(client.prover.with_realm(realm(), Validation::TlsExporter));
    client.connect(&channel);
    assert_eq!(
        client.send(|request| server.answer(request, &channel)),
        (PROVED, 2)
    );
}

#[test]
fn a_wrong_proof_of_the_server_is_fatal_with_every_setting() {
    let (mut server, channel) = (Server::new(), connection(1));
    let mut client = Client::with_settings(|settings| {
        settings.unverified = UnverifiedResponses::Always;
    });
    client.connect(&channel);
    assert_eq!(
        client.send(|request| server.answer(request, &channel)),
        (PROVED, 3)
    );
    assert_eq!(client.send(|_| Head::new(200)), (Ok(Outcome::NotAsked), 1));
    let zeros = "00".repeat(32);
    for vks in [zeros.as_str(), "00", "\"\"", "x"] {
        let info = format!("version=1, sid=00, vks={vks}");
        let wrong = Head::new(200).with("authentication-info", info);
        assert_eq!(client.send(|_| wrong.clone()), (UNPROVED, 1), "{vks}");
    }
    assert_eq!(
        client.send(|request| server.answer(request, &channel)),
        (PROVED, 1)
    );
}

/// Returns a req-KEX-C1 message.
fn kex_c1(realm: &Realm) -> String {
    let pi = realm.credential(USER, PASSWORD).unwrap();
    let exchange = ClientExchange::begin(realm.clone(), pi, &random(3)).unwrap();
    let mut out = [0; MAX_MESSAGE_LEN];
    let method = validation(&connection(1)).method();
    exchange.write(method, USER, &mut out).unwrap().to_owned()
}

#[test]
fn a_key_exchange_for_another_realm_is_not_answered() {
    let message = kex_c1(&other_realm());
    let credentials = Credentials::parse(&message).unwrap().unwrap();
    let decoy = Decoy::new(&realm(), &random(4)).unwrap();
    let begun = ServerSession::begin(&realm(), &credentials, None, &decoy, 9, &random(5));
    assert_eq!(begun.err(), Some(MutualError::Value));
}

/// RFC 8120 section 4: unknown parameters are ignored, whatever form their values have.
#[test]
fn unknown_parameters_are_ignored() {
    let message = kex_c1(&realm());
    for unknown in [
        "note*=UTF-8'en'x",
        "note*=ISO-8859-1''x",
        "note*=\"UTF-8''x\"",
        "note*=%zz",
        "reason=x",
        "x=\"\\\"\"",
    ] {
        let message = format!("{message}, {unknown}");
        let credentials = Credentials::parse(&message).unwrap();
        assert_eq!(credentials.unwrap().user(), Some(USER), "{unknown}");
    }
    let list = "Foo title*=UTF-8'en'x, Mutual version=1";
    let schemes: Vec<_> = challenges(list).map(|challenge| challenge.scheme).collect();
    assert_eq!(schemes, ["Foo", "Mutual"]);
}
