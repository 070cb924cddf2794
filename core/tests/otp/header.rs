//! Rejection of invalid headers and encodings.

use super::*;

#[test]
fn rejects_other_algorithms() {
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":"HS512"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"alg":"hs256"}"#,
        r#"{"alg":"dir","enc":"A256GCM"}"#,
        r#"{"alg":""}"#,
        r#"{"typ":"JWT"}"#,
        "{}",
    ] {
        assert_eq!(
            verify(&signed(header, "{}"), &Policy::default()),
            Err(TokenError::Refused(TokenRefusal::Algorithm)),
            "{header}"
        );
    }
    let unsigned = format!("{}.{}.", b64(r#"{"alg":"none"}"#), b64("{}"));
    assert_eq!(
        verify(&unsigned, &Policy::default()),
        Err(TokenError::Refused(TokenRefusal::Algorithm))
    );
    let unsigned = format!("{}.{}.", b64(r#"{"alg":"HS256"}"#), b64("{}"));
    assert!(verify(&unsigned, &Policy::default()).is_err());
}

#[test]
fn rejects_invalid_header_members() {
    for (header, error) in [
        (
            r#"{"alg":"HS256","crit":["exp"]}"#,
            TokenError::Refused(TokenRefusal::Critical),
        ),
        (
            r#"{"alg":"HS256","crit":[]}"#,
            TokenError::Refused(TokenRefusal::Critical),
        ),
        (
            r#"{"alg":"HS256","crit":"b64","b64":false}"#,
            TokenError::Refused(TokenRefusal::Critical),
        ),
        (
            r#"{"alg":"HS256","\u0063rit":["exp"]}"#,
            TokenError::Refused(TokenRefusal::Critical),
        ),
        (
            r#"{"alg":"HS256","typ":"dpop+jwt"}"#,
            TokenError::Refused(TokenRefusal::Type),
        ),
        (
            r#"{"alg":"HS256","zip":"DEF"}"#,
            TokenError::Refused(TokenRefusal::Type),
        ),
        (
            r#"{"alg":"HS256","alg":"HS256"}"#,
            TokenError::Malformed(MalformedToken::DuplicateMember),
        ),
        (
            r#"{"alg":"HS256","\u0061lg":"HS256"}"#,
            TokenError::Malformed(MalformedToken::DuplicateMember),
        ),
        (
            r#"{"alg":"HS256","x":1,"x":2}"#,
            TokenError::Malformed(MalformedToken::DuplicateMember),
        ),
        (
            r#"{"alg":["HS256"]}"#,
            TokenError::Malformed(MalformedToken::Json),
        ),
        (r#"{"alg":5}"#, TokenError::Malformed(MalformedToken::Json)),
        (
            r#"{"alg":"HS256","kid":7}"#,
            TokenError::Malformed(MalformedToken::Json),
        ),
        (
            r#"{"alg":"HS256","typ":null}"#,
            TokenError::Malformed(MalformedToken::Json),
        ),
        (
            r#"{"alg":"HS256"} x"#,
            TokenError::Malformed(MalformedToken::Json),
        ),
        (
            r#"{"alg":"HS256"}{}"#,
            TokenError::Malformed(MalformedToken::Json),
        ),
        (
            r#"{"alg":"HS256""#,
            TokenError::Malformed(MalformedToken::Json),
        ),
        (
            r#"{"alg":"HS256",}"#,
            TokenError::Malformed(MalformedToken::Json),
        ),
        (
            r#"["alg","HS256"]"#,
            TokenError::Malformed(MalformedToken::Json),
        ),
        ("", TokenError::Malformed(MalformedToken::Json)),
        ("null", TokenError::Malformed(MalformedToken::Json)),
        (
            "{\"alg\":\"HS256\",\"x\":\"\u{1}\"}",
            TokenError::Malformed(MalformedToken::Json),
        ),
    ] {
        assert_eq!(
            verify(&signed(header, "{}"), &Policy::default()),
            Err(error),
            "{header}"
        );
    }
    for header in [
        r#" { "alg" : "HS256" } "#,
        r#"{"alg":"HS256","typ":"jwt","kid":"k\"\\\u00e9\ud83d\ude00","x":{"alg":"none","y":[{"alg":1}]}}"#,
        r#"{"al\u0067":"H\u0053256"}"#,
    ] {
        assert_eq!(
            verify(&signed(header, "{}"), &Policy::default()),
            Ok(()),
            "{header}"
        );
    }
}

#[test]
fn accepts_typ_with_the_prefix_application() {
    for typ in ["JWT", "jwt", "application/jwt", "APPLICATION/JWT"] {
        let token = signed(&format!(r#"{{"alg":"HS256","typ":"{typ}"}}"#), "{}");
        assert_eq!(verify(&token, &Policy::default()), Ok(()), "{typ}");
    }
    for typ in [
        "application/",
        "application/application/jwt",
        "text/jwt",
        "/jwt",
        "application/dpop+jwt",
        "\u{e9}pplication/jwt",
    ] {
        let token = signed(&format!(r#"{{"alg":"HS256","typ":"{typ}"}}"#), "{}");
        let refused = Err(TokenError::Refused(TokenRefusal::Type));
        assert_eq!(verify(&token, &Policy::default()), refused, "{typ}");
    }
}

#[test]
fn rejects_padded_and_noncanonical_base64() {
    let good = signed(r#"{"alg":"HS256"}"#, "{}");
    assert_eq!(verify(&good, &Policy::default()), Ok(()));
    let (head, signature) = good.rsplit_once('.').unwrap();
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = alphabet
        .chars()
        .nth(alphabet.find(last).unwrap() | 1)
        .unwrap();
    assert_ne!(last, next);
    for wrong in [
        format!("{head}.{}{next}", &signature[..42]),
        format!("{head}.{signature}="),
        format!("{head}.{signature}\n"),
        good.replacen("eyJ", "ey+", 1),
        good.replacen("eyJ", "ey/", 1),
    ] {
        assert_eq!(
            verify(&wrong, &Policy::default()),
            Err(TokenError::Malformed(MalformedToken::Base64)),
            "{wrong}"
        );
    }
}
