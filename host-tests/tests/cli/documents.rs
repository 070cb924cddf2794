//! Manual pages and completions.

use super::*;

#[test]
fn completions_are_scripts_of_their_shells() {
    let workspace = Workspace::without_tpm();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (script, _) = workspace.succeed(&["completions", shell]);
        assert_contains_all(&script, &["gateway", "registry", "diagnostics-path"]);
        if shell == "bash" {
            workspace.write("script", script);
            let checked = Command::new("bash")
                .arg("-n")
                .arg(workspace.path("script"))
                .status();
            assert!(checked.unwrap().success());
        }
    }
    let (code, _) = workspace.fail(&["completions", "vi"]);
    assert_eq!(code, 2);
}

#[test]
fn every_subcommand_has_a_manual_page() {
    let workspace = Workspace::without_tpm();
    std::fs::create_dir(workspace.path("man")).unwrap();
    workspace.succeed(&["man", "man"]);
    for (page, says) in [
        ("chanbind.1", "chanbind\\-gateway(1)"),
        ("chanbind-gateway.1", "\\-\\-config"),
        ("chanbind-registry-import.1", "\\-\\-rotate"),
        ("chanbind-provision-otp.1", "\\-\\-client\\-id"),
        ("chanbind-doctor.1", "\\-\\-peer\\-fingerprint"),
    ] {
        let text = workspace.read(&format!("man/{page}"));
        assert!(text.contains(says), "{page}: {text}");
    }
    assert!(!workspace.path("man/chanbind-man.1").exists());
    let (code, error) = workspace.fail(&["man", "missing"]);
    assert_eq!(code, 1);
    assert!(error.contains("missing/chanbind"), "{error}");
}
