use super::{
    super::{Chunked, Content, WithLength, content::number},
    *,
};
use std::{format, vec};

/// Writes content twice. Returns what was written the first time, and the result of the second.
fn written(mut content: impl Content) -> (Result<Vec<u8>, HttpError>, Result<(), HttpError>) {
    let mut out = Connection::split("", 1);
    let first = block_on(content.write(&mut out)).map(|()| core::mem::take(&mut out.written));
    (first, block_on(content.write(&mut out)))
}

#[test]
fn a_slice_can_be_written_again() {
    let content = &b"hello"[..];
    assert_eq!(
        (Content::len(&content), content.is_repeatable()),
        (Some(5), true)
    );
    assert!(!Content::is_empty(&content) && Content::is_empty(&&b""[..]));
    assert_eq!(written(content), (Ok(b"hello".to_vec()), Ok(())));
    assert_eq!((().len(), ().is_repeatable()), (Some(0), true));
    assert_eq!(written(()), (Ok(vec![]), Ok(())));
}

#[test]
fn a_reader_with_a_length_is_written_once() {
    let text = "0123456789".repeat(40);
    for (piece, len) in [(1, 5), (128, 400), (7, 399), (300, 129), (50, 0)] {
        let content = WithLength::new(Connection::split(&text, piece), len);
        assert_eq!((content.len(), content.is_repeatable()), (Some(len), false));
        let (first, second) = written(content);
        assert_eq!(first.unwrap(), text.as_bytes()[..len]);
        assert_eq!(second, Err(HttpError::ContentConsumed));
    }
    // A source that ends early, and one that fails.
    let short = WithLength::new(Connection::split("hello", 2), 6);
    assert_eq!(written(short).0, Err(HttpError::Content));
    let failing = Connection::split("hello", 2).ending(End::Reset);
    assert_eq!(
        written(WithLength::new(failing, 6)).0,
        Err(HttpError::Content)
    );
}

#[test]
fn a_reader_without_a_length_is_written_in_chunks() {
    let content = Chunked::new(Connection::new(["hello", " world"]));
    assert_eq!((content.len(), content.is_repeatable()), (None, false));
    let (first, second) = written(content);
    assert_eq!(first.unwrap(), b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
    assert_eq!(second, Err(HttpError::ContentConsumed));
    let long = Chunked::new(Connection::new(["x".repeat(200)]));
    let (first, x) = (written(long).0.unwrap(), "x".repeat(128));
    let expected = format!("80\r\n{x}\r\n48\r\n{}\r\n0\r\n\r\n", &x[..72]);
    assert_eq!(first, expected.as_bytes());
    assert_eq!(
        written(Chunked::new(Connection::split("", 1))).0.unwrap(),
        b"0\r\n\r\n"
    );
    // A source that fails does not look like the end.
    let failing = Chunked::new(Connection::new(["hello"]).ending(End::Reset));
    assert_eq!(written(failing).0, Err(HttpError::Content));
}

/// The chunks that are sent are those that are read.
#[test]
fn chunks_are_read_as_they_are_written() {
    let text = "0123456789".repeat(40);
    let chunks = written(Chunked::new(Connection::split(&text, 77)))
        .0
        .unwrap();
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut exchange = Exchange::new(Connection::new([head.as_bytes(), &chunks]));
    let mut buffer = [0; 400];
    let read = block_on(exchange.response().read_to_end(&mut buffer));
    assert_eq!(read.unwrap(), text.as_bytes());
}

#[test]
fn a_connection_that_breaks_is_no_fault_of_the_content() {
    let mut out = Connection::split("", 1).ending(End::Reset);
    let error = Err(HttpError::Connection(ErrorKind::ConnectionReset));
    assert_eq!(block_on((&b"hello"[..]).write(&mut out)), error);
    let mut content = Chunked::new(Connection::new(["hello"]));
    assert_eq!(block_on(content.write(&mut out)), error);
}

#[test]
fn writes_numbers() {
    for (value, base, text) in [
        (0, 10, "0"),
        (7, 10, "7"),
        (4_294_967_295, 10, "4294967295"),
        (128, 16, "80"),
        (0xabc, 16, "abc"),
    ] {
        assert_eq!(number(value, base, &mut [0; 10]), text.as_bytes());
    }
}
