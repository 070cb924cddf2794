use super::{super::head::Framing, *};
use std::{format, string::String};

/// Returns what a head of these lines says.
fn head_of(method: Method, lines: &str) -> Result<HeadParts, HttpError> {
    let text = format!("{}\r\n\r\n", lines.replace('\n', "\r\n"));
    Exchange::new(Connection::new([text])).parts(method)
}

fn framing(lines: &str) -> Result<Framing, HttpError> {
    head_of(Method::GET, lines).map(|parts| parts.framing)
}

#[test]
fn a_head_may_come_in_any_pieces() {
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nx: y\r\n\r\nbody";
    for len in 1..=text.len() {
        let mut exchange = Exchange::new(Connection::split(text, len));
        let parts = exchange.parts(Method::GET).unwrap();
        assert_eq!((parts.status, parts.len), (200, text.len() - 4));
        assert_eq!(parts.framing, Framing::Length(4));
        assert!(!parts.is_last && (parts.len..=text.len()).contains(&parts.end));
        assert_eq!(exchange.head[..parts.end], text.as_bytes()[..parts.end]);
    }
}

#[test]
fn interim_responses_are_skipped() {
    let interim = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
    // More of them than the buffer holds at a time.
    let text = format!("{0}{0}{0}HTTP/1.1 204 No Content\r\n\r\n", interim);
    assert!(text.len() > HEAD_LEN);
    for len in 1..HEAD_LEN {
        let mut exchange = Exchange::new(Connection::split(&text, len));
        let parts = exchange.parts(Method::GET).unwrap();
        assert_eq!(parts.status, 204, "{len}");
        let head = &exchange.head[..parts.len];
        assert_eq!(head, b"HTTP/1.1 204 No Content\r\n\r\n");
    }
    let mut exchange = Exchange::new(Connection::new([interim]));
    assert_eq!(exchange.parts(Method::GET).err(), Some(HttpError::Closed));
}

#[test]
fn a_head_must_fit_the_buffer() {
    let head = |padding: usize| {
        let text = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "x".repeat(padding));
        (
            text.len(),
            Exchange::new(Connection::new([text])).parts(Method::GET),
        )
    };
    let (len, parts) = head(HEAD_LEN - 24);
    assert_eq!((len, parts.unwrap().len), (HEAD_LEN, HEAD_LEN));
    assert_eq!(head(HEAD_LEN - 23).1.err(), Some(HttpError::Malformed));
    let fields: String = (0..33).map(|_| "a:\r\n").collect();
    let text = format!("HTTP/1.1 200 OK\r\n{fields}\r\n");
    let mut connection = Connection::new([text]);
    let parsed = block_on(read_head(&mut connection, Method::GET, &mut [0; 512]));
    assert_eq!(parsed.err(), Some(HttpError::Malformed));
}

#[test]
fn a_connection_that_ends_is_told_apart_by_what_came_before() {
    let parts = |connection| Exchange::new(connection).parts(Method::GET).err();
    assert_eq!(parts(Connection::split("", 1)), Some(HttpError::Closed));
    assert_eq!(parts(Connection::new(["HTTP/1.1 2"])), Some(CUT));
    let reset = Connection::new(["HTTP/1.1 2"]).ending(End::Reset);
    let error = HttpError::Connection(ErrorKind::ConnectionReset);
    assert_eq!(parts(reset), Some(error));
}

#[test]
fn rejects_other_protocols() {
    for lines in [
        "SSH-2.0-OpenSSH_9.6",
        "HTTP/2 200",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 200 OK\nno colon",
        "HTTP/1.1 200 OK\nfolded: a\n b",
        "HTTP/1.1 200 OK\nspace : a",
        "\0\0\0\0",
    ] {
        let parts = head_of(Method::GET, lines);
        assert_eq!(parts.err(), Some(HttpError::Malformed), "{lines}");
    }
}

#[test]
fn the_end_of_the_content_is_found_by_rfc_9112() {
    for (fields, expected) in [
        ("", Framing::UntilClose),
        ("content-length: 0", Framing::Length(0)),
        ("CONTENT-LENGTH:7", Framing::Length(7)),
        ("content-length: 7\ncontent-length: 7", Framing::Length(7)),
        ("transfer-encoding: Chunked", Framing::Chunked),
        // Transfer-Encoding overrides Content-Length (section 6.3).
        (
            "content-length: 7\ntransfer-encoding: chunked",
            Framing::Chunked,
        ),
        (
            "transfer-encoding: chunked\ncontent-length: 7",
            Framing::Chunked,
        ),
    ] {
        let lines = format!("HTTP/1.1 200 OK\n{fields}");
        assert_eq!(framing(lines.trim()), Ok(expected), "{fields}");
    }
    for fields in [
        "content-length: 7\ncontent-length: 8",
        "content-length: +7",
        "content-length: -7",
        "content-length: 7, 7",
        "content-length: 0x7",
        "content-length:",
        "content-length: 99999999999999999999999",
        "content-length: \u{661}",
        "transfer-encoding: gzip",
        "transfer-encoding: gzip, chunked",
    ] {
        let lines = format!("HTTP/1.1 200 OK\n{fields}");
        assert_eq!(framing(&lines), Err(HttpError::Malformed), "{fields}");
    }
}

#[test]
fn some_responses_have_no_content() {
    let fields = "content-length: 7\nconnection: keep-alive";
    for (method, status) in [(Method::HEAD, 200), (Method::GET, 204), (Method::POST, 304)] {
        let parts = head_of(method, &format!("HTTP/1.1 {status} x\n{fields}")).unwrap();
        assert_eq!((parts.framing, parts.is_last), (Framing::Length(0), false));
        // Without fields too: it does not end with the connection.
        let parts = head_of(method, &format!("HTTP/1.1 {status} x")).unwrap();
        assert_eq!((parts.framing, parts.is_last), (Framing::Length(0), false));
    }
}

#[test]
fn knows_the_last_response_of_a_connection() {
    for (lines, is_last) in [
        ("HTTP/1.1 200 OK\ncontent-length: 0", false),
        (
            "HTTP/1.1 200 OK\ncontent-length: 0\nconnection: close",
            true,
        ),
        (
            "HTTP/1.1 200 OK\ncontent-length: 0\nConnection: x, Close",
            true,
        ),
        (
            "HTTP/1.1 200 OK\ncontent-length: 0\nconnection: closed",
            false,
        ),
        ("HTTP/1.0 200 OK\ncontent-length: 0", true),
        ("HTTP/1.1 200 OK", true),
    ] {
        let parts = head_of(Method::GET, lines).unwrap();
        assert_eq!(parts.is_last, is_last, "{lines}");
    }
}
