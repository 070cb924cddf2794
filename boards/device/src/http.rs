//! One request and its answer.

use crate::event::Failure;
use chanbind_core::{crypto::wipe, token::api_key};
use chanbind_device_config::Config;
use embedded_io_async::{Error as _, Read, Write};
use reqwless::{
    Error,
    request::{Method, Request, RequestBuilder},
    response::Response,
};

/// The headers of the proof, as the gateway's default settings have them.
const CLIENT_HEADER: &str = "chanbind-client";
const KEY_HEADER: &str = "chanbind-key";

/// A status, and the length of the content.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) len: u32,
}

/// Sends a GET with the proof, and reads the answer to its end; none if the gateway has closed the connection before.
pub(crate) async fn get<E>(
    connection: &mut (impl Read + Write),
    config: &Config<'_>,
    password: &str,
    buffer: &mut [u8],
) -> Result<Option<Answer>, Failure<E>> {
    let headers = [
        (CLIENT_HEADER, config.client_id.as_str()),
        (KEY_HEADER, password),
    ];
    let request = Request::get(config.path)
        .host(config.server_name)
        .headers(&headers)
        .build();
    request
        .write_header(connection)
        .await
        .map_err(|error| failure(&error))?;
    (connection.flush().await).map_err(|error| Failure::Connection(error.kind()))?;
    let answer = answer(connection, buffer).await;
    wipe(buffer);
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Error::ConnectionAborted) => Ok(None),
        Err(error) => Err(failure(&error)),
    }
}

fn failure<E>(error: &Error) -> Failure<E> {
    match error {
        Error::Network(kind) => Failure::Connection(*kind),
        _ => Failure::Http,
    }
}

async fn answer(connection: &mut impl Read, buffer: &mut [u8]) -> Result<Answer, Error> {
    let response = Response::read(connection, Method::GET, buffer).await?;
    let status = response.status.0;
    let mut body = response.body().reader();
    let (mut len, mut dropped) = (0u32, [0; 64]);
    loop {
        match body.read(&mut dropped).await? {
            0 => break,
            read => len = len.saturating_add(u32::try_from(read).unwrap_or(u32::MAX)),
        }
    }
    Ok(Answer { status, len })
}

/// The proof in the form of a header, wiped when dropped.
pub(crate) type Password = chanbind_core::crypto::Wiped<{ api_key::ENCODED_LEN }>;
