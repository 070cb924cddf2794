//! The values in `host-tests/vectors/vanadium.json` and `vanadium-live.json`.

use serde_json::Value;
use std::sync::OnceLock;

/// Returns the values of `vanadium.json`.
pub(crate) fn fixed() -> &'static Value {
    static VALUES: OnceLock<Value> = OnceLock::new();
    VALUES.get_or_init(|| read(include_str!("../../vectors/vanadium.json")))
}

/// Returns the values of `vanadium-live.json`.
pub(crate) fn live() -> &'static Value {
    static VALUES: OnceLock<Value> = OnceLock::new();
    VALUES.get_or_init(|| read(include_str!("../../vectors/vanadium-live.json")))
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Returns the octets of a value in hexadecimal.
pub(crate) fn octets(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap_or_else(|| panic!("{value}"))).unwrap()
}

/// Returns the elements of an array, or none for null.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Returns a text.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value}"))
}

/// Returns the texts of an array.
pub(crate) fn texts(value: &Value) -> Vec<&str> {
    list(value).iter().map(text).collect()
}
