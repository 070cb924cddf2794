//! Configurations from TOML to the bytes that firmware reads, and invalid ones.
#![cfg(test)]
#![cfg(feature = "build")]

use chanbind_core::mutual::{Algorithm, Realm, StoredCredential};
use chanbind_device_config::{
    CONFIG_LEN, Config, ConfigError, MAGIC, TimeSource, VERSION, build,
    proof::{authenticator, mutual, otp},
};
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
fn reads_the_example() {
    let bytes = bytes_of(&example()).unwrap();
    assert_eq!(bytes.len(), CONFIG_LEN);
    let config = Config::parse(&bytes).unwrap();
    assert_eq!((config.host, config.port), ("gateway.example", 8443));
    assert_eq!(
        (config.server_name, config.path),
        ("gateway.example", "/get")
    );
    assert_eq!(config.name, "client1");
    assert_eq!(config.authorities, [&[0x30, 3, 2, 1, 1]]);
    assert!(matches!(config.time, TimeSource::NotBefore(seconds) if seconds > 1_700_000_000));
    assert_eq!(config.proof.tag, otp::TAG);
    let section = otp::Section::parse(config.proof.value).unwrap();
    assert_eq!(section.client_id.as_str(), "client1");
    assert_eq!(section.key.parent_name, [0x0b; 34]);
    assert_eq!(section.key.private, [0, 4, 1, 2, 3, 4]);
    assert_eq!(section.key.public, [0, 2, 5, 6]);
    assert_eq!(section.key.password, b"open sesame");
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

/// The example with a section for authenticators.
fn with_authenticator() -> String {
    let section = "\n[proof.authenticator]\ncertificates = [\"client1.crt\"]\n";
    example()
        .replace("\n[proof.otp]\n", section)
        .replace("[proof.otp.key]", "[proof.authenticator.key]")
}

#[test]
fn reads_the_section_of_an_authenticator() {
    let bytes = bytes_of(&with_authenticator()).unwrap();
    let config = Config::parse(&bytes).unwrap();
    assert_eq!(config.proof.tag, authenticator::TAG);
    let section = authenticator::Section::parse(config.proof.value).unwrap();
    assert_eq!(section.certificates, [&[0x30, 3, 2, 1, 2]]);
    assert_eq!(section.key.public, [0, 2, 5, 6]);
    let four = with_authenticator().replace("\"client1.crt\"", &["\"client1.crt\""; 4].join(","));
    assert!(bytes_of(&four).unwrap_err().contains("1 to 3"));
    let long = "-----BEGIN CERTIFICATE-----\n".to_owned()
        + &"A".repeat(2136)
        + "\n-----END CERTIFICATE-----";
    let refused = build::from_toml(&with_authenticator(), |_| Ok(long.clone())).unwrap_err();
    assert!(refused.to_string().contains("1600"), "{refused}");
}

/// The example with a section for a password.
fn with_password() -> String {
    let all = example();
    let (before, _) = all.split_once("\n[proof.otp]\n").unwrap();
    let name = "0b".repeat(34);
    format!(
        "{before}\n[proof.mutual]\nparent_name = \"{name}\"\nuser = \"client1\"\npassword = \"493817\"\n"
    )
}

#[test]
fn reads_the_section_of_a_password() {
    let bytes = bytes_of(&with_password()).unwrap();
    let config = Config::parse(&bytes).unwrap();
    assert_eq!(config.proof.tag, mutual::TAG);
    let section = mutual::Section::parse(config.proof.value).unwrap();
    assert_eq!((section.user, section.password), ("client1", "493817"));
    assert!(!format!("{section:?}{config:?}").contains("493817"));
    assert_eq!(config.login, None);
}

/// The example with the commented section `[login]`, and a credential for the user and realm of it.
fn with_login(change: impl Fn(String) -> String) -> Result<Vec<u8>, String> {
    let realm = Realm::new(Algorithm::P256_SHA256, "pump7.local", "pump 7").unwrap();
    let credential = StoredCredential::register(&realm, "technician", "493817").unwrap();
    let all = example();
    let (before, login) = all.split_once("# [login]").unwrap();
    let login = login
        .replace("\n# ", "\n")
        .replace("mutual1:…", &credential.to_text());
    bytes_of(&format!("{before}[login]{}", change(login)))
}

#[test]
fn reads_the_login_of_a_technician() {
    let bytes = with_login(|login| login).unwrap();
    let login = Config::parse(&bytes).unwrap().login.unwrap();
    assert_eq!(
        (login.origin, login.auth_scope, login.realm, login.user),
        ("http://pump7.local", "pump7.local", "pump 7", "technician")
    );
    let realm = Realm::new(Algorithm::P256_SHA256, login.auth_scope, login.realm).unwrap();
    let credential = StoredCredential::parse(login.credential).unwrap();
    assert!(credential.j(&realm, login.user).is_ok());
    assert!(!format!("{login:?}").contains(login.credential));
}

#[test]
fn a_login_that_no_technician_could_use_is_refused() {
    for (from, to, says) in [
        ("http://pump7.local", "pump7.local", "write it like http://"),
        ("= \"pump7.local", "= \"pump8.local", "does not cover"),
        ("realm = \"pump 7", "realm = \"pump 8", "register"),
        ("= \"technician", "= \"operator", "register"),
        ("mutual1:", "mutual2:", "chanbind provision mutual"),
        ("user", "usr", "usr"),
    ] {
        let refused = with_login(|login| {
            assert!(login.contains(from), "{from}");
            login.replace(from, to)
        });
        let refused = refused.unwrap_err();
        assert!(refused.contains(says), "{from}: {refused}");
    }
}

#[test]
fn a_client_id_may_differ_from_the_name() {
    let toml = example().replace("# client_id = \"client1\"", "client_id = \"pump 7\"");
    assert!(bytes_of(&toml).unwrap_err().contains("client_id"));
    let bytes = bytes_of(&toml.replace("pump 7", "pump7")).unwrap();
    let config = Config::parse(&bytes).unwrap();
    let section = otp::Section::parse(config.proof.value).unwrap();
    assert_eq!(
        (config.name, section.client_id.as_str()),
        ("client1", "pump7")
    );
}

#[test]
fn old_files_are_named_as_such() {
    for old in [
        "proof = \"api-key\"\n",
        "client_id = \"client1\"\n",
        "[key]\nparent_name = \"\"\n",
    ] {
        let toml = format!("host = \"a\"\nport = 1\n{old}");
        assert!(
            bytes_of(&toml).unwrap_err().contains("earlier version"),
            "{old}"
        );
    }
}

/// The kinds of proof that are known by name, and a tag of a later version.
#[test]
fn unknown_fields_and_versions_are_told_apart_from_damage() {
    let good = bytes_of(&example()).unwrap();
    let change = |at: usize, to: u8| {
        let mut bytes = good.clone();
        let len = usize::from(u16::from_be_bytes([bytes[17], bytes[18]]));
        bytes[at] = to;
        let end = 19 + len - 32;
        let digest = chanbind_core::crypto::sha256(&bytes[19..end]);
        bytes[end..end + 32].copy_from_slice(&digest);
        Config::parse(&bytes).map(|config| config.proof.tag)
    };
    assert_eq!(change(16, 3), Err(ConfigError::Version { actual: 3 }));
    assert_eq!(
        change(19, 0x7f),
        Err(ConfigError::UnknownField { tag: 0x7f })
    );
    assert_eq!(VERSION, good[16]);
    assert_eq!(
        chanbind_device_config::proof::name(authenticator::TAG),
        Some("authenticator")
    );
    assert_eq!(chanbind_device_config::proof::name(0xff), None);
}

#[test]
fn names_mistakes() {
    for (from, to, says) in [
        ("port = 8443", "port = 84430", "port"),
        ("port = 8443", "prot = 8443", "prot"),
        ("path = \"/get\"", "path = \"get\"", "begin with /"),
        ("path = \"/get\"", "path = \"/a b\"", "percent-encode"),
        ("name = \"client1\"", "name = \"\"", "name"),
        (
            "authorities = [\"ca.pem\"]",
            "authorities = []",
            "give 1 to 4",
        ),
        ("time = \"build\"", "time = \"never\"", "never"),
        ("\n[proof.otp]\n", "\n[proof.passport]\n", "passport"),
        (
            "\n[proof.otp]\n",
            "\n[proof.authenticator]\n[proof.otp]\n",
            "certificates",
        ),
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
fn rejects_damaged_configurations() {
    let good = bytes_of(&example()).unwrap();
    let used = good.iter().rposition(|&byte| byte != 0).unwrap();
    for at in MAGIC.len()..=used {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let expected = match at {
            16 => ConfigError::Version { actual: 3 },
            _ => ConfigError::Malformed,
        };
        assert_eq!(Config::parse(&bad), Err(expected), "byte {at}");
    }
    for len in 0..=used {
        assert!(Config::parse(&good[..len]).is_err());
    }
    let mut empty = vec![0; CONFIG_LEN];
    empty[..MAGIC.len()].copy_from_slice(MAGIC);
    assert_eq!(Config::parse(&empty), Err(ConfigError::Empty));
}

#[test]
fn patches_the_one_place_in_an_image() {
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

/// The errors of a file with a password do not quote it.
#[test]
fn errors_do_not_quote_secrets() {
    let good = "gateway = \"x\"\n[proof.otp.key]\n";
    for line in [
        "password = [\"hunter2\"]",
        "password = hunter2",
        "passwort = \"hunter2\"",
        "password = \"hunter2",
        "private = 1\npassword = \"hunter2\"",
    ] {
        let error =
            build::from_toml(&format!("{good}{line}\n"), |path| panic!("{path:?}")).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{line}: {error}");
        assert!(error.to_string().contains("line "), "{line}: {error}");
    }
}
