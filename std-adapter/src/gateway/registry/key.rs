use crate::proof::{KeyAnswer, KeyHolder};
use chanbind_core::{kdf::HmacSha256, proof::KeyRequest};
use std::{fmt, sync::Arc};

#[cfg(feature = "tpm")]
use crate::tpm::{Parent, TpmKey};

/// The key with which a gateway derives a client's expected passwords.
#[derive(Clone)]
#[non_exhaustive]
pub enum ClientKey {
    /// The client's HMAC key, in software.
    Secret(Arc<HmacSha256>),
    /// The client's HMAC key in the gateway's own TPM.
    #[cfg(feature = "tpm")]
    Tpm(TpmKey),
}

impl ClientKey {
    /// Creates an HMAC-SHA256 key in software.
    #[must_use]
    pub fn secret(key: &[u8]) -> Self {
        Self::Secret(Arc::new(HmacSha256::new(key)))
    }

    pub(super) fn cost(&self) -> Cost {
        match self {
            Self::Secret(_) => Cost::Software,
            #[cfg(feature = "tpm")]
            Self::Tpm(key) => Cost::Tpm {
                parent: key.file().parent,
                policy: key.file().policy.len(),
            },
        }
    }
}

/// The cost of using a key, as far as it can be measured from outside.
#[derive(PartialEq)]
pub(super) enum Cost {
    Software,
    #[cfg(feature = "tpm")]
    Tpm {
        parent: Parent,
        policy: usize,
    },
}

impl KeyHolder for ClientKey {
    fn answer<'a>(&'a self, request: KeyRequest<'a>) -> KeyAnswer<'a> {
        match self {
            Self::Secret(key) => key.answer(request),
            #[cfg(feature = "tpm")]
            Self::Tpm(key) => key.answer(request),
        }
    }
}

impl fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "ClientKey::Secret(hidden)",
            #[cfg(feature = "tpm")]
            Self::Tpm(_) => "ClientKey::Tpm",
        })
    }
}
