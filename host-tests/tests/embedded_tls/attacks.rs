//! Servers that are not who they should be, each refused, with an error that says why.

use super::*;
use chanbind_core::x509::PathError;
use chanbind_host_tests::attacker::{certificate_body, content, message};
use rcgen::{
    BasicConstraints, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyUsagePurpose, NameConstraints, SanType, date_time_ymd,
};

fn hello_of_honesty(attacker: &mut Attacker, server: &Issued) -> io::Result<()> {
    attacker.honest_flight(&[&server.certificate], &server.key)?;
    attacker.client_finished()?;
    attacker.send(content::APPLICATION_DATA, b"hello")?;
    attacker.send(content::ALERT, &[1, 0])
}

/// What all the refusals are worth nothing without.
#[test]
fn the_attacker_can_be_honest() {
    let world = World::new();
    let server = Arc::clone(&world.server);
    let met = world.meet(move |attacker| hello_of_honesty(attacker, &server));
    assert_eq!(met, Ok(Ok(b"hello".to_vec())));
}

#[test]
fn no_certificate_at_all() {
    let met = World::new().meet(|attacker| {
        attacker.hello()?;
        let flight = [attacker.encrypted_extensions(), attacker.finished()].concat();
        attacker.send(content::HANDSHAKE, &flight)
    });
    assert_eq!(met, Err(ConnectError::NoCertificate));
}

#[test]
fn an_empty_certificate_list() {
    let met = World::new().meet(|attacker| {
        attacker.hello()?;
        let mut flight = attacker.encrypted_extensions();
        flight.extend(attacker.certificate(&[]));
        flight.extend(attacker.finished());
        attacker.send(content::HANDSHAKE, &flight)
    });
    assert_eq!(met, Err(ConnectError::NoCertificate));
}

#[test]
fn a_genuine_certificate_replayed_without_its_key() {
    let world = World::new();
    let server = Arc::clone(&world.server);
    let met = world.meet(move |attacker| {
        attacker.hello()?;
        let mut flight = attacker.encrypted_extensions();
        flight.extend(attacker.certificate(&[&server.certificate]));
        flight.extend(attacker.finished());
        attacker.send(content::HANDSHAKE, &flight)
    });
    assert_eq!(met, Err(ConnectError::NoCertificateVerify));
}

#[test]
fn a_genuine_certificate_with_another_key() {
    let world = World::new();
    let (server, other) = (
        Arc::clone(&world.server),
        world.authority.issue(|_| ()).unwrap(),
    );
    let met =
        world.meet(move |attacker| attacker.honest_flight(&[&server.certificate], &other.key));
    assert_eq!(met, Err(ConnectError::CertificateVerify));
}

#[test]
fn certificate_verify_of_another_context_or_scheme() {
    for (context, scheme, error) in [
        (
            "TLS 1.3, client CertificateVerify",
            0x0403,
            ConnectError::CertificateVerify,
        ),
        (
            "Exported Authenticator",
            0x0403,
            ConnectError::CertificateVerify,
        ),
        (
            "TLS 1.3, server CertificateVerify",
            0x0503,
            ConnectError::SignatureScheme,
        ),
        (
            "TLS 1.3, server CertificateVerify",
            0x0807,
            ConnectError::SignatureScheme,
        ),
    ] {
        let world = World::new();
        let server = Arc::clone(&world.server);
        let met = world.meet(move |attacker| {
            attacker.hello()?;
            let mut flight = attacker.encrypted_extensions();
            flight.extend(attacker.certificate(&[&server.certificate]));
            flight.extend(attacker.certificate_verify_with(&server.key, context, scheme));
            flight.extend(attacker.finished());
            attacker.send(content::HANDSHAKE, &flight)
        });
        assert_eq!(met, Err(error), "{context} {scheme:04x}");
    }
}

#[test]
fn messages_in_a_wrong_order_or_twice() {
    let world = World::new();
    for order in ["vc", "v", "ccv", "cvv", "cvcv", "cvc"] {
        let server = Arc::clone(&world.server);
        for in_one_record in [true, false] {
            let server = Arc::clone(&server);
            let met = world.meet(move |attacker| {
                attacker.hello()?;
                let mut flight = vec![attacker.encrypted_extensions()];
                for message in order.chars() {
                    flight.push(match message {
                        'c' => attacker.certificate(&[&server.certificate]),
                        _ => attacker.certificate_verify(&server.key),
                    });
                }
                flight.push(attacker.finished());
                if in_one_record {
                    flight = vec![flight.concat()];
                }
                for record in &flight {
                    attacker.send(content::HANDSHAKE, record)?;
                }
                Ok(())
            });
            assert_eq!(met, Err(ConnectError::MessageOrder), "{order}");
        }
    }
}

