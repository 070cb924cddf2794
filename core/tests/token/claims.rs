//! Claims as they are written, read and held against a policy.

use super::*;

#[test]
fn time_claims() {
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
        refused(Refusal::Expired)
    );
    assert_eq!(verify_payload(&payload, &at(NOW - 5)), Ok(()));
    assert_eq!(
        verify_payload(&payload, &at(NOW - 6)),
        refused(Refusal::NotYetValid)
    );
    assert_eq!(
        verify_payload(&payload, &Policy::default()),
        Ok(()),
        "no clock, no check"
    );
    assert_eq!(
        verify_payload(&format!(r#"{{"iat":{}}}"#, NOW + 6), &at(NOW)),
        refused(Refusal::NotYetValid)
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
        refused(Refusal::TooOld)
    );
    assert_eq!(verify_payload("{}", &fresh), refused(Refusal::TooOld));
    assert_eq!(
        verify_payload(
            "{}",
            &Policy {
                require_expiry: true,
                ..at(NOW)
            }
        ),
        refused(Refusal::Expired)
    );
    assert_eq!(
        verify_payload(
            &payload,
            &Policy {
                require_expiry: true,
                ..Policy::default()
            }
        ),
        refused(Refusal::Expired),
        "without a clock nothing is known not to have expired"
    );
    for number in [
        "-1",
        "1e9",
        "\"1\"",
        "true",
        "null",
        "18446744073709551616",
        "[1]",
        "{}",
    ] {
        assert_eq!(
            verify_payload(&format!(r#"{{"exp":{number}}}"#), &at(0)),
            Err(TokenError::Content(Malformed::Json)),
            "{number}"
        );
    }
    assert_eq!(
        verify_payload(r#"{"exp":18446744073709551615}"#, &at(u64::MAX - 5)),
        Ok(())
    );
}

#[test]
fn surrogates_stand_in_pairs() {
    for (text, holds) in [
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
            holds,
            "{text}"
        );
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&payload).is_ok(),
            holds,
            "{text}"
        );
    }
}

#[test]
fn a_token_can_be_tied_to_one_request() {
    let policy = Policy {
        issuer: Some("issuer"),
        audience: Some("gateway"),
        method: Some("GET"),
        uri: Some("https://gateway/get"),
        token_id: Uniqueness::Required,
        ..Policy::default()
    };
    let claims = [
        ("iss", "\"issuer\"", Refusal::Issuer),
        ("aud", "\"gateway\"", Refusal::Audience),
        ("htm", "\"GET\"", Refusal::Method),
        ("htu", r#""https:\/\/gateway\u002fget""#, Refusal::Uri),
        ("jti", "\"1\"", Refusal::TokenId),
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
            Err(TokenError::Content(Malformed::Json))
        );
    }
    for (audience, holds) in [
        (r#"["other","gateway","more"]"#, true),
        (r#"["gateway"]"#, true),
        ("[]", false),
        (r#"["other"]"#, false),
        (r#"[["gateway"]]"#, false),
        (r#"{"gateway":"gateway"}"#, false),
    ] {
        assert_eq!(
            verify_payload(&payload(usize::MAX, Some((1, audience))), &policy).is_ok(),
            holds,
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
        Err(TokenError::Refused(Refusal::TokenId))
    );
}

#[test]
fn claims_are_written_as_they_are_read() {
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
