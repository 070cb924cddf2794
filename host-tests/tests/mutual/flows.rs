//! The flows of RFC 8120 section 2, and the decisions of both sides (sections 10 and 11).

use crate::parties::{Client, Head, PASSWORD, Server, USER, connection, origin, realm};
use chanbind_core::{
    exporter::{Exporter, ExporterError, Protocol},
    mutual::{MutualFailure, MutualProver, Password, Reason, UnverifiedResponses, Validation},
    proof::Outcome,
};

const PROVED: Result<Outcome, MutualFailure> = Ok(Outcome::Proved);

#[test]
fn exchanges_are_as_many_as_the_rfc_says() {
    let (mut server, channel) = (Server::new(), connection(1));
    let mut client = Client::honest();
    client.connect(&channel);
    // Figure 1, then case B-1 of figure 2.
    assert_eq!(
        client.send(|request| server.answer(request, &channel)),
        (PROVED, 3)
    );
    assert_eq!(
        client.send(|request| server.answer(request, &channel)),
        (PROVED, 1)
    );
    // Case B-2: the server has forgotten the session.
    server.sessions.clear();
    assert_eq!(
        client.send(|request| server.answer(request, &channel)),
        (PROVED, 3)
    );
    // Case A: the realm is known.
    let password = Password::new(PASSWORD).unwrap();
    let prover = MutualProver::new(origin(), USER, password).unwrap();
    let mut other = Client::of(prover.with_realm(realm(), Validation::TlsExporter));
    other.connect(&channel);
    assert_eq!(
        other.send(|request| server.answer(request, &channel)),
        (PROVED, 2)
    );
    assert_eq!(server.served, 4);
}

/// One exchange proves both sides again, bound to the other connection.
#[test]
fn a_session_is_bound_to_another_connection_in_one_exchange() {
    let mut server = Server::new();
    let mut client = Client::honest();
    for (number, expected) in [(1, 3), (2, 1), (3, 1)] {
        let channel = connection(number);
        client.connect(&channel);
        assert_eq!(
            client.send(|request| server.answer(request, &channel)),
            (PROVED, expected)
        );
    }
    // The proof of one connection, on another: refused, and the session goes on.
    let (one, other) = (connection(4), connection(5));
    client.connect(&one);
    let stolen = client.request("GET").unwrap().unwrap();
    let refused = server.answer(Some(&stolen), &other);
    assert!(
        refused
            .value("www-authenticate")
            .contains("reason=auth-failed")
    );
    let head = server.answer(Some(&stolen), &one);
    assert_eq!(client.response(&head), Some(PROVED));
}

#[test]
fn wrong_users_and_passwords_are_refused_alike() {
    let channel = connection(1);
    for (user, password) in [
        (USER, "another"),
        ("jane", PASSWORD),
        ("John", PASSWORD),
        (USER, "Correct horse"),
        (USER, "correct horse "),
    ] {
        let mut server = Server::new();
        let mut client = Client::new(user, password);
        client.connect(&channel);
        let ended = client.send(|request| server.answer(request, &channel));
        assert_eq!(ended, (Ok(Outcome::Refused), 3), "{user}");
        let declined = chanbind_core::proof::Prover::declined(&client.prover);
        assert_eq!(declined, Some(MutualFailure::Refused(Reason::AuthFailed)));
        assert_eq!(server.served, 0);
        // The session is rejected: a better guess needs another key exchange.
        assert!(server.sessions.values().all(|session| session.is_over()));
    }
}

/// With a password of another realm nothing is proved, although all else is the same.
#[test]
fn a_password_is_good_for_one_realm() {
    let (mut server, channel) = (Server::new(), connection(1));
    server.realm =
        chanbind_core::mutual::Realm::new(realm().algorithm(), "*.server.example", "a realm")
            .unwrap();
    let stored = crate::parties::stored();
    assert_eq!(
        stored.j(&server.realm, USER),
        Err(chanbind_core::mutual::MutualError::Reregister)
    );
    assert_eq!(
        stored.j(&realm(), "jane"),
        Err(chanbind_core::mutual::MutualError::Reregister)
    );
    let mut client = Client::honest();
    client.connect(&channel);
    // The scope covers the server, so that the client begins.
    let init = server.init(Reason::Initial);
    assert_eq!(client.request("GET").unwrap(), None);
    assert_eq!(client.response(&init), None);
    assert!(
        client
            .request("GET")
            .unwrap()
            .unwrap()
            .contains("*.server.example")
    );
}

