//! Vanadium's principals for tests.

use chanbind::{
    proof::blessing::{Principal, PrincipalKey, Roots},
    protocol::blessing::{Condition, Timestamp},
};
use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

/// Creates a key in software: ECDSA on P-256.
///
/// # Panics
/// Panics if the system gives no random numbers.
#[must_use]
pub fn key() -> PrincipalKey {
    let pem = rcgen::KeyPair::generate().map(|key| key.serialize_pem());
    let pem = pem.unwrap_or_else(|error| panic!("{error}"));
    PrincipalKey::from_pem(pem.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

/// Creates a key as [`key`] does, and returns it with its private scalar in hexadecimal.
///
/// # Panics
/// Panics if the system gives no random numbers.
#[must_use]
pub fn key_with_scalar() -> (PrincipalKey, String) {
    use p256::pkcs8::DecodePrivateKey;
    let pair = rcgen::KeyPair::generate().unwrap_or_else(|error| panic!("{error}"));
    let secret = p256::SecretKey::from_pkcs8_der(pair.serialized_der())
        .unwrap_or_else(|error| panic!("{error}"));
    let key = PrincipalKey::from_pem(pair.serialize_pem().as_bytes())
        .unwrap_or_else(|error| panic!("{error}"));
    (key, hex::encode(secret.to_bytes()))
}

/// Creates a principal that has blessed itself with a name, and recognizes itself as the root of it.
///
/// # Panics
/// Panics if the name is invalid.
#[must_use]
pub fn named(name: &str) -> Principal {
    let key = key();
    let blessings = block_on(Principal::bless_self(&key, name, &[]))
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut roots = Roots::new();
    roots
        .add(key.public_key(), name)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    Principal::new(key, blessings, roots).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Runs a future of a key in software, which never waits.
///
/// # Panics
/// Panics if it waits.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the key is not in software"),
    }
}

/// Creates a principal that `giver` blesses with `extension`, and that recognizes the roots of `giver`.
///
/// # Panics
/// Panics if the extension is invalid.
#[must_use]
pub fn blessed(giver: &Principal, extension: &str, conditions: &[Condition<'_>]) -> Principal {
    let key = key();
    let blessings = block_on(giver.bless(key.public_key(), extension, conditions))
        .unwrap_or_else(|error| panic!("{extension}: {error}"));
    Principal::new(key, blessings, giver.roots().clone())
        .unwrap_or_else(|error| panic!("{extension}: {error}"))
}

/// Returns the condition that the time is before `seconds` after 1970.
#[must_use]
pub const fn until(seconds: i64) -> Condition<'static> {
    Condition::Expiry(Timestamp {
        seconds,
        nanoseconds: 0,
    })
}
