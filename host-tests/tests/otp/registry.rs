//! A registry that changes while connections are live.

use super::*;
use chanbind::gateway::{RegistryError, RegistryFile};
use std::time::Duration;
use tokio::time::timeout;

/// Waits until the gateway has closed a connection.
async fn is_closed(connection: &TestClient) -> bool {
    let closed = async {
        while !connection.is_closed() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(20), closed).await.is_ok()
}

async fn admitted(gateway: &TestGateway, client: &str, secret: &[u8]) -> TestClient {
    let settings = Settings::default();
    let mut connection = gateway.connect().await.unwrap();
    let request = proved(
        gateway,
        &settings,
        &connection,
        Form::ApiKey,
        client,
        secret,
    )
    .await;
    assert_eq!(
        answer(&mut connection, request).await.0,
        StatusCode::OK,
        "{client}"
    );
    connection
}

async fn status(gateway: &TestGateway, client: &str, secret: &[u8]) -> StatusCode {
    let settings = Settings::default();
    let mut connection = gateway.connect().await.unwrap();
    let request = proved(
        gateway,
        &settings,
        &connection,
        Form::ApiKey,
        client,
        secret,
    )
    .await;
    answer(&mut connection, request).await.0
}

fn toml(clients: &[(&str, &[u8], bool)]) -> String {
    let mut text = String::new();
    for (client, secret, enabled) in clients {
        text.push_str(&ClientTable::entry(ClientId::new(client).unwrap(), secret));
        text.push_str(&format!("enabled = {enabled}\n"));
    }
    text
}

#[tokio::test]
async fn cuts_connections_of_removed_disabled_and_changed_clients() {
    let table = |clients: &[(&str, &[u8], bool)]| ClientTable::from_toml(&toml(clients)).unwrap();
    let before: [(&str, &[u8], bool); 4] = [
        ("kept", b"one", true),
        ("removed", b"two", true),
        ("disabled", b"three", true),
        ("changed", b"four", true),
    ];
    let registry = MemoryRegistry::new(table(&before));
    let gateway = TestGateway::start(registry.clone(), Settings::default())
        .await
        .unwrap();
    let mut kept = admitted(&gateway, "kept", b"one").await;
    let removed = admitted(&gateway, "removed", b"two").await;
    let disabled = admitted(&gateway, "disabled", b"three").await;
    let changed = admitted(&gateway, "changed", b"four").await;

    registry.replace(table(&[
        ("kept", b"one", true),
        ("disabled", b"three", false),
        ("changed", b"five", true),
        ("added", b"six", true),
    ]));
    for (name, connection) in [
        ("removed", removed),
        ("disabled", disabled),
        ("changed", changed),
    ] {
        assert!(is_closed(&connection).await, "{name}");
    }
    for (client, secret, expected) in [
        ("removed", &b"two"[..], StatusCode::UNAUTHORIZED),
        ("disabled", b"three", StatusCode::UNAUTHORIZED),
        ("changed", b"four", StatusCode::UNAUTHORIZED),
        ("changed", b"five", StatusCode::OK),
        ("added", b"six", StatusCode::OK),
    ] {
        assert_eq!(status(&gateway, client, secret).await, expected, "{client}");
    }
    let settings = Settings::default();
    let request = proved(&gateway, &settings, &kept, Form::ApiKey, "kept", b"one").await;
    assert_eq!(answer(&mut kept, request).await.0, StatusCode::OK);
}

#[tokio::test]
async fn follows_a_registry_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.toml");
    std::fs::write(&path, toml(&[("a", b"one", true), ("b", b"two", true)])).unwrap();
    let registry = RegistryFile::open(&path).unwrap();
    let gateway = TestGateway::start(registry.clone(), Settings::default())
        .await
        .unwrap();
    let followed = Arc::clone(&registry);
    let following = tokio::spawn(async move { followed.follow().await });
    let connection = admitted(&gateway, "b", b"two").await;

    // A file that cannot be read changes nothing.
    std::fs::write(&path, "[clients.a]\nhmac_sha256 = ").unwrap();
    assert!(registry.reload().is_err());
    assert_eq!(registry.table().len(), 2);
    assert!(!connection.is_closed());

    std::fs::write(&path, toml(&[("a", b"one", true)])).unwrap();
    assert!(is_closed(&connection).await);
    assert_eq!(status(&gateway, "a", b"one").await, StatusCode::OK);

    // Without any client left, all are refused.
    std::fs::write(&path, "").unwrap();
    registry.reload().unwrap();
    assert_eq!(
        status(&gateway, "a", b"one").await,
        StatusCode::UNAUTHORIZED
    );
    following.abort();
}

