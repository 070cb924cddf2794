use crate::{
    binding::Side,
    crypto::{HashAlgorithm, MAX_HASH_LEN, SecretBytes},
    exporter::{Exporter, ExporterError},
};

/// What authenticators of one side are made with (RFC 9261 section 5.1).
pub(super) struct EndpointKeys {
    hash: HashAlgorithm,
    handshake_context: SecretBytes<MAX_HASH_LEN>,
    finished_key: SecretBytes<MAX_HASH_LEN>,
}

impl EndpointKeys {
    /// For authenticators that `sender` sends.
    pub(super) fn export(
        channel: &dyn Exporter,
        hash: HashAlgorithm,
        sender: Side,
    ) -> Result<Self, ExporterError> {
        let [context_label, key_label]: [&[u8]; 2] = match sender {
            Side::Client => [
                b"EXPORTER-client authenticator handshake context",
                b"EXPORTER-client authenticator finished key",
            ],
            Side::Server => [
                b"EXPORTER-server authenticator handshake context",
                b"EXPORTER-server authenticator finished key",
            ],
        };
        let mut keys = Self {
            hash,
            handshake_context: SecretBytes::default(),
            finished_key: SecretBytes::default(),
        };
        for (label, value) in [
            (context_label, &mut keys.handshake_context),
            (key_label, &mut keys.finished_key),
        ] {
            // The context is empty, and there: in TLS 1.2 that is not the same as none.
            let out = value.get_mut(..hash.output_len()).unwrap_or_default();
            channel.export_keying_material(label, Some(&[]), out)?;
        }
        Ok(keys)
    }

    pub(super) fn copy(&self) -> Self {
        Self {
            hash: self.hash,
            handshake_context: SecretBytes::new(*self.handshake_context),
            finished_key: SecretBytes::new(*self.finished_key),
        }
    }

    pub(super) fn hash_len(&self) -> usize {
        self.hash.output_len()
    }

    /// Hash(Handshake Context || authenticator request || Certificate), and the same with CertificateVerify behind.
    pub(super) fn transcripts(
        &self,
        request: &[u8],
        certificate: &[u8],
        certificate_verify: &[u8],
    ) -> [Transcript; 2] {
        let len = self.hash_len();
        let context = self.handshake_context.get(..len).unwrap_or_default();
        let hashes = (self.hash).hash_twice(&[context, request, certificate], certificate_verify);
        hashes.map(|bytes| Transcript { bytes, len })
    }

    /// HMAC(Finished MAC Key, transcript) (section 5.2.3).
    pub(super) fn finished(&self, transcript: &Transcript) -> Transcript {
        let len = self.hash_len();
        let key = self.finished_key.get(..len).unwrap_or_default();
        Transcript {
            bytes: self.hash.hmac(key, transcript.as_bytes()),
            len,
        }
    }
}

/// The output of a hash, or of its HMAC.
pub(super) struct Transcript {
    bytes: [u8; MAX_HASH_LEN],
    len: usize,
}

impl Transcript {
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// What a CertificateVerify signs (section 5.2.2).
pub(super) struct Content {
    bytes: [u8; SIGNED_PREFIX.len() + MAX_HASH_LEN],
    len: usize,
}

impl Content {
    pub(super) fn new(transcript: &Transcript) -> Self {
        let transcript = transcript.as_bytes();
        let mut bytes = [0; SIGNED_PREFIX.len() + MAX_HASH_LEN];
        for (to, from) in bytes.iter_mut().zip(SIGNED_PREFIX.iter().chain(transcript)) {
            *to = *from;
        }
        Self {
            bytes,
            len: SIGNED_PREFIX.len().saturating_add(transcript.len()),
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// 64 spaces, the context string, and a zero.
const SIGNED_PREFIX: &[u8; 87] =
    b"                                                                Exported Authenticator\0";
