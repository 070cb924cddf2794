//! Tests of TPMs that cannot be reached and of TPMs that do not respond.

use super::*;
use chanbind::tpm::{TpmError, TpmKey};
use chanbind_host_tests::{program, tpm_line::TpmLine};
use std::{
    net::TcpListener,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    process::Command,
    time::{Duration, Instant},
};

const TPM2_HMAC: u32 = 0x155;

/// Returns options with a command limit of one second.
fn with_short_limit() -> OpenOptions {
    let mut options = OpenOptions::default();
    options.command_limit = Some(Duration::from_secs(1));
    options
}

/// Each reason for an unreachable TPM has an error of its own, with the operating system's reason and a remedy for the kind of
/// TCTI.
#[tokio::test]
async fn reports_why_tpm_is_unreachable() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let open = async |tcti: String| Tpm::open(&tcti, with_short_limit()).await.unwrap_err();

    let error = open(format!("device:{}", path("tpm9"))).await;
    assert!(matches!(error, TpmError::NotFound { .. }), "{error}");
    let message = error.to_string();
    assert!(
        message.contains("No such file") && message.contains("ls /dev/tpm*"),
        "{message}"
    );
    assert!(!message.contains("--tcti"), "{message}");

    std::fs::write(path("file"), "").unwrap();
    let error = open(format!("device:{}", path("file"))).await;
    assert!(matches!(error, TpmError::NoTpm { .. }), "{error}");

    let port = chanbind_host_tests::port::neighbours().unwrap();
    let error = open(chanbind_host_tests::swtpm::tcti(port)).await;
    assert!(matches!(error, TpmError::NotFound { .. }), "{error}");
    let message = error.to_string();
    assert!(
        message.contains("refused") && message.contains("swtpm socket"),
        "{message}"
    );
}

/// If the test runs as root, which may open every file, the command runs as another user.
#[test]
fn reports_missing_permission() {
    let folder = tempfile::tempdir().unwrap();
    let device = folder.path().join("tpm0");
    std::fs::write(&device, "").unwrap();
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(&device, 0o000);
    mode(folder.path(), 0o755);
    let chanbind = folder.path().join("chanbind");
    std::fs::copy(program::path("chanbind"), &chanbind).unwrap();
    let mut command = Command::new(&chanbind);
    command.args([
        "provision",
        "otp",
        "--client-id",
        "c",
        "--out",
        "key.pem",
        "--tcti",
    ]);
    command
        .arg(format!("device:{}", device.display()))
        .current_dir("/tmp");
    if rustix::process::geteuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("no permission to use the TPM"), "{error}");
    assert!(
        error.contains("Permission denied") && error.contains("group"),
        "{error}"
    );
}

/// A listener that accepts connections and never responds must not block the client for longer than the time limit.
#[tokio::test]
async fn times_out_on_silent_tpm() {
    let (data, control) = chanbind_host_tests::port::listeners().unwrap();
    let tcti = chanbind_host_tests::swtpm::tcti(data.local_addr().unwrap().port());
    let keep = |listener: TcpListener| {
        std::thread::spawn(move || listener.incoming().flatten().take(4).collect::<Vec<_>>())
    };
    let _silent = [keep(data), keep(control)];
    let start = Instant::now();
    let error = Tpm::open(&tcti, with_short_limit()).await.unwrap_err();
    assert!(matches!(error, TpmError::TimedOut { .. }), "{error}");
    assert!(error.to_string().contains("no other program"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(10));
    let error = Tpm::open_blocking(&tcti, with_short_limit()).unwrap_err();
    assert!(matches!(error, TpmError::TimedOut { .. }), "{error}");
}

/// Repeats an HMAC until it succeeds. swtpm serves one connection at a time, and the connection that hung is open until its
/// response arrives.
async fn hmac_when_available(key: &TpmKey) -> Vec<u8> {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        match key.hmac(b"data").await {
            Ok(mac) => return mac.to_vec(),
            Err(TpmError::TimedOut { .. } | TpmError::Silent { .. }) if Instant::now() < end => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// A late response is reported to its caller when the time limit has passed. Later commands succeed.
#[tokio::test]
async fn worker_survives_hanging_command() {
    let swtpm = Swtpm::start().unwrap();
    let line = TpmLine::to(swtpm.port()).unwrap();
    let tpm = Tpm::open(&line.tcti(), with_short_limit()).await.unwrap();
    let key = tpm.load(import(&tpm).await, None).await.unwrap();
    for _ in 0..2 {
        line.hold_answer_to(TPM2_HMAC, Duration::from_secs(3));
        let start = Instant::now();
        let error = key.hmac(b"data").await.unwrap_err();
        let TpmError::TimedOut { command, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(command, "TPM2_HMAC");
        assert!(start.elapsed() < Duration::from_millis(2_500));
        assert_eq!(hmac_when_available(&key).await, hmac(SECRET, b"data"));
    }
}

/// While a call hangs, other calls fail at once, because they would only wait for the same TPM.
#[tokio::test]
async fn calls_fail_at_once_while_another_hangs() {
    let swtpm = Swtpm::start().unwrap();
    let line = TpmLine::to(swtpm.port()).unwrap();
    let tpm = Tpm::open(&line.tcti(), with_short_limit()).await.unwrap();
    let key = tpm.load(import(&tpm).await, None).await.unwrap();
    line.hold_answer_to(TPM2_HMAC, Duration::from_secs(4));
    let mut errors = Vec::new();
    for _ in 0..6 {
        errors.push(key.hmac(b"data").await.unwrap_err());
    }
    assert!(
        matches!(errors[0], TpmError::TimedOut { .. }),
        "{}",
        errors[0]
    );
    for error in &errors[1..] {
        assert!(matches!(error, TpmError::Silent { .. }), "{error}");
    }
    assert_eq!(hmac_when_available(&key).await, hmac(SECRET, b"data"));
}
