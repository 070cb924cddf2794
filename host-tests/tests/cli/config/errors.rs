//! Errors in a configuration file, with the file and the line.

use super::*;

/// Runs a gateway with this file, which must fail. Returns the error without its prefix.
fn error_in(workspace: &Workspace, text: &str) -> String {
    workspace.write("gateway.toml", text);
    for more in [&[][..], &["--check"]] {
        let arguments = [&["gateway", "--config", "gateway.toml"], more].concat();
        let (code, error) = workspace.fail(&arguments);
        assert_eq!(code, 1, "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        if !more.is_empty() {
            return error
                .trim_end()
                .strip_prefix("chanbind: ")
                .unwrap()
                .to_owned();
        }
    }
    panic!("no arguments were tried")
}

/// Returns the number of the first line that contains `part`.
fn line_of(text: &str, part: &str) -> usize {
    text.lines().position(|line| line.contains(part)).unwrap() + 1
}

#[test]
fn errors_in_the_text_name_the_line() {
    let workspace = workspace();
    for (rest, wrong, says) in [
        (
            format!("[proof.otp]\nregistry = \"registry.toml\"\ncolour = 1\n{OTP_RULE}"),
            "colour",
            "unknown field `colour`, expected one of `registry`, `database`, `database_key`, `profile`",
        ),
        (
            format!("{OTP}profile = \"other\"\n{OTP_RULE}"),
            "other",
            "unknown variant `other`, expected one of `chanbind`",
        ),
        (
            format!("{OTP}key_header = \"not a name\"\n{OTP_RULE}"),
            "not a name",
            "\"not a name\" is not the name of a header field",
        ),
        (
            format!("{OTP}label = 3\n{OTP_RULE}"),
            "label",
            "invalid type: integer `3`, expected a string",
        ),
        (
            format!("[proof.otp]\nlabel = \"x\"\n{OTP_RULE}"),
            "[proof.otp]",
            "write registry, the file of the clients, or database and database_key",
        ),
        (
            format!("{OTP}[proof.horoscope]\nregistry = \"x\"\n{OTP_RULE}"),
            "horoscope",
            "unknown field `horoscope`, expected one of `otp`, `authenticator`, `blessing`, `mutual`",
        ),
        (
            format!("[proof.authenticator]\nclient-ca = \"x\"\n{OTP_RULE}"),
            "client-ca",
            "unknown field `client-ca`, expected one of `client_ca`",
        ),
        (
            format!("{OTP}{OTP_RULE}color = 1\n"),
            "color",
            "unknown field `color`, expected one of `path`",
        ),
        (
            format!("{OTP}[[rule]\npath = \"/\"\n"),
            "[[rule]",
            "unclosed array table",
        ),
        (
            format!("{OTP}{OTP_RULE}any = []\n"),
            "any = []",
            "duplicate key",
        ),
    ] {
        let text = configuration(&rest);
        let error = error_in(&workspace, &text);
        let line = line_of(&text, wrong);
        let prefix = format!("gateway.toml: line {line}: {says}");
        assert!(error.starts_with(&prefix), "{prefix}: {error}");
    }
    for (head, says) in [
        (
            "colour = 1",
            "unknown field `colour`, expected one of `listen`",
        ),
        ("max_fragment_size = -1", "invalid value: integer `-1`"),
        (
            "max_connections_per_address = \"many\"",
            "invalid type: string",
        ),
    ] {
        let text = format!(
            "# A comment\n{head}\n{}",
            configuration(&format!("{OTP}{OTP_RULE}"))
        );
        let error = error_in(&workspace, &text);
        let prefix = format!("gateway.toml: line 2: {says}");
        assert!(error.starts_with(&prefix), "{prefix}: {error}");
    }
    let text = configuration(&format!("{OTP}{OTP_RULE}"));
    let text = text.replace("127.0.0.1:0", "localhost:8443");
    let error = error_in(&workspace, &text);
    assert_eq!(
        error,
        "gateway.toml: line 1: write an IP address and a port, like 127.0.0.1:8443, or :8443"
    );
}

#[test]
fn errors_in_a_rule_name_its_line() {
    let workspace = workspace();
    for (rule, says) in [
        (
            "path = \"/x\"\nany = [\"horoscope\"]",
            "the rule for /x names the unknown proof \"horoscope\": the sections [proof] define otp",
        ),
        (
            "path = \"/x\"\nall = [\"otp\", \"authenticator:staff\"]",
            "the rule for /x names the unknown proof \"authenticator:staff\"",
        ),
        ("path = \"/x\"\nany = []", "the rule for /x names no proof"),
        (
            "path = \"x\"\nany = [\"otp\"]",
            "the path \"x\" does not begin with /",
        ),
        ("path = \"/x\"", "the rule for /x must have one of"),
        (
            "path = \"/x\"\nany = [\"otp\"]\nall = [\"otp\"]",
            "the rule for /x must have one of",
        ),
        (
            "path = \"/x\"\nany = [\"otp\"]\nexempt = true",
            "the rule for /x must have one of",
        ),
        (
            "path = \"/x\"\nexempt = true\noptional = true",
            "the rule for /x must have one of",
        ),
        (
            "path = \"/\"\nexempt = true",
            "another rule for / stands before this one",
        ),
        (
            "host = \"admin.example:8443\"\npath = \"/\"\nany = [\"otp\"]",
            "\"admin.example:8443\" is not a host: write a DNS name or an IP address, without a port",
        ),
        (
            "host = \"https://admin.example\"\npath = \"/\"\nany = [\"otp\"]",
            "\"https://admin.example\" is not a host",
        ),
    ] {
        let rest = format!("{OTP}{OTP_RULE}\n[[rule]] # second\n{rule}\n");
        let text = configuration(&rest);
        let error = error_in(&workspace, &text);
        let prefix = format!("gateway.toml: line {}: {says}", line_of(&text, "# second"));
        assert!(error.starts_with(&prefix), "{prefix}: {error}");
    }
}