#[test]
fn a_certificate_behind_finished() {
    let world = World::new();
    let server = Arc::clone(&world.server);
    let met = world.meet(move |attacker| {
        attacker.hello()?;
        let mut flight = attacker.encrypted_extensions();
        flight.extend(attacker.finished());
        flight.extend(attacker.certificate(&[&server.certificate]));
        flight.extend(attacker.certificate_verify(&server.key));
        attacker.send(content::HANDSHAKE, &flight)
    });
    assert_eq!(met, Err(ConnectError::Decrypt));
}

#[test]
fn a_wrong_finished() {
    let world = World::new();
    let server = Arc::clone(&world.server);
    let met = world.meet(move |attacker| {
        attacker.hello()?;
        let mut flight = attacker.encrypted_extensions();
        flight.extend(attacker.certificate(&[&server.certificate]));
        flight.extend(attacker.certificate_verify(&server.key));
        let mut finished = attacker.finished();
        *finished.last_mut().unwrap() ^= 1;
        flight.extend(finished);
        attacker.send(content::HANDSHAKE, &flight)
    });
    assert_eq!(met, Err(ConnectError::Finished));
}

#[test]
fn leaves_that_are_wrong() {
    let world = World::new();
    let issue = |change: &dyn Fn(&mut rcgen::CertificateParams)| {
        world.authority.issue(|params| change(params)).unwrap()
    };
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    let year = |year| date_time_ymd(year, 1, 1);

    let leaf =
        issue(&|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    assert_eq!(world.refuses(leaf, vec![]), PathError::Usage.into());

    let leaf = issue(&|params| params.not_after = year(2020));
    let error = world.refuses(leaf, vec![]);
    assert!(
        matches!(
            error,
            ConnectError::Certificate(PathError::Expired {
                not_after: 1_577_836_800,
                ..
            })
        ),
        "{error:?}"
    );

    let leaf = issue(&|params| params.not_before = year(2090));
    let error = world.refuses(leaf, vec![]);
    assert!(
        matches!(
            error,
            ConnectError::Certificate(PathError::NotYetValid { .. })
        ),
        "{error:?}"
    );

    let leaf = issue(&|params| params.subject_alt_names = vec![dns("example.org")]);
    assert_eq!(world.refuses(leaf, vec![]), PathError::Name.into());

    // Every name counts, not the first three; and none of these is it.
    let leaf = issue(&|params| {
        params.subject_alt_names = ["a", "b", "c", "d.localhost", "localhost.example"]
            .map(dns)
            .to_vec()
    });
    assert_eq!(world.refuses(leaf, vec![]), PathError::Name.into());

    // A common name is none, with names beside it and without.
    for names in [vec![dns("example.org")], vec![]] {
        let leaf = issue(&|params| {
            params.subject_alt_names = names.clone();
            params
                .distinguished_name
                .push(DnType::CommonName, "localhost");
        });
        assert_eq!(world.refuses(leaf, vec![]), PathError::Name.into());
    }

    // The address that the name resolves to is not the name.
    let leaf =
        issue(&|params| params.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())]);
    assert_eq!(world.refuses(leaf, vec![]), PathError::Name.into());

    let leaf = issue(&|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_eq!(world.refuses(leaf, vec![]), PathError::CaOrLeaf.into());

    let leaf = Issued::self_signed(|_| ()).unwrap();
    assert_eq!(world.refuses(leaf, vec![]), PathError::UnknownIssuer.into());

    let leaf = Authority::new("somebody else")
        .unwrap()
        .issue(|_| ())
        .unwrap();
    assert_eq!(world.refuses(leaf, vec![]), PathError::UnknownIssuer.into());

    // Of the same name, with another key.
    let leaf = Authority::new("chanbind test authority")
        .unwrap()
        .issue(|_| ())
        .unwrap();
    assert_eq!(world.refuses(leaf, vec![]), PathError::Signature.into());

    let mut leaf = issue(&|_| ());
    let last = leaf.certificate.len() - 1;
    leaf.certificate[last] ^= 1;
    assert_eq!(world.refuses(leaf, vec![]), PathError::Signature.into());
}

