use super::{super::Request, *};
use chanbind_core::proof::{FieldSink, Fields};
use std::{
    format,
    string::{String, ToString},
};

/// Returns the head of a request as it is sent, with these fields of a proof.
fn head(request: &Request<'_>, proof: &[(&str, &str)], len: Option<usize>) -> String {
    let mut buffer = [0; 64];
    let mut fields = Fields::new(&mut buffer);
    for (name, value) in proof {
        fields.put(name, value).unwrap();
    }
    let mut connection = Connection::split("", 1);
    block_on(request.write_head("gateway.example", &fields, len, &mut connection)).unwrap();
    String::from_utf8(connection.written).unwrap()
}

#[test]
fn writes_heads() {
    let fields = [("accept", "text/plain"), ("X-Empty", "")];
    let request = Request::get("/a?b=c").with_fields(&fields);
    assert_eq!(
        head(&request, &[], Some(0)),
        "GET /a?b=c HTTP/1.1\r\nhost: gateway.example\r\naccept: text/plain\r\nX-Empty: \r\n\r\n"
    );
    for (request, len, last) in [
        (Request::get("/"), Some(3), "content-length: 3"),
        (Request::post("/"), Some(0), "content-length: 0"),
        (Request::post("/"), Some(12_345), "content-length: 12345"),
        (Request::post("/"), None, "transfer-encoding: chunked"),
    ] {
        let text = head(&request, &[], len);
        let method = request.method.as_str();
        let expected = format!("{method} / HTTP/1.1\r\nhost: gateway.example\r\n{last}\r\n\r\n");
        assert_eq!(text, expected);
    }
}

#[test]
fn the_fields_of_the_proof_replace_those_of_the_application() {
    let fields = [("Chanbind-Key", "forged"), ("accept", "*/*")];
    let request = Request::get("/").with_fields(&fields);
    let text = head(&request, &[("chanbind-key", "proof")], Some(0));
    assert_eq!(
        text,
        "GET / HTTP/1.1\r\nhost: gateway.example\r\naccept: */*\r\nchanbind-key: proof\r\n\r\n"
    );
}

#[test]
fn rejects_requests_that_would_be_read_otherwise() {
    let with = |fields: &[(&str, &str)]| Request::post("/").with_fields(fields).is_valid();
    for path in ["/", "/a/b?c=d&e=%20#f", "/~"] {
        assert!(Request::get(path).is_valid(), "{path}");
    }
    for path in [
        "",
        "a",
        "*",
        "http://other/",
        "/ HTTP/1.1",
        "/a\r\nb: c",
        "/a\n",
        "/\0",
        "/\u{fc}",
    ] {
        assert!(!Request::get(path).is_valid(), "{path:?}");
    }
    for field in [
        ("a", "b"),
        ("x-a_b.c", "d, e; f=\"g\""),
        ("a", ""),
        ("a", "\u{fc}"),
    ] {
        assert!(with(&[field]), "{field:?}");
    }
    for field in [
        ("", "a"),
        ("a b", "c"),
        ("a:", "b"),
        ("a\r\n", "b"),
        ("a", "b\r\nc: d"),
        ("a", "b\n"),
        ("a", "b\0"),
        ("\u{fc}", "a"),
        // Another length or another host than those that are added.
        ("Host", "other"),
        ("content-length", "5"),
        ("Content-Length", "0"),
        ("transfer-encoding", "chunked"),
    ] {
        assert!(!with(&[field]), "{field:?}");
    }
    assert!(with(&[("a", "b"); 8]));
    assert!(!with(&[("a", "b"); 9]));
}

#[test]
fn a_broken_connection_is_an_error() {
    let mut buffer = [0; 8];
    let fields = Fields::new(&mut buffer);
    let mut connection = Connection::split("", 1).ending(End::Reset);
    let request = Request::get("/");
    let written = block_on(request.write_head("host", &fields, None, &mut connection));
    assert_eq!(
        written,
        Err(HttpError::Connection(ErrorKind::ConnectionReset))
    );
}

#[test]
fn every_error_names_cause_or_remedy() {
    let all = [
        HttpError::Connection(ErrorKind::ConnectionReset),
        HttpError::Closed,
        HttpError::Malformed,
        HttpError::InvalidRequest,
        HttpError::Content,
        HttpError::ContentConsumed,
        HttpError::TooLong,
        HttpError::Unread,
        HttpError::TimedOut,
    ];
    let texts = all.map(|error| error.to_string());
    for (at, text) in texts.iter().enumerate() {
        assert!(text.starts_with("the "), "{text}");
        assert!(!texts[..at].contains(text), "{text}");
    }
    assert_eq!(texts[0], "the connection broke: ConnectionReset");
    assert!(texts[5].ends_with("authenticate the session first"));
    for (error, kind) in [
        (all[0], ErrorKind::ConnectionReset),
        (HttpError::TimedOut, ErrorKind::TimedOut),
        (HttpError::Malformed, ErrorKind::Other),
    ] {
        assert_eq!(embedded_io_async::Error::kind(&error), kind);
    }
}
