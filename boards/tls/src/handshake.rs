//! The handshake, and the state of a connection.

use crate::{
    config::{Authentication, Buffers, Config},
    error::ConnectError,
    slots::{Claim, HandshakeSlots},
    transcript::{Answers, Fault, Flight, Suite, TranscriptRng},
    verify::Verifier,
};
use chanbind_core::{
    crypto::wipe,
    exporter::{Exporter, ExporterError, ExporterSecret},
};
use core::marker::PhantomData;
use embedded_tls::{CryptoProvider, TlsConfig, TlsError, TlsVerifier};
use rand_core::{CryptoRng, CryptoRngCore, RngCore};
#[cfg(feature = "client-certificates")]
use {
    embedded_tls::{Certificate, SignatureScheme},
    p256::ecdsa::DerSignature,
};

/// A handshake: the [`CryptoProvider`] of embedded-tls, and the checks to be made once embedded-tls has opened the connection.
pub(crate) struct Handshake<'a, S, R> {
    config: &'a Config<'a>,
    verifier: Verifier<'a>,
    claim: Claim,
    rng: R,
    suite: PhantomData<fn() -> S>,
}

impl<'a, S: Suite, R: CryptoRng + RngCore> Handshake<'a, S, R> {
    /// Creates a handshake in `slot`. Not inlined, so that temporaries do not enlarge the caller's stack frame.
    #[inline(never)]
    pub(crate) fn begin<'s>(
        slot: &'s mut Option<Self>,
        config: &'a Config<'a>,
        rng: R,
        buffers: &Buffers<'_>,
    ) -> Result<&'s mut Self, ConnectError> {
        if buffers.write.len() < Buffers::MIN_WRITE || buffers.read.len() < Buffers::MIN_WRITE {
            return Err(ConnectError::Buffers);
        }
        Ok(slot.insert(Self {
            config,
            verifier: Verifier::new(&config.authentication, config.p256),
            claim: Claim::new(S::Slots::table()).ok_or(ConnectError::NoSlot)?,
            rng,
            suite: PhantomData,
        }))
    }

    #[inline(never)]
    pub(crate) fn tls_config(&self) -> TlsConfig<'a> {
        let mut tls = TlsConfig::new();
        if let Some(name) = self.config.server_name {
            tls = tls.with_server_name(name);
        }
        if let Some(len) = self.config.max_fragment_length {
            tls = tls.with_max_fragment_length(len);
        }
        if let Authentication::Psk { identity, key } = self.config.authentication {
            tls = tls.with_psk(key, &[identity]);
        }
        tls
    }

    /// Returns the exporter secret if embedded-tls opened the connection and the server is authenticated as configured.
    pub(crate) fn finish(
        &self,
        opened: Result<(), TlsError>,
    ) -> Result<ExporterSecret, ConnectError> {
        if let Some(refusal) = self.verifier.refusal {
            return Err(refusal);
        }
        opened.map_err(ConnectError::from_tls)?;
        match self.config.authentication {
            Authentication::Path { .. } | Authentication::Pin(_) => self.verifier.finish()?,
            // If the server had a different pre-shared key, its records could not have been decrypted.
            Authentication::Psk { .. } | Authentication::None => {}
        }
        self.check_flight()?;
        self.claim
            .with_captured(S::exporter)
            .ok_or(ConnectError::NoExporter)
    }
}

impl<S, R> Handshake<'_, S, R> {
    /// Checks that the server's messages were in order, and that its extensions answer ones that this client sent.
    fn check_flight(&self) -> Result<(), ConnectError> {
        let Flight {
            fault,
            answers: has,
            ..
        } = self.claim.flight();
        match fault {
            Some(Fault::Order) => return Err(ConnectError::MessageOrder),
            Some(Fault::NotOffered) => return Err(ConnectError::NotOffered),
            None => {}
        }
        let config = self.config;
        let sent = Answers {
            pre_shared_key: matches!(config.authentication, Authentication::Psk { .. }),
            server_name: config.server_name.is_some(),
            max_fragment_length: config.max_fragment_length.is_some(),
        };
        let is_unsolicited = (has.pre_shared_key && !sent.pre_shared_key)
            || (has.server_name && !sent.server_name)
            || (has.max_fragment_length && !sent.max_fragment_length);
        if is_unsolicited {
            return Err(ConnectError::NotOffered);
        }
        Ok(())
    }
}

impl<S: Suite, R: CryptoRng + RngCore> CryptoProvider for Handshake<'_, S, R> {
    type CipherSuite = S;
    #[cfg(feature = "client-certificates")]
    type Signature = DerSignature;
    #[cfg(not(feature = "client-certificates"))]
    type Signature = [u8; 0];

    fn rng(&mut self) -> impl CryptoRngCore {
        TranscriptRng::new(&mut self.rng, self.claim.id())
    }

    fn verifier(&mut self) -> Result<&mut impl TlsVerifier<S>, TlsError> {
        match self.config.authentication {
            Authentication::Path { .. } | Authentication::Pin(_) => Ok(&mut self.verifier),
            Authentication::Psk { .. } | Authentication::None => Err(TlsError::Unimplemented),
        }
    }

    #[cfg(feature = "client-certificates")]
    fn signer(
        &mut self,
    ) -> Result<(impl signature::SignerMut<DerSignature>, SignatureScheme), TlsError> {
        let client = self.config.client.as_ref();
        let key = client.ok_or(TlsError::InvalidPrivateKey)?.key.clone();
        Ok((key, SignatureScheme::EcdsaSecp256r1Sha256))
    }

    #[cfg(feature = "client-certificates")]
    fn client_cert(&mut self) -> Option<Certificate<impl AsRef<[u8]>>> {
        let client = self.config.client.as_ref()?;
        Some(Certificate::X509(client.certificate))
    }
}

/// Exports keying material; wipes `out` and fails without a secret, which is absent until the handshake completes.
pub(crate) fn export(
    exporter: Option<&ExporterSecret>,
    label: &[u8],
    context: Option<&[u8]>,
    out: &mut [u8],
) -> Result<(), ExporterError> {
    match exporter {
        Some(exporter) => exporter.export_keying_material(label, context, out),
        None => {
            wipe(out);
            Err(ExporterError::HandshakeIncomplete)
        }
    }
}

/// Prevents the use of a connection after an operation failed, or after the future of an operation was dropped before completion.
#[derive(Debug)]
pub(crate) struct Health {
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// A close_notify was received.
    Ended,
    /// An operation is in progress, has failed, or was dropped.
    InDoubt,
}

impl Health {
    pub(crate) const GOOD: Self = Self { state: State::Good };
    pub(crate) const NOT_OPEN: Self = Self {
        state: State::InDoubt,
    };

    /// Begins an operation. Returns false if a close_notify was received.
    pub(crate) fn begin(&mut self) -> Result<bool, crate::StreamError> {
        match self.state {
            State::Good => {
                self.state = State::InDoubt;
                Ok(true)
            }
            State::Ended => Ok(false),
            State::InDoubt => Err(crate::StreamError::Broken),
        }
    }

    /// Ends an operation with this result. A close_notify is returned as the default value.
    pub(crate) fn end<T: Default>(
        &mut self,
        result: Result<T, TlsError>,
    ) -> Result<T, crate::StreamError> {
        match result {
            Ok(value) => {
                self.state = State::Good;
                Ok(value)
            }
            Err(TlsError::ConnectionClosed) => {
                self.state = State::Ended;
                Ok(T::default())
            }
            Err(error) => Err(crate::StreamError::from_tls(error)),
        }
    }
}
