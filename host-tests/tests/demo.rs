//! The demo, as `cargo x demo` runs it, by both ways to the TPM.

use chanbind_host_tests::program;
use std::process::Command;

fn run(tpm: &str) -> String {
    let output = Command::new(program::path("demo"))
        .arg(tpm)
        .env("TSS2_LOG", "all+NONE")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for (line, count) in [("200 OK", 2), ("401 Unauthorized", 1)] {
        let answers = said
            .lines()
            .filter(|said| said.contains("gateway | ->") && said.contains(line));
        assert_eq!(answers.count(), count, "{said}");
    }
    said
}

#[test]
fn by_the_host() {
    run("host");
}

#[test]
fn by_the_driver_for_spi() {
    let said = run("spi");
    assert!(
        said.contains("neither keying material nor key was among them"),
        "{said}"
    );
}
