//! Requests with malformed passwords: the answer is 400, with the reason.

use super::*;

async fn reason(connection: &mut TestClient, request: Request<RequestBody>) -> String {
    let (status, body) = answer(connection, request).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    body
}

#[tokio::test]
async fn rejects_repeated_header_fields_and_two_passwords() {
    let settings = Settings::default();
    let gateway = gateway(settings.clone()).await;
    let mut connection = gateway.connect().await.unwrap();
    for (form, names) in [
        (Form::ApiKey, ["chanbind-key", "chanbind-client"]),
        (Form::Jws, ["authorization", "chanbind-client"]),
    ] {
        for name in names {
            let mut request =
                proved(&gateway, &settings, &connection, form, "client1", SECRET).await;
            let value = request.headers()[name].clone();
            request.headers_mut().append(name, value);
            assert!(
                reason(&mut connection, request)
                    .await
                    .contains("stands twice"),
                "{name}"
            );
        }
    }
    let mut both = proved(
        &gateway,
        &settings,
        &connection,
        Form::ApiKey,
        "client1",
        SECRET,
    )
    .await;
    let token = proved(
        &gateway,
        &settings,
        &connection,
        Form::Jws,
        "client1",
        SECRET,
    )
    .await;
    both.headers_mut()
        .insert("authorization", token.headers()["authorization"].clone());
    assert!(reason(&mut connection, both).await.contains("two proofs"));
}

#[tokio::test]
async fn rejects_invalid_client_ids() {
    let settings = Settings::default();
    let gateway = gateway(settings.clone()).await;
    let mut connection = gateway.connect().await.unwrap();
    // A token's kid names another client, which is found first where the header can be read at all.
    let other = "different clients";
    for (client, of_key, of_token) in [
        (&b""[..], "empty", other),
        (&[b'x'; 256], "at most 255", other),
        (&[b'x'; 10 * 1024], "at most 255", other),
        (b"a b", "visible ASCII", other),
        (b"caf\xc3\xa9", "visible ASCII", "visible ASCII"),
    ] {
        for (form, expected) in [
            (Form::ApiKey, of_key),
            (Form::Jws, of_token),
            (Form::Nested, of_token),
        ] {
            let mut request =
                proved(&gateway, &settings, &connection, form, "client1", SECRET).await;
            set(&mut request, "chanbind-client", client);
            let reason = reason(&mut connection, request).await;
            assert!(reason.contains(expected), "{client:?}, {form}: {reason}");
        }
    }
    let mut without_id = proved(
        &gateway,
        &settings,
        &connection,
        Form::ApiKey,
        "client1",
        SECRET,
    )
    .await;
    without_id.headers_mut().remove("chanbind-client");
    assert!(
        reason(&mut connection, without_id)
            .await
            .contains("names no client")
    );
    let mut two = proved(
        &gateway,
        &settings,
        &connection,
        Form::Jws,
        "client1",
        SECRET,
    )
    .await;
    set(&mut two, "chanbind-client", b"client2");
    assert!(
        reason(&mut connection, two)
            .await
            .contains("different clients")
    );
}

#[tokio::test]
async fn rejects_malformed_keys_and_tokens() {
    let gateway = gateway(Settings::default()).await;
    let mut connection = gateway.connect().await.unwrap();
    let long = format!("Bearer {}", "x".repeat(8193));
    for (name, value) in [
        ("chanbind-key", "AAAA"),
        (
            "chanbind-key",
            "****************************************====",
        ),
        (
            "chanbind-key",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=",
        ),
        ("authorization", "Bearer x"),
        ("authorization", "Bearer a.b.c"),
        ("authorization", "Bearer a.b.c.d.e"),
        ("authorization", "Bearer eyJhbGciOiJIUzI1NiJ9..x"),
        ("authorization", "Bearer "),
        ("authorization", &long),
    ] {
        for client in ["client1", "unknown"] {
            let mut request = request(&gateway);
            set(&mut request, "chanbind-client", client.as_bytes());
            set(&mut request, name, value.as_bytes());
            reason(&mut connection, request).await;
        }
    }
}
