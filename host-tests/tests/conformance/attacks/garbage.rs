//! Fields that hold no proof.

use super::Target;
use crate::{
    kind::{Kind, Site},
    random::Random,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};

const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BASE64_URL: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const HEX: &[u8] = b"0123456789abcdef";

/// Schemes of other protocols, of this project's kinds, and invalid names.
const SCHEMES: &[&str] = &[
    "Basic",
    "Digest",
    "Bearer",
    "bearer",
    "Negotiate",
    "Chanbind",
    "DPoP",
    "Mutual",
    "Toy",
    "Exported-Authenticator",
    "exported-authenticator",
    "=",
    "\"",
    ",",
];

/// The lengths of values: around those of proofs, and beyond every limit of a kind. HTTP servers take heads of some hundred KiB.
const LENGTHS: &[usize] = &[
    1, 2, 3, 16, 43, 44, 64, 255, 256, 1024, 8192, 8193, 10_924, 40_000,
];

/// Returns values that are valid in a header field, and proofs of nothing.
fn values(own: &[u8], random: &mut Random) -> Vec<Vec<u8>> {
    let text = str::from_utf8(own).unwrap();
    let (scheme, rest) = text.rsplit_once(' ').unwrap_or(("", text));
    let any: Vec<u8> = (0x21..=0xff).filter(|byte| *byte != 0x7f).collect();
    let visible: Vec<u8> = (0x21..0x7f).collect();
    let mut values = vec![
        Vec::new(),
        scheme.as_bytes().to_vec(),
        format!("{scheme} ").into_bytes(),
        format!("{text},{text}").into_bytes(),
        format!("{text}, {text}").into_bytes(),
        format!("{text} {rest}").into_bytes(),
        format!("{text}=").into_bytes(),
        format!("{text}\t{text}").into_bytes(),
        format!("\"{text}\"").into_bytes(),
        own[..own.len() - 1].to_vec(),
        own[..own.len() / 2].to_vec(),
        [own, b"A"].concat(),
        rest.as_bytes().iter().rev().copied().collect(),
    ];
    for len in LENGTHS {
        for alphabet in [
            &any[..],
            &visible,
            BASE64,
            BASE64_URL,
            HEX,
            b".",
            b"=",
            b"A",
        ] {
            let value = random.text(alphabet, *len);
            values.push([scheme.as_bytes(), b" ", &value].concat());
            values.push(value);
        }
        // The parts of a token, with the right number of dots.
        for parts in [3, 5] {
            let parts: Vec<_> = (0..parts)
                .map(|_| random.text(BASE64_URL, *len / 4))
                .collect();
            values.push([scheme.as_bytes(), b" ", &parts.join(&b'.')].concat());
        }
    }
    for other in SCHEMES
        .iter()
        .filter(|other| !other.eq_ignore_ascii_case(scheme))
    {
        values.push(format!("{other} {rest}").into_bytes());
        values.push(format!("{other} {text}").into_bytes());
        values.push((*other).as_bytes().to_vec());
    }
    values.retain(|value| value.trim_ascii() != own);
    values
}

/// Every field of the proof in turn, beside the valid other ones.
pub(crate) async fn refuses_garbage_in_every_field<K: Kind>() {
    let site = Site::<K>::start().await;
    let mut target = Target::new(&site).await;
    let mut random = Random::new(2);
    for name in K::FIELDS {
        let own = target.value(name).as_bytes().to_vec();
        for value in values(&own, &mut random) {
            target.renew().await;
            let shown = String::from_utf8_lossy(&value[..value.len().min(80)]).into_owned();
            let mut request = site.request(&target.proof);
            let value = HeaderValue::from_bytes(&value).unwrap();
            request.headers_mut().insert(*name, value);
            let attack = format!("{name}: {shown}");
            site.refused(&mut target.wire, request, &attack).await;
        }
        target.is_usable().await;
        target = Target::new(&site).await;
    }
}

/// A field twice: the gateway must not choose one of two values.
pub(crate) async fn refuses_fields_that_occur_twice<K: Kind>() {
    let site = Site::<K>::start().await;
    let mut target = Target::new(&site).await;
    for name in K::FIELDS {
        for other in ["own", "", "Bearer x", "x"] {
            for is_first in [true, false] {
                target.renew().await;
                let mut request = site.request(&target.proof);
                let headers = request.headers_mut();
                let name: HeaderName = name.parse().unwrap();
                let own = headers.remove(&name).unwrap();
                let other = match other {
                    "own" => own.clone(),
                    other => HeaderValue::from_static(other),
                };
                let pair = if is_first { [own, other] } else { [other, own] };
                for value in pair {
                    headers.append(&name, value);
                }
                let response = site.refused(&mut target.wire, request, "twice").await;
                assert_eq!(response.status(), StatusCode::BAD_REQUEST);
            }
        }
    }
    target.is_usable().await;
}

/// Each field of the proof without the others.
pub(crate) async fn refuses_incomplete_proofs<K: Kind>() {
    let site = Site::<K>::start().await;
    let mut target = Target::new(&site).await;
    for name in K::FIELDS {
        target.renew().await;
        let mut request = site.request(&target.proof);
        request.headers_mut().remove(*name);
        // A token names its client itself.
        if *name == "chanbind-client" && K::FIELDS.contains(&"authorization") {
            continue;
        }
        site.refused(&mut target.wire, request, name).await;
    }
    target.is_usable().await;
}
