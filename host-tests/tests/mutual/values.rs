//! Values that are out of range (RFC 8121 sections 3.2 and 3.3), and what a thief of J can do.

use crate::parties::{PASSWORD, USER, random};
use chanbind_core::mutual::{
    Algorithm, ClientExchange, Credentials, Decoy, HostValidation, MAX_MESSAGE_LEN, MutualError,
    Number, Origin, Realm, SecretNumber, ServerSession, SessionId, StoredCredential, Validation,
    Verdict,
};

fn realm(algorithm: Algorithm) -> Realm {
    Realm::new(algorithm, "h", "r").unwrap()
}

fn host() -> HostValidation {
    HostValidation::host(&Origin::parse("http://h").unwrap())
}

fn exchange(realm: &Realm, number: u64) -> ClientExchange {
    let pi = realm.credential(USER, PASSWORD).unwrap();
    ClientExchange::begin(realm.clone(), pi, &random(number)).unwrap()
}

fn session(realm: &Realm, client_value: &Number) -> Result<ServerSession, MutualError> {
    let decoy = Decoy::new(realm, &random(1)).unwrap();
    let secret = SecretNumber::new(&scalar(realm.algorithm())).unwrap();
    let client_value = client_value.clone();
    ServerSession::with_secret(realm, USER, None, &decoy, 9, client_value, secret)
}

/// A secret number that every algorithm takes.
fn scalar(algorithm: Algorithm) -> Vec<u8> {
    let len = match algorithm.element_len() {
        33 => 32,
        len => len,
    };
    let mut octets = vec![0; len];
    octets[len - 3] = 0x12;
    octets[len - 1] = 0x34;
    octets
}

/// The modulus of a group, from its generator's file.
fn modulus(algorithm: Algorithm) -> Vec<u8> {
    let path = format!(
        "{}/../core/src/mutual/kam3/modp{}.hex",
        env!("CARGO_MANIFEST_DIR"),
        algorithm.element_len() * 8
    );
    hex::decode(std::fs::read_to_string(path).unwrap()).unwrap()
}

fn less(octets: &[u8], by: u8) -> Vec<u8> {
    let mut octets = octets.to_vec();
    let last = octets.len() - 1;
    octets[last] -= by;
    octets
}

/// Octets that stand for no element that may be sent.
fn invalid(algorithm: Algorithm) -> Vec<Vec<u8>> {
    let len = algorithm.element_len();
    let number = |value: u8| {
        let mut octets = vec![0; len];
        octets[len - 1] = value;
        octets
    };
    let mut all = vec![
        number(0),
        number(1),
        vec![0xff; len],
        Vec::new(),
        vec![0; len - 1],
    ];
    if len >= 256 {
        let q = modulus(algorithm);
        all.extend([q.clone(), less(&q, 1)]);
    } else {
        // x = 0 has no point on P-256 and one on P-521; x = 1 is the other way round; so has 7 in both.
        let mut without = (0..200).map(number).filter(|octets| {
            let value = Number::new(octets).unwrap();
            session(&realm(algorithm), &value).is_err()
        });
        // About half of all numbers are the x of a point, each with both signs.
        let found: Vec<_> = without.by_ref().collect();
        assert!((60..140).contains(&found.len()), "{}", found.len());
        all.extend(found);
        // 2q, in P-256: a coordinate that is not reduced.
        let q = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
        if len == 33 {
            let mut twice = vec![1];
            let q = hex::decode(q).unwrap();
            let shifted = q.iter().enumerate().map(|(at, byte)| {
                let next = q.get(at + 1).map_or(0, |next| next >> 7);
                (byte << 1) | next
            });
            twice.extend(shifted);
            all.push(twice.clone());
            // 2 * (q + 0) + 1.
            twice[32] |= 1;
            all.push(twice);
        }
    }
    let mut valid = exchange(&realm(algorithm), 3).value().as_bytes().to_vec();
    valid.push(0);
    if let Some(longer) = Number::new(&valid) {
        all.push(longer.as_bytes().to_vec());
    }
    all
}

#[test]
fn values_out_of_range_are_refused_by_both_sides() {
    for &algorithm in Algorithm::ALL {
        let realm = realm(algorithm);
        let own = exchange(&realm, 1).value().clone();
        assert!(session(&realm, &own).is_ok());
        let mut refused = 0;
        for octets in invalid(algorithm) {
            let Some(value) = Number::new(&octets) else {
                continue;
            };
            if octets.len() == algorithm.element_len() && session(&realm, &value).is_ok() {
                // x = 0 or 1 may be a point.
                assert!(
                    algorithm.element_len() < 256,
                    "{algorithm}: {}",
                    hex::encode(octets)
                );
                continue;
            }
            refused += 1;
            assert!(matches!(session(&realm, &value), Err(MutualError::Value)));
            let limits = chanbind_core::mutual::SessionLimits {
                nc_max: 9,
                nc_window: 128,
                time: 60,
            };
            let sid = SessionId::from_slice(&[1; 16]).unwrap();
            // Once: a key exchange with 4,096 bits takes a while.
            let finished = exchange(&realm, 2).finish(sid, value, limits);
            assert_eq!(finished.err(), Some(MutualError::Value), "{algorithm}");
            if refused > 12 {
                break;
            }
        }
        assert!(refused >= 6, "{algorithm}: {refused}");
    }
}