/// Every answer to every step: what is not allowed ends the sequence, and nothing of it is used.
#[test]
fn nothing_but_the_servers_proof_is_accepted() {
    let channel = connection(1);
    let unproved = |status| Err(MutualFailure::ServerNotProved { status });
    let at = |step: usize, head: &dyn Fn(Head) -> Head| {
        let mut server = Server::new();
        let mut client = Client::honest();
        client.connect(&channel);
        let mut exchange = 0;
        client
            .send(|request| {
                exchange += 1;
                let honest = server.answer(request, &channel);
                if exchange == step {
                    head(honest)
                } else {
                    honest
                }
            })
            .0
    };
    // The first request may be answered by anything: nothing was asked for yet.
    for status in [200, 204, 302, 403, 404, 500] {
        assert_eq!(
            at(1, &|_| Head::new(status)),
            Ok(Outcome::NotAsked),
            "{status}"
        );
        for step in [2, 3] {
            assert_eq!(
                at(step, &|_| Head::new(status)),
                unproved(status),
                "{step}: {status}"
            );
        }
    }
    let info = |head: &Head| head.value("authentication-info").to_owned();
    let changes: [&dyn Fn(&str) -> String; 10] = [
        &|info| info.replace("vks=", "vkx="),
        &|info| info.replace("sid=", "sid=00"),
        &|info| info.replace("version=1", "version=2"),
        &|info| info.replace("version=1, ", ""),
        &|info| format!("{info}, vks=00"),
        &|info| format!("{info}, reason=initial"),
        &|info| info[..info.len() - 2].to_owned(),
        &|info| {
            let last = if info.ends_with('0') { "1" } else { "0" };
            format!("{}{last}", &info[..info.len() - 1])
        },
        &|_| String::new(),
        &|_| format!("version=1, sid=00, vks={}", "0".repeat(64)),
    ];
    for change in changes {
        let ended = at(3, &|honest| {
            Head::new(200).with("authentication-info", change(&info(&honest)))
        });
        assert_eq!(ended, unproved(200));
    }
    // Figure 1 shows a scheme, and the status of the application is its own.
    for status in [200, 404, 500] {
        let ended = at(3, &|honest| {
            let value = format!("Mutual {}", info(&honest));
            Head::new(status).with("authentication-info", value)
        });
        assert_eq!(ended, PROVED, "{status}");
    }
    // A proof in an answer of 401 does not count.
    let ended = at(3, &|honest| {
        Head::new(401).with("authentication-info", info(&honest))
    });
    assert_eq!(ended, Err(MutualFailure::OutOfOrder));
}

#[test]
fn messages_out_of_order_end_the_sequence() {
    let channel = connection(1);
    let kex_s1 = {
        let mut server = Server::new();
        let mut client = Client::honest();
        client.connect(&channel);
        client.request("GET").unwrap();
        client.response(&server.init(Reason::Initial));
        let request = client.request("GET").unwrap();
        server.answer(request.as_deref(), &channel)
    };
    let init = |reason| Server::new().init(reason);
    for (step, head, expected) in [
        // A 401-KEX-S1 to a request without a key exchange says nothing.
        (1, kex_s1.clone(), Ok(Outcome::Refused)),
        (3, kex_s1, Err(MutualFailure::OutOfOrder)),
        (2, init(Reason::StaleSession), Ok(Outcome::Refused)),
        (2, init(Reason::AuthFailed), Ok(Outcome::Refused)),
        (
            3,
            init(Reason::StaleSession),
            Err(MutualFailure::StaleAtOnce),
        ),
        (3, init(Reason::Initial), Ok(Outcome::Refused)),
        (2, Head::new(401), Err(MutualFailure::OutOfOrder)),
        (3, Head::new(401), Err(MutualFailure::OutOfOrder)),
        (
            3,
            Head::challenge("Basic realm=\"a realm\""),
            Err(MutualFailure::OutOfOrder),
        ),
    ] {
        let mut server = Server::new();
        let mut client = Client::honest();
        client.connect(&channel);
        let mut exchange = 0;
        let (ended, _) = client.send(|request| {
            exchange += 1;
            let honest = server.answer(request, &channel);
            if exchange == step {
                head.clone()
            } else {
                honest
            }
        });
        assert_eq!(ended, expected, "{step}");
        // The next request begins again.
        assert_eq!(
            client.send(|request| server.answer(request, &channel)).0,
            PROVED,
            "{step}"
        );
    }
}

