//! Tests of the ways to authenticate a server, each with a server that is accepted and one that is rejected.

use super::*;
use chanbind_core::x509::{PathError, PathRules, Usage, spki_sha256};
use chanbind_host_tests::attacker::content;
use rcgen::{SanType, date_time_ymd};

fn serve(leaf: Issued, intermediates: Vec<Vec<u8>>) -> Server {
    Server::start(move |attacker| {
        let mut chain = vec![leaf.certificate.as_slice()];
        chain.extend(intermediates.iter().map(Vec::as_slice));
        attacker.honest_flight(&chain, &leaf.key)?;
        attacker.client_finished()?;
        attacker.send(content::ALERT, &[1, 0])
    })
    .unwrap()
}

#[test]
fn authenticates_by_name() {
    let authority = Authority::new("authority").unwrap();
    let certificate = [authority.certificate()];
    let anchors = Anchors::new(&certificate).unwrap();
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    let names = [
        "a.example",
        "b.example",
        "c.example",
        "localhost",
        "*.wild.example",
    ]
    .map(dns);
    let addresses = [
        SanType::IpAddress([127, 0, 0, 1].into()),
        SanType::IpAddress("::1".parse().unwrap()),
    ];
    for (name, accepted) in [
        ("localhost", Ok(())),
        ("LOCALHOST", Ok(())),
        ("a.example", Ok(())),
        ("x.wild.example", Ok(())),
        ("127.0.0.1", Ok(())),
        ("::1", Ok(())),
        ("x.y.wild.example", Err(PathError::Name)),
        ("wild.example", Err(PathError::Name)),
        ("127.0.0.2", Err(PathError::Name)),
        ("d.example", Err(PathError::Name)),
        ("not a name", Err(PathError::InvalidName)),
        ("", Err(PathError::InvalidName)),
    ] {
        let leaf = authority
            .issue(|params| {
                params.subject_alt_names = [names.to_vec(), addresses.to_vec()].concat();
            })
            .unwrap();
        let result = run_client(
            &serve(leaf, vec![]),
            &Config::with_authority(name, &anchors, now()),
        );
        assert_eq!(
            result.map(|_| ()),
            accepted.map_err(ConnectError::from),
            "{name}"
        );
    }
}

#[test]
fn authenticates_by_chain() {
    let root = Authority::new("root").unwrap();
    let (first, certificate) = (root.subordinate("first").unwrap(), [root.certificate()]);
    let second = first.subordinate("second").unwrap();
    let anchors = Anchors::new(&certificate).unwrap();
    let leaf = second.issue(|_| ()).unwrap();
    let chain = vec![
        second.certificate().to_vec(),
        first.certificate().to_vec(),
        root.certificate().to_vec(),
    ];
    let config = Config::with_authority("localhost", &anchors, now());
    assert_eq!(run_client(&serve(leaf, chain), &config), Ok(Ok(vec![])));

    // One of several anchors, at the last position.
    let others: Vec<_> = (0..3).map(|_| Authority::new("other").unwrap()).collect();
    let certificates: Vec<_> = others
        .iter()
        .chain([&root])
        .map(Authority::certificate)
        .collect();
    let anchors = Anchors::new(&certificates).unwrap();
    let config = Config::with_authority("localhost", &anchors, now());
    assert_eq!(
        run_client(&serve(root.issue(|_| ()).unwrap(), vec![]), &config),
        Ok(Ok(vec![]))
    );

    assert_eq!(Anchors::new(&[]).err(), Some(PathError::NoAnchor));
    assert_eq!(
        Anchors::new(&[b"no certificate"]).err(),
        Some(PathError::Anchor)
    );
    let five = [root.certificate(); 5];
    assert_eq!(Anchors::new(&five).err(), Some(PathError::TooManyAnchors));
}

#[test]
fn authenticates_by_pin() {
    let leaf = Issued::self_signed(|params| params.not_after = date_time_ymd(2001, 1, 1)).unwrap();
    let pin = spki_sha256(&leaf.certificate).unwrap();
    let other = Issued::self_signed(|_| ()).unwrap();
    let config = Config::with_spki_pin(&pin, Some("anything"));
    assert_eq!(run_client(&serve(leaf, vec![]), &config), Ok(Ok(vec![])));
    assert_eq!(
        run_client(&serve(other, vec![]), &config),
        Err(PathError::Pin.into())
    );

    // A server that has the certificate but not its key.
    let leaf = Issued::self_signed(|_| ()).unwrap();
    let pin = spki_sha256(&leaf.certificate).unwrap();
    let thief = Issued::self_signed(|_| ()).unwrap();
    let server =
        Server::start(move |attacker| attacker.honest_flight(&[&leaf.certificate], &thief.key))
            .unwrap();
    let result = run_client(&server, &Config::with_spki_pin(&pin, None));
    assert_eq!(result, Err(ConnectError::CertificateVerify));
}

