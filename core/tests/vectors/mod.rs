//! Reads the recorded values in `host-tests/vectors`.
#![allow(dead_code, reason = "each test file uses its part")]

use serde_json::Value;

/// One file of recorded values.
pub(crate) fn load(name: &str) -> Value {
    let path = format!(
        "{}/../host-tests/vectors/{name}",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_str(&std::fs::read_to_string(&path).expect(&path)).expect(&path)
}

/// A value that is text.
pub(crate) fn text_of(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// A value that is hexadecimal.
pub(crate) fn hex_of(value: &Value) -> Vec<u8> {
    hex::decode(text_of(value)).unwrap()
}
