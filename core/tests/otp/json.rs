//! Comparison of the JSON reader with serde_json.

use super::*;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::fmt;

#[test]
fn rejects_mismatched_brackets() {
    for payload in [
        r#"{"exp":1600000060]"#,
        r#"{"aud":["x",{"a":1],"gw"]}"#,
        r#"{"x":[1},"sub":"c"}"#,
        r#"{"x":[1}]"#,
        r#"{"x":{"y":1]}"#,
        r#"{"x":[{"y":-1.5e7]]}"#,
        r#"{"x":[1]]"#,
        r#"{"x":1}}"#,
        r#"{"x":1"#,
        r#"{"x":[1"#,
    ] {
        let malformed = TokenError::Content(MalformedToken::Json);
        assert_eq!(
            verify_payload(payload, &Policy::default()),
            Err(malformed),
            "{payload}"
        );
        assert!(serde_json::from_str::<Value>(payload).is_err(), "{payload}");
    }
    for payload in [r#"{"x":"]}[{\"\\"}"#, r#"{"]":[1,{"}":[2]}]}"#] {
        assert_eq!(
            verify_payload(payload, &Policy::default()),
            Ok(()),
            "{payload}"
        );
    }
    let header = verify(
        &signed(r#"{"alg":"HS256","n":1]"#, "{}"),
        &Policy::default(),
    );
    assert_eq!(header, Err(TokenError::Malformed(MalformedToken::Json)));
}

#[test]
fn reports_exceeded_nesting_and_member_limits() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
        verify_payload(&format!(r#"{{"x":{open}{close}}}"#), &Policy::default())
    };
    assert_eq!(nested(32), Ok(()));
    assert_eq!(
        nested(33),
        Err(TokenError::Content(MalformedToken::TooDeep))
    );
    assert_eq!(
        nested(2_000),
        Err(TokenError::Content(MalformedToken::TooDeep))
    );
    let members = |count: usize| {
        let members: Vec<_> = (0..count).map(|at| format!(r#""m{at}":0"#)).collect();
        verify_payload(&format!("{{{}}}", members.join(",")), &Policy::default())
    };
    assert_eq!(members(32), Ok(()));
    assert_eq!(
        members(33),
        Err(TokenError::Content(MalformedToken::TooManyMembers))
    );
}

/// The number of texts that are compared.
const TEXTS: u32 = 1_000_000;

/// Generates JSON texts and changes half of them, which may make them invalid. The JSON reader must accept the same texts as
/// serde_json, with the same content.
#[test]
fn json_reader_agrees_with_serde_json() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut accepted, mut rejected) = (0u32, 0u32);
    for number in 0..TEXTS {
        let mut text = Vec::new();
        object(&mut random, &mut text, 0);
        if random.below(2) == 0 {
            for _ in 0..=random.below(3) {
                change(&mut random, &mut text);
            }
        }
        let expected = serde_json::from_slice::<Members>(&text);
        let Ok(text) = String::from_utf8(text) else {
            continue;
        };
        let actual = verify_payload(&text, &Policy::default());
        match expected {
            Ok(Members(members)) => {
                let expected = expected_of(&members).map_err(TokenError::Content);
                assert_eq!(actual, expected, "{number}: {text:?}");
            }
            // serde_json cannot represent the number; RFC 8259 section 6 permits limits on the range of numbers.
            Err(error) if error.to_string().starts_with("number out of range") => continue,
            // The reader may report a defect of an earlier member instead of the syntax error.
            Err(_) => assert!(
                matches!(actual, Err(TokenError::Content(_))),
                "{number}: {text:?}"
            ),
        }
        *(if actual.is_ok() {
            &mut accepted
        } else {
            &mut rejected
        }) += 1;
    }
    // The comparison is meaningful only if both results are frequent.
    assert!(accepted > TEXTS / 4, "{accepted}");
    assert!(rejected > TEXTS / 8, "{rejected}");
}

/// Returns the result that is required for an object with these members. The first defect determines the error.
fn expected_of(members: &[(String, Value)]) -> Result<(), MalformedToken> {
    for (at, (name, value)) in members.iter().enumerate() {
        if members.iter().take(at).any(|(other, _)| other == name) {
            return Err(MalformedToken::DuplicateMember);
        }
        let has_type = match &**name {
            "sub" => value.is_string(),
            "exp" => value.is_number(),
            "aud" => value.is_string() || value.is_array(),
            _ => true,
        };
        if !has_type {
            return Err(MalformedToken::Json);
        }
    }
    Ok(())
}

/// The members of an object in their order, including duplicates.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// An xorshift64* generator with a fixed seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % limit
    }

    fn pick<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        texts[self.below(texts.len())]
    }
}

