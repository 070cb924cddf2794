//! The fields in which the server behind the gateway is told who the client is.

use super::*;
use axum::http::Method;
use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
use chanbind::{
    proof::authenticator::{AuthenticatorVerifier, Credentials, Trust},
    proxy::TokenSigner,
};
use chanbind_core::binding::ChannelBinding;
use chanbind_host_tests::pki::{Authority, for_device};
use p256::ecdsa::{Signature, VerifyingKey, signature::Verifier};
use sha2::{Digest, Sha256};

#[tokio::test]
async fn the_upstream_is_told_who_the_client_is() {
    let server = Server::start(mirror()).await;
    let gateway = gateway_for(server.upstream()).await;
    // Whatever a client says of itself is removed.
    let lies = [
        ("x-client-subject", "admin"),
        ("x_client_subject", "admin"),
        ("x-client-proof", "magic"),
        ("x-client_realm", "all"),
        ("client-cert", ":AAAA:"),
        ("client-cert-chain", ":AAAA:"),
        ("client_cert", ":AAAA:"),
        ("x-forwarded-for", "192.0.2.1"),
        ("x-forwarded-host", "other.example"),
        ("x-real-ip", "192.0.2.1"),
        ("forwarded", "for=192.0.2.1"),
        ("connection", "x-private"),
        ("x-private", "1"),
        ("x-own", "kept"),
        ("upgrade", "h2c"),
    ];
    let request = with_fields(get(&gateway, "/a/b?c=d"), &lies);
    let seen = mirrored(&gateway, request).await;
    let host = format!("localhost:{}", gateway.port);
    assert_eq!(
        seen["headers"],
        json!({
            "host": [host],
            "x-client-subject": ["client1"],
            "x-client-proof": ["otp"],
            "x-forwarded-for": ["127.0.0.1"],
            "x-forwarded-proto": ["https"],
            "x-forwarded-host": [host],
            "x-own": ["kept"],
        })
    );
    assert_eq!(
        (&seen["method"], &seen["uri"]),
        (&json!("GET"), &json!("/a/b?c=d"))
    );

    // Where no proof is needed, there is no identity, and no lie either.
    let mut client = gateway.connect().await.unwrap();
    let mut request = with_fields(get(&gateway, "/open"), &lies);
    *request.method_mut() = Method::DELETE;
    let bearer = HeaderValue::from_static("Bearer of-the-application");
    request.headers_mut().insert("authorization", bearer);
    let response = client.send(request).await.unwrap();
    let seen: Value = serde_json::from_slice(response.body()).unwrap();
    let fields: Vec<_> = seen["headers"].as_object().unwrap().keys().collect();
    assert_eq!(
        fields,
        [
            "authorization",
            "host",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-own"
        ]
    );
    assert_eq!(seen["method"], "DELETE");
    gateway.stop().await;
}

/// Trailers come after the content, and some servers put them among the header fields.
#[tokio::test]
async fn trailers_cannot_lie_either() {
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    let server = Server::start(mirror()).await;
    let gateway = gateway_for(server.upstream()).await;
    let content = || {
        let mut trailers = axum::http::HeaderMap::new();
        for name in [
            "x-client-subject",
            "x_client_subject",
            "x-forwarded-for",
            "x-own",
        ] {
            trailers.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
        }
        let frames = [
            Frame::data(bytes::Bytes::from_static(b"content")),
            Frame::trailers(trailers),
        ];
        let frames = frames.map(Ok::<_, std::convert::Infallible>);
        Body::new(StreamBody::new(futures_util::stream::iter(frames)))
    };
    let names = [
        (
            "trailer",
            "x-client-subject, x_client_subject, x-forwarded-for, x-own",
        ),
        ("te", "trailers"),
    ];
    let request = get(&gateway, "/").map(|_| RequestBody::repeatable(content));
    let mut request = with_fields(request, &names);
    *request.method_mut() = Method::POST;
    let seen = mirrored(&gateway, request).await;
    assert_eq!(seen["len"], 7);
    assert_eq!(seen["trailers"], "{\"x-own\": \"1\"}");
    gateway.stop().await;
}

#[tokio::test]
async fn the_fields_have_names_of_the_operators_choice() {
    let server = Server::start(mirror()).await;
    let fields = IdentityFields::none().with_subject(Some(HeaderName::from_static("x-device")));
    let gateway = gateway(ReverseProxy::new(server.upstream(), fields)).await;
    let request = with_fields(
        get(&gateway, "/"),
        &[("x-device", "admin"), ("client-cert", "x")],
    );
    let seen = mirrored(&gateway, request).await;
    assert_eq!(seen["headers"]["x-device"], json!(["client1"]));
    for name in ["x-client-subject", "x-client-proof", "client-cert"] {
        assert_eq!(seen["headers"][name], Value::Null);
    }
    gateway.stop().await;
}

