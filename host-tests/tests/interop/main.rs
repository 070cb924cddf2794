//! The Go program of `interop/go` against ours: its servers and our clients, its clients and our gateways, and the same bytes on both
//! sides.

mod authenticators;
mod passwords;

use chanbind_host_tests::go;
use std::path::Path;

/// What the Go program knows of itself holds, before anything is held against it.
#[test]
fn the_go_programs_own_tests() {
    if go::program().is_none() {
        return;
    }
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/rfc9261-cocos.json");
    let printed = go::test(&[("VECTORS", &vectors)]);
    assert!(printed.contains("--- PASS: TestRecorded"), "{printed}");
    assert!(!printed.contains("SKIP"), "{printed}");
}