#[test]
fn reads_registries_and_names_the_place_of_an_error() {
    let entry = ClientTable::entry(ClientId::new(r#"a.b"c\d"#).unwrap(), SECRET);
    assert_eq!(ClientTable::from_toml(&entry).unwrap().len(), 1);
    for (text, what) in [
        ("x", "[clients.NAME]"),
        ("[clients.a]\nhmac_sha256 = \"***\"", "not base64"),
        ("[clients.a]\nhmac_sha256 = \"\"", "empty"),
        (
            "[clients.a]\nhmac_sha265 = \"AAAA\"",
            "line 2, column 1, client \"a\"",
        ),
        ("[clients]\nclient1 = \"AAAA\"", "line 2, column 11"),
        ("client1 = \"AAAA\"", "line 1, column 1"),
        ("[clients.a]\nhmac_sha256 = \"AAAA", "line 2"),
        (
            "[clients.a]\nhmac_sha256 = AAAA",
            "line 2, column 15, client \"a\"",
        ),
        ("[clients.a]\nAAAA==", "line 2"),
        ("[clients.a]\nhmac_sha256 = [\"AAAA\"]", "client \"a\""),
        (
            "[clients.\"b c\"]\nhmac_sha256 = \"AA\"\nkey = \"AAAA\"",
            "line 3, column 1, client \"b c\"",
        ),
        ("[clients.\"\"]\nhmac_sha256 = \"AAAA\"", "empty"),
        (
            "[clients.a]\nhmac_sha256 = \"AAAA\"\n[clients.a]\nhmac_sha256 = \"BBBB\"",
            "line 3",
        ),
    ] {
        let message = ClientTable::from_toml(text).unwrap_err().to_string();
        assert!(message.contains(what), "{text:?}: {message}");
        assert!(!message.contains("AAAA"), "no key in a message");
    }
    let twice = ["a", "a"].map(|id| (id.to_owned(), ClientKey::secret(b"k")));
    assert!(
        ClientTable::new(twice)
            .unwrap_err()
            .to_string()
            .contains("twice")
    );
    assert!(!format!("{:?}", ClientTable::from_toml(&entry).unwrap()).contains("my_api_key"));
}

#[test]
fn refuses_to_open_a_registry_file_without_clients() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.toml");
    for text in ["", "[clients]"] {
        std::fs::write(&path, text).unwrap();
        assert!(matches!(
            RegistryFile::open(&path),
            Err(RegistryError::Empty)
        ));
    }
    let missing = RegistryFile::open(&folder.path().join("none.toml"));
    assert!(missing.unwrap_err().to_string().contains("none.toml"));
}

/// The keys of a few clients are kept for a connection, and an accepted client is watched for as long as the connection lasts.
#[tokio::test]
async fn cuts_a_removed_client_also_after_its_connection_has_named_others() {
    let table = |client: &str| ClientTable::from_toml(&toml(&[(client, b"one", true)])).unwrap();
    let registry = MemoryRegistry::new(table("removed"));
    let gateway = TestGateway::start(registry.clone(), Settings::default())
        .await
        .unwrap();
    let mut connection = admitted(&gateway, "removed", b"one").await;
    let settings = Settings::default();
    for number in 0..6 {
        let other = format!("other{number}");
        let request = proved(
            &gateway,
            &settings,
            &connection,
            Form::ApiKey,
            &other,
            b"one",
        )
        .await;
        let (status, _) = answer(&mut connection, request).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    registry.replace(table("added"));
    assert!(is_closed(&connection).await);
}

/// A client that is only named is not watched: whether its connection lasts must not tell whether the client exists. What was looked up for
/// it is not used after a change.
#[tokio::test]
async fn a_key_that_was_changed_before_a_client_was_accepted_is_not_used() {
    let table = |secret: &[u8]| ClientTable::from_toml(&toml(&[("client", secret, true)])).unwrap();
    let registry = MemoryRegistry::new(table(b"old"));
    let gateway = TestGateway::start(registry.clone(), Settings::default())
        .await
        .unwrap();
    let settings = Settings::default();
    let mut connection = gateway.connect().await.unwrap();
    for (secret, expected) in [
        (&b"wrong"[..], StatusCode::UNAUTHORIZED),
        (b"old", StatusCode::UNAUTHORIZED),
        (b"new", StatusCode::OK),
    ] {
        let request = proved(
            &gateway,
            &settings,
            &connection,
            Form::ApiKey,
            "client",
            secret,
        )
        .await;
        assert_eq!(answer(&mut connection, request).await.0, expected);
        registry.replace(table(b"new"));
    }
}
