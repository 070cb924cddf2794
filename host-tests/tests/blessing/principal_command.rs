//! Recorded output and input of upstream's command `principal`.

use crate::recorded::{list, live, text};
use chanbind::proof::blessing::{ALGORITHMS, PrincipalKey, Roots, from_text, to_text};
use chanbind_core::blessing::EncodedBlessings;
use serde_json::Value;

fn commands() -> &'static [Value] {
    list(&live()["principal_command"]["commands"])
}

/// Returns the names in blessings, which must be valid.
fn names(blessings: &[u8]) -> Vec<String> {
    let encoded = EncodedBlessings::parse(blessings).unwrap();
    let verified = encoded.blessings().verify(&ALGORITHMS).unwrap();
    let names = verified.claimed_names().unwrap();
    names.iter().map(str::to_owned).collect()
}

#[test]
fn blessings_that_it_prints_are_read_and_written_alike() {
    let mut count = 0;
    for command in commands() {
        let printed = text(&command["stdout"]);
        let line = text(&command["command"]);
        for blessings in printed.lines().filter(|line| line.starts_with("gV0c")) {
            let decoded = from_text(blessings).unwrap();
            assert_eq!(to_text(&decoded), blessings, "{line}");
            assert!(!names(&decoded).is_empty(), "{line}");
            count += 1;
        }
    }
    assert_eq!(count, 10);
}

#[test]
fn names_are_those_that_it_shows() {
    let shown = commands()
        .iter()
        .filter(|command| text(&command["command"]).starts_with("principal dumpblessings -"))
        .filter(|command| command["exit"] == 0);
    let mut stricter = 0;
    for command in shown {
        let note = text(&command["note"]);
        let decoded = from_text(text(&command["stdin"]));
        // Octets after the value, which upstream does not look at.
        if note.contains("after the") {
            let read = decoded.map(|decoded| EncodedBlessings::parse(&decoded).is_ok());
            assert!(!matches!(read, Ok(true)), "{note}");
            stricter += 1;
            continue;
        }
        let expected = text(&command["stdout"]).lines().next().unwrap();
        let (_, expected) = expected.split_once(": ").unwrap();
        let decoded = decoded.unwrap_or_else(|error| panic!("{note}: {error}"));
        assert_eq!(names(&decoded).join(","), expected, "{note}");
    }
    assert_eq!(stricter, 2);
}

#[test]
fn texts_that_it_refuses_are_refused() {
    let refused = commands()
        .iter()
        .filter(|command| text(&command["command"]).starts_with("principal dumpblessings -"))
        .filter(|command| command["exit"] != 0);
    let mut count = 0;
    for command in refused {
        let note = text(&command["note"]);
        let read = from_text(text(&command["stdin"]));
        let read = read.map(|decoded| EncodedBlessings::parse(&decoded).is_ok());
        assert!(!matches!(read, Ok(true)), "{note}");
        count += 1;
    }
    assert_eq!(count, 7);
}

#[test]
fn its_keys_are_read_and_its_roots_recognized() {
    let recorded = &live()["principal_command"];
    for (name, pem) in recorded["private_keys_pem"].as_object().unwrap() {
        let key = PrincipalKey::from_pem(text(pem).as_bytes()).unwrap();
        let line = format!("principal --v23.credentials={name} get publickey");
        let printed = commands().iter().find(|command| command["command"] == line);
        let printed = text(&printed.unwrap()["stdout"]);
        assert_eq!(to_text(key.public_key()), printed.trim_end(), "{name}");
    }
    let printed = commands()
        .iter()
        .find(|command| command["command"] == "principal dumproots u");
    let mut roots = Roots::new();
    for line in text(&printed.unwrap()["stdout"]).lines() {
        roots
            .add_roots_of(&from_text(line).unwrap(), &ALGORITHMS)
            .unwrap();
    }
    let patterns: Vec<_> = roots.iter().map(|(_, pattern)| pattern).collect();
    assert_eq!(patterns, ["idp", "mara"]);
}
