//! Passwords that are refused: the answer is 401, and always the same.

use super::*;
use base64::{Engine, prelude::BASE64_STANDARD};

/// Returns the whole answer, as a peer sees it, without the date.
async fn refusal(connection: &mut TestClient, request: Request<RequestBody>) -> String {
    let response = connection.send(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let mut headers = response.headers().clone();
    assert!(
        headers["www-authenticate"]
            .to_str()
            .unwrap()
            .starts_with("Chanbind realm=")
    );
    headers.remove("date");
    format!("{headers:?} {:?}", response.body())
}

#[tokio::test]
async fn gives_one_answer_to_all_wrong_passwords() {
    let settings = Settings::default();
    let gateway = gateway(settings.clone()).await;
    let mut connection = gateway.connect().await.unwrap();
    let other = gateway.connect().await.unwrap();
    let expected = refusal(&mut connection, request(&gateway)).await;
    for form in FORMS {
        for (what, request) in [
            (
                "wrong key",
                proved(&gateway, &settings, &connection, form, "client1", b"wrong").await,
            ),
            (
                "unknown client",
                proved(&gateway, &settings, &connection, form, "unknown", SECRET).await,
            ),
            (
                "another client's key",
                proved(&gateway, &settings, &connection, form, "client2", SECRET).await,
            ),
            (
                "another connection",
                proved(&gateway, &settings, &other, form, "client1", SECRET).await,
            ),
            ("other settings", {
                let mut request = proved(
                    &gateway,
                    &Settings::go_demo_api_key(),
                    &connection,
                    form,
                    "client1",
                    SECRET,
                )
                .await;
                if let Some(key) = request.headers_mut().remove("apikey") {
                    request.headers_mut().insert("chanbind-key", key);
                }
                request
                    .headers_mut()
                    .insert("chanbind-client", HeaderValue::from_static("client1"));
                request
            }),
        ] {
            assert_eq!(
                refusal(&mut connection, request).await,
                expected,
                "{what}, {form}"
            );
        }
    }
    let mut basic = request(&gateway);
    set(
        &mut basic,
        "authorization",
        b"Basic Y2xpZW50MTpwYXNzd29yZA==",
    );
    assert_eq!(refusal(&mut connection, basic).await, expected);
    // The connection is still usable.
    let request = proved(
        &gateway,
        &settings,
        &connection,
        Form::ApiKey,
        "client1",
        SECRET,
    )
    .await;
    assert_eq!(answer(&mut connection, request).await.0, StatusCode::OK);
}

#[tokio::test]
async fn rejects_an_api_key_with_any_bit_flipped() {
    let settings = Settings::default();
    let gateway = gateway(settings.clone()).await;
    let mut connection = gateway.connect().await.unwrap();
    let good = proved(
        &gateway,
        &settings,
        &connection,
        Form::ApiKey,
        "client1",
        SECRET,
    )
    .await;
    let key = good.headers()["chanbind-key"].as_bytes().to_vec();
    let mut refused = 0;
    for bit in 0..key.len() * 8 {
        let mut key = key.clone();
        key[bit / 8] ^= 1 << (bit % 8);
        // The byte decides: outside base64 the key is malformed, and otherwise it is another key.
        let is_base64 = BASE64_STANDARD
            .decode(&key)
            .is_ok_and(|key| key.len() == 32);
        let expected = if is_base64 {
            StatusCode::UNAUTHORIZED
        } else {
            StatusCode::BAD_REQUEST
        };
        if let Ok(key) = HeaderValue::from_bytes(&key) {
            let mut request = copy(&good);
            request.headers_mut().insert("chanbind-key", key);
            let (status, _) = answer(&mut connection, request).await;
            assert_eq!(status, expected, "bit {bit}");
            refused += 1;
        }
    }
    assert!(refused > key.len() * 6, "{refused}");
    assert_eq!(answer(&mut connection, good).await.0, StatusCode::OK);
}

#[tokio::test]
async fn rejects_a_token_for_another_request() {
    let settings = Settings::default();
    let gateway = gateway(settings.clone()).await;
    let mut connection = gateway.connect().await.unwrap();
    for form in [Form::Jws, Form::Nested] {
        let token = proved(&gateway, &settings, &connection, form, "client1", SECRET).await;
        let mut elsewhere = copy(&token);
        *elsewhere.uri_mut() = gateway.uri("/other").parse().unwrap();
        refusal(&mut connection, elsewhere).await;
        let mut other_method = copy(&token);
        *other_method.method_mut() = axum::http::Method::HEAD;
        let response = connection.send(other_method).await.unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let mut with_query = copy(&token);
        *with_query.uri_mut() = gateway.uri("/get?a=b").parse().unwrap();
        assert_eq!(
            answer(&mut connection, with_query).await.0,
            StatusCode::OK,
            "htu has no query"
        );
        refusal(&mut connection, token).await;
    }
}

#[tokio::test]
async fn rejects_tokens_that_do_not_expire() {
    let lax = Settings {
        bind_request: false,
        require_expiry: false,
        ..Settings::default()
    };
    let mut strict = lax.clone();
    strict.require_expiry = true;
    let gateway = gateway(strict).await;
    let mut connection = gateway.connect().await.unwrap();
    let request = proved(&gateway, &lax, &connection, Form::Jws, "client1", SECRET).await;
    refusal(&mut connection, request).await;
}

#[tokio::test]
async fn rejects_an_expired_token() {
    use chanbind_core::otp::{Claims, Header, OneTimeKey, Purpose, jws};
    let settings = Settings {
        bind_request: false,
        ..Settings::default()
    };
    let gateway = gateway(settings.clone()).await;
    let mut connection = gateway.connect().await.unwrap();
    let client = ClientId::new("client1").unwrap();
    let mut key = HmacSha256::new(SECRET);
    let key = OneTimeKey::derive(
        &settings.profile,
        Purpose::Signing,
        client,
        connection.channel(),
        &mut key,
    );
    let key = key.unwrap();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    for (expires_at, status) in [
        (now + 30, StatusCode::OK),
        (now - 61, StatusCode::UNAUTHORIZED),
    ] {
        let claims = Claims {
            expires_at: Some(expires_at),
            ..Claims::default()
        };
        let (mut payload, mut out) = ([0; 64], [0; 256]);
        let token = jws::sign(
            &key,
            &Header::default(),
            claims.encode(&mut payload).unwrap(),
            &mut out,
        )
        .unwrap();
        let mut request = request(&gateway);
        set(&mut request, "chanbind-client", b"client1");
        set(
            &mut request,
            "authorization",
            format!("Bearer {token}").as_bytes(),
        );
        assert_eq!(answer(&mut connection, request).await.0, status);
    }
}

/// More clients on one connection than are remembered.
#[tokio::test]
async fn verifies_rightly_after_many_client_ids_on_one_connection() {
    let settings = Settings::default();
    let gateway = gateway(settings.clone()).await;
    let mut connection = gateway.connect().await.unwrap();
    for number in 0..50 {
        let request = proved(
            &gateway,
            &settings,
            &connection,
            Form::ApiKey,
            &format!("name{number}"),
            SECRET,
        )
        .await;
        refusal(&mut connection, request).await;
        let request = proved(
            &gateway,
            &settings,
            &connection,
            Form::ApiKey,
            "client1",
            SECRET,
        )
        .await;
        assert_eq!(answer(&mut connection, request).await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn remembers_used_tokens_while_other_clients_are_named() {
    let settings = Settings::default();
    let gateway = gateway(settings.clone()).await;
    let mut connection = gateway.connect().await.unwrap();
    let token = proved(
        &gateway,
        &settings,
        &connection,
        Form::Jws,
        "client1",
        SECRET,
    )
    .await;
    assert_eq!(
        answer(&mut connection, copy(&token)).await.0,
        StatusCode::OK
    );
    refusal(&mut connection, copy(&token)).await;
    for number in 0..20 {
        let mut request = request(&gateway);
        set(
            &mut request,
            "chanbind-client",
            format!("name{number}").as_bytes(),
        );
        set(&mut request, "chanbind-key", b"x");
        answer(&mut connection, request).await;
    }
    refusal(&mut connection, token).await;
}

/// Two layers on one connection, each with its own registry.
#[tokio::test]
async fn keeps_the_state_of_two_layers_apart() {
    use axum::{Router, routing::get};
    use chanbind::{
        gateway::{Policy, ProofLayer},
        proof::otp::OtpVerifier,
    };
    let layer = |client: &str, secret: &[u8]| {
        let clients = [(client.to_owned(), ClientKey::secret(secret))];
        let registry = MemoryRegistry::new(ClientTable::new(clients).unwrap());
        let verifier = OtpVerifier::new(registry, Settings::default());
        ProofLayer::new(Policy::new().require("/", verifier))
    };
    let route = |path: &str| Router::new().route(path, get(|| async { "in" }));
    let app = route("/get")
        .layer(layer("client1", SECRET))
        .merge(route("/admin").layer(layer("admin", b"another")))
        .merge(route("/other").layer(layer("client1", b"another")));
    let gateway = TestGateway::serve(app).await.unwrap();
    let mut connection = gateway.connect().await.unwrap();
    let settings = Settings::default();
    let good = proved(
        &gateway,
        &settings,
        &connection,
        Form::ApiKey,
        "client1",
        SECRET,
    )
    .await;
    for _ in 0..2 {
        assert_eq!(answer(&mut connection, copy(&good)).await.0, StatusCode::OK);
        for path in ["/admin", "/other"] {
            let mut elsewhere = copy(&good);
            *elsewhere.uri_mut() = gateway.uri(path).parse().unwrap();
            refusal(&mut connection, elsewhere).await;
        }
    }
}

/// A token's sub must name the client, and its request must name one host.
#[tokio::test]
async fn rejects_other_subjects_and_ambiguous_hosts() {
    use chanbind_core::otp::{Claims, Header, OneTimeKey, Purpose, jws};
    let settings = Settings {
        bind_request: false,
        require_expiry: false,
        ..Settings::default()
    };
    let gateway = gateway(settings.clone()).await;
    let mut connection = gateway.connect().await.unwrap();
    let client = ClientId::new("client1").unwrap();
    let mut key = HmacSha256::new(SECRET);
    let key = OneTimeKey::derive(
        &settings.profile,
        Purpose::Signing,
        client,
        connection.channel(),
        &mut key,
    )
    .unwrap();
    for (subject, status) in [
        ("client1", StatusCode::OK),
        ("client2", StatusCode::UNAUTHORIZED),
    ] {
        let claims = Claims {
            subject: Some(subject),
            ..Claims::default()
        };
        let (mut payload, mut out) = ([0; 64], [0; 256]);
        let token = jws::sign(
            &key,
            &Header::default(),
            claims.encode(&mut payload).unwrap(),
            &mut out,
        )
        .unwrap();
        let mut request = request(&gateway);
        set(&mut request, "chanbind-client", b"client1");
        set(
            &mut request,
            "authorization",
            format!("Bearer {token}").as_bytes(),
        );
        assert_eq!(answer(&mut connection, request).await.0, status);
    }
    // Content that is no claims, under the right key, is answered like a wrong key.
    let mut out = [0; 256];
    let token = jws::sign(&key, &Header::default(), b"x", &mut out).unwrap();
    let mut no_claims = request(&gateway);
    set(&mut no_claims, "chanbind-client", b"client1");
    set(
        &mut no_claims,
        "authorization",
        format!("Bearer {token}").as_bytes(),
    );
    refusal(&mut connection, no_claims).await;

    let strict = Settings::default();
    let gateway = super::gateway(strict.clone()).await;
    let mut connection = gateway.connect().await.unwrap();
    let mut two_hosts = proved(&gateway, &strict, &connection, Form::Jws, "client1", SECRET).await;
    let own = format!("localhost:{}", gateway.port);
    set(&mut two_hosts, "host", own.as_bytes());
    two_hosts
        .headers_mut()
        .append("host", HeaderValue::from_static("elsewhere"));
    refusal(&mut connection, two_hosts).await;
}
