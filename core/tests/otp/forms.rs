//! Creation and verification of the four forms, including tokens with changed bits and buffers that are too short.

use super::*;

#[test]
fn verifies_and_reproduces_the_jws_of_the_go_demo() {
    let file = load("go-demo-tokens.json");
    let (signing, token) = (
        key(&file["jws"]["signing_key"]),
        text_of(&file["jws"]["token"]),
    );
    let mut scratch = vec![0; scratch_len(token.len())];
    let verified = jws::verify(&signing, token, &Policy::default(), &mut scratch).unwrap();
    assert_eq!(
        (verified.claims.issuer, verified.claims.subject),
        (Some("issuer"), Some("subject"))
    );
    assert_eq!(verified.payload, text_of(&file["jws"]["claims"]).as_bytes());

    let claims = Claims {
        issuer: Some("issuer"),
        subject: Some("subject"),
        ..Claims::default()
    };
    let (mut payload, mut out) = ([0; 64], [0; 256]);
    let token_again = jws::sign(
        &signing,
        &Header::default(),
        claims.encode(&mut payload).unwrap(),
        &mut out,
    );
    assert_eq!(token_again, Ok(token));
}

#[test]
fn opens_and_reproduces_the_nested_token_of_the_go_demo() {
    let file = load("go-demo-tokens.json");
    let vector = &file["nested"];
    let (signing, encryption) = (key(&vector["signing_key"]), key(&vector["encryption_key"]));
    let keys = nested::NestedKeys {
        signing: &signing,
        encryption: &encryption,
    };
    let token = text_of(&vector["token"]);
    let mut scratch = vec![0; scratch_len(token.len())];
    let opened = nested::open(&keys, token, &Policy::default(), &mut scratch).unwrap();
    assert_eq!(opened.claims.subject, Some("subject"));
    assert_eq!(opened.header.key_id, Some("client_1"));
    assert_eq!(
        jwe::decrypt(&encryption, token, &mut vec![0; scratch_len(token.len())])
            .unwrap()
            .plaintext,
        text_of(&vector["inner"]).as_bytes()
    );

    let nonce = URL.decode(token.split('.').nth(2).unwrap()).unwrap();
    let claims = Claims {
        issuer: Some("issuer"),
        subject: Some("subject"),
        ..Claims::default()
    };
    let (mut payload, mut scratch, mut out) = ([0; 64], [0; 256], [0; 512]);
    let token_again = nested::seal(
        &keys,
        nonce.as_slice().try_into().unwrap(),
        (
            &Header::default(),
            &Header {
                key_id: Some("client_1"),
                typ: true,
            },
        ),
        claims.encode(&mut payload).unwrap(),
        &mut scratch,
        &mut out,
    );
    assert_eq!(token_again, Ok(token));
}

#[test]
fn rejects_an_api_key_with_any_bit_changed() {
    let key = test_key();
    let mut buffer = [0; api_key::ENCODED_LEN];
    let good = api_key::encode(&key, &mut buffer).to_owned();
    assert_eq!(good, STANDARD.encode(key.as_bytes()));
    api_key::verify(&key, &good).unwrap();
    for bit in 0..good.len() * 8 {
        let mut changed = good.clone().into_bytes();
        changed[bit / 8] ^= 1 << (bit % 8);
        if let Ok(changed) = str::from_utf8(&changed) {
            assert!(api_key::verify(&key, changed).is_err(), "bit {bit}");
        }
    }
    for wrong in [
        "",
        &good[..43],
        &format!("{good}="),
        &format!(" {good}"),
        &good.replace('=', "A"),
    ] {
        assert!(
            matches!(api_key::verify(&key, wrong), Err(TokenError::Malformed(_))),
            "{wrong}"
        );
    }
    // The last character before the padding has two unused bits, which must be zero.
    let noncanonical = format!("{}J=", &good[..42]);
    assert_eq!(
        api_key::verify(&key, &noncanonical),
        Err(TokenError::Malformed(MalformedToken::Base64))
    );
    assert_eq!(
        api_key::verify(&OneTimeKey::from_bytes([0x43; 32]), &good),
        Err(TokenError::Rejected)
    );
}

