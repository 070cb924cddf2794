//! Counts of the instructions and the stack that a Cortex-M4 needs to verify a server's blessings.

use crate::{
    Figure, Outcome,
    instructions::{run, stack_used, traced},
};
use chanbind::protocol::{
    blessing::{
        Algorithms, ClientExchange, EncodedBlessings, Evidence, MAX_AUTH_LEN, PublicKey,
        ServerExchange, auth_message,
    },
    crypto::ecdsa::{P256, PUBLIC_KEY_LEN, RUST_CRYPTO, Signature},
    exporter::ExporterSecret,
};
use chanbind::{proof::KeyHolder, proof::blessing::ALGORITHMS};
use chanbind_host_tests::{
    board::{Kind, built},
    principals::{blessed, named},
};
use std::sync::{Mutex, PoisonError};

/// ECDSA that keeps the public key, the digest and the signature of each verification.
#[derive(Debug)]
struct Kept(Mutex<Vec<Vec<u8>>>);

static KEPT: Kept = Kept(Mutex::new(Vec::new()));

impl P256 for Kept {
    fn verify(
        &self,
        public_key: &[u8; PUBLIC_KEY_LEN],
        digest: &[u8; 32],
        signature: &Signature,
    ) -> bool {
        let all = [&public_key[..], digest, &signature.r, &signature.s].concat();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(all);
        RUST_CRYPTO.verify(public_key, digest, signature)
    }
}

pub(crate) async fn figures() -> Outcome<Vec<Figure>> {
    let factory = named("factory");
    let gateway = blessed(&factory, "gateway", &[]);
    // The exporter of the board's program.
    let secret = ExporterSecret::sha256(&[7; 32]);
    let exchange = ServerExchange::new(&secret)?;
    let key = gateway.key();
    let public_key = PublicKey::parse(key.public_key(), &ALGORITHMS).ok_or("no public key")?;
    let request = exchange.request(&public_key)?;
    let answer = key.answer(request.key_request()).await?;
    let signature = request.finish(&answer)?;
    let mut message = [0; MAX_AUTH_LEN];
    let evidence = Evidence {
        blessings: gateway.blessings(),
        auth: auth_message(&signature, false, &mut message),
        ..Evidence::default()
    };
    let mut algorithms = Algorithms::DEFAULT;
    algorithms.p256 = &KEPT;
    let encoded = EncodedBlessings::parse(evidence.blessings)?;
    ClientExchange::new(&secret)?.verify(&encoded, &evidence, &algorithms)?;
    let signatures = std::mem::take(&mut *KEPT.0.lock().unwrap_or_else(PoisonError::into_inner));
    if signatures.len() != 3 {
        return Err(format!("{} signatures instead of 3", signatures.len()).into());
    }
    let mut file = Vec::new();
    let root = factory.key().public_key();
    let fields = [evidence.blessings, evidence.auth, root];
    for field in fields
        .into_iter()
        .chain(signatures.iter().map(Vec::as_slice))
    {
        file.extend(u16::try_from(field.len())?.to_be_bytes());
        file.extend(field);
    }
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("blessing.bin"), file)?;

    let program = built(Kind::QemuMps2, "blessing");
    let phases = [
        "benchmark::prepare_stack",
        "blessing::verify",
        "stack::high_water",
        "blessing::bare",
        "benchmark::finish",
    ];
    let counted = traced(&std::fs::read(&program)?, &phases, |trace| {
        run(&program, trace, folder.path())
    })?;
    let [_, verify, _, bare, _] = std::array::from_fn(|phase| counted.of_phase(phase));
    let figure = |name: &str, value: f64, unit| (format!("Cortex-M4: {name}"), value, unit);
    Ok(vec![
        figure(
            "verification of blessings of two certificates and the binding",
            verify,
            "instructions",
        ),
        figure(
            "blessings of two certificates and the binding / bare ECDSA verifications",
            verify / bare,
            "ratio",
        ),
        figure(
            "stack to verify blessings of two certificates (stack painting)",
            stack_used(folder.path())?,
            "bytes",
        ),
    ])
}
