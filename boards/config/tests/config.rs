//! From TOML to what firmware reads, and what cannot be a configuration.
#![cfg(feature = "build")]

use chanbind_device_config::{CONFIG_LEN, Config, ConfigError, MAGIC, Proof, TimeSource, build};
use std::path::Path;

const CA: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";

const OWN: &str = "-----BEGIN CERTIFICATE-----\nMAMCAQI=\n-----END CERTIFICATE-----\n";

fn example() -> String {
    include_str!("../src/example.toml")
        .replace("000b…", &"0b".repeat(34))
        .replace("0090…", "000401020304")
        .replace("004e…", "00020506")
        .replace("# password = \"…\"", "password = \"open sesame\"")
}

fn bytes_of(toml: &str) -> Result<Vec<u8>, String> {
    build::from_toml(toml, |name: &Path| match name.to_str() {
        Some("ca.pem") => Ok(CA.to_owned()),
        Some("client1.crt") => Ok(OWN.to_owned()),
        _ => panic!("{name:?}"),
    })
    .map_err(|error| error.to_string())
}

#[test]
fn the_example_is_read_as_it_is_written() {
    let bytes = bytes_of(&example()).unwrap();
    assert_eq!(bytes.len(), CONFIG_LEN);
    let config = Config::parse(&bytes).unwrap();
    assert_eq!((config.host, config.port), ("gateway.example", 8443));
    assert_eq!(
        (config.server_name, config.path),
        ("gateway.example", "/get")
    );
    assert_eq!(config.client_id.as_str(), "client1");
    assert_eq!(config.authorities(), [&[0x30, 3, 2, 1, 1]]);
    assert!(matches!(config.time, TimeSource::NotBefore(seconds) if seconds > 1_700_000_000));
    assert_eq!(config.key.parent_name, [0x0b; 34]);
    assert_eq!(config.key.private, [0, 4, 1, 2, 3, 4]);
    assert_eq!(config.key.public, [0, 2, 5, 6]);
    assert_eq!(config.key.password, b"open sesame");
    assert_eq!(
        [
            config.interval_ms,
            config.first_retry_ms,
            config.longest_retry_ms,
            config.step_timeout_ms
        ],
        [60_000, 1_000, 60_000, 30_000]
    );
    for (name, time) in [
        ("board", TimeSource::Board),
        ("dangerous-unknown", TimeSource::DangerousUnknown),
    ] {
        let toml = example().replace("time = \"build\"", &format!("time = \"{name}\""));
        assert_eq!(Config::parse(&bytes_of(&toml).unwrap()).unwrap().time, time);
    }
}

#[test]
fn certificates_come_with_the_proof_that_needs_them() {
    let config = bytes_of(&example()).unwrap();
    let config = Config::parse(&config).unwrap();
    assert_eq!(
        (config.proof, config.certificates().len()),
        (Proof::ApiKey, 0)
    );
    let toml = example()
        .replace("proof = \"api-key\"", "proof = \"authenticator\"")
        .replace("# certificates", "certificates");
    let bytes = bytes_of(&toml).unwrap();
    let config = Config::parse(&bytes).unwrap();
    assert_eq!(config.proof, Proof::Authenticator);
    assert_eq!(config.certificates(), [&[0x30, 3, 2, 1, 2]]);
    assert_eq!(config.key.public, [0, 2, 5, 6]);
    let four = toml.replace("\"client1.crt\"", &["\"client1.crt\""; 4].join(","));
    assert!(bytes_of(&four).unwrap_err().contains("1 to 3"));
    let long = "-----BEGIN CERTIFICATE-----\n".to_owned()
        + &"A".repeat(2136)
        + "\n-----END CERTIFICATE-----";
    let refused = build::from_toml(&toml, |_| Ok(long.clone())).unwrap_err();
    assert!(refused.to_string().contains("1600"), "{refused}");
}

#[test]
fn mistakes_are_named() {
    for (from, to, says) in [
        ("port = 8443", "port = 84430", "port"),
        ("port = 8443", "prot = 8443", "prot"),
        ("path = \"/get\"", "path = \"get\"", "begin with /"),
        ("path = \"/get\"", "path = \"/a b\"", "percent-encode"),
        ("client_id = \"client1\"", "client_id = \"\"", "client_id"),
        (
            "authorities = [\"ca.pem\"]",
            "authorities = []",
            "give 1 to 4",
        ),
        ("time = \"build\"", "time = \"never\"", "never"),
        ("\"api-key\"\n", "\"passport\"\n", "passport"),
        ("\"api-key\"\n", "\"authenticator\"\n", "1 to 3"),
        ("# certificates", "certificates", "authenticator"),
        (
            "first_retry_ms = 1_000",
            "first_retry_ms = 0",
            "first_retry_ms",
        ),
        (
            "longest_retry_ms = 60_000",
            "longest_retry_ms = 10",
            "longest_retry_ms",
        ),
        ("000401020304", "000401020", "key.private"),
        ("000401020304", "0004010203", "copy it whole"),
        ("00020506", "zz", "key.public"),
        ("open sesame", &"x".repeat(CONFIG_LEN), "too long"),
    ] {
        let toml = example().replacen(from, to, 1);
        assert_ne!(toml, example(), "{from}");
        let error = bytes_of(&toml).unwrap_err();
        assert!(error.contains(says), "{to}: {error}");
    }
    let error = build::from_toml(&example(), |_| Ok("no PEM".to_owned())).unwrap_err();
    assert!(error.to_string().contains("no certificate"), "{error}");
}

#[test]
fn damage_is_noticed() {
    let good = bytes_of(&example()).unwrap();
    let used = good.iter().rposition(|&byte| byte != 0).unwrap();
    for at in MAGIC.len()..=used {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert_eq!(
            Config::parse(&bad),
            Err(ConfigError::Malformed),
            "byte {at}"
        );
    }
    for len in 0..=used {
        assert!(Config::parse(&good[..len]).is_err());
    }
    let mut empty = vec![0; CONFIG_LEN];
    empty[..MAGIC.len()].copy_from_slice(MAGIC);
    assert_eq!(Config::parse(&empty), Err(ConfigError::Empty));
}

#[test]
fn images_have_one_place_for_it() {
    let config = bytes_of(&example()).unwrap();
    let place = [MAGIC.as_slice(), &[0; CONFIG_LEN - MAGIC.len()]].concat();
    let mut image = [&[7; 99], place.as_slice(), &[8; 50]].concat();
    build::patch(&mut image, &config).unwrap();
    assert_eq!(image, [&[7; 99], config.as_slice(), &[8; 50]].concat());
    // Again, with another.
    build::patch(&mut image, &config).unwrap();

    for (mut image, says) in [
        (vec![7; 9999], "no place"),
        ([place.as_slice(), &place].concat(), "more than one"),
        (place[..100].to_vec(), "ends within"),
    ] {
        let before = image.clone();
        let error = build::patch(&mut image, &config).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(image, before);
    }
}

/// Whatever is wrong with a file that holds a password, the error does not quote it.
#[test]
fn secrets_are_not_quoted() {
    let good = "gateway = \"x\"\n[key]\n";
    for line in [
        "password = [\"hunter2\"]",
        "password = hunter2",
        "passwort = \"hunter2\"",
        "password = \"hunter2",
        "private = 1\npassword = \"hunter2\"",
    ] {
        let error = build::from_toml(&format!("{good}{line}\n"), |_| unreachable!()).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{line}: {error}");
        assert!(error.to_string().contains("line "), "{line}: {error}");
    }
}