#[test]
fn rejects_a_token_with_any_bit_or_its_length_changed() {
    let (signing, encryption) = (test_key(), OneTimeKey::from_bytes([0x24; 32]));
    let keys = nested::NestedKeys {
        signing: &signing,
        encryption: &encryption,
    };
    let claims = Claims {
        subject: Some("client1"),
        ..Claims::default()
    };
    let mut payload = [0; 64];
    let payload = claims.encode(&mut payload).unwrap();
    let (mut scratch, mut jws_out, mut nested_out) = ([0; 256], [0; 256], [0; 512]);
    let header = Header {
        key_id: Some("client1"),
        typ: true,
    };
    let jws_token = jws::sign(&signing, &header, payload, &mut jws_out).unwrap();
    let nested_token = nested::seal(
        &keys,
        &[1; 12],
        (&Header::default(), &header),
        payload,
        &mut scratch,
        &mut nested_out,
    )
    .unwrap();
    let policy = Policy::default();
    for token in [jws_token, nested_token] {
        let mut scratch = vec![0; scratch_len(token.len())];
        let mut accepts = |token: &str| {
            if token.split('.').count() == 3 {
                jws::verify(&signing, token, &policy, &mut scratch).is_ok()
            } else {
                nested::open(&keys, token, &policy, &mut scratch).is_ok()
            }
        };
        assert!(accepts(token));
        for bit in 0..token.len() * 8 {
            let mut changed = token.to_owned().into_bytes();
            changed[bit / 8] ^= 1 << (bit % 8);
            if let Ok(changed) = str::from_utf8(&changed) {
                assert!(!accepts(changed), "bit {bit} of {token}");
            }
        }
        for len in 0..token.len() {
            assert!(!accepts(&token[..len]));
        }
        for more in [".", "=", "A", " ", "."] {
            assert!(!accepts(&format!("{token}{more}")) && !accepts(&format!("{more}{token}")));
        }
    }
}

#[test]
fn rejects_every_short_buffer() {
    let (signing, encryption) = (test_key(), OneTimeKey::from_bytes([0x24; 32]));
    let keys = nested::NestedKeys {
        signing: &signing,
        encryption: &encryption,
    };
    let header = Header {
        key_id: Some("client1"),
        typ: true,
    };
    let mut out = [0; 400];
    let len = jws::sign(&signing, &header, b"{}", &mut out).unwrap().len();
    let token = jws::sign(&signing, &header, b"{}", &mut out)
        .unwrap()
        .to_owned();
    for short in 0..len {
        assert_eq!(
            jws::sign(&signing, &header, b"{}", &mut out[..short]),
            Err(TokenError::BufferTooSmall)
        );
    }
    let mut scratch = [0; 200];
    let sealed = nested::seal(
        &keys,
        &[0; 12],
        (&header, &header),
        b"{}",
        &mut scratch,
        &mut out,
    )
    .unwrap()
    .to_owned();
    for short in 0..sealed.len() {
        assert_eq!(
            nested::seal(
                &keys,
                &[0; 12],
                (&header, &header),
                b"{}",
                &mut scratch,
                &mut out[..short]
            ),
            Err(TokenError::BufferTooSmall)
        );
    }
    let mut scratch = vec![0; scratch_len(sealed.len())];
    for short in 0..scratch.len() {
        for result in [
            jws::verify(&signing, &token, &Policy::default(), &mut scratch[..short]).err(),
            nested::open(&keys, &sealed, &Policy::default(), &mut scratch[..short]).err(),
        ] {
            assert!(
                matches!(
                    result,
                    None | Some(
                        TokenError::BufferTooSmall
                            | TokenError::Malformed(MalformedToken::Json)
                            | TokenError::Content(MalformedToken::Json)
                    )
                ),
                "{result:?}"
            );
        }
    }
}

#[test]
fn rejects_a_token_of_another_form() {
    let (signing, encryption) = (test_key(), OneTimeKey::from_bytes([0x24; 32]));
    let keys = nested::NestedKeys {
        signing: &signing,
        encryption: &encryption,
    };
    let mut out = [0; 256];
    let plain = jwe::encrypt(
        &encryption,
        &[0; 12],
        &Header::default(),
        &mut b"{}".to_vec(),
        &mut out,
    )
    .unwrap();
    let mut scratch = vec![0; scratch_len(plain.len())];
    assert_eq!(
        nested::open(&keys, plain, &Policy::default(), &mut scratch).err(),
        Some(TokenError::Refused(TokenRefusal::Type)),
        "the header of a nested token must have cty"
    );
    assert_eq!(
        jws::verify(&signing, plain, &Policy::default(), &mut scratch).err(),
        Some(TokenError::Malformed(MalformedToken::Structure))
    );
    assert_eq!(
        jwe::decrypt(&signing, plain, &mut scratch).err(),
        Some(TokenError::Rejected)
    );
    let filled = plain.replacen("..", ".AAAA.", 1);
    assert_eq!(
        jwe::decrypt(&encryption, &filled, &mut scratch).err(),
        Some(TokenError::Malformed(MalformedToken::Structure))
    );
}

#[test]
fn debug_hides_keys() {
    assert_eq!(format!("{:?}", test_key()), "OneTimeKey(hidden)");
}
