use super::{KeyFile, TpmError, device::Device, worker::Tpm};
use chanbind_core::kdf::{AsyncPrf, Prf, PrfInput};
use std::{fmt, sync::Arc};
use tss_esapi::{
    structures::{
        Auth as TssAuth, KeyedHashScheme, Private, Public, PublicBuffer, PublicKeyedHashParameters,
    },
    traits::UnMarshall,
};
use zeroize::Zeroizing;

/// The most bytes that one TPM2_HMAC takes.
pub const MAX_HMAC_INPUT: usize = 1024;

/// A password of a key or hierarchy: at most 64 bytes, wiped when dropped.
pub struct Auth(TssAuth);

impl Auth {
    /// The longest password that TPMs take.
    pub const MAX_LEN: usize = 64;

    /// A password from its bytes.
    ///
    /// # Errors
    /// [`TpmError::AuthLength`]
    pub fn new(password: &[u8]) -> Result<Self, TpmError> {
        let wrong = TpmError::AuthLength {
            actual: password.len(),
            max: Self::MAX_LEN,
        };
        if password.len() > Self::MAX_LEN {
            return Err(wrong);
        }
        // A TPM takes trailing zeroes off a password (Part 1 section 19.6.4.3); so does this, to compute the same HMAC.
        let end = password
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last + 1);
        TssAuth::try_from(&password[..end])
            .map(Self)
            .map_err(|_| wrong)
    }

    pub(super) fn into_inner(self) -> TssAuth {
        self.0
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auth(hidden)")
    }
}

/// What is needed to load a key, as often as it takes.
pub(super) struct KeySpec {
    pub(super) id: u64,
    pub(super) file: KeyFile,
    pub(super) public: Public,
    pub(super) private: Private,
    pub(super) auth: Option<TssAuth>,
}

impl KeySpec {
    pub(super) fn new(id: u64, file: KeyFile, auth: Option<Auth>) -> Result<Self, TpmError> {
        let damaged = |_| TpmError::KeyFile(super::KeyFileError::Blob);
        let public = Public::try_from(PublicBuffer::unmarshall(&file.public).map_err(damaged)?)
            .map_err(damaged)?;
        let private =
            Private::try_from(file.private.get(2..).unwrap_or_default()).map_err(damaged)?;
        let Public::KeyedHash {
            object_attributes,
            parameters,
            ..
        } = &public
        else {
            return Err(TpmError::NotHmacKey);
        };
        let sha256 = [KeyedHashScheme::HMAC_SHA_256, KeyedHashScheme::Null]
            .map(PublicKeyedHashParameters::new)
            .contains(parameters);
        if !sha256 || !object_attributes.sign_encrypt() {
            return Err(TpmError::NotHmacKey);
        }
        Ok(Self {
            id,
            file,
            public,
            private,
            auth: auth.map(Auth::into_inner),
        })
    }
}

/// An HMAC-SHA256 key in a TPM: core's PRF. The last clone to be dropped flushes it.
///
/// It may be evicted from the TPM's few slots and loaded again when it is used; that does not show.
#[derive(Clone)]
pub struct TpmKey {
    loaded: Arc<Loaded>,
}

struct Loaded {
    spec: Arc<KeySpec>,
    tpm: Tpm,
}

impl TpmKey {
    pub(super) fn new(spec: KeySpec, tpm: Tpm) -> Self {
        Self {
            loaded: Arc::new(Loaded {
                spec: Arc::new(spec),
                tpm,
            }),
        }
    }

    /// HMAC-SHA256 over `data`, at most [`MAX_HMAC_INPUT`] bytes: 32 bytes.
    ///
    /// # Errors
    /// [`TpmError`]
    pub async fn hmac(&self, data: &[u8]) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let job = self.job(data)?;
        self.loaded.tpm.run(job).await
    }

    /// As [`TpmKey::hmac`], for callers without an executor: waits on the calling thread.
    ///
    /// # Errors
    /// [`TpmError`]
    pub fn hmac_blocking(&self, data: &[u8]) -> Result<Zeroizing<Vec<u8>>, TpmError> {
        let job = self.job(data)?;
        self.loaded.tpm.run_blocking(job)
    }

    /// The file that the key came from.
    #[must_use]
    pub fn file(&self) -> &KeyFile {
        &self.loaded.spec.file
    }

    fn job(
        &self,
        data: &[u8],
    ) -> Result<impl FnOnce(&mut Device) -> Answer + Send + 'static, TpmError> {
        if data.len() > MAX_HMAC_INPUT {
            return Err(TpmError::DataTooLong {
                actual: data.len(),
                max: MAX_HMAC_INPUT,
            });
        }
        let spec = Arc::clone(&self.loaded.spec);
        let data = Zeroizing::new(data.to_vec());
        Ok(move |device: &mut Device| device.hmac(&spec, &data))
    }
}

type Answer = Result<Zeroizing<Vec<u8>>, TpmError>;

impl Drop for Loaded {
    fn drop(&mut self) {
        let id = self.spec.id;
        self.tpm.send(move |device| device.unload(id));
    }
}

impl fmt::Debug for TpmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TpmKey({})", self.loaded.spec.file.parent)
    }
}

impl AsyncPrf for TpmKey {
    type Error = TpmError;

    fn output_len(&self) -> usize {
        32
    }

    async fn compute(&mut self, input: &PrfInput<'_>, out: &mut [u8]) -> Result<(), TpmError> {
        let answer = self.hmac(&gather(input)).await?;
        give(&answer, out)
    }
}

/// Waits on the calling thread for the TPM: not for async code.
impl Prf for TpmKey {
    type Error = TpmError;

    fn output_len(&self) -> usize {
        32
    }

    fn compute(&mut self, input: &PrfInput<'_>, out: &mut [u8]) -> Result<(), TpmError> {
        let answer = self.hmac_blocking(&gather(input))?;
        give(&answer, out)
    }
}

fn gather(input: &PrfInput<'_>) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(input.parts().concat())
}

fn give(answer: &[u8], out: &mut [u8]) -> Result<(), TpmError> {
    if answer.len() != out.len() {
        return Err(TpmError::NotHmacKey);
    }
    out.copy_from_slice(answer);
    Ok(())
}
