//! Loads the test vectors in `host-tests/vectors`.
#![allow(dead_code, reason = "each test file uses some of the functions")]

use serde_json::Value;

/// Loads a file of test vectors.
pub(crate) fn load(name: &str) -> Value {
    let path = format!(
        "{}/../host-tests/vectors/{name}",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
}

/// Returns a value as text.
pub(crate) fn text_of(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Decodes a hexadecimal value.
pub(crate) fn hex_of(value: &Value) -> Vec<u8> {
    hex::decode(text_of(value)).unwrap()
}
