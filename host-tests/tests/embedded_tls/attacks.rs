//! Tests of servers that are not authentic, each rejected with an error that states the reason.

use super::*;
use chanbind_core::x509::PathError;
use chanbind_host_tests::attacker::{certificate_body, content, message};
use rcgen::{
    BasicConstraints, CidrSubnet, DnType, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa,
    KeyUsagePurpose, NameConstraints, SanType, date_time_ymd,
};

fn behave_honestly(attacker: &mut Attacker, server: &Issued) -> io::Result<()> {
    attacker.honest_flight(&[&server.certificate], &server.key)?;
    attacker.client_finished()?;
    attacker.send(content::APPLICATION_DATA, b"hello")?;
    attacker.send(content::ALERT, &[1, 0])
}

/// The other tests are only meaningful if the test server is accepted when it behaves honestly.
#[test]
fn accepts_the_test_server_when_it_is_honest() {
    let fixture = Fixture::new();
    let server = Arc::clone(&fixture.server);
    let result = fixture.run_client(move |attacker| behave_honestly(attacker, &server));
    assert_eq!(result, Ok(Ok(b"hello".to_vec())));
}

#[test]
fn rejects_a_server_without_certificate() {
    let result = Fixture::new().run_client(|attacker| {
        attacker.hello()?;
        let flight = [attacker.encrypted_extensions(), attacker.finished()].concat();
        attacker.send(content::HANDSHAKE, &flight)
    });
    assert_eq!(result, Err(ConnectError::NoCertificate));
}

#[test]
fn rejects_an_empty_certificate_list() {
    let result = Fixture::new().run_client(|attacker| {
        attacker.hello()?;
        let mut flight = attacker.encrypted_extensions();
        flight.extend(attacker.certificate(&[]));
        flight.extend(attacker.finished());
        attacker.send(content::HANDSHAKE, &flight)
    });
    assert_eq!(result, Err(ConnectError::NoCertificate));
}

#[test]
fn rejects_a_genuine_certificate_without_certificate_verify() {
    let fixture = Fixture::new();
    let server = Arc::clone(&fixture.server);
    let result = fixture.run_client(move |attacker| {
        attacker.hello()?;
        let mut flight = attacker.encrypted_extensions();
        flight.extend(attacker.certificate(&[&server.certificate]));
        flight.extend(attacker.finished());
        attacker.send(content::HANDSHAKE, &flight)
    });
    assert_eq!(result, Err(ConnectError::NoCertificateVerify));
}

#[test]
fn rejects_a_genuine_certificate_with_another_key() {
    let fixture = Fixture::new();
    let (server, other) = (
        Arc::clone(&fixture.server),
        fixture.authority.issue(|_| ()).unwrap(),
    );
    let result = fixture
        .run_client(move |attacker| attacker.honest_flight(&[&server.certificate], &other.key));
    assert_eq!(result, Err(ConnectError::CertificateVerify));
}

#[test]
fn rejects_certificate_verify_with_another_context_or_scheme() {
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
        let fixture = Fixture::new();
        let server = Arc::clone(&fixture.server);
        let result = fixture.run_client(move |attacker| {
            attacker.hello()?;
            let mut flight = attacker.encrypted_extensions();
            flight.extend(attacker.certificate(&[&server.certificate]));
            flight.extend(attacker.certificate_verify_with(&server.key, context, scheme));
            flight.extend(attacker.finished());
            attacker.send(content::HANDSHAKE, &flight)
        });
        assert_eq!(result, Err(error), "{context} {scheme:04x}");
    }
}

