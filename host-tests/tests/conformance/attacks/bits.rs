//! Proofs of which one bit is another.

use super::Target;
use crate::kind::{Kind, Site};
use axum::http::{HeaderValue, StatusCode};

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64_URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Returns the bytes that differ from `byte` by a bit: of itself, of the six bits that it stands for in base64, and of the four bits in
/// hexadecimal.
fn changes(byte: u8) -> Vec<u8> {
    let mut changes: Vec<u8> = (0..8).map(|bit| byte ^ (1 << bit)).collect();
    for alphabet in [BASE64, BASE64_URL] {
        if let Some(at) = alphabet.iter().position(|symbol| *symbol == byte) {
            changes.extend((0..6).map(|bit| alphabet[at ^ (1 << bit)]));
        }
    }
    if let Some(digit) = char::from(byte).to_digit(16) {
        let other = |bit: u32| char::from_digit(digit ^ (1 << bit), 16).unwrap();
        changes.extend((0..4).map(|bit| u8::try_from(other(bit)).unwrap()));
    }
    changes.sort_unstable();
    changes.dedup();
    changes.retain(|change| *change != byte);
    changes
}

/// Every bit of every field, as it is sent and as it is decoded.
pub(crate) async fn refuses_a_proof_with_any_bit_flipped<K: Kind>() {
    let site = Site::<K>::start().await;
    let mut target = Target::new(&site).await;
    let mut sent = 0;
    for name in K::FIELDS {
        for at in 0.. {
            if at >= target.value(name).len() {
                break;
            }
            for nth in 0.. {
                // A proof that was made anew may have other bytes at this place.
                let own = target.value(name).as_bytes().to_vec();
                let Some(byte) = own.get(at) else { break };
                let Some(change) = changes(*byte).get(nth).copied() else {
                    break;
                };
                if !(at + nth).is_multiple_of(K::BIT_STEP) {
                    continue;
                }
                let mut changed = own.clone();
                changed[at] = change;
                let is_same = K::is_same(name, &own, &changed);
                // All but the case of some letters is another proof.
                let is_case = byte.eq_ignore_ascii_case(&change) && K::is_caseless(&own, at);
                assert_eq!(is_same, is_case, "{name}, byte {at}: {byte} to {change}");
                if is_same {
                    continue;
                }
                // The other control characters cannot be sent in a field.
                let Ok(value) = HeaderValue::from_bytes(&changed) else {
                    continue;
                };
                let mut request = site.request(&target.proof);
                request.headers_mut().insert(*name, value);
                let attack = format!("{name}, byte {at}: {byte} to {change}");
                let refused = site.refused(&mut target.wire, request, &attack).await;
                sent += 1;
                // Nothing that cannot be decoded is held against a challenge.
                let is_decoded = refused.status() != StatusCode::BAD_REQUEST
                    || !refused.body().windows(6).any(|words| words == b"base64");
                if is_decoded && K::TRAITS.is_spent_by_failure {
                    target.renew().await;
                }
            }
        }
    }
    let len: usize = target.proof.0.iter().map(|(_, value)| value.len()).sum();
    assert!(sent > len * 6 / K::BIT_STEP, "{sent}");
    target.is_usable().await;
}
