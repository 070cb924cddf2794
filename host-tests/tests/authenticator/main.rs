//! Tests of Exported Authenticators (RFC 9261): recorded ones of an independent implementation, valid ones of both roles, and
//! rejected ones.
#![cfg(test)]
#![allow(clippy::arithmetic_side_effects, reason = "a panic fails the test")]

mod gateway;
mod refused;
mod roles;
mod vectors;

use chanbind::tls;
use chanbind_core::{
    authenticator::{
        CertificateChain, Client, Endpoint, Extension, ExtensionType, Offered, PendingRequest,
        Request, RequestParameters, Role, Server, Unsigned, ValidateError, Validated,
    },
    crypto::ecdsa::Signature,
    exporter::ExporterSecret,
    x509::{Anchors, PathRules, SignatureScheme, Time, Usage},
};
use chanbind_host_tests::pki::{Authority, Issued};
use p256::ecdsa::{SigningKey, signature::hazmat::PrehashSigner};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, SignatureAlgorithm,
};
use rustls::{crypto::aws_lc_rs, pki_types::PrivateKeyDer};
use std::time::{SystemTime, UNIX_EPOCH};

const P256: SignatureScheme = SignatureScheme::ECDSA_SECP256R1_SHA256;

/// The contents of the ClientHello on connections with spontaneous authenticators.
const OFFERED: Offered<'_> = Offered {
    signature_algorithms: &[P256],
    signature_algorithms_cert: &[],
    extensions: &[
        ExtensionType::SERVER_NAME,
        ExtensionType::STATUS_REQUEST,
        ExtensionType::SIGNATURE_ALGORITHMS,
    ],
};

/// The two ends of a connection.
struct Connection {
    client: Endpoint<Client>,
    server: Endpoint<Server>,
}

impl Connection {
    fn new(number: u8) -> Self {
        Self::of(&ExporterSecret::sha256(&[number; 32]))
    }

    fn sha384(number: u8) -> Self {
        Self::of(&ExporterSecret::sha384(&[number; 48]))
    }

    fn of(secret: &ExporterSecret) -> Self {
        Self {
            client: Endpoint::new(secret).unwrap(),
            server: Endpoint::new(secret).unwrap(),
        }
    }
}

/// An authority, and a client and a server with certificates of this authority.
struct Pki {
    authority: Authority,
    client: Issued,
    server: Issued,
}

impl Pki {
    fn new() -> Self {
        let authority = Authority::new("authority").unwrap();
        Self {
            client: client_of(&authority),
            server: authority.issue(|_| {}).unwrap(),
            authority,
        }
    }
}

fn client_of(authority: &Authority) -> Issued {
    authority.issue(for_clients).unwrap()
}

fn for_clients(params: &mut CertificateParams) {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
}

fn now() -> Time {
    Time::At(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs(),
    )
}

fn parameters(context: &[u8]) -> RequestParameters<'_> {
    RequestParameters::new(context, &[P256])
}

/// Creates a request with these parameters.
fn create_request<R: Role>(
    end: &mut Endpoint<R>,
    parameters: &RequestParameters<'_>,
) -> PendingRequest<R, Vec<u8>> {
    let buffer = vec![0; parameters.encoded_len()];
    end.request(parameters, buffer).unwrap()
}

fn sign(unsigned: Unsigned<'_, '_>, key: &SigningKey) -> Vec<u8> {
    let signature: p256::ecdsa::Signature = key.sign_prehash(&unsigned.sha256()).unwrap();
    let (r, s) = signature.split_bytes();
    let signature = Signature {
        r: r.into(),
        s: s.into(),
    };
    unsigned.sign_ecdsa(&signature).unwrap().to_vec()
}

/// Returns an authenticator for `request` with the certificate and key of `identity`.
fn authenticate<R: Role>(end: &mut Endpoint<R>, request: &[u8], identity: &Issued) -> Vec<u8> {
    let request = Request::parse(request).unwrap();
    let certificates = [identity.certificate.as_slice()];
    let mut out = vec![0; 4096];
    let chain = CertificateChain::new(&certificates, P256);
    sign(
        end.authenticate(&request, &chain, &mut out).unwrap(),
        &identity.key,
    )
}

/// Returns a spontaneous authenticator of a server.
fn authenticate_spontaneously(
    server: &mut Endpoint<Server>,
    context: &[u8],
    identity: &Issued,
) -> Vec<u8> {
    let certificates = [identity.certificate.as_slice()];
    let mut out = vec![0; 4096];
    let chain = CertificateChain::new(&certificates, P256);
    let unsigned = server.authenticate_spontaneously(context, &OFFERED, &chain, &mut out);
    sign(unsigned.unwrap(), &identity.key)
}

/// Returns the empty authenticator for `request`.
fn decline<R: Role>(end: &mut Endpoint<R>, request: &[u8]) -> Vec<u8> {
    let request = Request::parse(request).unwrap();
    end.decline(&request, &mut [0; 52]).unwrap().to_vec()
}

/// Validates an authenticator for `pending` with `authority` as the trust anchor.
fn validate<'a, R: Role>(
    end: &mut Endpoint<R>,
    pending: PendingRequest<R, Vec<u8>>,
    authenticator: &'a [u8],
    authority: &Authority,
) -> Result<Validated<'a>, ValidateError> {
    let anchors = Anchors::new(&[authority.certificate()]).unwrap();
    // The endpoint replaces the usage by that of its peer.
    let rules = PathRules::new(&anchors, Usage::ServerAuth, now());
    end.validate(pending, authenticator, &rules)
}

/// Validates a spontaneous authenticator with `authority` as the trust anchor.
fn validate_spontaneous<'a>(
    client: &mut Endpoint<Client>,
    authenticator: &'a [u8],
    authority: &Authority,
) -> Result<Validated<'a>, ValidateError> {
    let anchors = Anchors::new(&[authority.certificate()]).unwrap();
    let rules = PathRules::new(&anchors, Usage::ClientAuth, now());
    client.validate_spontaneous(&OFFERED, authenticator, &rules)
}

/// A client with a key of any kind, and its authority, whose key is of the same kind.
struct OtherKey {
    authority: Vec<u8>,
    certificate: Vec<u8>,
    key: KeyPair,
}

impl OtherKey {
    fn new(algorithm: &'static SignatureAlgorithm) -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate_for(algorithm).unwrap();
        let authority = CertifiedIssuer::self_signed(authority, key).unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        for_clients(&mut params);
        params.distinguished_name.push(DnType::CommonName, "client");
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        Self {
            authority: authority.der().to_vec(),
            certificate: certificate.der().to_vec(),
            key,
        }
    }

    /// Signs `message` with aws-lc-rs by a signature scheme of TLS 1.3.
    fn sign(&self, scheme: SignatureScheme, message: &[u8]) -> Vec<u8> {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
        let signer = key.choose_scheme(&[scheme.0.into()]).unwrap();
        signer.sign(message).unwrap()
    }

    /// Validates an authenticator as a server with the host's signature algorithms.
    fn validate_as_server<'a>(
        &self,
        server: &mut Endpoint<Server>,
        pending: PendingRequest<Server, Vec<u8>>,
        authenticator: &'a [u8],
    ) -> Result<Validated<'a>, ValidateError> {
        let anchors = Anchors::new(&[&self.authority]).unwrap();
        let rules = PathRules::new(&anchors, Usage::ClientAuth, now())
            .with_algorithms(tls::signature_algorithms());
        server.validate(pending, authenticator, &rules)
    }
}
