//! What async and blocking handshakes share.

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

/// One handshake: what embedded-tls asks for, and what is known when it has ended.
pub(crate) struct Handshake<'a, S, R> {
    config: &'a Config<'a>,
    verifier: Verifier<'a>,
    claim: Claim,
    rng: R,
    suite: PhantomData<fn() -> S>,
}

impl<'a, S: Suite, R: CryptoRng + RngCore> Handshake<'a, S, R> {
    /// Puts one into `slot`; in a frame of its own.
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

    /// The exporter secret, if embedded-tls opened the connection and the server is who it is to be.
    pub(crate) fn finish(
        &self,
        opened: Result<(), TlsError>,
    ) -> Result<ExporterSecret, ConnectError> {
        if let Some(refusal) = self.verifier.refusal {
            return Err(refusal);
        }
        opened.map_err(ConnectError::of)?;
        match self.config.authentication {
            Authentication::Path { .. } | Authentication::Pin(_) => self.verifier.finish()?,
            // With another key than the server's, what it sends cannot be decrypted.
            Authentication::Psk { .. } | Authentication::None => {}
        }
        self.check_flight()?;
        self.claim
            .captured(S::exporter)
            .ok_or(ConnectError::NoExporter)
    }
}

impl<S, R> Handshake<'_, S, R> {
    /// The server's flight must be in order, and answer what this client has sent.
    fn check_flight(&self) -> Result<(), ConnectError> {
        let Flight { fault, has, .. } = self.claim.flight();
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
        let is_unasked = (has.pre_shared_key && !sent.pre_shared_key)
            || (has.server_name && !sent.server_name)
            || (has.max_fragment_length && !sent.max_fragment_length);
        if is_unasked {
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

/// What a connection exports, whose handshake may not have ended.
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

/// Keeps a connection from being used after it failed, or after a future of it was dropped half way.
#[derive(Debug)]
pub(crate) struct Health {
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// close_notify has come.
    Ended,
    /// An operation is under way, or failed, or was dropped.
    InDoubt,
}

impl Health {
    pub(crate) const GOOD: Self = Self { state: State::Good };
    pub(crate) const NOT_OPEN: Self = Self {
        state: State::InDoubt,
    };

    /// Before an operation; false if nothing more can be read.
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

    /// After it.
    pub(crate) fn end<T: Default>(
        &mut self,
        done: Result<T, TlsError>,
    ) -> Result<T, crate::StreamError> {
        match done {
            Ok(done) => {
                self.state = State::Good;
                Ok(done)
            }
            Err(TlsError::ConnectionClosed) => {
                self.state = State::Ended;
                Ok(T::default())
            }
            Err(error) => Err(crate::StreamError::of(error)),
        }
    }
}
