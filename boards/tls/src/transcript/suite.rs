use super::TranscriptHash;
use crate::{
    record_filter::FilteredAead,
    slots::{DefaultSlots, HandshakeSlots},
};
use chanbind_core::exporter::ExporterSecret;
use core::marker::PhantomData;
use embedded_tls::TlsCipherSuite;
use sha2::{Sha256, Sha384};
use typenum::{Sum, U12, U16, U22, U32, U48};

/// A cipher suite whose connections have an exporter. Sealed.
pub trait Suite: TlsCipherSuite + sealed::Exports + 'static {
    /// The slots in which its handshakes are observed.
    type Slots: HandshakeSlots;
}

pub(crate) mod sealed {
    use chanbind_core::exporter::ExporterSecret;

    #[allow(unnameable_types, reason = "sealed")]
    pub trait Exports {
        /// Returns the exporter secret, or `None` if a length is not that of the suite's hash.
        fn exporter(main_secret: &[u8], transcript_hash: &[u8]) -> Option<ExporterSecret>;
    }
}

/// TLS_AES_128_GCM_SHA256, which every implementation of TLS 1.3 supports (RFC 8446 section 9.1). Handshakes are observed in the
/// slots `S`.
#[derive(Debug)]
pub struct Aes128GcmSha256<S = DefaultSlots>(PhantomData<fn() -> S>);

impl<S: HandshakeSlots> TlsCipherSuite for Aes128GcmSha256<S> {
    const CODE_POINT: u16 = 0x1301;
    type Cipher = FilteredAead<aes_gcm::Aes128Gcm>;
    type KeyLen = U16;
    type IvLen = U12;
    type Hash = TranscriptHash<Sha256, S>;
    type LabelBufferSize = Sum<U32, U22>;
}

impl<S: HandshakeSlots> Suite for Aes128GcmSha256<S> {
    type Slots = S;
}

impl<S> sealed::Exports for Aes128GcmSha256<S> {
    fn exporter(main_secret: &[u8], transcript_hash: &[u8]) -> Option<ExporterSecret> {
        Some(ExporterSecret::from_main_secret_sha256(
            main_secret.try_into().ok()?,
            transcript_hash.try_into().ok()?,
        ))
    }
}

/// TLS_AES_256_GCM_SHA384. Handshakes are observed in the slots `S`.
#[derive(Debug)]
pub struct Aes256GcmSha384<S = DefaultSlots>(PhantomData<fn() -> S>);

impl<S: HandshakeSlots> TlsCipherSuite for Aes256GcmSha384<S> {
    const CODE_POINT: u16 = 0x1302;
    type Cipher = FilteredAead<aes_gcm::Aes256Gcm>;
    type KeyLen = U32;
    type IvLen = U12;
    type Hash = TranscriptHash<Sha384, S>;
    type LabelBufferSize = Sum<U48, U22>;
}

impl<S: HandshakeSlots> Suite for Aes256GcmSha384<S> {
    type Slots = S;
}

impl<S> sealed::Exports for Aes256GcmSha384<S> {
    fn exporter(main_secret: &[u8], transcript_hash: &[u8]) -> Option<ExporterSecret> {
        Some(ExporterSecret::from_main_secret_sha384(
            main_secret.try_into().ok()?,
            transcript_hash.try_into().ok()?,
        ))
    }
}
