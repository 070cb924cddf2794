//! Attacks on the handshake over TLS, on recorded Auth messages, and on blessings.

use crate::recorded::{list, live, octets, text};
use chanbind::{
    proof::{
        KeyHolder,
        blessing::{ALGORITHMS, PeerPatterns, Principal, Roots, union},
    },
    protocol::{
        binding::Side,
        blessing::{
            AuthMessage, BlessingError, Caveat, CaveatError, CheckContext, ClientExchange,
            Condition, EncodedBlessings, Evidence, EvidenceError, MAX_AUTH_LEN, MAX_CAVEATS,
            MAX_CHAINS, MAX_DEPTH, NameList, PublicKey, ServerExchange, SigningRequest,
            THIRD_PARTY, Time, Timestamp, VomError, auth_message,
            channel::{FRAME_HEADER_LEN, MAX_SETUP_LEN},
        },
        exporter::ExporterSecret,
    },
};
use chanbind_host_tests::principals::{blessed, block_on, key, named, until};

/// The exporter of a connection.
fn channel(number: u8) -> ExporterSecret {
    ExporterSecret::sha256(&[number; 32])
}

/// A principal's blessings, with a signature by its key.
struct Signed {
    blessings: Vec<u8>,
    auth: Vec<u8>,
}

impl Signed {
    /// Signs what `request` asks of the principal.
    fn new(
        principal: &Principal,
        request: impl FnOnce(&PublicKey<'_>) -> Result<SigningRequest, BlessingError>,
    ) -> Self {
        let key = principal.key();
        let public_key = PublicKey::parse(key.public_key(), &ALGORITHMS).unwrap();
        let request = request(&public_key).unwrap();
        let answer = block_on(key.answer(request.key_request())).unwrap();
        let signature = request.finish(&answer).unwrap();
        let mut out = [0; MAX_AUTH_LEN];
        Self {
            blessings: principal.blessings().to_vec(),
            auth: auth_message(&signature, false, &mut out).to_vec(),
        }
    }

    /// The message of the principal as the server of a connection.
    fn server(principal: &Principal, on: &ExporterSecret) -> Self {
        let exchange = ServerExchange::new(on).unwrap();
        Self::new(principal, |key| exchange.request(key))
    }

    /// The message of the principal as the client of a connection, whose server it trusts.
    fn client(principal: &Principal, on: &ExporterSecret) -> Self {
        let proof = ClientExchange::new(on).unwrap().trusted();
        Self::new(principal, |key| proof.request(key))
    }

    fn evidence(&self) -> Evidence<'_> {
        Evidence {
            blessings: &self.blessings,
            auth: &self.auth,
            ..Evidence::default()
        }
    }

    /// Gives it to the client of a connection.
    fn to_client(&self, on: &ExporterSecret) -> Result<(), EvidenceError> {
        let encoded = EncodedBlessings::parse(&self.blessings)?;
        let exchange = ClientExchange::new(on).unwrap();
        let verified = exchange.verify(&encoded, &self.evidence(), &ALGORITHMS);
        verified.map(|_| ())
    }

    /// Gives it to the server of a connection.
    fn to_server(&self, on: &ExporterSecret) -> Result<(), EvidenceError> {
        let encoded = EncodedBlessings::parse(&self.blessings)?;
        let proof = ServerExchange::new(on).unwrap().proved();
        let verified = proof.verify(&encoded, &self.evidence(), &ALGORITHMS);
        verified.map(|_| ())
    }
}

