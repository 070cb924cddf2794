use super::{Form, KeyDerivationError, Settings};
use crate::proof::KeyHolder;
use chanbind_core::{
    exporter::Exporter,
    otp::{
        ApiKeyProver, ClientId, FieldNames, KeyDerivation, OneTimeKey, ProveError, TokenForm,
        TokenProver,
    },
    proof::{FieldSink, Inputs, Prover, RequestTarget, ResponseHead, Step},
};
use std::sync::Arc;

/// A prover of one-time passwords in any form; see [`prover`].
#[derive(Debug)]
pub struct OtpProver(Inner);

#[derive(Debug)]
enum Inner {
    ApiKey(ApiKeyProver<'static, Arc<str>>),
    Token(TokenProver<'static, Arc<str>>),
}

/// Creates a prover for the client that the gateway knows by this id. Its keys come from an HMAC key
/// ([`KeyHolder`]).
///
/// # Examples
///
/// ```no_run
/// # async fn example(connection: chanbind::client::Connection, key: chanbind::tpm::TpmKey) -> Result<(), Box<dyn std::error::Error>> {
/// use chanbind::{client::Session, protocol::otp::ClientId, proof::otp::{self, Form, Settings}};
///
/// let prover = otp::prover(&Settings::default(), ClientId::new("client1")?, Form::ApiKey);
/// let session = Session::begin(connection, prover, key).await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn prover(settings: &Settings, client: ClientId<'_>, form: Form) -> OtpProver {
    let names = FieldNames {
        client: Arc::from(settings.client_header.as_str()),
        key: Arc::from(settings.key_header.as_str()),
    };
    let client = client.to_buf();
    let profile = settings.profile;
    let form = match form {
        Form::ApiKey => {
            return OtpProver(Inner::ApiKey(ApiKeyProver::new(profile, client, names)));
        }
        Form::Jws => TokenForm::Jws,
        Form::Nested => TokenForm::Nested,
    };
    let mut prover = TokenProver::new(profile, client, names, form);
    if !settings.bind_request {
        prover = prover.for_any_request();
        if !settings.require_expiry {
            prover = prover.without_expiry();
        }
    }
    OtpProver(Inner::Token(prover))
}

/// Has the holder of a key carry out a derivation.
///
/// # Errors
/// [`KeyDerivationError::Key`] if the key's holder fails, [`KeyDerivationError::Kdf`] if its answer has a wrong length.
pub async fn derive(
    mut derivation: KeyDerivation<'_>,
    key: &(impl KeyHolder + ?Sized),
) -> Result<OneTimeKey, KeyDerivationError> {
    loop {
        let answer = key.answer(derivation.request()).await?;
        if let Some(key) = derivation.answered(&answer)? {
            return Ok(key);
        }
    }
}

impl Prover for OtpProver {
    type Failure = ProveError;

    fn kind(&self) -> &'static str {
        super::KIND
    }

    fn begin(&mut self, channel: &dyn Exporter, inputs: &Inputs<'_>) -> Step<'_, ProveError> {
        match &mut self.0 {
            Inner::ApiKey(prover) => prover.begin(channel, inputs),
            Inner::Token(prover) => prover.begin(channel, inputs),
        }
    }

    fn answered(&mut self, answer: &[u8]) -> Step<'_, ProveError> {
        match &mut self.0 {
            Inner::ApiKey(prover) => prover.answered(answer),
            Inner::Token(prover) => prover.answered(answer),
        }
    }

    fn write_fields(
        &mut self,
        request: &RequestTarget<'_>,
        inputs: &Inputs<'_>,
        out: &mut dyn FieldSink,
    ) -> Result<(), ProveError> {
        match &mut self.0 {
            Inner::ApiKey(prover) => prover.write_fields(request, inputs, out),
            Inner::Token(prover) => prover.write_fields(request, inputs, out),
        }
    }

    fn response(&mut self, head: &dyn ResponseHead, inputs: &Inputs<'_>) -> Step<'_, ProveError> {
        match &mut self.0 {
            Inner::ApiKey(prover) => prover.response(head, inputs),
            Inner::Token(prover) => prover.response(head, inputs),
        }
    }
}