#[test]
fn rejects_certificate_messages_out_of_order_or_repeated() {
    let fixture = Fixture::new();
    for order in ["vc", "v", "ccv", "cvv", "cvcv", "cvc"] {
        let server = Arc::clone(&fixture.server);
        for in_one_record in [true, false] {
            let server = Arc::clone(&server);
            let result = fixture.run_client(move |attacker| {
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
            assert_eq!(result, Err(ConnectError::MessageOrder), "{order}");
        }
    }
}

#[test]
fn rejects_a_certificate_after_finished() {
    let fixture = Fixture::new();
    let server = Arc::clone(&fixture.server);
    let result = fixture.run_client(move |attacker| {
        attacker.hello()?;
        let mut flight = attacker.encrypted_extensions();
        flight.extend(attacker.finished());
        flight.extend(attacker.certificate(&[&server.certificate]));
        flight.extend(attacker.certificate_verify(&server.key));
        attacker.send(content::HANDSHAKE, &flight)
    });
    assert_eq!(result, Err(ConnectError::Decrypt));
}

#[test]
fn rejects_an_invalid_finished() {
    let fixture = Fixture::new();
    let server = Arc::clone(&fixture.server);
    let result = fixture.run_client(move |attacker| {
        attacker.hello()?;
        let mut flight = attacker.encrypted_extensions();
        flight.extend(attacker.certificate(&[&server.certificate]));
        flight.extend(attacker.certificate_verify(&server.key));
        let mut finished = attacker.finished();
        *finished.last_mut().unwrap() ^= 1;
        flight.extend(finished);
        attacker.send(content::HANDSHAKE, &flight)
    });
    assert_eq!(result, Err(ConnectError::Finished));
}

#[test]
fn rejects_invalid_leaf_certificates() {
    let fixture = Fixture::new();
    let issue = |change: &dyn Fn(&mut rcgen::CertificateParams)| {
        fixture.authority.issue(|params| change(params)).unwrap()
    };
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    let year = |year| date_time_ymd(year, 1, 1);

    let leaf =
        issue(&|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    assert_eq!(fixture.error_for(leaf, vec![]), PathError::Usage.into());

    let leaf = issue(&|params| params.not_after = year(2020));
    let error = fixture.error_for(leaf, vec![]);
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
    let error = fixture.error_for(leaf, vec![]);
    assert!(
        matches!(
            error,
            ConnectError::Certificate(PathError::NotYetValid { .. })
        ),
        "{error:?}"
    );

    let leaf = issue(&|params| params.subject_alt_names = vec![dns("example.org")]);
    assert_eq!(fixture.error_for(leaf, vec![]), PathError::Name.into());

    // None of these names matches; all are checked, not only the first three.
    let leaf = issue(&|params| {
        params.subject_alt_names = ["a", "b", "c", "d.localhost", "localhost.example"]
            .map(dns)
            .to_vec()
    });
    assert_eq!(fixture.error_for(leaf, vec![]), PathError::Name.into());

    // A common name is not used, with or without subjectAltName.
    for names in [vec![dns("example.org")], vec![]] {
        let leaf = issue(&|params| {
            params.subject_alt_names = names.clone();
            params
                .distinguished_name
                .push(DnType::CommonName, "localhost");
        });
        assert_eq!(fixture.error_for(leaf, vec![]), PathError::Name.into());
    }

    // The address that the name resolves to does not match the name.
    let leaf =
        issue(&|params| params.subject_alt_names = vec![SanType::IpAddress([127, 0, 0, 1].into())]);
    assert_eq!(fixture.error_for(leaf, vec![]), PathError::Name.into());

    let leaf = issue(&|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_eq!(fixture.error_for(leaf, vec![]), PathError::CaOrLeaf.into());

    let leaf = Issued::self_signed(|_| ()).unwrap();
    assert_eq!(
        fixture.error_for(leaf, vec![]),
        PathError::UnknownIssuer.into()
    );

    let leaf = Authority::new("another authority")
        .unwrap()
        .issue(|_| ())
        .unwrap();
    assert_eq!(
        fixture.error_for(leaf, vec![]),
        PathError::UnknownIssuer.into()
    );

    // An authority with the same name and another key.
    let leaf = Authority::new("chanbind test authority")
        .unwrap()
        .issue(|_| ())
        .unwrap();
    assert_eq!(fixture.error_for(leaf, vec![]), PathError::Signature.into());

    let mut leaf = issue(&|_| ());
    let last = leaf.certificate.len() - 1;
    leaf.certificate[last] ^= 1;
    assert_eq!(fixture.error_for(leaf, vec![]), PathError::Signature.into());
}

#[test]
fn rejects_invalid_and_missing_issuers() {
    let fixture = Fixture::new();
    // A leaf as issuer: with CA:FALSE, without basicConstraints, and with the key usage keyCertSign.
    for change in [
        (|params| params.is_ca = IsCa::ExplicitNoCa) as fn(&mut rcgen::CertificateParams),
        |_| (),
        |params| params.key_usages.push(KeyUsagePurpose::KeyCertSign),
    ] {
        let issuer = fixture.authority.issue(change).unwrap();
        let leaf = issuer.issue(|_| ()).unwrap();
        let error = fixture.error_for(leaf, vec![issuer.certificate.clone()]);
        assert_eq!(error, PathError::CaOrLeaf.into());
    }

    // An intermediate that is constrained to other names.
    let constrained = fixture
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
    let error = fixture.error_for(leaf, vec![constrained.certificate.clone()]);
    assert_eq!(error, PathError::Constraints.into());

    // The intermediate is missing.
    let subordinate = fixture.authority.subordinate("below").unwrap();
    let leaf = subordinate.issue(|_| ()).unwrap();
    assert_eq!(
        fixture.error_for(leaf, vec![]),
        PathError::UnknownIssuer.into()
    );

    // The intermediate is missing among other certificates.
    let leaf = subordinate.issue(|_| ()).unwrap();
    let strangers = vec![leaf.certificate.clone(); 4];
    assert_eq!(
        fixture.error_for(leaf, strangers),
        PathError::UnknownIssuer.into()
    );
    let leaf = subordinate.issue(|_| ()).unwrap();
    let namesakes: Vec<_> = (0..9)
        .map(|_| {
            fixture
                .authority
                .subordinate("below")
                .unwrap()
                .certificate()
                .to_vec()
        })
        .collect();
    assert_eq!(
        fixture.error_for(leaf, namesakes),
        PathError::TooManyIntermediates.into()
    );
}

#[test]
fn rejects_handshakes_with_a_flipped_bit_or_truncated() {
    let fixture = Fixture::new();
    let server = Arc::clone(&fixture.server);
    let (record_sizes, sizes) = (
        Arc::new(std::sync::Mutex::new((0, 0))),
        Arc::clone(&fixture.server),
    );
    let sent = Arc::clone(&record_sizes);
    let result = fixture.run_client(move |attacker| {
        attacker.honest_flight(&[&sizes.certificate], &sizes.key)?;
        *sent.lock().unwrap() = attacker.sent();
        attacker.client_finished()?;
        attacker.send(content::ALERT, &[1, 0])
    });
    assert_eq!(result, Ok(Ok(vec![])));
    let (records, bytes) = *record_sizes.lock().unwrap();
    assert_eq!(records, 5);

    let certificate = [fixture.authority.certificate()];
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
        // RFC 8446 section 5.1 tells clients to ignore the record version of a ServerHello, but this client checks it, too.
        let result = run_client(&attacker, &config);
        assert!(result.is_err(), "attempt {at}: {result:?}");
    }
    // No client has sent its Finished.
    assert!(attacker.outcomes().iter().all(Result::is_err));
}

#[test]
fn answers_a_certificate_request_with_an_empty_certificate() {
    let fixture = Fixture::new();
    let server = Arc::clone(&fixture.server);
    let outcome = Arc::new(std::sync::Mutex::new(Vec::new()));
    let received = Arc::clone(&outcome);
    let result = fixture.run_client(move |attacker| {
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
    assert!(result.is_ok(), "{result:?}");
    let expected =
        chanbind_host_tests::attacker::framed(message::CERTIFICATE, &certificate_body(&[]));
    assert_eq!(*outcome.lock().unwrap(), expected);
}
