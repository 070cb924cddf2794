use chanbind_core::{
    kdf::{HmacSha256, Prf},
    proof::KeyRequest,
};
use std::{future::Future, pin::Pin};
use zeroize::Zeroizing;

#[cfg(feature = "tpm")]
use crate::tpm::{TpmError, TpmKey, TpmSigningKey};
#[cfg(feature = "tpm")]
use chanbind_core::crypto::{SignatureScheme, ecdsa::MAX_DER_LEN, sha256};

/// The answer of a key's holder, when it comes.
pub type KeyAnswer<'a> =
    Pin<Box<dyn Future<Output = Result<Zeroizing<Vec<u8>>, KeyError>> + Send + 'a>>;

/// The holder of a client's key: carries out what a [`Prover`](chanbind_core::proof::Prover) asks of it, in software or in a TPM.
pub trait KeyHolder: Send + Sync {
    /// Carries out a request, and gives the bytes that [`KeyRequest`] describes.
    ///
    /// # Errors
    /// In the future: [`KeyError::Unsupported`] for a request that this key cannot carry out, and what its holder reports.
    fn answer<'a>(&'a self, request: KeyRequest<'a>) -> KeyAnswer<'a>;
}

/// The error of a key's holder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The key cannot do what the proof asks of it.
    #[error(
        "the key cannot do what this proof needs: one-time passwords need an HMAC key, authenticators a signing key"
    )]
    Unsupported,
    /// The TPM failed.
    #[cfg(feature = "tpm")]
    #[error("{0}")]
    Tpm(#[from] TpmError),
    /// The key did not sign.
    #[error("the key did not sign: {0}")]
    Sign(String),
}

impl<K: KeyHolder + ?Sized> KeyHolder for &K {
    fn answer<'a>(&'a self, request: KeyRequest<'a>) -> KeyAnswer<'a> {
        (**self).answer(request)
    }
}

impl<K: KeyHolder + ?Sized> KeyHolder for std::sync::Arc<K> {
    fn answer<'a>(&'a self, request: KeyRequest<'a>) -> KeyAnswer<'a> {
        (**self).answer(request)
    }
}

impl<K: KeyHolder + ?Sized> KeyHolder for Box<K> {
    fn answer<'a>(&'a self, request: KeyRequest<'a>) -> KeyAnswer<'a> {
        (**self).answer(request)
    }
}

/// No key: for a proof that asks for none, such as one by a password.
impl KeyHolder for () {
    fn answer<'a>(&'a self, _: KeyRequest<'a>) -> KeyAnswer<'a> {
        Box::pin(std::future::ready(Err(KeyError::Unsupported)))
    }
}

/// A key in software.
impl KeyHolder for HmacSha256 {
    fn answer<'a>(&'a self, request: KeyRequest<'a>) -> KeyAnswer<'a> {
        let answer = match request {
            KeyRequest::Hmac(input) => {
                let mut mac = Zeroizing::new(vec![0; 32]);
                let Ok(()) = (&mut &*self).compute(&input, &mut mac);
                Ok(mac)
            }
            _ => Err(KeyError::Unsupported),
        };
        Box::pin(std::future::ready(answer))
    }
}

#[cfg(feature = "tpm")]
impl KeyHolder for TpmKey {
    fn answer<'a>(&'a self, request: KeyRequest<'a>) -> KeyAnswer<'a> {
        Box::pin(async move {
            match request {
                KeyRequest::Hmac(input) => {
                    let input = Zeroizing::new(input.parts().concat());
                    Ok(self.hmac(&input).await?)
                }
                _ => Err(KeyError::Unsupported),
            }
        })
    }
}

#[cfg(feature = "tpm")]
impl KeyHolder for TpmSigningKey {
    fn answer<'a>(&'a self, request: KeyRequest<'a>) -> KeyAnswer<'a> {
        Box::pin(async move {
            match request {
                KeyRequest::Sign {
                    scheme: SignatureScheme::ECDSA_SECP256R1_SHA256,
                    message,
                } => {
                    let signature = self.sign(&sha256(message)).await?;
                    let mut der = [0; MAX_DER_LEN];
                    let der = signature
                        .to_der(&mut der)
                        .map_err(|_| KeyError::Sign("the signature is too long".to_owned()))?;
                    Ok(Zeroizing::new(der.to_vec()))
                }
                _ => Err(KeyError::Unsupported),
            }
        })
    }
}
