//! A maker of authenticators that shares only the exporter with core. It is written from the text of RFC 9261 and can do each
//! step wrong. Its authenticators have a valid Finished and a valid signature unless a test changes them.

use chanbind_core::{
    binding::Side,
    exporter::{Exporter, ExporterSecret},
};
use chanbind_host_tests::pki::Issued;
use hmac::{Hmac, Mac};
use p256::ecdsa::{SigningKey, signature::Signer};
use sha2::{Digest, Sha256};

pub(super) const CERTIFICATE: u8 = 11;
pub(super) const CERTIFICATE_VERIFY: u8 = 15;
pub(super) const FINISHED: u8 = 20;

/// The context string of the signature (RFC 9261 section 5.2.2).
pub(super) const CONTEXT_STRING: &[u8] = b"Exported Authenticator";

/// A place for stray bytes. The lengths of the surrounding fields include them, and Finished and the signature cover them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// After the last extension of the first entry, within the list of extensions.
    EntryExtensions,
    /// After the last entry, within the list of entries.
    Entries,
    /// After the list of entries, within the message Certificate.
    Certificate,
    /// After the certificate of the first entry, within its length.
    Der,
    /// After the signature, within its length.
    Signature,
    /// After the signature, within the message CertificateVerify.
    CertificateVerify,
    /// After verify_data, within the message Finished.
    Finished,
    /// After the last message.
    Authenticator,
}

/// A function that returns the signature of its argument.
pub(super) type Sign<'a> = Box<dyn Fn(&[u8]) -> Vec<u8> + 'a>;

/// A function that changes bytes.
pub(super) type Change = fn(&[u8]) -> Vec<u8>;

/// The parameters of an authenticator.
pub(super) struct Maker<'a> {
    /// The number of the [`crate::Connection`], which uses SHA-256.
    pub(super) connection: u8,
    /// The side whose exporter label of the handshake context is used.
    pub(super) sender: Side,
    /// The side whose exporter label of the Finished MAC Key is used.
    pub(super) finished_by: Side,
    /// The request in the transcript; empty for a spontaneous authenticator.
    pub(super) request: &'a [u8],
    pub(super) context: &'a [u8],
    /// Certificates with their encoded extensions, without the length of the list of extensions.
    pub(super) entries: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) scheme: u16,
    pub(super) context_string: &'a [u8],
    pub(super) signer: Sign<'a>,
    pub(super) stray: Option<(Place, &'a [u8])>,
    /// The message Certificate that is sent instead of the one that the signature and Finished cover.
    pub(super) sent_certificate: Option<Vec<u8>>,
}

impl<'a> Maker<'a> {
    /// Creates the parameters of an honest authenticator for `request` on connection 1.
    pub(super) fn new(
        sender: Side,
        request: &'a [u8],
        context: &'a [u8],
        identity: &'a Issued,
    ) -> Self {
        Self {
            connection: 1,
            sender,
            finished_by: sender,
            request,
            context,
            entries: vec![(identity.certificate.clone(), Vec::new())],
            scheme: 0x0403,
            context_string: CONTEXT_STRING,
            signer: Box::new(|message| by_p256(&identity.key, message)),
            stray: None,
            sent_certificate: None,
        }
    }

    pub(super) fn make(&self) -> Vec<u8> {
        let certificate = self.certificate();
        let signature = [&self.signature(), self.stray(Place::Signature)].concat();
        let verify = [
            &self.scheme.to_be_bytes(),
            &*sized(2, &signature),
            self.stray(Place::CertificateVerify),
        ];
        let verify = message(CERTIFICATE_VERIFY, &verify.concat());
        let finished = self.finished(&[&*self.before_verify(), &verify].concat());
        let sent = self.sent_certificate.clone().unwrap_or(certificate);
        let behind = self.stray(Place::Authenticator);
        [&sent, &verify, &*finished, behind].concat()
    }

    /// Returns the signature over the transcript.
    pub(super) fn signature(&self) -> Vec<u8> {
        let transcript = Sha256::digest(self.before_verify());
        (self.signer)(&[&[0x20; 64], self.context_string, &[0], &transcript].concat())
    }

    /// Returns Handshake Context || authenticator request || Certificate.
    fn before_verify(&self) -> Vec<u8> {
        [&self.handshake_context(), self.request, &self.certificate()].concat()
    }

    /// Returns the empty authenticator (RFC 9261 section 6).
    pub(super) fn empty(&self) -> Vec<u8> {
        let certificate = [sized(1, self.context), sized(3, &[])].concat();
        let certificate = message(CERTIFICATE, &certificate);
        let transcript = [&self.handshake_context(), self.request, &certificate].concat();
        let finished = self.finished(&transcript);
        [finished.as_slice(), self.stray(Place::Authenticator)].concat()
    }

    pub(super) fn certificate(&self) -> Vec<u8> {
        let mut entries = Vec::new();
        for (at, (certificate, extensions)) in self.entries.iter().enumerate() {
            let first = |place| if at == 0 { self.stray(place) } else { &[] };
            let certificate = [certificate, first(Place::Der)].concat();
            let extensions = [extensions, first(Place::EntryExtensions)].concat();
            entries.extend([sized(3, &certificate), sized(2, &extensions)].concat());
        }
        entries.extend_from_slice(self.stray(Place::Entries));
        let body = [
            &*sized(1, self.context),
            &*sized(3, &entries),
            self.stray(Place::Certificate),
        ];
        message(CERTIFICATE, &body.concat())
    }

    fn finished(&self, transcript: &[u8]) -> Vec<u8> {
        let key = self.exported(self.finished_by, "finished key");
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(&Sha256::digest(transcript));
        let verify_data = mac.finalize().into_bytes();
        let verify_data = [verify_data.as_slice(), self.stray(Place::Finished)].concat();
        message(FINISHED, &verify_data)
    }

    fn handshake_context(&self) -> Vec<u8> {
        self.exported(self.sender, "handshake context")
    }

    fn exported(&self, side: Side, name: &str) -> Vec<u8> {
        let side = match side {
            Side::Client => "client",
            Side::Server => "server",
        };
        let label = format!("EXPORTER-{side} authenticator {name}");
        let mut out = vec![0; 32];
        ExporterSecret::sha256(&[self.connection; 32])
            .export_keying_material(label.as_bytes(), Some(&[]), &mut out)
            .unwrap();
        out
    }

    fn stray(&self, place: Place) -> &[u8] {
        match self.stray {
            Some((at, bytes)) if at == place => bytes,
            _ => &[],
        }
    }
}

/// Signs with ECDSA on P-256 and SHA-256. Returns the signature in DER.
pub(super) fn by_p256(key: &SigningKey, message: &[u8]) -> Vec<u8> {
    let signature: p256::ecdsa::Signature = key.sign(message);
    signature.to_der().as_bytes().to_vec()
}

/// Returns `contents` after their length in `width` bytes.
pub(super) fn sized(width: usize, contents: &[u8]) -> Vec<u8> {
    let len = contents.len().to_be_bytes();
    [&len[len.len() - width..], contents].concat()
}

/// Encodes a handshake message.
pub(super) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind], &*sized(3, body)].concat()
}

/// Encodes an extension.
pub(super) fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes(), &*sized(2, data)].concat()
}