#[test]
fn a_proof_is_good_for_one_direction_of_one_connection() {
    let factory = named("factory");
    let (server, client) = (
        blessed(&factory, "gateway", &[]),
        blessed(&factory, "pump7", &[]),
    );
    let (one, other) = (channel(1), channel(2));
    let from_server = Signed::server(&server, &one);
    let from_client = Signed::client(&client, &one);
    assert_eq!(from_server.to_client(&one), Ok(()));
    assert_eq!(from_client.to_server(&one), Ok(()));
    // Reflected: each end gets its own, or the tags are swapped.
    assert_eq!(from_server.to_server(&one), Err(EvidenceError::Binding));
    assert_eq!(from_client.to_client(&one), Err(EvidenceError::Binding));
    // An attacker between two connections passes them on.
    assert_eq!(from_server.to_client(&other), Err(EvidenceError::Binding));
    assert_eq!(from_client.to_server(&other), Err(EvidenceError::Binding));
    // The blessings of another key.
    let stolen = Signed {
        blessings: server.blessings().to_vec(),
        auth: from_client.auth.clone(),
    };
    assert_eq!(stolen.to_server(&one), Err(EvidenceError::Binding));
}

#[test]
fn every_bit_of_evidence_matters() {
    let factory = named("factory");
    let one = channel(1);
    let good = Signed::client(&blessed(&factory, "pump7", &[]), &one);
    assert_eq!(good.to_server(&one), Ok(()));
    let flip = |octets: &[u8], bit: usize| {
        let mut changed = octets.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        changed
    };
    for bit in 0..good.auth.len() * 8 {
        let changed = Signed {
            blessings: good.blessings.clone(),
            auth: flip(&good.auth, bit),
        };
        assert!(changed.to_server(&one).is_err(), "Auth, bit {bit}");
    }
    for bit in 0..good.blessings.len() * 8 {
        let changed = Signed {
            blessings: flip(&good.blessings, bit),
            auth: good.auth.clone(),
        };
        assert!(changed.to_server(&one).is_err(), "blessings, bit {bit}");
    }
}

/// The Auth messages and Setups of the recorded handshakes, as each end has seen them.
#[test]
fn every_bit_of_recorded_auth_messages_and_setups_matters() {
    let mut count = 0;
    for entry in list(&live()["handshakes"]) {
        let id = text(&entry["id"]);
        if entry["version"] != 14 || id.starts_with('q') {
            continue;
        }
        let messages = list(&entry["messages"]);
        let setup_of = |side: &str| {
            let mut own = messages.iter().filter(|message| message["from"] == side);
            octets(&own.next().unwrap()["frame"])[FRAME_HEADER_LEN..].to_vec()
        };
        let setups = ["dialer", "acceptor"].map(setup_of);
        assert!(setups.iter().all(|setup| setup.len() <= MAX_SETUP_LEN));
        let binding = [&setups[0][..], &setups[1][..]];
        for (from, side) in [("dialer", Side::Client), ("acceptor", Side::Server)] {
            let auth = messages
                .iter()
                .find(|message| message["from"] == from && message["message"]["type"] == "Auth");
            let Some(auth) = auth else {
                continue;
            };
            let plain = octets(&auth["plain"]);
            let public_key = octets(&entry[from]["principal"]["spki"]);
            let key = PublicKey::parse(&public_key, &ALGORITHMS).unwrap();
            let parsed = AuthMessage::parse(&plain).unwrap();
            let verify = |auth: &AuthMessage<'_>, side, binding: &[&[u8]; 2]| {
                auth.verify(&key, side, binding, &ALGORITHMS)
            };
            if !verify(&parsed, side, &binding) {
                // Recorded as wrong.
                continue;
            }
            count += 1;
            assert!(!verify(&parsed, side.peer(), &binding), "{id}");
            let [first, second] = binding;
            assert!(!verify(&parsed, side, &[second, first]), "{id}");
            // The later ones differ in the algorithm of the key: one bit of each octet is enough for them.
            let step = if count > 4 { 9 } else { 1 };
            for bit in (0..plain.len() * 8).step_by(step) {
                let mut changed = plain.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                // The numbers refer to blessings and discharges, and are not signed: others are refused when they are looked up.
                let is_refused = AuthMessage::parse(&changed).is_err()
                    || AuthMessage::parse(&changed).is_ok_and(|auth| {
                        (auth.blessings_key, auth.discharge_key)
                            != (parsed.blessings_key, parsed.discharge_key)
                            || !verify(&auth, side, &binding)
                    });
                assert!(is_refused, "{id}, bit {bit}");
            }
            if count > 1 {
                continue;
            }
            for (at, setup) in setups.iter().enumerate() {
                for bit in 0..setup.len() * 8 {
                    let mut changed = setup.clone();
                    changed[bit / 8] ^= 1 << (bit % 8);
                    let mut meddled = binding;
                    meddled[at] = &changed;
                    assert!(!verify(&parsed, side, &meddled), "{id}, Setup, bit {bit}");
                }
            }
        }
    }
    assert!(count >= 20, "{count}");
}

