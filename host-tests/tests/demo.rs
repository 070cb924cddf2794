//! The demo, as `cargo x demo` runs it, by both ways to the TPM.
#![cfg(test)]

use chanbind_host_tests::{board::Kind, program};
use std::process::Command;

fn run(device: &str, proof: &str) -> String {
    let output = Command::new(program::path("demo"))
        .args([device, proof])
        .env("TSS2_LOG", "all+NONE")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

/// Answers as there are in the story of the thief.
fn assert_admitted_twice_and_refused_once(said: &str) {
    for (line, count) in [("200 OK", 2), ("401 Unauthorized", 1)] {
        let answers = said
            .lines()
            .filter(|said| said.contains("gateway | ->") && said.contains(line));
        assert_eq!(answers.count(), count, "{said}");
    }
}

#[test]
fn by_the_host() {
    assert_admitted_twice_and_refused_once(&run("host", "api-key"));
}

#[test]
fn by_the_host_with_a_certificate() {
    let said = run("host", "authenticator");
    let answers = |what: &str| {
        let lines = said.lines();
        lines
            .filter(|line| line.contains("gateway | ->") && line.contains(what))
            .count()
    };
    // Each is asked first, and the thief is refused.
    assert_eq!(
        (answers("200 OK"), answers("401 Unauthorized")),
        (2, 3),
        "{said}"
    );
}

#[test]
fn by_the_host_with_a_password() {
    let said = run("host", "mutual");
    for line in [
        "person | ok client1",
        "person | admitted by the proof (mutual)",
        "person | the server refused the proof (auth-failed)",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[test]
fn by_the_host_with_blessings() {
    let said = run("host", "blessing");
    for line in [
        "device | ok factory:line3:client1",
        "device | admitted by the proof (blessing)",
        "the server is not trusted",
        "gateway | factory:line3:client1 sends \"23.5 C\"",
        "device | the gateway answers \"set 20\"",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[test]
fn by_firmware() {
    for device in [Kind::QemuMps2, Kind::Rp2040W5500] {
        if !device.can_run() {
            eprintln!("SKIPPED: Node.js is not installed");
            continue;
        }
        let admitted = "device | INFO  event=admitted status=200";
        for (proof, accepted) in [
            ("api-key", "gateway | proof accepted"),
            ("authenticator", "gateway | proof accepted"),
            ("mutual", "gateway | proof accepted"),
            ("blessing", "gateway | proof accepted"),
        ] {
            let said = run(device.name(), proof);
            assert!(said.contains(admitted), "{said}");
            assert!(said.contains(accepted), "{said}");
            if (proof, device) == ("blessing", Kind::QemuMps2) {
                for line in [
                    "gateway | factory:line3:client1 sends \"23.5 C\"",
                    "device | INFO  event=answer text=set 20",
                ] {
                    assert!(said.contains(line), "{line}: {said}");
                }
            }
            if (proof, device) == ("mutual", Kind::QemuMps2) {
                for line in [
                    "board | INFO  event=visit user=technician path=/set-point",
                    "technician | admitted by the proof (mutual)",
                    "technician | the server refused the proof (auth-failed)",
                    "technician | 037",
                ] {
                    assert!(said.contains(line), "{line}: {said}");
                }
            }
        }
    }
}

#[test]
fn by_the_driver_for_spi() {
    let said = run("spi", "api-key");
    assert_admitted_twice_and_refused_once(&said);
    assert!(
        said.contains("the traffic contains neither the keying material nor the one-time key"),
        "{said}"
    );
}
