//! The explanation of tokens.

use super::*;

#[test]
fn tokens_are_explained_without_being_printed() {
    let workspace = Workspace::without_tpm();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/go-demo-tokens.json");
    let tokens = std::fs::read_to_string(path).unwrap();
    for (token, part) in [
        (
            "eyJhbGciOiJIUzI1NiJ9.",
            "{\"iss\":\"issuer\",\"sub\":\"subject\"}",
        ),
        ("eyJhbGciOiJkaXIi", "\"kid\":\"client_1\""),
    ] {
        let start = tokens.find(&format!("\"token\": \"{token}")).unwrap() + 10;
        let token = tokens[start..].split('"').next().unwrap();
        workspace.write("token", token);
        let (out, _) = workspace.succeed(&["inspect", "otp", "token"]);
        assert_contains_all(&out, &[part, "a gateway would verify it"]);
        assert!(!out.contains(&token[token.len() - 20..]), "{out}");
        let with_scheme = format!("Bearer {token}\n");
        let output = workspace.run_on(&["inspect", "otp", "-"], with_scheme.as_bytes());
        assert_eq!(text(&output.stdout), out);
    }
}

#[test]
fn tokens_that_a_gateway_would_reject_are_explained_with_the_reason() {
    let workspace = Workspace::without_tpm();
    workspace.write("token", "eyJhbGciOiJub25lIn0.e30.");
    let (out, _) = workspace.succeed(&["inspect", "otp", "token"]);
    assert!(out.contains("would reject it"), "{out}");
}

#[test]
fn api_keys_are_recognised_by_their_length() {
    let workspace = Workspace::without_tpm();
    workspace.write("key", "A".repeat(43) + "=");
    let (out, _) = workspace.succeed(&["inspect", "otp", "key"]);
    assert_eq!(
        out,
        "API key: 32 bytes in base64, valid on one connection only\n"
    );
    let output = workspace.run_on(&["inspect", "otp", "-"], b"something else");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("an API key has 44 characters"));
}
