//! Passwords that are accepted.

use super::*;
use chanbind::tpm::{KeyOptions, OpenOptions, Tpm, TpmKey};
use chanbind_host_tests::swtpm::Swtpm;

/// Returns the key with [`SECRET`] in a TPM.
async fn imported_key(swtpm: &Swtpm) -> TpmKey {
    let tpm = Tpm::open(&swtpm.tcti(), OpenOptions::default())
        .await
        .unwrap();
    let file = tpm
        .import_hmac_key(SECRET, KeyOptions::default())
        .await
        .unwrap();
    tpm.load(file, None).await.unwrap()
}

#[tokio::test]
async fn accepts_every_form_with_all_settings() {
    for settings in [
        Settings::default(),
        Settings::go_demo_api_key(),
        Settings::go_demo_jwt("client1"),
    ] {
        let gateway = gateway(settings.clone()).await;
        let mut connection = gateway.connect().await.unwrap();
        for form in FORMS {
            let request = proved(&gateway, &settings, &connection, form, "client1", SECRET).await;
            assert_eq!(
                answer(&mut connection, request).await,
                (StatusCode::OK, format!("ok client1 {form}")),
                "{settings:?}"
            );
        }
    }
}

#[tokio::test]
async fn accepts_passwords_of_a_key_in_a_tpm() {
    let swtpm = Swtpm::start().unwrap();
    let key = imported_key(&swtpm).await;
    let settings = Settings::default();
    let gateway = gateway(settings.clone()).await;
    let mut connection = gateway.connect().await.unwrap();
    for form in FORMS {
        let request = proved_by(&gateway, &settings, &connection, form, "client1", &key).await;
        assert_eq!(answer(&mut connection, request).await.0, StatusCode::OK);
    }
}

/// The key never leaves the TPM, which device and gateway share.
#[tokio::test]
async fn verifies_with_a_key_in_the_gateways_tpm() {
    let swtpm = Swtpm::start().unwrap();
    let tpm = Tpm::open(&swtpm.tcti(), OpenOptions::default())
        .await
        .unwrap();
    let file = tpm.create_hmac_key(KeyOptions::default()).await.unwrap();
    let key = tpm.load(file, None).await.unwrap();
    let clients = [("client1".to_owned(), ClientKey::Tpm(key.clone()))];
    let registry = MemoryRegistry::new(ClientTable::new(clients).unwrap());
    let settings = Settings::default();
    let gateway = TestGateway::start(registry, settings.clone())
        .await
        .unwrap();
    let mut connection = gateway.connect().await.unwrap();
    for (client, status) in [
        ("client1", StatusCode::OK),
        ("unknown", StatusCode::UNAUTHORIZED),
    ] {
        let form = Form::ApiKey;
        let request = proved_by(&gateway, &settings, &connection, form, client, &key).await;
        assert_eq!(answer(&mut connection, request).await.0, status, "{client}");
    }
    let mixed = [
        ("a".to_owned(), ClientKey::Tpm(key)),
        ("b".to_owned(), ClientKey::secret(b"s")),
    ];
    assert!(ClientTable::new(mixed).is_err());
}

/// While the gateway's TPM is away, a device is refused as one with a wrong key is, and admitted again when the TPM is back.
#[tokio::test]
async fn refuses_devices_while_the_gateways_tpm_is_away() {
    let mut swtpm = Swtpm::start().unwrap();
    let key = imported_key(&swtpm).await;
    let clients = [("client1".to_owned(), ClientKey::Tpm(key))];
    let registry = MemoryRegistry::new(ClientTable::new(clients).unwrap());
    let settings = Settings::default();
    let gateway = TestGateway::start(registry, settings.clone())
        .await
        .unwrap();
    let ask = async |client: &str| {
        let mut connection = gateway.connect().await.unwrap();
        let form = Form::ApiKey;
        let request = proved(&gateway, &settings, &connection, form, client, SECRET).await;
        answer(&mut connection, request).await
    };
    assert_eq!(ask("client1").await.0, StatusCode::OK);
    let stranger = ask("unknown").await;
    assert_eq!(stranger.0, StatusCode::UNAUTHORIZED);
    swtpm.kill();
    assert_eq!(ask("client1").await, stranger);
    assert_eq!(ask("unknown").await, stranger);
    swtpm.restart().unwrap();
    assert_eq!(ask("client1").await.0, StatusCode::OK);
}

#[tokio::test]
async fn accepts_many_requests_on_one_connection() {
    let settings = Settings::default();
    let gateway = gateway(settings.clone()).await;
    let mut connection = gateway.connect().await.unwrap();
    let api_key = proved(
        &gateway,
        &settings,
        &connection,
        Form::ApiKey,
        "client1",
        SECRET,
    )
    .await;
    for _ in 0..20 {
        assert_eq!(
            answer(&mut connection, copy(&api_key)).await.0,
            StatusCode::OK
        );
        let token = proved(
            &gateway,
            &settings,
            &connection,
            Form::Jws,
            "client2",
            b"another",
        )
        .await;
        assert_eq!(
            answer(&mut connection, token).await,
            (StatusCode::OK, "ok client2 jws".to_owned())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accepts_many_connections_at_once() {
    let settings = Settings::default();
    let gateway = Arc::new(gateway(settings.clone()).await);
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (gateway, settings) = (Arc::clone(&gateway), settings.clone());
            tokio::spawn(async move {
                let mut connection = gateway.connect().await.unwrap();
                let request = proved(
                    &gateway,
                    &settings,
                    &connection,
                    Form::Nested,
                    "client1",
                    SECRET,
                )
                .await;
                assert_eq!(answer(&mut connection, request).await.0, StatusCode::OK);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

/// The client id may stand in `kid` alone.
#[tokio::test]
async fn accepts_a_token_that_names_its_client() {
    let settings = Settings::default();
    let gateway = gateway(settings.clone()).await;
    let mut connection = gateway.connect().await.unwrap();
    for form in [Form::Jws, Form::Nested] {
        let mut request = proved(&gateway, &settings, &connection, form, "client1", SECRET).await;
        request.headers_mut().remove("chanbind-client");
        assert_eq!(
            answer(&mut connection, request).await,
            (StatusCode::OK, format!("ok client1 {form}"))
        );
    }
}
