//! The one-time password that a request presents, parsed before anything is verified.

use super::{Form, Settings};
use axum::http::{HeaderMap, HeaderName, header::AUTHORIZATION};
use chanbind_core::otp::{ClientIdBuf, ClientIdError, TokenError, jwe, jws, scratch_len};
use std::{borrow::Cow, fmt, sync::Arc};
use zeroize::Zeroizing;

/// The longest token that is parsed, in bytes.
const MAX_TOKEN_LEN: usize = 8 * 1024;

/// A one-time password in a request's headers, parsed.
pub(super) struct Presented<C, V> {
    pub(super) client: ClientIdBuf<C>,
    pub(super) form: Form,
    pub(super) value: V,
}

/// A one-time password that its request does not have to outlive.
pub(super) type OwnedPresented = Presented<Arc<str>, Zeroizing<String>>;

/// The reason why a request's headers hold no password that can be verified. The peer may be told: it wrote them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MalformedFields {
    Twice(HeaderName),
    NotText(HeaderName),
    TwoProofs,
    TokenTooLong,
    Token(TokenError),
    NoClient,
    Client(ClientIdError),
    TwoClients,
}

impl OwnedPresented {
    /// Returns an API key that stood in another place than a request's headers.
    pub(super) fn of_api_key(client: &str, key: &str) -> Result<Self, MalformedFields> {
        Ok(Self {
            client: ClientIdBuf::new(Arc::from(client)).map_err(MalformedFields::Client)?,
            form: Form::ApiKey,
            value: Zeroizing::new(key.to_owned()),
        })
    }
}

impl<'h> Presented<Cow<'h, str>, &'h str> {
    /// Copies the password, for a verification that has to wait.
    pub(super) fn to_owned(&self) -> OwnedPresented {
        Presented {
            client: self.client.as_client_id().to_buf(),
            form: self.form,
            value: Zeroizing::new(self.value.to_owned()),
        }
    }

    /// Finds the password of a request; `None` if it has none.
    pub(super) fn find(
        headers: &'h HeaderMap,
        settings: &'h Settings,
    ) -> Result<Option<Self>, MalformedFields> {
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
                .map_err(|_| MalformedFields::NotText(name.clone()))?;
            if place.replace(text).is_some() {
                return Err(MalformedFields::Twice(name.clone()));
            }
        }
        let bearer = authorization.and_then(bearer);
        let (form, value, key_id) = match (key, bearer) {
            (None, None) => return Ok(None),
            (Some(_), Some(_)) => return Err(MalformedFields::TwoProofs),
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
                return Err(MalformedFields::TwoClients);
            }
            (Some(client), _) => Cow::Borrowed(client),
            // A peer that knows one client only puts anything into kid.
            (None, key_id) => settings
                .default_client
                .as_deref()
                .map(Cow::Borrowed)
                .or(key_id.map(Cow::Owned))
                .ok_or(MalformedFields::NoClient)?,
        };
        let client = ClientIdBuf::new(client).map_err(MalformedFields::Client)?;
        Ok(Some(Self {
            client,
            form,
            value,
        }))
    }
}

/// Returns the form of a token, and the `kid` that it names.
fn inspect(token: &str) -> Result<(Form, Option<String>), MalformedFields> {
    if token.len() > MAX_TOKEN_LEN {
        return Err(MalformedFields::TokenTooLong);
    }
    let mut scratch = vec![0; scratch_len(token.len())];
    let (form, header) = if token.bytes().filter(|&byte| byte == b'.').count() == 4 {
        (Form::Nested, jwe::peek_header(token, &mut scratch))
    } else {
        (Form::Jws, jws::peek_header(token, &mut scratch))
    };
    match header {
        Ok(header) => Ok((form, header.key_id.map(str::to_owned))),
        // A header that asks for something else is refused when the token is verified.
        Err(TokenError::Refused(_)) => Ok((form, None)),
        Err(error) => Err(MalformedFields::Token(error)),
    }
}

/// Returns the credentials of a Bearer authorization (RFC 6750 section 2.1); `None` for other schemes.
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ').unwrap_or((authorization, ""));
    scheme
        .eq_ignore_ascii_case("Bearer")
        .then(|| token.trim_start_matches(' '))
}

impl fmt::Display for MalformedFields {
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
