//! Header fields that a proxy removes and adds.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts};
use std::net::SocketAddr;

/// Fields for one connection alone (RFC 9110 section 7.6.1), also where Connection does not name them.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("http2-settings"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Fields by which proxies say where a request comes from. The client is no proxy that is trusted.
const FORWARDED: [HeaderName; 7] = [
    FORWARDED_FOR,
    FORWARDED_PROTO,
    FORWARDED_HOST,
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-prefix"),
    HeaderName::from_static("x-real-ip"),
    header::FORWARDED,
];

/// Removes the fields that are meant for one connection alone. `TE: trailers` stays, which gRPC needs.
pub(super) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let mut named = Vec::new();
    for value in headers.get_all(header::CONNECTION) {
        let names = value.to_str().unwrap_or_default().split(',');
        named.extend(names.filter_map(|name| name.trim().parse::<HeaderName>().ok()));
    }
    let takes_trailers = headers.get_all(header::TE).iter().any(|value| {
        let mut codings = value.to_str().unwrap_or_default().split(',');
        codings.any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
    });
    remove_where(headers, |present| {
        *present == header::TE || HOP_BY_HOP.contains(present) || named.contains(present)
    });
    if takes_trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}

/// Removes the fields that say where the request comes from.
pub(super) fn remove_forwarded(headers: &mut HeaderMap) {
    remove_spellings(headers, &FORWARDED);
}

/// Removes the trace context of W3C's recommendation, which a trailer must not add to that of the header.
pub(super) fn remove_trace_context(trailers: &mut HeaderMap) {
    let names = ["traceparent", "tracestate", "baggage"];
    remove_spellings(trailers, &names.map(HeaderName::from_static));
}

/// Removes fields with these names, also where `_` stands for `-`: many servers take them for the same.
pub(super) fn remove_spellings(headers: &mut HeaderMap, names: &[HeaderName]) {
    remove_where(headers, |present| {
        names.contains(present)
            || present.as_str().contains('_') && names.iter().any(|name| is_spelling(name, present))
    });
}

/// Removes the fields whose names `is` chooses. A request has few fields, and usually none of them: looking at each is less work than looking for
/// every name.
fn remove_where(headers: &mut HeaderMap, is: impl Fn(&HeaderName) -> bool) {
    let chosen: Vec<_> = headers.keys().filter(|name| is(name)).cloned().collect();
    for name in chosen {
        headers.remove(name);
    }
}

fn is_spelling(name: &HeaderName, other: &HeaderName) -> bool {
    let fold = |byte: u8| if byte == b'_' { b'-' } else { byte };
    let [name, other] = [name, other].map(|name| name.as_str().bytes().map(fold));
    name.eq(other)
}

/// Returns the field value for the address of a client.
pub(super) fn forwarded_for(peer: SocketAddr) -> Option<HeaderValue> {
    HeaderValue::try_from(peer.ip().to_canonical().to_string()).ok()
}

/// Says where the request comes from.
pub(super) fn add_forwarded(
    headers: &mut HeaderMap,
    address: Option<HeaderValue>,
    host: Option<&HeaderValue>,
) {
    if let Some(address) = address {
        headers.insert(FORWARDED_FOR, address);
    }
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("https"));
    if let Some(host) = host {
        headers.insert(FORWARDED_HOST, host.clone());
    }
}

/// Returns the host that the client asked for.
pub(super) fn host(parts: &Parts) -> Option<HeaderValue> {
    match parts.uri.authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        None => parts.headers.get(header::HOST).cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn fields_for_one_connection_are_removed() {
        let mut all = headers(&[
            ("connection", "close, X-Private"),
            ("connection", "te"),
            ("te", "gzip, trailers"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("proxy-authorization", "Basic eA=="),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABk"),
            ("accept", "*/*"),
        ]);
        remove_hop_by_hop(&mut all);
        assert_eq!(all, headers(&[("accept", "*/*"), ("te", "trailers")]));
    }

    #[test]
    fn all_spellings_are_removed() {
        let mut all = headers(&[
            ("x-forwarded-for", "192.0.2.1"),
            ("x_forwarded_for", "192.0.2.1"),
            ("x-forwarded_for", "192.0.2.1"),
            ("forwarded", "for=192.0.2.1"),
            ("x_other", "1"),
        ]);
        remove_forwarded(&mut all);
        assert_eq!(all, headers(&[("x_other", "1")]));
    }
}
