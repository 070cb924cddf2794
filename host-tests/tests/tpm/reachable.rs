//! TPMs that cannot be reached, and TPMs that do not answer.

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

fn impatient() -> OpenOptions {
    let mut options = OpenOptions::default();
    options.command_limit = Some(Duration::from_secs(1));
    options
}

/// Each way not to be reached has an error of its own, with the system's reason and advice for the kind of TCTI.
#[tokio::test]
async fn errors_tell_apart_why_there_is_no_tpm() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let open = async |tcti: String| Tpm::open(&tcti, impatient()).await.unwrap_err();

    let error = open(format!("device:{}", path("tpm9"))).await;
    assert!(matches!(error, TpmError::NotFound { .. }), "{error}");
    let words = error.to_string();
    assert!(
        words.contains("No such file") && words.contains("ls /dev/tpm*"),
        "{words}"
    );
    assert!(!words.contains("--tcti"), "{words}");

    std::fs::write(path("file"), "").unwrap();
    let error = open(format!("device:{}", path("file"))).await;
    assert!(matches!(error, TpmError::NoTpm { .. }), "{error}");

    let port = chanbind_host_tests::port::neighbours().unwrap();
    let error = open(chanbind_host_tests::swtpm::tcti(port)).await;
    assert!(matches!(error, TpmError::NotFound { .. }), "{error}");
    let words = error.to_string();
    assert!(
        words.contains("refused") && words.contains("swtpm socket"),
        "{words}"
    );
}

/// Root may open everything, so another user asks.
#[test]
fn permission_is_told() {
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

/// A listener that takes connections and says nothing.
#[tokio::test]
async fn a_silent_tpm_is_given_up_on() {
    let (data, control) = chanbind_host_tests::port::listeners().unwrap();
    let tcti = chanbind_host_tests::swtpm::tcti(data.local_addr().unwrap().port());
    let keep = |listener: TcpListener| {
        std::thread::spawn(move || listener.incoming().flatten().take(4).collect::<Vec<_>>())
    };
    let _silent = [keep(data), keep(control)];
    let start = Instant::now();
    let error = Tpm::open(&tcti, impatient()).await.unwrap_err();
    assert!(matches!(error, TpmError::TimedOut { .. }), "{error}");
    assert!(error.to_string().contains("no other program"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(10));
    let error = Tpm::open_blocking(&tcti, impatient()).unwrap_err();
    assert!(matches!(error, TpmError::TimedOut { .. }), "{error}");
}

/// swtpm serves one connection at a time, and the one that hung has it until its answer is through.
async fn served_again(key: &TpmKey) -> Vec<u8> {
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

/// One answer that is late is an error for its caller, who has it in time; the next one is served.
#[tokio::test]
async fn a_worker_outlives_a_command_that_hangs() {
    let swtpm = Swtpm::start().unwrap();
    let line = TpmLine::to(swtpm.port()).unwrap();
    let tpm = Tpm::open(&line.tcti(), impatient()).await.unwrap();
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
        assert_eq!(served_again(&key).await, hmac(SECRET, b"data"));
    }
}

/// While a call hangs, others fail at once: they would only wait for the same TPM.
#[tokio::test]
async fn other_calls_do_not_wait_for_one_that_hangs() {
    let swtpm = Swtpm::start().unwrap();
    let line = TpmLine::to(swtpm.port()).unwrap();
    let tpm = Tpm::open(&line.tcti(), impatient()).await.unwrap();
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
    assert_eq!(served_again(&key).await, hmac(SECRET, b"data"));
}