/// RFC 9440, and the confirmation of a token by certificate (RFC 8705 section 3.1).
#[tokio::test]
async fn a_certificate_is_passed_on() {
    let server = Server::start(mirror()).await;
    let authority = Authority::new("devices").unwrap();
    let issued = authority
        .issue(|params| for_device(params, "urn:device:1"))
        .unwrap();
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let signer = TokenSigner::from_pem(key.as_bytes(), "https://gateway", "app").unwrap();
    let fields =
        IdentityFields::default().with_token(HeaderName::from_static("x-client-token"), signer);
    let proxy = ReverseProxy::new(server.upstream(), fields);
    let trust = Trust::from_pem(authority.pem().as_bytes()).unwrap();
    let layer = ProofLayer::new(Policy::new().require("/", AuthenticatorVerifier::new(trust)));
    let gateway = TestGateway::serve(layer.layer(proxy)).await.unwrap();
    let credentials =
        Credentials::from_pem(issued.pem().as_bytes(), issued.key_pem().as_bytes()).unwrap();
    let mut client = gateway.connect().await.unwrap();
    let request = get(&gateway, "/");
    let response = client.send_with(request, Some(&credentials)).await.unwrap();
    let seen: Value = serde_json::from_slice(response.body()).unwrap();
    let headers = &seen["headers"];
    let expected = format!(":{}:", BASE64_STANDARD.encode(&issued.certificate));
    assert_eq!(headers["client-cert"], json!([expected]));
    assert_eq!(headers["x-client-subject"], json!(["urn:device:1"]));
    assert_eq!(headers["authorization"], Value::Null);
    let (_, claims) = parts_of(headers["x-client-token"][0].as_str().unwrap());
    let thumbprint = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&issued.certificate));
    assert_eq!(claims["cnf"]["x5t#S256"], thumbprint);
    gateway.stop().await;
}

/// Returns the header and the claims of a token, without verifying it.
fn parts_of(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| {
        let json = BASE64_URL_SAFE_NO_PAD.decode(part).unwrap();
        serde_json::from_slice(&json).ok()
    });
    (
        parts.next().unwrap().unwrap(),
        parts.next().unwrap().unwrap(),
    )
}

/// Verifies an ES256 token with a key of the set (RFC 7515, RFC 7518 section 3.4).
fn is_valid(token: &str, keys: &Value) -> bool {
    let (header, _) = parts_of(token);
    let keys = keys["keys"].as_array().unwrap();
    let key = keys.iter().find(|key| key["kid"] == header["kid"]).unwrap();
    assert_eq!(
        (&header["alg"], &key["crv"]),
        (&json!("ES256"), &json!("P-256"))
    );
    let mut point = vec![4];
    for coordinate in ["x", "y"] {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(key[coordinate].as_str().unwrap());
        point.extend(bytes.unwrap());
    }
    let key = VerifyingKey::from_sec1_bytes(&point).unwrap();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    let signature = Signature::from_slice(&signature).unwrap();
    key.verify(signed.as_bytes(), &signature).is_ok()
}

#[tokio::test]
async fn a_signed_token_says_who_the_client_is_and_on_which_connection() {
    let server = Server::start(mirror()).await;
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let signer = TokenSigner::from_pem(key.as_bytes(), "https://gateway", "app").unwrap();
    let keys: Value = serde_json::from_str(signer.jwk_set()).unwrap();
    assert!(
        !keys.to_string().contains("\"d\""),
        "the private key is not in the set"
    );
    let fields =
        IdentityFields::none().with_token(HeaderName::from_static("x-client-token"), signer);
    let gateway = gateway(ReverseProxy::new(server.upstream(), fields)).await;

    let mut tokens = Vec::new();
    for _ in 0..2 {
        let mut session = session(&gateway).await;
        let binding = ChannelBinding::tls_exporter(session.channel()).unwrap();
        let confirmation = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(binding.as_bytes()));
        for _ in 0..2 {
            let forged = [("x-client-token", "eyJhbGciOiJub25lIn0.e30.")];
            let request = with_fields(get(&gateway, "/"), &forged);
            let answer = session.send(request).await.unwrap();
            let body = answer.response.into_body().bytes(1 << 20).await.unwrap();
            let seen: Value = serde_json::from_slice(&body).unwrap();
            let all = seen["headers"]["x-client-token"]
                .as_array()
                .unwrap()
                .clone();
            assert_eq!(all.len(), 1);
            let token = all[0].as_str().unwrap().to_owned();
            assert!(is_valid(&token, &keys));
            let (_, claims) = parts_of(&token);
            let (issued, expires) = (claims["iat"].as_u64(), claims["exp"].as_u64());
            assert_eq!(expires.unwrap() - issued.unwrap(), 60);
            let expected = json!({
                "iss": "https://gateway", "aud": "app", "sub": "client1", "kind": "otp",
                "identities": [{ "sub": "client1", "kind": "otp" }],
                "iat": claims["iat"], "exp": claims["exp"],
                "cnf": { "tls-exporter#S256": confirmation },
            });
            assert_eq!(claims, expected);
            tokens.push(token);
        }
    }
    // A token is signed once for each connection while it is fresh.
    assert_eq!(tokens[0], tokens[1]);
    assert_ne!(tokens[0], tokens[2]);
    gateway.stop().await;
}

#[test]
fn a_key_that_signs_no_tokens_is_refused() {
    let rsa = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let ed25519 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let others = [p384.serialize_pem(), ed25519.serialize_pem()];
    for key in [rsa.to_owned(), String::new()].iter().chain(&others) {
        let error = TokenSigner::from_pem(key.as_bytes(), "a", "b").unwrap_err();
        assert!(error.to_string().contains("P-256"), "{error}");
    }
}
