//! A firmware that verifies a server with P-256, SHA-256 and a certificate path, as a firmware with TLS does: the baseline for
//! `authenticator`.
#![no_std]
#![no_main]

use chanbind_core::{
    crypto::{
        HmacSha256State,
        ecdsa::{RUST_CRYPTO, Signature},
        sha256,
    },
    exporter::{Exporter, ExporterSecret},
    x509::{Anchors, PathRules, PublicKey, Time, Usage},
};
use chanbind_size::{bytes, fill, program};

fn verified() -> Option<u32> {
    let channel = ExporterSecret::sha256(bytes(32).first_chunk()?);
    let mut exported = [0; 32];
    (channel.export_keying_material(bytes(20), Some(bytes(8)), &mut exported)).ok()?;
    fill();
    let anchors = Anchors::new(&[bytes(500)]).ok()?;
    let rules = PathRules::new(&anchors, Usage::ServerAuth, Time::At(1_800_000_000));
    let leaf = rules.verify(bytes(500), [bytes(500)]).ok()?;
    leaf.has_name("gateway.example").ok()?;
    let PublicKey::P256(point) = leaf.public_key().ok()? else {
        return None;
    };
    let signature = Signature::from_der(bytes(72)).ok()?;
    let digest = HmacSha256State::new(&exported).mac_of_parts(&[&sha256(bytes(100))]);
    Some(u32::from(RUST_CRYPTO.verify(&point, &digest, &signature)))
}

program!(verified().unwrap_or(2));