/// In a session an answer without a proof is refused, unless the client was told that parts of the server need none.
#[test]
fn an_answer_without_proof_in_a_session_needs_a_setting() {
    let channel = connection(1);
    for (unverified, expected) in [
        (
            UnverifiedResponses::BeforeChallenge,
            Err(MutualFailure::ServerNotProved { status: 200 }),
        ),
        (UnverifiedResponses::Always, Ok(Outcome::NotAsked)),
    ] {
        let mut server = Server::new();
        let mut client = Client::with_settings(|settings| settings.unverified = unverified);
        client.connect(&channel);
        assert_eq!(
            client.send(|request| server.answer(request, &channel)),
            (PROVED, 3)
        );
        assert_eq!(client.send(|_| Head::new(200)), (expected, 1));
        assert_eq!(
            client.send(|request| server.answer(request, &channel)),
            (PROVED, 1)
        );
    }
}

#[test]
fn challenges_are_chosen_by_what_the_client_accepts() {
    let channel = connection(1);
    let begin = |client: &mut Client, head: &Head| {
        client.connect(&channel);
        assert_eq!(client.request("GET").unwrap(), None);
        match client.response(head) {
            None => client.request("GET").unwrap(),
            Some(ended) => {
                assert_eq!(ended, Ok(Outcome::Refused));
                None
            }
        }
    };
    let terms = |validation: &str, scope: &str, algorithm: &str| {
        format!(
            "Mutual version=1, algorithm={algorithm}, validation={validation}, auth-scope=\"{scope}\", realm=\"r\", reason=initial"
        )
    };
    let (ec, exporter) = (
        "iso-kam3-ec-p256-sha256",
        "-tls-exporter.chanbind.github.io",
    );
    // The exporter is preferred, wherever it stands.
    let both = Head::challenge(terms("tls-server-end-point", "server.example", ec))
        .with("www-authenticate", terms(exporter, "server.example", ec));
    let request = begin(&mut Client::honest(), &both).unwrap();
    assert!(request.contains(exporter));
    // Several challenges in one field, among those of other schemes, quoted or not, in letters of any case.
    let joined = format!(
        "Basic realm=\"Mutual, x\", {}, Digest realm=\"y\", nonce=\"z\"",
        terms(
            &format!("\"{}\"", exporter.to_uppercase()),
            "server.example",
            &ec.to_uppercase()
        )
    );
    assert!(begin(&mut Client::honest(), &Head::challenge(joined)).is_some());
    // A scope that is left out is the server's own.
    let without = terms(exporter, "x", ec).replace(" auth-scope=\"x\",", "");
    let request = begin(&mut Client::honest(), &Head::challenge(without)).unwrap();
    assert!(request.contains("auth-scope=\"https://server.example\""));
    for (challenge, expected) in [
        (
            terms("host", "server.example", ec),
            MutualFailure::WeakValidation,
        ),
        (
            terms("tls-unique", "server.example", ec),
            MutualFailure::WeakValidation,
        ),
        (
            terms("tls-server-end-point", "server.example", ec),
            MutualFailure::WeakValidation,
        ),
        (
            terms(exporter, "other.example", ec),
            MutualFailure::ForeignScope,
        ),
        (
            terms(exporter, "*.example", ec),
            MutualFailure::ForeignScope,
        ),
        (
            terms(exporter, "server.example", "iso-kam3-ec-p384-sha384"),
            MutualFailure::UnknownTerms,
        ),
    ] {
        let mut client = Client::honest();
        assert_eq!(begin(&mut client, &Head::challenge(challenge)), None);
        let declined = chanbind_core::proof::Prover::declined(&client.prover);
        assert_eq!(declined, Some(expected));
    }
    for malformed in [
        "Mutual",
        "Mutual realm=\"r\"",
        &terms(exporter, "server.example", ec).replace("version=1", "version=2"),
        &terms(exporter, "server.example", ec).replace("realm=\"r\"", "realm*=UTF-8''r"),
        &format!("{}, realm=\"r\"", terms(exporter, "server.example", ec)),
        &format!("{}, ks2=00", terms(exporter, "server.example", ec)),
        &format!("{}, kc1=00", terms(exporter, "server.example", ec)),
        &terms(exporter, "server.example", ec).replace("reason", "reaso"),
    ] {
        assert_eq!(
            begin(&mut Client::honest(), &Head::challenge(malformed)),
            None,
            "{malformed}"
        );
    }
}

