//! Requests that hold no proof that could be verified: 400, with the reason.

use super::*;

async fn reason(connection: &mut Connection, request: Request<()>) -> String {
    let (status, body) = answer(connection, request).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    body
}

#[tokio::test]
async fn headers_twice() {
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
async fn client_ids() {
    let settings = Settings::default();
    let gateway = gateway(settings.clone()).await;
    let mut connection = gateway.connect().await.unwrap();
    for (client, what) in [
        (&b""[..], "empty"),
        (&[b'x'; 256], "at most 255"),
        (&[b'x'; 10 * 1024], "at most 255"),
        (b"a b", "visible ASCII"),
        (b"caf\xc3\xa9", "visible ASCII"),
    ] {
        for form in FORMS {
            let mut request =
                proved(&gateway, &settings, &connection, form, "client1", SECRET).await;
            set(&mut request, "chanbind-client", client);
            let reason = reason(&mut connection, request).await;
            // A token's kid says another one: that is found first where the id can be read at all.
            assert!(
                reason.contains(what)
                    || (form != Form::ApiKey && reason.contains("different clients")),
                "{reason}"
            );
        }
    }
    let mut nobody = proved(
        &gateway,
        &settings,
        &connection,
        Form::ApiKey,
        "client1",
        SECRET,
    )
    .await;
    nobody.headers_mut().remove("chanbind-client");
    assert!(
        reason(&mut connection, nobody)
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
async fn keys_and_tokens() {
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
        for client in ["client1", "nobody"] {
            let mut request = request(&gateway);
            set(&mut request, "chanbind-client", client.as_bytes());
            set(&mut request, name, value.as_bytes());
            reason(&mut connection, request).await;
        }
    }
}