#[test]
fn issuers_that_may_not_issue() {
    let world = World::new();
    // A leaf as issuer: with CA:FALSE, without basicConstraints, and one that claims it may sign certificates.
    for change in [
        (|params| params.is_ca = IsCa::ExplicitNoCa) as fn(&mut rcgen::CertificateParams),
        |_| (),
        |params| params.key_usages.push(KeyUsagePurpose::KeyCertSign),
    ] {
        let issuer = world.authority.issue(change).unwrap();
        let leaf = issuer.issue(|_| ()).unwrap();
        let error = world.refuses(leaf, vec![issuer.certificate.clone()]);
        assert_eq!(error, PathError::CaOrLeaf.into());
    }

    // An intermediate that is for other names.
    let constrained = world
        .authority
        .issue(|params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            params.extended_key_usages.clear();
            params.subject_alt_names.clear();
            params.name_constraints = Some(NameConstraints {
                permitted_subtrees: vec![GeneralSubtree::DnsName("example.org".into())],
                excluded_subtrees: vec![GeneralSubtree::IpAddress(CidrSubnet::V4([0; 4], [0; 4]))],
            });
        })
        .unwrap();
    let leaf = constrained.issue(|_| ()).unwrap();
    let error = world.refuses(leaf, vec![constrained.certificate.clone()]);
    assert_eq!(error, PathError::Constraints.into());

    // The right intermediate is not sent.
    let subordinate = world.authority.subordinate("below").unwrap();
    let leaf = subordinate.issue(|_| ()).unwrap();
    assert_eq!(world.refuses(leaf, vec![]), PathError::UnknownIssuer.into());

    // Nor among these.
    let leaf = subordinate.issue(|_| ()).unwrap();
    let strangers = vec![leaf.certificate.clone(); 4];
    assert_eq!(
        world.refuses(leaf, strangers),
        PathError::UnknownIssuer.into()
    );
    let leaf = subordinate.issue(|_| ()).unwrap();
    let namesakes: Vec<_> = (0..9)
        .map(|_| {
            world
                .authority
                .subordinate("below")
                .unwrap()
                .certificate()
                .to_vec()
        })
        .collect();
    assert_eq!(
        world.refuses(leaf, namesakes),
        PathError::TooManyIntermediates.into()
    );
}

#[test]
fn nothing_is_accepted_with_a_flipped_bit_or_cut() {
    let world = World::new();
    let server = Arc::clone(&world.server);
    let (record_sizes, sizes) = (
        Arc::new(std::sync::Mutex::new((0, 0))),
        Arc::clone(&world.server),
    );
    let sent = Arc::clone(&record_sizes);
    let met = world.meet(move |attacker| {
        attacker.honest_flight(&[&sizes.certificate], &sizes.key)?;
        *sent.lock().unwrap() = attacker.sent();
        attacker.client_finished()?;
        attacker.send(content::ALERT, &[1, 0])
    });
    assert_eq!(met, Ok(Ok(vec![])));
    let (records, bytes) = *record_sizes.lock().unwrap();
    assert_eq!(records, 5);

    let certificate = [world.authority.certificate()];
    let anchors = Anchors::new(&certificate).unwrap();
    let config = Config::with_authority("localhost", &anchors, now());
    let turn = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let flips: Vec<_> = (0..records)
        .flat_map(|record| (0..97).map(move |nth| (record, nth * 61)))
        .collect();
    let cuts: Vec<_> = (0..bytes).step_by(7).collect();
    let (tries, attempts) = (flips.len() + cuts.len(), Arc::clone(&turn));
    let attacker = Server::start(move |attacker| {
        let at = turn.load(std::sync::atomic::Ordering::SeqCst);
        match flips.get(at) {
            Some(&flip) => attacker.flip = Some(flip),
            None => attacker.cut_after = cuts.get(at - flips.len()).copied(),
        }
        attacker.honest_flight(&[&server.certificate], &server.key)?;
        attacker.end()?;
        attacker.client_finished()
    })
    .unwrap();
    for at in 0..tries {
        attempts.store(at, std::sync::atomic::Ordering::SeqCst);
        // The record's version of the ServerHello is the one thing that may be anything (RFC 8446 section 5.1); here it may not.
        let met = meet(&attacker, &config);
        assert!(met.is_err(), "attempt {at}: {met:?}");
    }
    // Nobody ever got as far as to send its Finished.
    assert!(attacker.outcomes().iter().all(Result::is_err));
}

#[test]
fn a_certificate_request_is_answered_with_nothing() {
    let world = World::new();
    let server = Arc::clone(&world.server);
    let outcome = Arc::new(std::sync::Mutex::new(Vec::new()));
    let received = Arc::clone(&outcome);
    let met = world.meet(move |attacker| {
        attacker.hello()?;
        let mut flight = attacker.encrypted_extensions();
        flight.extend(attacker.handshake(
            message::CERTIFICATE_REQUEST,
            &[0, 0, 8, 0, 13, 0, 4, 0, 2, 4, 3],
        ));
        flight.extend(attacker.certificate(&[&server.certificate]));
        flight.extend(attacker.certificate_verify(&server.key));
        flight.extend(attacker.finished());
        attacker.send(content::HANDSHAKE, &flight)?;
        *received.lock().unwrap() = attacker.receive()?.1;
        Ok(())
    });
    assert!(met.is_ok(), "{met:?}");
    let expected =
        chanbind_host_tests::attacker::framed(message::CERTIFICATE, &certificate_body(&[]));
    assert_eq!(*outcome.lock().unwrap(), expected);
}
