//! Proofs that let nothing through: 401, and always the same.

use super::*;

/// The whole answer, as a peer sees it, without the date.
async fn refusal(connection: &mut Connection, request: Request<()>) -> String {
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
async fn one_answer_for_whatever_is_wrong() {
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
                proved(&gateway, &settings, &connection, form, "nobody", SECRET).await,
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
    // The connection is as good as before.
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
async fn every_bit_of_an_api_key_counts() {
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
    for bit in 0..key.len() * 8 {
        let mut key = key.clone();
        key[bit / 8] ^= 1 << (bit % 8);
        if let Ok(key) = HeaderValue::from_bytes(&key) {
            let mut request = copy(&good);
            request.headers_mut().insert("chanbind-key", key);
            let (status, _) = answer(&mut connection, request).await;
            assert!(
                matches!(status, StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST),
                "bit {bit}"
            );
        }
    }
    assert_eq!(answer(&mut connection, good).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_token_is_for_one_request() {
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
        assert_eq!(
            connection.send(other_method).await.unwrap().status(),
            StatusCode::UNAUTHORIZED
        );
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
async fn tokens_must_expire_unless_told_otherwise() {
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
async fn an_expired_token() {
    use chanbind::core::otp::{Claims, Header, OneTimeKey, Purpose, jws};
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

/// More clients on one connection than are remembered: each is still judged rightly.
#[tokio::test]
async fn a_client_that_tries_many_names() {
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

/// What was used stays used, whatever else comes by the connection.
#[tokio::test]
async fn a_used_token_is_not_forgotten_for_other_names() {
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

/// Two layers on one connection, each with its own registry: what one has found out is nothing to the other.
#[tokio::test]
async fn two_layers_do_not_share_what_they_expect() {
    use axum::{Router, routing::get};
    use chanbind::gateway::ProofLayer;
    let layer = |client: &str, secret: &[u8]| {
        let registry = Registry::new([(client.to_owned(), ClientKey::secret(secret))]).unwrap();
        ProofLayer::new(registry, Settings::default())
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

/// A token's sub must not name somebody else, and its request must say one host.
#[tokio::test]
async fn other_subjects_and_other_hosts() {
    use chanbind::core::otp::{Claims, Header, OneTimeKey, Purpose, jws};
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
    two_hosts
        .headers_mut()
        .append("host", HeaderValue::from_static("elsewhere"));
    let status = answer(&mut connection, two_hosts).await.0;
    assert!(
        matches!(status, StatusCode::UNAUTHORIZED | StatusCode::BAD_REQUEST),
        "{status}"
    );
}
