//! Encoding and parsing of claims, and their verification against a policy.

use super::*;

#[test]
fn checks_time_claims_against_the_policy() {
    let at = |now| Policy {
        now: Some(now),
        leeway: 5,
        ..Policy::default()
    };
    let refused = |refusal| Err(TokenError::Refused(refusal));
    let payload = format!(r#"{{"exp":{},"nbf":{},"iat":{}}}"#, NOW + 60, NOW, NOW);
    assert_eq!(verify_payload(&payload, &at(NOW)), Ok(()));
    assert_eq!(verify_payload(&payload, &at(NOW + 64)), Ok(()));
    assert_eq!(
        verify_payload(&payload, &at(NOW + 65)),
        refused(TokenRefusal::Expired)
    );
    assert_eq!(verify_payload(&payload, &at(NOW - 5)), Ok(()));
    assert_eq!(
        verify_payload(&payload, &at(NOW - 6)),
        refused(TokenRefusal::NotYetValid)
    );
    assert_eq!(
        verify_payload(&payload, &Policy::default()),
        Ok(()),
        "a policy without a clock must not check times"
    );
    assert_eq!(
        verify_payload(&format!(r#"{{"iat":{}}}"#, NOW + 6), &at(NOW)),
        refused(TokenRefusal::NotYetValid)
    );
    assert_eq!(
        verify_payload(&format!(r#"{{"exp":{NOW}.999}}"#), &at(NOW + 4)),
        Ok(())
    );

    let fresh = Policy {
        max_age: Some(10),
        ..at(NOW)
    };
    assert_eq!(
        verify_payload(&format!(r#"{{"iat":{}}}"#, NOW - 15), &fresh),
        Ok(())
    );
    assert_eq!(
        verify_payload(&format!(r#"{{"iat":{}}}"#, NOW - 16), &fresh),
        refused(TokenRefusal::TooOld)
    );
    assert_eq!(verify_payload("{}", &fresh), refused(TokenRefusal::TooOld));
    assert_eq!(
        verify_payload(
            "{}",
            &Policy {
                require_expiry: true,
                ..at(NOW)
            }
        ),
        refused(TokenRefusal::Expired)
    );
    assert_eq!(
        verify_payload(
            &payload,
            &Policy {
                require_expiry: true,
                ..Policy::default()
            }
        ),
        refused(TokenRefusal::Expired),
        "a policy without a clock must refuse tokens if it requires an expiration time"
    );
    for number in ["\"1\"", "true", "null", "[1]", "{}"] {
        assert_eq!(
            verify_payload(&format!(r#"{{"exp":{number}}}"#), &at(0)),
            Err(TokenError::Content(MalformedToken::Json)),
            "{number}"
        );
    }
    assert_eq!(
        verify_payload(r#"{"exp":18446744073709551615}"#, &at(u64::MAX - 5)),
        Ok(())
    );
}

/// Every JSON number is a NumericDate (RFC 7519 section 2). `exp` is rounded down and `nbf` is rounded up, so that rounding never
/// extends the validity of a token.
#[test]
fn parses_dates_in_all_forms_of_a_json_number() {
    let claims = |number: &str| {
        let payload = format!(r#"{{"exp":{number},"nbf":{number},"iat":{number}}}"#);
        let token = signed(r#"{"alg":"HS256"}"#, &payload);
        let mut scratch = vec![0; scratch_len(token.len())];
        let verified = jws::verify(&test_key(), &token, &Policy::default(), &mut scratch);
        let claims = verified
            .unwrap_or_else(|error| panic!("{number}: {error}"))
            .claims;
        assert_eq!(claims.issued_at, claims.expires_at, "{number}");
        (claims.expires_at.unwrap(), claims.not_before.unwrap())
    };
    let long = format!("0.{}1", "0".repeat(1000));
    for (number, floor, ceil) in [
        ("0", 0, 0),
        ("-0", 0, 0),
        ("-1", 0, 0),
        ("-1.5e300", 0, 0),
        ("2E9", 2_000_000_000, 2_000_000_000),
        ("2e+9", 2_000_000_000, 2_000_000_000),
        ("1.6000001e9", 1_600_000_100, 1_600_000_100),
        ("16000001E2", 1_600_000_100, 1_600_000_100),
        ("1.60000010001e9", 1_600_000_100, 1_600_000_101),
        ("1700000000.0", 1_700_000_000, 1_700_000_000),
        ("1700000000.001", 1_700_000_000, 1_700_000_001),
        ("17000000005e-1", 1_700_000_000, 1_700_000_001),
        ("1e-9", 0, 1),
        ("0e-9", 0, 0),
        ("0e99999999999999999999", 0, 0),
        ("1e-99999999999999999999", 0, 1),
        ("1e99999999999999999999", u64::MAX, u64::MAX),
        ("18446744073709551614", u64::MAX - 1, u64::MAX - 1),
        ("18446744073709551614.5", u64::MAX - 1, u64::MAX),
        ("18446744073709551615", u64::MAX, u64::MAX),
        ("18446744073709551616", u64::MAX, u64::MAX),
        ("99999999999999999999999999", u64::MAX, u64::MAX),
        (&long, 0, 1),
    ] {
        assert_eq!(claims(number), (floor, ceil), "{number}");
    }
}

#[test]
fn rejects_unpaired_surrogates() {
    for (text, is_valid) in [
        (r"\ud83d\ude00", true),
        (r"\uD83D\uDE00x", true),
        (r"\\ud83d", true),
        (r"\ud83d", false),
        (r"\ude00", false),
        (r"\ud83d.\ude00", false),
        (r"\ud83d\tde00", false),
        (r"\ud83d\ud83d\ude00", false),
        (r"\ud83d\u0041", false),
        (r"\ud83dude00", false),
    ] {
        let payload = format!(r#"{{"jti":"{text}"}}"#);
        assert_eq!(
            verify_payload(&payload, &Policy::default()).is_ok(),
            is_valid,
            "{text}"
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&payload).is_ok(),
            is_valid,
            "{text}"
        );
    }
}

#[test]
fn checks_claims_that_bind_a_token_to_a_request() {
    let policy = Policy {
        issuer: Some("issuer"),
        audience: Some("gateway"),
        method: Some("GET"),
        uri: Some("https://gateway/get"),
        token_id: Uniqueness::Required,
        ..Policy::default()
    };
    let claims = [
        ("iss", "\"issuer\"", TokenRefusal::Issuer),
        ("aud", "\"gateway\"", TokenRefusal::Audience),
        ("htm", "\"GET\"", TokenRefusal::Method),
        ("htu", r#""https:\/\/gateway\u002fget""#, TokenRefusal::Uri),
        ("jti", "\"1\"", TokenRefusal::TokenId),
    ];
    let payload = |skip: usize, change: Option<(usize, &str)>| {
        let members: Vec<_> = claims
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != skip)
            .map(|(i, (name, value, _))| match change {
                Some((changed, to)) if changed == i => format!("\"{name}\":{to}"),
                _ => format!("\"{name}\":{value}"),
            })
            .collect();
        format!("{{{}}}", members.join(","))
    };
    assert_eq!(verify_payload(&payload(usize::MAX, None), &policy), Ok(()));
    for (i, (_, _, refusal)) in claims.iter().enumerate() {
        assert_eq!(
            verify_payload(&payload(i, None), &policy),
            Err(TokenError::Refused(*refusal))
        );
        assert_eq!(
            verify_payload(&payload(usize::MAX, Some((i, "\"\""))), &policy),
            Err(TokenError::Refused(*refusal))
        );
        assert_eq!(
            verify_payload(&payload(usize::MAX, Some((i, "7"))), &policy),
            Err(TokenError::Content(MalformedToken::Json))
        );
    }
    for (audience, is_accepted) in [
        (r#"["other","gateway","more"]"#, true),
        (r#"["gateway"]"#, true),
        ("[]", false),
        (r#"["other"]"#, false),
        (r#"[["gateway"]]"#, false),
        (r#"{"gateway":"gateway"}"#, false),
    ] {
        assert_eq!(
            verify_payload(&payload(usize::MAX, Some((1, audience))), &policy).is_ok(),
            is_accepted,
            "{audience}"
        );
    }
    let exactly = Policy {
        token_id: Uniqueness::Exactly("nonce"),
        ..Policy::default()
    };
    assert_eq!(verify_payload(r#"{"jti":"nonce"}"#, &exactly), Ok(()));
    assert_eq!(
        verify_payload(r#"{"jti":"nonc"}"#, &exactly),
        Err(TokenError::Refused(TokenRefusal::TokenId))
    );
}

#[test]
fn encoded_claims_parse_to_the_same_claims() {
    let claims = Claims {
        issuer: Some("\"quoted\" \\ and \u{1} \u{1f600}"),
        subject: Some(""),
        audience: Some("gateway"),
        expires_at: Some(u64::MAX),
        not_before: Some(0),
        issued_at: Some(10),
        token_id: Some("id"),
        method: Some("GET"),
        uri: Some("https://gateway/"),
    };
    let mut out = [0; 512];
    let json = claims.encode(&mut out).unwrap();
    let read: serde_json::Value = serde_json::from_slice(json).unwrap();
    assert_eq!(read["iss"], claims.issuer.unwrap());
    assert_eq!(read["exp"], u64::MAX);
    assert_eq!(read["nbf"], 0);
    let token = signed(r#"{"alg":"HS256"}"#, str::from_utf8(json).unwrap());
    let mut scratch = vec![0; scratch_len(token.len())];
    assert_eq!(
        jws::verify(&test_key(), &token, &Policy::default(), &mut scratch)
            .unwrap()
            .claims,
        claims
    );
    assert_eq!(Claims::default().encode(&mut out), Ok(&b"{}"[..]));
    let needed = claims.encode(&mut out).unwrap().len();
    assert_eq!(
        claims.encode(&mut out[..needed - 1]),
        Err(TokenError::BufferTooSmall)
    );
    assert!(claims.encode(&mut out[..needed]).is_ok());
}
