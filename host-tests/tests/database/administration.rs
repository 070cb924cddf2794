//! Devices are added, changed and removed.

use super::*;

fn ids(devices: &[chanbind::gateway::Device]) -> Vec<&str> {
    devices.iter().map(|device| device.id.as_str()).collect()
}

#[tokio::test]
async fn devices_are_added_listed_and_removed() {
    for database in Database::both() {
        let registry = database.open().await;
        for id in ["pump2", "pump10", "pump1"] {
            registry
                .add(id, KEY, &["line3", "all", "line3"])
                .await
                .unwrap();
        }
        let all = registry.list("", 100).await.unwrap();
        assert_eq!(ids(&all), ["pump1", "pump10", "pump2"]);
        assert_eq!(all[0].groups, ["all", "line3"]);
        assert!(all[0].enabled && !all[0].is_rotating);
        assert_eq!(all[0].last_seen, None);
        assert!(all[0].created > 1_700_000_000);
        // Page by page.
        assert_eq!(
            ids(&registry.list("", 2).await.unwrap()),
            ["pump1", "pump10"]
        );
        assert_eq!(ids(&registry.list("pump10", 2).await.unwrap()), ["pump2"]);

        registry.remove("pump10").await.unwrap();
        registry.set_groups("pump1", &["line4"]).await.unwrap();
        registry.set_enabled("pump2", false).await.unwrap();
        // Another gateway sees the same.
        let other = database.open().await;
        let all = other.list("", 100).await.unwrap();
        assert_eq!(ids(&all), ["pump1", "pump2"]);
        assert_eq!(all[0].groups, ["line4"]);
        assert!(!all[1].enabled);
    }
}

#[tokio::test]
async fn errors_say_what_is_wrong_and_change_nothing() {
    for database in Database::both() {
        let registry = database.open().await;
        registry.add("pump1", KEY, &["line3"]).await.unwrap();
        let exists = registry
            .add("pump1", OTHER_KEY, &["line4"])
            .await
            .unwrap_err();
        assert!(matches!(exists, DatabaseError::Exists(_)), "{exists}");
        assert_eq!(registry.keys("pump1").await.unwrap()[0].as_slice(), KEY);
        assert_eq!(registry.list("", 9).await.unwrap()[0].groups, ["line3"]);
        for error in [
            registry.remove("pump2").await,
            registry.set_enabled("pump2", true).await,
            registry.set_groups("pump2", &["x"]).await,
            registry.rotate("pump2", KEY).await,
            registry.finish_rotation("pump2").await,
            registry.keys("pump2").await.map(|_| ()),
        ] {
            let error = error.unwrap_err();
            assert!(matches!(error, DatabaseError::Unknown(_)), "{error}");
        }
        let short = registry.add("pump2", b"short", &[]).await.unwrap_err();
        assert!(matches!(short, DatabaseError::Key(_)), "{short}");
        let invalid = registry.add("a\nb", KEY, &[]).await.unwrap_err();
        assert!(matches!(invalid, DatabaseError::Id { .. }), "{invalid}");
        // Text is never a statement.
        let text = "'; DROP TABLE device; --";
        let _ = registry.add(text, KEY, &[text]).await;
        let _ = registry.list(text, 9).await.unwrap();
        assert_eq!(registry.keys("pump1").await.unwrap().len(), 1);
    }
    for url in ["", "fleet.db", "mysql://localhost/x"] {
        let error = DatabaseRegistry::open(url, KeySealer::new(&[7; 32]))
            .await
            .unwrap_err();
        assert!(matches!(error, DatabaseError::Url(_)), "{url}: {error}");
    }
}

#[tokio::test]
async fn two_keys_are_valid_during_a_rotation() {
    for database in Database::both() {
        let registry = database.open().await;
        registry.add("pump1", KEY, &[]).await.unwrap();
        registry.rotate("pump1", OTHER_KEY).await.unwrap();
        let keys = registry.keys("pump1").await.unwrap();
        assert_eq!([keys[0].as_slice(), &keys[1]], [OTHER_KEY, KEY]);
        assert!(registry.list("", 9).await.unwrap()[0].is_rotating);
        let again = registry.rotate("pump1", &[9; 32]).await.unwrap_err();
        assert!(matches!(again, DatabaseError::Rotating(_)), "{again}");
        registry.finish_rotation("pump1").await.unwrap();
        let keys = registry.keys("pump1").await.unwrap();
        assert_eq!((keys.len(), keys[0].as_slice()), (1, OTHER_KEY));
    }
}

/// The database and its backups hold no keys.
#[tokio::test]
async fn keys_are_encrypted_at_rest() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::Sqlite(folder);
    let registry = database.open().await;
    registry.add("pump1", KEY, &[]).await.unwrap();
    registry.rotate("pump1", OTHER_KEY).await.unwrap();
    let Database::Sqlite(folder) = &database else {
        panic!("another database")
    };
    let mut len = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        len += bytes.len();
        for key in [KEY, OTHER_KEY] {
            assert!(!bytes.windows(key.len()).any(|window| window == key));
        }
    }
    assert!(len > 4096);
    // With another key the registry does not even open.
    let error = DatabaseRegistry::open(&database.url(), KeySealer::new(&[8; 32])).await;
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains("it was encrypted with another key, or changed"),
        "{error}"
    );
}

#[test]
fn a_key_file_is_base64_of_32_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.key");
    assert!(
        KeySealer::from_file(&path)
            .unwrap_err()
            .to_string()
            .contains("registry.key")
    );
    for text in ["", "AAAA", "not base64", &"A".repeat(43)] {
        std::fs::write(&path, text).unwrap();
        let error = KeySealer::from_file(&path).unwrap_err().to_string();
        assert!(error.contains("openssl rand -base64 32"), "{error}");
    }
    std::fs::write(&path, format!("{}=\n", "A".repeat(43))).unwrap();
    KeySealer::from_file(&path).unwrap();
}