#[test]
fn authenticates_by_authority_and_pin() {
    let authority = Authority::new("authority").unwrap();
    let certificate = [authority.certificate()];
    let anchors = Anchors::new(&certificate).unwrap();
    let (leaf, other) = (
        authority.issue(|_| ()).unwrap(),
        authority.issue(|_| ()).unwrap(),
    );
    let pin = spki_sha256(&leaf.certificate).unwrap();
    let rules = PathRules::new(&anchors, Usage::ServerAuth, now()).with_spki_pin(&pin);
    let config = Config::with_path_rules("localhost", rules);
    assert_eq!(run_client(&serve(leaf, vec![]), &config), Ok(Ok(vec![])));
    assert_eq!(
        run_client(&serve(other, vec![]), &config),
        Err(PathError::Pin.into())
    );
}

#[test]
fn checks_validity_according_to_the_known_time() {
    let authority = Authority::new("authority").unwrap();
    let certificate = [authority.certificate()];
    let anchors = Anchors::new(&certificate).unwrap();
    let below = authority.subordinate("below").unwrap();
    let year = |year: i32| date_time_ymd(year, 1, 1);
    let at = |year| u64::try_from(date_time_ymd(year, 1, 1).unix_timestamp()).unwrap();
    for (time, valid, accepted) in [
        (Time::At(at(2025)), (2024, 2026), true),
        (Time::At(at(2027)), (2024, 2026), false),
        (Time::At(at(2023)), (2024, 2026), false),
        // The time may be later than the lower bound, but not earlier.
        (Time::NotBefore(at(2023)), (2024, 2026), true),
        (Time::NotBefore(at(2025)), (2024, 2026), true),
        (Time::NotBefore(at(2027)), (2024, 2026), false),
        (Time::dangerous_unknown(), (1980, 1990), true),
    ] {
        let leaf = below
            .issue(|params| {
                params.not_before = year(valid.0);
                params.not_after = year(valid.1);
            })
            .unwrap();
        let server = serve(leaf, vec![below.certificate().to_vec()]);
        let result = run_client(
            &server,
            &Config::with_authority("localhost", &anchors, time),
        );
        assert_eq!(result.is_ok(), accepted, "{time:?} {valid:?}: {result:?}");
    }
}

/// The only way to connect to an unknown server is named dangerous.
#[test]
fn accepts_any_server_without_authentication() {
    let leaf = Issued::self_signed(|_| ()).unwrap();
    let config = Config::dangerous_without_authentication(None);
    assert_eq!(run_client(&serve(leaf, vec![]), &config), Ok(Ok(vec![])));
}

#[test]
fn rejects_records_that_do_not_fit_small_buffers() {
    let authority = Authority::new("authority").unwrap();
    let certificate = [authority.certificate()];
    let anchors = Anchors::new(&certificate).unwrap();
    let config = Config::with_authority("localhost", &anchors, now());
    let server = serve(authority.issue(|_| ()).unwrap(), vec![]);
    assert_eq!(
        run_client_with_buffer(&server, &config, 1024),
        Ok(Ok(vec![]))
    );
    let server = serve(authority.issue(|_| ()).unwrap(), vec![vec![0; 1024]]);
    assert_eq!(
        run_client_with_buffer(&server, &config, 1024),
        Err(ConnectError::RecordTooLarge)
    );
    let server = serve(authority.issue(|_| ()).unwrap(), vec![]);
    assert_eq!(
        run_client_with_buffer(&server, &config, 100),
        Err(ConnectError::Buffers)
    );
}

#[test]
fn rejects_invalid_pre_shared_keys() {
    use chanbind_embedded_tls::InvalidConfig;
    for key in [&[0; 32][..], &[0; 48], &[], &[7; 15], &[7; 65]] {
        assert_eq!(
            Config::with_psk(b"device", key).err(),
            Some(InvalidConfig::Psk)
        );
    }
    assert_eq!(
        Config::with_psk(b"", &[7; 32]).err(),
        Some(InvalidConfig::Psk)
    );
    assert!(Config::with_psk(b"device", &[7; 16]).is_ok());
}

/// A client certificate is not valid for a server, regardless of the usage in the rules.
#[test]
fn rejects_client_certificates_of_servers() {
    let authority = Authority::new("authority").unwrap();
    let certificate = [authority.certificate()];
    let anchors = Anchors::new(&certificate).unwrap();
    let leaf = authority.issue(|params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth]
    });
    let rules = PathRules::new(&anchors, Usage::ClientAuth, now());
    let result = run_client(
        &serve(leaf.unwrap(), vec![]),
        &Config::with_path_rules("localhost", rules),
    );
    assert_eq!(result, Err(PathError::Usage.into()));
}
