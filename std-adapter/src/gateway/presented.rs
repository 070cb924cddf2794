//! What a request presents, before anything is verified.

use crate::proof::{Form, Settings};
use axum::http::{HeaderMap, HeaderName, header::AUTHORIZATION};
use chanbind_core::otp::{ClientId, ClientIdError, TokenError, jwe, jws, scratch_len};
use std::{borrow::Cow, fmt};

/// The longest token that is looked at, in bytes.
const MAX_TOKEN_LEN: usize = 8 * 1024;

/// A proof in a request's headers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Presented<'h> {
    pub(super) client: Cow<'h, str>,
    pub(super) form: Form,
    pub(super) value: &'h str,
}

/// Why a request's headers hold no proof that can be verified. The peer may know: it wrote them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    Twice(HeaderName),
    NotText(HeaderName),
    TwoProofs,
    TokenTooLong,
    Token(TokenError),
    NoClient,
    Client(ClientIdError),
    TwoClients,
}

impl<'h> Presented<'h> {
    /// `None` where there is no proof at all.
    pub(super) fn find(
        headers: &'h HeaderMap,
        settings: &Settings,
    ) -> Result<Option<Self>, Malformed> {
        // One pass over the few headers of a request is quicker than a look-up of each.
        let (mut client, mut key, mut authorization) = (None, None, None);
        for (name, value) in headers {
            let place = if *name == settings.client_header {
                &mut client
            } else if *name == settings.key_header {
                &mut key
            } else if *name == AUTHORIZATION {
                &mut authorization
            } else {
                continue;
            };
            let text = value
                .to_str()
                .map_err(|_| Malformed::NotText(name.clone()))?;
            if place.replace(text).is_some() {
                return Err(Malformed::Twice(name.clone()));
            }
        }
        let bearer = authorization.and_then(bearer);
        let (form, value, key_id) = match (key, bearer) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => return Err(Malformed::TwoProofs),
            (Some(key), None) => (Form::ApiKey, key, None),
            (None, Some(token)) => {
                let (form, key_id) = inspect(token)?;
                (form, token, key_id)
            }
        };
        let client = match (client, key_id) {
            (Some(client), Some(key_id))
                if settings.default_client.is_none() && client != key_id =>
            {
                return Err(Malformed::TwoClients);
            }
            (Some(client), _) => Cow::Borrowed(client),
            // A peer that knows one client only puts what it likes into kid.
            (None, key_id) => settings
                .default_client
                .clone()
                .or(key_id)
                .map(Cow::Owned)
                .ok_or(Malformed::NoClient)?,
        };
        ClientId::new(&client).map_err(Malformed::Client)?;
        Ok(Some(Self {
            client,
            form,
            value,
        }))
    }
}

/// The form of a token, and the `kid` that it names.
fn inspect(token: &str) -> Result<(Form, Option<String>), Malformed> {
    if token.len() > MAX_TOKEN_LEN {
        return Err(Malformed::TokenTooLong);
    }
    let mut scratch = vec![0; scratch_len(token.len())];
    let (form, header) = if token.bytes().filter(|&byte| byte == b'.').count() == 4 {
        (Form::Nested, jwe::peek_header(token, &mut scratch))
    } else {
        (Form::Jws, jws::peek_header(token, &mut scratch))
    };
    match header {
        Ok(header) => Ok((form, header.key_id.map(str::to_owned))),
        // What the header asks for is refused when the token is verified.
        Err(TokenError::Refused(_)) => Ok((form, None)),
        Err(error) => Err(Malformed::Token(error)),
    }
}

/// The credentials of a Bearer authorization (RFC 6750 section 2.1); other schemes are none of ours.
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ').unwrap_or((authorization, ""));
    scheme
        .eq_ignore_ascii_case("Bearer")
        .then(|| token.trim_start_matches(' '))
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Twice(name) => write!(f, "header {name} stands twice: send it once"),
            Self::NotText(name) => write!(f, "header {name} has a character outside visible ASCII"),
            Self::TwoProofs => f.write_str("two proofs: send an API key or a token, not both"),
            Self::TokenTooLong => write!(f, "the token is longer than {MAX_TOKEN_LEN} bytes"),
            Self::Token(error) => fmt::Display::fmt(error, f),
            Self::NoClient => f.write_str(
                "the proof names no client: send the client header, or kid in the token",
            ),
            Self::Client(error) => fmt::Display::fmt(error, f),
            Self::TwoClients => {
                f.write_str("the client header and the token's kid name different clients")
            }
        }
    }
}
