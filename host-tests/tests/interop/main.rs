//! Interoperability tests with the Go program in `interop/go`: its servers with Rust clients, its clients with Rust gateways, and
//! byte-for-byte comparisons.

mod authenticators;
mod passwords;

use chanbind_host_tests::go;
use std::path::Path;

/// The Go program's own tests must pass for the other tests to be meaningful.
#[test]
fn go_program_passes_its_own_tests() {
    if go::program().is_none() {
        return;
    }
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/rfc9261-cocos.json");
    let printed = go::test(&[("VECTORS", &vectors)]);
    assert!(printed.contains("--- PASS: TestRecorded"), "{printed}");
    assert!(!printed.contains("SKIP"), "{printed}");
}