/// Plain HTTP: the name of the server is all that a proof can be bound to.
#[test]
fn plain_http_is_validated_by_host_alone() {
    struct NoTls;
    impl Exporter for NoTls {
        fn protocol(&self) -> Protocol {
            Protocol::Tls12 {
                extended_master_secret: false,
            }
        }

        fn export_keying_material(
            &self,
            _: &[u8],
            _: Option<&[u8]>,
            _: &mut [u8],
        ) -> Result<(), ExporterError> {
            Err(ExporterError::NoTls)
        }
    }
    let origin = chanbind_core::mutual::Origin::parse("http://server.example").unwrap();
    let prover = MutualProver::new(origin, USER, Password::new(PASSWORD).unwrap()).unwrap();
    let mut client = Client::of(prover);
    client.connect(&NoTls);
    let mut server = Server::new();
    server.offered = vec![Validation::TlsExporter, Validation::Host];
    let init = server.init(Reason::Initial);
    client.request("GET").unwrap();
    assert_eq!(client.response(&init), None);
    let request = client.request("GET").unwrap().unwrap();
    assert!(request.contains("validation=host"));
}

#[test]
fn authentication_that_is_optional_is_done_where_it_changes_nothing() {
    let (mut server, channel) = (Server::new(), connection(1));
    let offer = server
        .init(Reason::Initial)
        .value("www-authenticate")
        .to_owned();
    let offered = Head::new(200).with("optional-www-authenticate", offer);
    for (method, expected) in [("GET", None), ("POST", Some(Ok(Outcome::NotAsked)))] {
        let mut client = Client::honest();
        client.connect(&channel);
        client.request(method).unwrap();
        assert_eq!(client.response(&offered), expected, "{method}");
        if expected.is_none() {
            let ended = client.send(|request| server.answer(request, &channel));
            assert_eq!(ended, (PROVED, 2));
        }
    }
}

#[test]
fn sessions_end_when_the_server_says() {
    let (mut server, channel) = (Server::new(), connection(1));
    let mut client = Client::honest();
    client.connect(&channel);
    let mut send = |client: &mut Client, control: &str| {
        client.send(|request| {
            let head = server.answer(request, &channel);
            head.with("authentication-control", control)
        })
    };
    let timeout = |seconds: u32| format!("Mutual realm=\"a realm\", logout-timeout={seconds}");
    assert_eq!(send(&mut client, &timeout(60)), (PROVED, 3));
    client.now = Some(1_000_059);
    // For another realm: not relevant.
    assert_eq!(
        send(&mut client, "Mutual realm=\"b\", logout-timeout=0"),
        (PROVED, 1)
    );
    client.now = Some(1_000_060);
    assert_eq!(send(&mut client, &timeout(0)), (PROVED, 2));
    assert_eq!(send(&mut client, ""), (PROVED, 2));
    assert_eq!(send(&mut client, ""), (PROVED, 1));
    client.prover.log_out();
    assert_eq!(send(&mut client, ""), (PROVED, 2));
}
