use super::*;
use std::{format, vec};

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

fn exchange(head: &str, content: &str, len: usize) -> Exchange {
    Exchange::new(Connection::split(&format!("{head}{content}"), len))
}

/// Reads the content of a response with a buffer of this length.
fn read_all(response: &mut Response<'_, Connection>, len: usize) -> Result<Vec<u8>, HttpError> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; len]);
    loop {
        match block_on(response.read(&mut buffer))? {
            0 => return Ok(all),
            len => all.extend(&buffer[..len]),
        }
    }
}

#[test]
fn content_is_a_stream_in_all_framings() {
    for (head, content) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n",
            "hello world",
        ),
        ("HTTP/1.1 200 OK\r\n\r\n", "hello world"),
        (CHUNKED, "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"),
        (CHUNKED, "0000B\r\nhello world\r\n000\r\n\r\n"),
        // Extensions and trailer fields are dropped.
        (CHUNKED, "b;name=value;\"q\"\r\nhello world\r\n0 ;x\r\n\r\n"),
        (CHUNKED, "b\r\nhello world\r\n0\r\nDigest: x\r\na:b\r\n\r\n"),
    ] {
        for len in [1, 2, 5, 16, 200] {
            for room in [1, 3, 200] {
                let mut exchange = exchange(head, content, len);
                let read = read_all(&mut exchange.response(), room);
                assert_eq!(read.unwrap(), b"hello world", "{content:?}");
                assert!(exchange.is_read && exchange.connection.pieces.is_empty());
            }
            let mut exchange = exchange(head, content, len);
            let mut buffer = [0; 11];
            let mut response = exchange.response();
            let read = block_on(response.read_to_end(&mut buffer));
            assert_eq!(read, Ok(&b"hello world"[..]));
            // And the end again.
            assert_eq!(block_on(response.read(&mut [0; 4])), Ok(0));
            assert!(exchange.is_read);
        }
    }
}

#[test]
fn content_that_is_cut_is_an_error_and_no_end() {
    let length = "HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n";
    let chunked = "5\r\nhello\r\n6\r\n world\r\n0\r\nx: y\r\n\r\n";
    let cuts = (0..11).map(|cut| (length, &"hello world"[..cut]));
    let cuts = cuts.chain((0..chunked.len()).map(|cut| (CHUNKED, &chunked[..cut])));
    for (head, content) in cuts {
        for end in [End::Closed, End::Reset, End::Silent] {
            let mut exchange = exchange(head, content, 50);
            exchange.connection.end = end;
            let expected = match end {
                End::Closed => CUT,
                End::Reset => HttpError::Connection(ErrorKind::ConnectionReset),
                End::Silent if content.len() % 8 == 0 => HttpError::TimedOut,
                // Each takes its time.
                End::Silent => continue,
            };
            let mut response = exchange.response();
            assert_eq!(read_all(&mut response, 4), Err(expected), "{content:?}");
            // It does not turn into an end afterwards.
            assert_eq!(read_all(&mut response, 4), Err(expected), "{content:?}");
            assert!(!exchange.is_read);
        }
    }
    // Without a length an end is an end, but a broken connection is an error.
    let mut exchange = exchange("HTTP/1.1 200 OK\r\n\r\n", "hello", 50);
    exchange.connection.end = End::Reset;
    let error = HttpError::Connection(ErrorKind::ConnectionReset);
    assert_eq!(read_all(&mut exchange.response(), 4), Err(error));
}

#[test]
fn rejects_malformed_chunks() {
    for content in [
        "\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "10000000000000000\r\nhello\r\n0\r\n\r\n",
        "0\r\n\n",
        "0\r\na: b\n\r\n",
        "0\r\n\r\r\n",
    ] {
        let mut exchange = exchange(CHUNKED, content, 50);
        let mut response = exchange.response();
        let read = read_all(&mut response, 50);
        assert_eq!(read, Err(HttpError::Malformed), "{content:?}");
        let again = read_all(&mut response, 50);
        assert_eq!(again, Err(HttpError::Malformed), "{content:?}");
        assert!(!exchange.is_read);
    }
}

#[test]
fn content_must_fit_the_buffer_of_read_to_end() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
    for len in 0..5 {
        let mut exchange = exchange(head, "hello", 50);
        let mut buffer = vec![0; len];
        let read = block_on(exchange.response().read_to_end(&mut buffer));
        assert_eq!(read, Err(HttpError::TooLong));
        // With room for all but one byte, that one has been read too.
        assert_eq!(exchange.is_read, len == 4);
    }
    let mut exchange = exchange("HTTP/1.1 204 x\r\n\r\n", "", 50);
    assert_eq!(
        block_on(exchange.response().read_to_end(&mut [])),
        Ok(&[][..])
    );
}

#[test]
fn the_next_response_follows_content_that_was_read_or_dropped() {
    let next = "HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n";
    for (head, content) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 300\r\n\r\n",
            "x".repeat(300),
        ),
        (
            CHUNKED,
            format!("12c\r\n{}\r\n0\r\na: b\r\n\r\n", "x".repeat(300)),
        ),
    ] {
        // The next response comes in pieces of its own: a server does not send it before the request.
        for len in [1, 7, 64, 400] {
            let mut exchange = exchange(head, &content, len);
            let mut response = exchange.response();
            assert_eq!(block_on(response.read(&mut [0; 9])).unwrap().min(1), 1);
            let dropped = block_on(response.discard()).unwrap();
            assert!((291..300).contains(&dropped), "{dropped}");
            assert!(exchange.is_read);
            exchange.connection.pieces.push_back(next.into());
            let parts = exchange.parts(Method::POST).unwrap();
            assert_eq!(parts.status, 201);
        }
    }
}

#[test]
fn content_that_is_not_read_is_remembered() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n";
    let mut exchange = exchange(head, "hello", 50);
    let _ = exchange.response();
    assert!(!exchange.is_read);
    let mut exchange = Exchange::new(Connection::new([head, "hello"]));
    let mut response = exchange.response();
    assert_eq!(block_on(response.read(&mut [0; 4])), Ok(4));
    assert!(!exchange.is_read);
    let mut exchange = Exchange::new(Connection::new([head, "hello"]));
    let mut response = exchange.response();
    assert_eq!(block_on(response.read(&mut [0; 4])), Ok(4));
    // The last byte is the end, also without another read.
    assert_eq!(block_on(response.read(&mut [0; 4])), Ok(1));
    assert!(exchange.is_read);
    // No content is no content.
    let mut exchange = Exchange::new(Connection::new(["HTTP/1.1 204 x\r\n\r\n"]));
    let _ = exchange.response();
    assert!(exchange.is_read);
}

#[test]
fn a_response_tells_status_and_fields() {
    let head = "HTTP/1.1 404 Not Found\r\nX-One:  1 \r\nx-one: 2\r\nempty:\r\n\r\n";
    let mut exchange = exchange(head, "x-two: 2", 200);
    let response = exchange.response();
    assert_eq!((response.status(), response.is_success()), (404, false));
    assert_eq!(response.outcome(), Outcome::Proved);
    assert_eq!(response.field("x-ONE"), Some(&b"1"[..]));
    assert_eq!(response.field("empty"), Some(&b""[..]));
    // Neither content nor the status line is a field.
    assert_eq!(response.field("x-two"), None);
    assert_eq!(response.field("http/1.1 404 not found"), None);
    assert_eq!(format!("{response:?}"), "Response(404, Proved)");
}