#[test]
fn what_exceeds_the_memory_is_an_error() {
    let mut giver = named("root");
    for depth in 2..=MAX_DEPTH + 1 {
        let key = key();
        let result = block_on(giver.bless(key.public_key(), "x", &[]));
        if depth <= MAX_DEPTH {
            giver = Principal::new(key, result.unwrap(), Roots::new()).unwrap();
        } else {
            let parsed = result.map(|encoded| {
                let encoded = EncodedBlessings::parse(&encoded)?;
                encoded.blessings().verify(&ALGORITHMS).map(|_| ())
            });
            assert!(
                !matches!(parsed, Ok(Ok(()))),
                "a chain of {depth} certificates"
            );
        }
    }
    let factory = named("root");
    let own = key();
    let all: Vec<_> = (0..=MAX_CHAINS)
        .map(|number| {
            block_on(factory.bless(own.public_key(), &format!("n{number}"), &[])).unwrap()
        })
        .collect();
    let all: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
    let verified = |encoded: &[u8]| {
        let encoded = EncodedBlessings::parse(encoded)?;
        encoded.blessings().verify(&ALGORITHMS).map(|_| ())
    };
    let joined = union(&all[..MAX_CHAINS]).unwrap();
    assert_eq!(verified(&joined), Ok(()));
    assert!(union(&all).is_err_and(|error| error.to_string().contains("more than 8 chains")));

    let conditions = vec![Condition::Const(true); MAX_CAVEATS + 1];
    let most = block_on(factory.bless(own.public_key(), "n", &conditions[..MAX_CAVEATS]));
    assert_eq!(verified(&most.unwrap()), Ok(()));
    let more = block_on(factory.bless(own.public_key(), "n", &conditions));
    let more = more.map(|encoded| verified(&encoded));
    assert!(!matches!(more, Ok(Ok(()))));
}

#[test]
fn caveats_that_do_not_hold_take_the_name_away() {
    let factory = named("factory");
    let check = |conditions: &[Condition<'_>]| {
        let client = blessed(&factory, "pump7", conditions);
        let encoded = EncodedBlessings::parse(client.blessings()).unwrap();
        let verified = encoded.blessings().verify(&ALGORITHMS).unwrap();
        let mut local_names = NameList::new();
        local_names.push("factory:gateway").unwrap();
        let mut reason = None;
        let no_discharges: &[&[u8]] = &[];
        let names = verified.names(
            factory.roots(),
            &CheckContext {
                time: Time::At(Timestamp {
                    seconds: 1_700_000_000,
                    nanoseconds: 0,
                }),
                method: "GET",
                method_tags: &[],
                local_names: &local_names,
                discharges: &no_discharges,
                algorithms: &ALGORITHMS,
            },
            &mut |_, _, error| reason = Some(error),
        );
        let names = names.unwrap();
        (names.iter().map(str::to_owned).collect::<Vec<_>>(), reason)
    };
    assert_eq!(check(&[]).0, ["factory:pump7"]);
    let third = key();
    for (what, condition, error) in [
        ("expired", until(1_600_000_000), CaveatError::Expired),
        (
            "not yet",
            Condition::NotBefore(Timestamp {
                seconds: 1_800_000_000,
                nanoseconds: 0,
            }),
            CaveatError::NotYet,
        ),
        (
            "another method",
            Condition::Methods(&["PUT"]),
            CaveatError::Method,
        ),
        (
            "another peer",
            Condition::Peers(&["factory:other"]),
            CaveatError::Peer,
        ),
        ("never", Condition::Const(false), CaveatError::Const),
        (
            "no discharge",
            Condition::ThirdParty {
                nonce: &[7; 16],
                caveats: chanbind::protocol::blessing::Caveats::NONE,
                public_key: third.public_key(),
                location: "https://discharger.example/",
            },
            CaveatError::NoDischarge,
        ),
    ] {
        let (names, reason) = check(&[condition]);
        assert!(names.is_empty(), "{what}");
        assert_eq!(reason, Some(BlessingError::Caveat(error)), "{what}");
    }
    for holding in [
        until(1_800_000_000),
        Condition::Methods(&["PUT", "GET"]),
        Condition::Peers(&["factory:gateway:$"]),
    ] {
        assert_eq!(check(&[holding]).0, ["factory:pump7"], "{holding:?}");
    }
}