#[test]
fn errors_of_other_files_name_them() {
    let workspace = workspace();
    workspace.write("empty.toml", "");
    workspace.software_device("device", "devices");
    let authenticator = |more: &str| {
        format!(
            "[proof.authenticator]\n{more}\n[[rule]]\npath = \"/\"\nany = [\"authenticator\"]\n"
        )
    };
    for (rest, says) in [
        (
            format!("[proof.otp]\nregistry = \"missing.toml\"\n{OTP_RULE}"),
            "missing.toml: No such file",
        ),
        (
            format!("[proof.otp]\nregistry = \"empty.toml\"\n{OTP_RULE}"),
            "empty.toml: the registry has no clients",
        ),
        (
            format!("[proof.otp]\nregistry = \"chain.pem\"\n{OTP_RULE}"),
            "chain.pem: the registry cannot be read (line 1",
        ),
        (
            authenticator("client_ca = \"missing.pem\""),
            "missing.pem: No such file",
        ),
        (
            authenticator("client_ca = \"server.pem\""),
            "server.pem: no certificate can be read",
        ),
        (
            authenticator(
                "client_ca = \"devices.pem\"\nidentity = [{ certificate = \"device.pem\", key = \"server.pem\" }]",
            ),
            "device.pem, server.pem: the key is not that of the certificate",
        ),
        (
            authenticator("client_ca = \"devices.pem\"\nrevoked = [\"00\"]"),
            "revoked = \"00\": ",
        ),
    ] {
        let error = error_in(&workspace, &configuration(&rest));
        assert!(error.starts_with(says), "{says}: {error}");
    }
    let text = configuration(&format!("{OTP}{OTP_RULE}"));
    for (old, new, says) in [
        ("chain.pem", "missing.pem", "missing.pem: No such file"),
        ("server.pem", "device.key", "chain.pem, device.key: "),
        (
            "127.0.0.1:0",
            "192.0.2.1:1",
            "cannot listen on 192.0.2.1:1 ",
        ),
    ] {
        workspace.write("gateway.toml", text.replace(old, new));
        let (code, error) = workspace.fail(&["gateway", "--config", "gateway.toml"]);
        assert_eq!(code, 1, "{error}");
        assert!(error.starts_with(&format!("chanbind: {says}")), "{error}");
    }
    let (code, error) = workspace.fail(&["gateway", "--config", "missing.toml"]);
    assert_eq!(code, 1);
    assert!(error.contains("missing.toml: No such file"), "{error}");
    workspace.write("gateway.toml", b"\xff");
    let (code, error) = workspace.fail(&["gateway", "--config", "gateway.toml"]);
    assert_eq!(code, 1);
    assert!(error.contains("gateway.toml: not UTF-8 text"), "{error}");
}

#[test]
fn numbers_are_limited_as_on_the_command_line() {
    let workspace = workspace();
    let text = configuration(&format!("{OTP}{OTP_RULE}"));
    for (setting, option, [low, high], outside) in [
        (
            "max_fragment_size",
            "--max-fragment-size",
            [512, 16384],
            [0, 511, 16385],
        ),
        (
            "handshake_seconds",
            "--handshake-seconds",
            [1, 600],
            [0, 601, 65535],
        ),
    ] {
        for number in outside {
            let error = error_in(&workspace, &format!("{setting} = {number}\n{text}"));
            assert_eq!(
                error,
                format!("gateway.toml: {setting} = {number}: write a number from {low} to {high}")
            );
            let files = ["--registry", "registry.toml", "--cert", "chain.pem"];
            let rest = ["--key", "server.pem", option, &number.to_string()];
            let (code, error) = workspace.fail(&[&["gateway", "otp"], &files[..], &rest].concat());
            assert_eq!(code, 2, "{error}");
        }
    }
}

#[test]
fn limits_are_checked() {
    let workspace = workspace();
    for (limits, says) in [
        ("connections = 0", "limits.connections = 0: write 1 or more"),
        (
            "head_bytes = 100",
            "limits.head_bytes = 100: write 8192 or more",
        ),
        (
            "pending_proofs = 0",
            "limits.pending_proofs = 0: write 1 or more",
        ),
        (
            "idle_seconds = 0",
            "limits.idle_seconds = 0: write a number from 1 to 86400",
        ),
        (
            "proxy_protocol_from = [\"10.0.0.0/33\"]",
            "limits.proxy_protocol_from: \"10.0.0.0/33\": write an address, or a network",
        ),
        ("colour = 1", "unknown field `colour`"),
    ] {
        let text = configuration(&format!("{OTP}[limits]\n{limits}\n{OTP_RULE}"));
        let error = error_in(&workspace, &text);
        assert!(error.contains(says), "{limits}: {error}");
    }
    let all = "connections = 10\nhandshakes_per_second = 100\nhandshakes_per_second_and_address = 0\npending_proofs = 100\nhead_bytes = 8192\n\
        uri_bytes = 100\nidle_seconds = 5\nhead_seconds = 5\nbody_seconds = 5\nresponse_seconds = 5\nshutdown_seconds = 5\n\
        proxy_protocol_from = [\"10.0.0.0/8\", \"2001:db8::1\"]\n";
    let gateway = workspace.configured_gateway(&format!("{OTP}[limits]\n{all}{OTP_RULE}"));
    assert!(gateway.line.starts_with("listening on"), "{}", gateway.line);
}
