use crate::{
    binding::Side,
    crypto::{HashAlgorithm, HashOutput, MAX_HASH_LEN, SecretBytes},
    exporter::{Exporter, ExporterError},
};
use heapless::Vec;

/// The keys for authenticators that one side sends (RFC 9261 section 5.1).
pub(super) struct EndpointKeys {
    hash: HashAlgorithm,
    handshake_context: SecretBytes<MAX_HASH_LEN>,
    finished_key: SecretBytes<MAX_HASH_LEN>,
}

impl EndpointKeys {
    /// Exports the keys for authenticators that `sender` sends.
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
            // The context is present and empty. In TLS 1.2 an empty context differs from an absent one.
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

    /// Returns Hash(Handshake Context || authenticator request || Certificate), and the hash of the same with CertificateVerify
    /// appended.
    pub(super) fn transcripts(
        &self,
        request: &[u8],
        certificate: &[u8],
        certificate_verify: &[u8],
    ) -> [HashOutput; 2] {
        let len = self.hash_len();
        let context = self.handshake_context.get(..len).unwrap_or_default();
        (self.hash).hash_twice(&[context, request, certificate], certificate_verify)
    }

    /// Returns HMAC(Finished MAC Key, transcript) (RFC 9261 section 5.2.3).
    pub(super) fn finished(&self, transcript: &HashOutput) -> HashOutput {
        let len = self.hash_len();
        let key = self.finished_key.get(..len).unwrap_or_default();
        self.hash.hmac(key, transcript)
    }
}

/// The content that the signature in a CertificateVerify covers (RFC 9261 section 5.2.2).
pub(super) type Content = Vec<u8, { SIGNED_PREFIX.len() + MAX_HASH_LEN }>;

/// Returns the content to be signed for a transcript.
pub(super) fn content(transcript: &HashOutput) -> Content {
    let mut content = Content::new();
    // Cannot fail: the capacity is that of the prefix and the longest hash.
    let _ = content.extend_from_slice(SIGNED_PREFIX);
    let _ = content.extend_from_slice(transcript);
    content
}

/// The prefix of the signed content: 64 spaces, the context string and a zero byte.
const SIGNED_PREFIX: &[u8; 87] =
    b"                                                                Exported Authenticator\0";