#[test]
fn an_unknown_caveat_never_holds() {
    let local_names = NameList::new();
    let no_discharges: &[&[u8]] = &[];
    let context = CheckContext {
        time: Time::At(Timestamp {
            seconds: 0,
            nanoseconds: 0,
        }),
        method: "",
        method_tags: &[],
        local_names: &local_names,
        discharges: &no_discharges,
        algorithms: &ALGORITHMS,
    };
    // The parameter is that of a constant that is true.
    let unknown = Caveat {
        id: [0x5a; 16],
        parameter: &[0x81, 0x02, 0x01],
    };
    assert_eq!(unknown.check(&context), Err(CaveatError::Unknown));
}

/// A discharge whose own caveat needs a discharge, and so on.
#[test]
fn discharges_of_discharges_have_an_end() {
    let third = named("third");
    let mut conditions = Vec::new();
    let nonces: Vec<[u8; 16]> = (0..12).map(|number| [number; 16]).collect();
    for nonce in &nonces {
        conditions.push(Condition::ThirdParty {
            nonce,
            caveats: chanbind::protocol::blessing::Caveats::NONE,
            public_key: third.key().public_key(),
            location: "",
        });
    }
    let parameter_of = |condition: &Condition<'_>| {
        let mut out = vec![0; 4096];
        condition.encode(&mut out).unwrap().to_vec()
    };
    let parameters: Vec<_> = conditions.iter().map(parameter_of).collect();
    // The discharge of each caveat has the next caveat, and the last has none.
    let discharges: Vec<_> = (0..parameters.len())
        .map(|at| {
            let caveat = Caveat {
                id: THIRD_PARTY,
                parameter: &parameters[at],
            };
            let next = conditions.get(at + 1..at + 2).unwrap_or_default();
            let given = caveat.with_third_party(|party| block_on(third.discharge(party, next)));
            given.unwrap().unwrap().unwrap()
        })
        .collect();
    let discharges: Vec<&[u8]> = discharges.iter().map(Vec::as_slice).collect();
    let check = |from: usize| {
        let caveat = Caveat {
            id: THIRD_PARTY,
            parameter: &parameters[from],
        };
        check_with(&caveat, &discharges)
    };
    let last = parameters.len() - 1;
    assert_eq!(check(last), Ok(()));
    assert_eq!(check(last - 1), Ok(()));
    assert_eq!(check(0), Err(CaveatError::TooDeep));
}

/// Checks a caveat with these discharges, in a context that nothing else depends on.
fn check_with(caveat: &Caveat<'_>, discharges: &[&[u8]]) -> Result<(), CaveatError> {
    caveat.check(&CheckContext {
        time: Time::At(Timestamp {
            seconds: 0,
            nanoseconds: 0,
        }),
        method: "",
        method_tags: &[],
        local_names: &NameList::new(),
        discharges: &discharges,
        algorithms: &ALGORITHMS,
    })
}

