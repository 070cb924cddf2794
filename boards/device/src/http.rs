//! One request and its answer.

use crate::event::Failure;
use chanbind_core::{crypto::wipe, otp::api_key};
use chanbind_device_config::Config;
use embedded_io_async::{Error as _, Read, Write};
use reqwless::{
    Error,
    request::{Method, Request, RequestBuilder},
    response::Response,
};

/// The headers of the proof, as the gateway's default settings have them.
pub(crate) const CLIENT_HEADER: &str = "chanbind-client";
pub(crate) const KEY_HEADER: &str = "chanbind-key";

/// A status, the length of the content, and that of the authenticator request in a challenge, if there is one.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) len: u32,
    #[cfg_attr(not(feature = "authenticator"), expect(dead_code))]
    pub(crate) challenge_len: usize,
}

/// Sends a GET with the headers of a proof, and reads the answer to its end; none if the gateway has closed the connection before. What
/// a challenge asks for is put into `challenge`, if there is room.
pub(crate) async fn get<E>(
    connection: &mut (impl Read + Write),
    config: &Config<'_>,
    headers: &[(&str, &str)],
    buffer: &mut [u8],
    challenge: &mut [u8],
) -> Result<Option<Answer>, Failure<E>> {
    let request = Request::get(config.path)
        .host(config.server_name)
        .headers(headers)
        .build();
    request
        .write_header(connection)
        .await
        .map_err(|error| failure(&error))?;
    (connection.flush().await).map_err(|error| Failure::Connection(error.kind()))?;
    let mut incoming = Incoming {
        connection,
        has_begun: false,
    };
    let answer = answer(&mut incoming, buffer, challenge).await;
    wipe(buffer);
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Error::ConnectionAborted) if !incoming.has_begun => Ok(None),
        Err(error) => Err(failure(&error)),
    }
}

/// An answer that is being read, which is cut if it ends once it has begun.
struct Incoming<'c, C> {
    connection: &'c mut C,
    has_begun: bool,
}

impl<C: Read> embedded_io_async::ErrorType for Incoming<'_, C> {
    type Error = C::Error;
}

impl<C: Read> Read for Incoming<'_, C> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, C::Error> {
        let len = self.connection.read(buf).await?;
        self.has_begun |= len > 0;
        Ok(len)
    }
}

fn failure<E>(error: &Error) -> Failure<E> {
    match error {
        Error::Network(kind) => Failure::Connection(*kind),
        _ => Failure::Http,
    }
}

async fn answer(
    connection: &mut impl Read,
    buffer: &mut [u8],
    challenge: &mut [u8],
) -> Result<Answer, Error> {
    let response = Response::read(connection, Method::GET, buffer).await?;
    let challenge_len = challenged(&response, challenge);
    let status = response.status.0;
    let expected = response.content_length;
    let mut body = response.body().reader();
    let (mut len, mut dropped) = (0usize, [0; 64]);
    loop {
        // reqwless does not keep itself from reading more than was announced.
        let left = expected.map_or(usize::MAX, |expected| expected.saturating_sub(len));
        let left = left.min(dropped.len());
        let room = dropped.get_mut(..left).unwrap_or_default();
        if room.is_empty() {
            break;
        }
        match body.read(room).await? {
            0 if expected.is_some() => return Err(Error::ConnectionAborted),
            0 => break,
            read => len = len.saturating_add(read),
        }
    }
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    Ok(Answer {
        status,
        len,
        challenge_len,
    })
}

/// Takes the authenticator request from an answer's challenge, and gives its length.
#[cfg(feature = "authenticator")]
fn challenged<C: Read>(response: &Response<'_, '_, C>, out: &mut [u8]) -> usize {
    use chanbind_core::authenticator::http;
    if out.is_empty() {
        return 0;
    }
    let fields = response
        .headers()
        .filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate"));
    let mut values = fields.filter_map(|(_, value)| str::from_utf8(value).ok());
    let challenge = values.find_map(|value| http::challenge(value));
    challenge
        .and_then(|text| http::decode(text, out).ok())
        .map_or(0, <[u8]>::len)
}

#[cfg(not(feature = "authenticator"))]
fn challenged<C: Read>(_: &Response<'_, '_, C>, _: &mut [u8]) -> usize {
    0
}

/// The proof in the form of a header, wiped when dropped.
pub(crate) type Password = chanbind_core::crypto::SecretBytes<{ api_key::ENCODED_LEN }>;

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use core::{
        convert::Infallible,
        pin::pin,
        task::{Context, Poll, Waker},
    };
    use std::{vec, vec::Vec};

    /// Gives one part after the other, and then nothing more.
    struct Parts(Vec<&'static [u8]>);

    impl embedded_io_async::ErrorType for Parts {
        type Error = Infallible;
    }

    impl Read for Parts {
        async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Infallible> {
            let Some(part) = self.0.first_mut() else {
                return Ok(0);
            };
            let len = part.len().min(buf.len());
            buf[..len].copy_from_slice(&part[..len]);
            *part = &part[len..];
            if part.is_empty() {
                self.0.remove(0);
            }
            Ok(len)
        }
    }

    fn read(parts: &[&'static [u8]]) -> (Result<(u16, u32), Error>, bool) {
        let mut connection = Parts(parts.to_vec());
        let mut incoming = Incoming {
            connection: &mut connection,
            has_begun: false,
        };
        let mut buffer = vec![0; 512];
        let answered = {
            let mut future = pin!(answer(&mut incoming, &mut buffer, &mut []));
            match future
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
            {
                Poll::Ready(answered) => answered,
                Poll::Pending => panic!("waits for nothing"),
            }
        };
        let answered = answered.map(|answer| (answer.status, answer.len));
        (answered, incoming.has_begun)
    }

    #[test]
    fn answers_are_read_to_their_end_and_no_further() {
        for (parts, status, len) in [
            (
                &[&b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"[..]][..],
                200,
                3,
            ),
            (
                &[
                    b"HTTP/1.1 200 OK\r\nContent-",
                    b"Length: 3\r\n\r\na",
                    b"b",
                    b"c",
                ],
                200,
                3,
            ),
            (
                &[b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"],
                401,
                0,
            ),
            (&[b"HTTP/1.1 204 No Content\r\n\r\n"], 204, 0),
            (
                &[
                    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
                    b"3\r\nabc\r\n0\r\n\r\n",
                ],
                200,
                3,
            ),
            // More than was announced is left alone.
            (
                &[b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", b"ab"],
                200,
                1,
            ),
        ] {
            let (answer, _) = read(parts);
            assert_eq!(answer.ok(), Some((status, len)), "{parts:?}");
        }
    }

    #[test]
    fn answers_that_are_cut_are_none() {
        for parts in [
            &[&b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nab"[..]][..],
            &[b"HTTP/1.1 200 OK\r\nTransf"],
        ] {
            let (answer, has_begun) = read(parts);
            assert!(answer.is_err() && has_begun, "{parts:?}");
        }
        // A gateway that closes between two answers.
        let (answer, has_begun) = read(&[]);
        assert!(matches!(answer, Err(Error::ConnectionAborted)) && !has_begun);
    }
}
