use crate::{
    clock,
    proof::{Form, Settings},
};
use axum::http::{HeaderValue, Request, header};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chanbind_core::{
    exporter::{Exporter, ExporterError},
    kdf::{AsyncPrf, DeriveError},
    otp::{Claims, ClientId, Header, OneTimeKey, Purpose, TokenError, api_key, jwe, jws, nested},
};
use std::fmt;
use zeroize::Zeroizing;

/// How long a token that expires is good for, in seconds.
pub const TOKEN_LIFETIME: u64 = 60;

/// Puts proofs of one client into requests.
#[derive(Debug)]
pub struct Prover {
    settings: Settings,
    client: String,
}

impl Prover {
    /// For the client that the gateway knows by this id.
    #[must_use]
    pub fn new(settings: Settings, client: ClientId<'_>) -> Self {
        Self {
            settings,
            client: client.as_str().to_owned(),
        }
    }

    /// Derives the key of `channel` by `prf` and puts the proof into `request`, which is then good on that channel only.
    ///
    /// # Errors
    /// [`ProveError`]; the request is then unchanged.
    pub async fn prove<P: AsyncPrf>(
        &self,
        form: Form,
        channel: &impl Exporter,
        prf: &mut P,
        request: &mut Request<()>,
    ) -> Result<(), ProveError<P::Error>> {
        let client = ClientId::new(&self.client).map_err(|_| ProveError::Header)?;
        let value = match form {
            Form::ApiKey => {
                let key = self.key(Purpose::ApiKey, channel, client, prf).await?;
                let mut out = Zeroizing::new([0; api_key::ENCODED_LEN]);
                Zeroizing::new(api_key::encode(&key, &mut out).to_owned())
            }
            Form::Jws | Form::Nested => {
                let signing = self.key(Purpose::Signing, channel, client, prf).await?;
                let encryption = match form {
                    Form::Nested => {
                        Some(self.key(Purpose::Encryption, channel, client, prf).await?)
                    }
                    _ => None,
                };
                Zeroizing::new(format!(
                    "Bearer {}",
                    self.token(&signing, encryption.as_ref(), request)?.as_str()
                ))
            }
        };
        let mut value = HeaderValue::from_str(&value).map_err(|_| ProveError::Header)?;
        value.set_sensitive(true);
        let client = HeaderValue::from_str(&self.client).map_err(|_| ProveError::Header)?;
        let headers = request.headers_mut();
        let name = match form {
            Form::ApiKey => self.settings.key_header.clone(),
            Form::Jws | Form::Nested => header::AUTHORIZATION,
        };
        headers.insert(name, value);
        headers.insert(self.settings.client_header.clone(), client);
        Ok(())
    }

    async fn key<P: AsyncPrf>(
        &self,
        purpose: Purpose,
        channel: &impl Exporter,
        client: ClientId<'_>,
        prf: &mut P,
    ) -> Result<OneTimeKey, ProveError<P::Error>> {
        let profile = &self.settings.profile;
        let material = profile
            .keying_material(channel, purpose, client)
            .map_err(ProveError::Exporter)?;
        OneTimeKey::derive_async(profile, &material, prf)
            .await
            .map_err(ProveError::Derive)
    }

    fn token<E>(
        &self,
        signing: &OneTimeKey,
        encryption: Option<&OneTimeKey>,
        request: &Request<()>,
    ) -> Result<Zeroizing<String>, ProveError<E>> {
        let now = clock::now();
        let mut random = [0; 16 + jwe::NONCE_LEN];
        getrandom::fill(&mut random).map_err(|error| ProveError::Random(error.to_string()))?;
        let (id, nonce) = random.split_at(16);
        let id = BASE64_URL_SAFE_NO_PAD.encode(id);
        let uri = format!(
            "https://{}{}",
            request
                .uri()
                .authority()
                .map_or("", |authority| authority.as_str()),
            request.uri().path()
        );
        let bind = self.settings.bind_request;
        let expires = bind || self.settings.require_expiry;
        let claims = Claims {
            subject: Some(&self.client),
            issued_at: expires.then_some(now),
            expires_at: expires.then_some(now.saturating_add(TOKEN_LIFETIME)),
            token_id: bind.then_some(&id),
            method: bind.then_some(request.method().as_str()),
            uri: bind.then_some(&uri),
            ..Claims::default()
        };
        let header = Header {
            key_id: Some(&self.client),
            typ: true,
        };
        // Escapes are at most six bytes for one, base64 twice is under twice.
        let len = 1024 + 12 * (self.client.len() + uri.len());
        let [mut payload, mut signed, mut out] = [(); 3].map(|()| Zeroizing::new(vec![0; len]));
        let payload = claims.encode(&mut payload).map_err(ProveError::Token)?;
        let token = match encryption {
            None => jws::sign(signing, &header, payload, &mut out),
            Some(encryption) => {
                let keys = nested::NestedKeys {
                    signing,
                    encryption,
                };
                let nonce = nonce.try_into().map_err(|_| ProveError::Header)?;
                nested::seal(
                    &keys,
                    nonce,
                    (&Header::default(), &header),
                    payload,
                    &mut signed,
                    &mut out,
                )
            }
        };
        Ok(Zeroizing::new(token.map_err(ProveError::Token)?.to_owned()))
    }
}

/// Why there is no proof.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProveError<E> {
    /// The channel exported nothing.
    Exporter(ExporterError),
    /// The TPM, or who else holds the key, failed.
    Derive(DeriveError<E>),
    /// The token could not be made.
    Token(TokenError),
    /// The system gave no random numbers.
    Random(String),
    /// The proof is no header value.
    Header,
}

impl<E: fmt::Display> fmt::Display for ProveError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exporter(error) => fmt::Display::fmt(error, f),
            Self::Derive(error) => fmt::Display::fmt(error, f),
            Self::Token(error) => fmt::Display::fmt(error, f),
            Self::Random(error) => write!(f, "the system gives no random numbers: {error}"),
            Self::Header => f.write_str(
                "the proof cannot be written as a header: use a client id of visible ASCII",
            ),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for ProveError<E> {}