/// Four discharges, of which each requires the next one sixteen times.
#[test]
fn discharges_that_require_many_others_are_not_followed() {
    let third = named("third");
    let condition = |nonce| Condition::ThirdParty {
        nonce,
        caveats: chanbind::protocol::blessing::Caveats::NONE,
        public_key: third.key().public_key(),
        location: "",
    };
    let nonces: [[u8; 16]; 4] = std::array::from_fn(|at| [u8::try_from(at).unwrap(); 16]);
    let parameters = nonces.each_ref().map(|nonce| {
        let mut out = vec![0; 4096];
        condition(nonce).encode(&mut out).unwrap().to_vec()
    });
    let caveat = |at: usize| Caveat {
        id: THIRD_PARTY,
        parameter: &parameters[at],
    };
    let discharges: Vec<_> = (0..4)
        .map(|at| {
            let next = nonces
                .get(at + 1)
                .map_or_else(Vec::new, |nonce| vec![condition(nonce); MAX_CAVEATS]);
            let given =
                caveat(at).with_third_party(|party| block_on(third.discharge(party, &next)));
            given.unwrap().unwrap().unwrap()
        })
        .collect();
    let discharges: Vec<&[u8]> = discharges.iter().map(Vec::as_slice).collect();
    let check = |at| check_with(&caveat(at), &discharges);
    assert_eq!(check(3), Ok(()));
    assert_eq!(check(2), Ok(()));
    assert_eq!(check(1), Err(CaveatError::TooManyDischarges));
    assert_eq!(check(0), Err(CaveatError::TooManyDischarges));
}

/// A type definition is read again for each value of its type, so that it must be short.
#[test]
fn types_with_many_fields_are_refused() {
    for (labels, expected) in [(32, VomError::WrongType), (33, VomError::TooManyFields)] {
        // The definition of type 41, an enum with empty labels, and a value of it.
        let definition = [&[1, 1, labels][..], &vec![0; usize::from(labels)], &[0xe1]].concat();
        let len = u8::try_from(definition.len()).unwrap();
        let encoded = [&[0x81, 0x51, len][..], &definition, &[0x52, 0]].concat();
        let read = EncodedBlessings::parse(&encoded)
            .and_then(|encoded| encoded.blessings().verify(&ALGORITHMS).map(|_| ()));
        assert_eq!(read, Err(BlessingError::Vom(expected)), "{labels}");
    }
}

#[test]
fn types_cannot_be_added_on_a_tls_connection() {
    let factory = named("factory");
    let one = channel(1);
    let good = Signed::client(&blessed(&factory, "pump7", &[]), &one);
    // The value begins with its type, 41, before its length in one or more bytes: after the definitions.
    let definitions = include_bytes!("../../../core/src/blessing/vom/blessings.types");
    let (front, value) = good.blessings.split_at(1 + definitions.len());
    // Type 60: a string with another name.
    let another = [0x77, 4, 0, 1, 3, 0xe1];
    let changed = Signed {
        blessings: [front, &another, value].concat(),
        auth: good.auth.clone(),
    };
    let encoded = EncodedBlessings::parse(&changed.blessings).unwrap();
    assert!(encoded.blessings().verify(&ALGORITHMS).is_ok());
    assert_eq!(changed.to_server(&one), Err(EvidenceError::Malformed));
}

#[test]
fn names_that_are_excluded_are_not_those_of_an_admitted_peer() {
    let mut names = NameList::new();
    for name in ["factory:line3:pump7", "other", "factory:line3:pump8"] {
        names.push(name).unwrap();
    }
    let peers = PeerPatterns::admit(["factory:line3"]).exclude(["factory:line3:pump7"]);
    assert!(peers.admits(&names));
    assert_eq!(peers.admitted(&names), ["factory:line3:pump8"]);
}
