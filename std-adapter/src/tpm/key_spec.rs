use super::{Auth, KeyFile, KeyFileError, TpmError};
use tss_esapi::{
    structures::{Auth as TssAuth, Private, Public, PublicBuffer},
    traits::UnMarshall,
};

/// All data for loading a key, as often as it is evicted. `id` is unique within a worker.
pub(super) struct KeySpec {
    pub(super) id: u64,
    pub(super) file: KeyFile,
    pub(super) public: Public,
    pub(super) private: Private,
    pub(super) auth: Option<TssAuth>,
}

impl KeySpec {
    /// Parses the public and private parts of a key file.
    pub(super) fn new(id: u64, file: KeyFile, auth: Option<Auth>) -> Result<Self, TpmError> {
        let damaged = |_| TpmError::KeyFile(KeyFileError::Blob);
        let public = Public::try_from(PublicBuffer::unmarshall(&file.public).map_err(damaged)?)
            .map_err(damaged)?;
        let private =
            Private::try_from(file.private.get(2..).unwrap_or_default()).map_err(damaged)?;
        Ok(Self {
            id,
            file,
            public,
            private,
            auth: auth.map(Auth::into_inner),
        })
    }
}