fn space(random: &mut Random, out: &mut Vec<u8>) {
    if random.below(6) == 0 {
        out.extend(random.pick(&[" ", "\n", "\t", "\r", "  "]).bytes());
    }
}

fn object(random: &mut Random, out: &mut Vec<u8>, depth: usize) {
    sequence(random, out, [b'{', b'}'], &mut |random, out| {
        string(random, out, true);
        space(random, out);
        out.push(b':');
        value(random, out, depth);
    });
}

fn sequence(
    random: &mut Random,
    out: &mut Vec<u8>,
    [open, close]: [u8; 2],
    element: &mut dyn FnMut(&mut Random, &mut Vec<u8>),
) {
    space(random, out);
    out.push(open);
    for at in 0..random.below(4) {
        if at > 0 {
            out.push(b',');
        }
        space(random, out);
        element(random, out);
        space(random, out);
    }
    out.push(close);
    space(random, out);
}

fn value(random: &mut Random, out: &mut Vec<u8>, depth: usize) {
    space(random, out);
    match random.below(if depth < 3 { 8 } else { 6 }) {
        0 | 1 => string(random, out, false),
        2..=4 => number(random, out),
        5 => out.extend(random.pick(&["true", "false", "null"]).bytes()),
        6 => object(random, out, depth + 1),
        _ => sequence(random, out, [b'[', b']'], &mut |random, out| {
            value(random, out, depth + 1);
        }),
    }
    space(random, out);
}

fn number(random: &mut Random, out: &mut Vec<u8>) {
    for texts in [
        &["", "-"][..],
        &["0", "1", "60", "1600000060", "18446744073709551616"],
        &["", "", ".0", ".25", ".0001"],
        &["", "", "e9", "E+2", "e-3"],
    ] {
        out.extend(random.pick(texts).bytes());
    }
}

fn string(random: &mut Random, out: &mut Vec<u8>, is_name: bool) {
    out.push(b'"');
    if is_name && random.below(2) == 0 {
        out.extend(
            random
                .pick(&["sub", "exp", "aud", "x", "y", "z", "longer than all"])
                .bytes(),
        );
    } else {
        for _ in 0..random.below(4) {
            let pieces = [
                "a",
                "gw",
                " ",
                "{",
                "]",
                ",",
                "\u{e9}",
                "\u{1f600}",
                "\\n",
                "\\\"",
                "\\\\",
                "\\/",
                "\\u0041",
                "\\u00e9",
                "\\ud83d\\ude00",
            ];
            out.extend(random.pick(&pieces).bytes());
        }
    }
    out.push(b'"');
}

/// Removes, repeats, replaces or moves a byte.
fn change(random: &mut Random, text: &mut Vec<u8>) {
    if text.is_empty() {
        return;
    }
    let at = random.below(text.len());
    let other = random.below(text.len());
    match random.below(4) {
        0 => {
            text.remove(at);
        }
        1 => text.insert(at, text[other]),
        2 => {
            let bytes = b"{}[]\",:\\0-.eE1 u\x00\x1f\x7f";
            text[at] = bytes[random.below(bytes.len())];
        }
        _ => text.swap(at, other),
    }
}
