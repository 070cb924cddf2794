//! Exported Authenticators (RFC 9261): recorded ones of an independent implementation, both roles, and all that is refused.

mod refused;
mod roles;
mod vectors;

use chanbind_core::{
    authenticator::{
        CertificateChain, Client, Endpoint, PendingRequest, Request, RequestParameters, Role, Server,
        Unsigned, ValidateError, Validated,
    },
    crypto::ecdsa::Signature,
    exporter::ExporterSecret,
    x509::{Anchors, PathRules, SignatureScheme, Time, Usage},
};
use chanbind_host_tests::pki::{Authority, Issued};
use p256::ecdsa::{SigningKey, signature::hazmat::PrehashSigner};
use rcgen::ExtendedKeyUsagePurpose;
use std::time::{SystemTime, UNIX_EPOCH};

const P256: SignatureScheme = SignatureScheme::ECDSA_SECP256R1_SHA256;

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

/// An authority, a client of it and a server.
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

fn for_clients(params: &mut rcgen::CertificateParams) {
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

fn ask<R: Role>(end: &mut Endpoint<R>, parameters: &RequestParameters<'_>) -> PendingRequest<Vec<u8>> {
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

fn answer<R: Role>(end: &mut Endpoint<R>, request: &[u8], who: &Issued) -> Vec<u8> {
    let request = Request::parse(request).unwrap();
    let certificates = [who.certificate.as_slice()];
    let mut out = vec![0; 4096];
    let chain = CertificateChain::new(&certificates, P256);
    sign(end.authenticate(&request, &chain, &mut out).unwrap(), &who.key)
}

/// What `end` says to an authenticator, by an authority.
fn judge<'a, R: Role>(
    end: &mut Endpoint<R>,
    pending: PendingRequest<Vec<u8>>,
    authenticator: &'a [u8],
    authority: &Authority,
) -> Result<Validated<'a>, ValidateError> {
    let anchors = Anchors::new(&[authority.certificate()]).unwrap();
    // The usage is the endpoint's to know.
    let rules = PathRules::new(&anchors, Usage::ServerAuth, now());
    end.validate(pending, authenticator, &rules)
}