/// The order of a group is the number of its elements; a secret of 0 or of the order gives the identity.
#[test]
fn secrets_out_of_range_are_refused() {
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let realm = realm(Algorithm::P256_SHA256);
    for octets in [
        vec![0; 32],
        hex::decode(order).unwrap(),
        vec![0xff; 32],
        vec![1; 31],
        vec![1; 33],
    ] {
        let pi = realm.credential(USER, PASSWORD).unwrap();
        let secret = SecretNumber::new(&octets).unwrap();
        let exchange = ClientExchange::with_secret(realm.clone(), pi, secret);
        assert_eq!(exchange.err(), Some(MutualError::Random));
    }
    // Numbers so small that g^S_c1 is not reduced (RFC 8121 Appendix B).
    let realm = self::realm(Algorithm::DL2048_SHA256);
    for (value, expected) in [(2_047_u16, Some(MutualError::Random)), (2_048, None)] {
        let mut octets = vec![0; 256];
        octets[254..].copy_from_slice(&value.to_be_bytes());
        let pi = realm.credential(USER, PASSWORD).unwrap();
        let secret = SecretNumber::new(&octets).unwrap();
        let exchange = ClientExchange::with_secret(realm.clone(), pi, secret);
        assert_eq!(exchange.err(), expected, "{value}");
    }
}

/// Runs an exchange of a client that has `pi` with a server that has `stored`.
fn is_admitted(realm: &Realm, pi: SecretNumber, stored: &StoredCredential) -> (bool, bool) {
    let exchange = ClientExchange::begin(realm.clone(), pi, &random(5)).unwrap();
    let mut out = [0; MAX_MESSAGE_LEN];
    let message = exchange.write(Validation::Host, USER, &mut out).unwrap();
    let credentials = Credentials::parse(message).unwrap().unwrap();
    let decoy = Decoy::new(realm, &random(1)).unwrap();
    let j = stored.j(realm, USER).unwrap();
    let mut session =
        ServerSession::begin(realm, &credentials, Some(j), &decoy, 9, &random(6)).unwrap();
    let sid = SessionId::from_slice(&[1; 16]).unwrap();
    let value = session.value().unwrap().clone();
    let mut client = exchange.finish(sid, value, session.limits(60)).unwrap();
    let mut out = [0; MAX_MESSAGE_LEN];
    let (message, request) = client.write(&host(), &mut out).unwrap();
    let credentials = Credentials::parse(message).unwrap().unwrap();
    match session.verify(&credentials, &[host()]) {
        Verdict::Proved(proof) => {
            let mut out = [0; MAX_MESSAGE_LEN];
            let info = proof.write(&mut out).unwrap();
            (true, client.is_verified(&request, &host(), info))
        }
        _ => (false, false),
    }
}

/// J, by itself or as what an attacker may take for pi, is no password. It is all that a server needs.
#[test]
fn a_thief_of_j_can_play_the_server_and_not_the_user() {
    let realm = realm(Algorithm::P256_SHA256);
    let stolen = StoredCredential::register(&realm, USER, PASSWORD).unwrap();
    let j = stolen.j(&realm, USER).unwrap().as_bytes();
    for guess in [&j[1..], &j[..32], &[0; 32]] {
        let guess = SecretNumber::new(guess).unwrap();
        assert_eq!(is_admitted(&realm, guess, &stolen), (false, false));
    }
    // J as a password.
    let text = stolen.to_text();
    let (_, digits) = text.rsplit_once(':').unwrap();
    let pi = realm.credential(USER, digits).unwrap();
    assert_eq!(is_admitted(&realm, pi, &stolen), (false, false));
    // The thief as the server of the honest user: both sides succeed.
    let honest = realm.credential(USER, PASSWORD).unwrap();
    assert_eq!(is_admitted(&realm, honest, &stolen), (true, true));
    // And tries passwords at home: J of a guess is equal or it is not.
    for (guess, expected) in [("password", false), (PASSWORD, true)] {
        let pi = realm.credential(USER, guess).unwrap();
        assert_eq!(realm.stored(&pi).unwrap().as_bytes() == j, expected);
    }
}

#[test]
fn stored_credentials_are_parsed_strictly() {
    let realm = realm(Algorithm::P256_SHA256);
    let stored = StoredCredential::register(&realm, USER, PASSWORD).unwrap();
    let text = stored.to_text();
    assert_eq!(StoredCredential::parse(&text).unwrap().to_text(), text);
    let front = text.rsplit_once(':').unwrap().0;
    let zero = format!("{front}:{}", "0".repeat(66));
    let invalid = format!("{front}:02{}", "0".repeat(64));
    for other in [
        "",
        "mutual1",
        &text.replace("mutual1", "mutual2"),
        &text.replace("p256", "p384"),
        &text.replace("p256-sha256", "p521-sha512"),
        &text[..text.len() - 1],
        &text[..text.len() - 2],
        &format!("{text}00"),
        &format!("{text}:"),
        &format!(" {text}"),
        &zero,
        &invalid,
        front,
    ] {
        let parsed = StoredCredential::parse(other);
        // x = 0 is the x of a point of P-256.
        if other != zero {
            assert_eq!(parsed.err(), Some(MutualError::Stored), "{other}");
        }
    }
}
