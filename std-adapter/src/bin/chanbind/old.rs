//! Spellings of earlier versions.

use std::ffi::OsString;

/// Returns advice for a command line of an earlier version, which had no subcommand for the kind of proof.
pub(crate) fn advice(arguments: impl Iterator<Item = OsString>) -> Option<String> {
    let arguments: Vec<OsString> = arguments.collect();
    let words: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let (verb, rest) = words.split_first()?;
    let first = rest.first().copied().unwrap_or_default();
    let has = |option: &str| {
        let with_value = format!("{option}=");
        rest.iter()
            .any(|word| *word == option || word.starts_with(&with_value))
    };
    // A word that is neither an option nor its value is a subcommand: whether there is such a kind is for clap to say.
    let is_word = first.bytes().all(|byte| byte.is_ascii_lowercase());
    let has_kind = |kind: &&str| rest.contains(kind);
    let is_new = is_word || ["otp", "authenticator", "help"].iter().any(has_kind);
    let is_help = has("--help") || has("-h");
    let kind = if has("--authenticator") || has("--authenticator-ca") {
        "authenticator"
    } else {
        "otp"
    };
    match *verb {
        "provision" | "connect" if !rest.is_empty() && !is_help && !is_new && !has("--batch") => {
            let option = if has("--authenticator") {
                ", without the option --authenticator"
            } else {
                ""
            };
            let proof = if has("--proof") {
                "; --proof is now --form"
            } else {
                ""
            };
            Some(format!(
                "say which kind of proof: chanbind {verb} {kind} ...{option}{proof}"
            ))
        }
        "gateway" if !is_help && !is_new && (has("--registry") || has("--authenticator-ca")) => {
            let ca = if kind == "authenticator" {
                ", where --authenticator-ca is now --client-ca"
            } else {
                ""
            };
            Some(format!(
                "say which kind of proof: chanbind gateway {kind} ...{ca}, or write a file: chanbind gateway --config gateway.toml"
            ))
        }
        "inspect" if first == "token" => {
            Some("`chanbind inspect token` is now `chanbind inspect otp`".to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_new_spelling_of_an_old_one() {
        for (line, expected) in [
            ("provision --client-id c --out k", Some("provision otp")),
            (
                "provision --authenticator --csr c",
                Some("provision authenticator"),
            ),
            (
                "connect https://h/ --ca ca --proof jws",
                Some("--proof is now --form"),
            ),
            (
                "connect https://h/ --authenticator",
                Some("connect authenticator"),
            ),
            ("gateway --registry r", Some("gateway otp")),
            ("gateway --authenticator-ca=ca", Some("--client-ca")),
            ("inspect token t", Some("inspect otp")),
            ("provision otp --client-id c", None),
            ("connect authenticator https://h/", None),
            ("connect --help", None),
            ("connect --ca ca.pem --help", None),
            ("connect --log-format json otp https://h/", None),
            ("gateway --config g", None),
            ("gateway otp --registry r", None),
            ("gateway --log-format json otp --registry r", None),
            ("inspect key k", None),
            ("", None),
        ] {
            let found = advice(line.split_whitespace().map(OsString::from));
            match expected {
                Some(part) => assert!(
                    found.as_ref().is_some_and(|text| text.contains(part)),
                    "{line}: {found:?}"
                ),
                None => assert_eq!(found, None, "{line}"),
            }
        }
    }
}
