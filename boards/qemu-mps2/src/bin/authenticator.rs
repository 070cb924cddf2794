//! Authenticators validated, to be counted: `cargo x bench` has QEMU write down what is executed, and gives what is validated in the
//! file `authenticator.bin`: each field behind its length of two bytes.
#![no_std]
#![no_main]

use chanbind_board_qemu_mps2::{exit, stack};
use chanbind_core::{
    authenticator::{Client, Endpoint, RequestParameters, ValidateError},
    crypto::ecdsa::{RUST_CRYPTO, Signature},
    exporter::ExporterSecret,
    wire::{Reader, Truncated},
    x509::{Anchors, PathError, PathRules, SignatureScheme, Time, Usage},
};
use core::hint::black_box;
use cortex_m_rt::entry;
use defmt::unwrap;
use semihosting::{
    fs::File,
    io::{Read, Write},
};

/// What was given.
struct Given<'g> {
    now: u64,
    authority: &'g [u8],
    /// With a leaf, and with a leaf and an intermediate.
    authenticators: [&'g [u8]; 2],
    /// Public key, digest and signature, of all signatures in the second one; the last two are those of the first.
    signatures: [&'g [u8]; 5],
}

#[entry]
fn main() -> ! {
    let mut bytes = [0; 8192];
    let len = unwrap!(read(&mut bytes).ok());
    let given = unwrap!(Given::parse(bytes.get(..len).unwrap_or_default()).ok());
    let secret = ExporterSecret::sha256(&[7; 32]);
    let mut end = endpoint_of(&secret);
    let mut all = validate_one(&mut end, &given).is_ok();
    all &= bare_two(&given);
    let used = prepare_stack();
    all &= validate_two(&mut end, &given).is_ok();
    let water = stack::high_water();
    all &= bare_three(&given);
    finish(water.saturating_sub(used), all)
}

fn read(bytes: &mut [u8]) -> Result<usize, semihosting::io::Error> {
    let mut file = File::open(c"authenticator.bin")?;
    let mut len = 0;
    loop {
        match file.read(bytes.get_mut(len..).unwrap_or_default())? {
            0 => return Ok(len),
            more => len = len.saturating_add(more),
        }
    }
}

impl<'g> Given<'g> {
    fn parse(bytes: &'g [u8]) -> Result<Self, Truncated> {
        let mut fields = Reader::new(bytes);
        Ok(Self {
            now: u64::from_be_bytes(fields.array()?),
            authority: fields.sized16()?,
            authenticators: [fields.sized16()?, fields.sized16()?],
            signatures: [
                fields.sized16()?,
                fields.sized16()?,
                fields.sized16()?,
                fields.sized16()?,
                fields.sized16()?,
            ],
        })
    }
}

/// The exports that every endpoint begins with.
#[inline(never)]
fn endpoint_of(secret: &ExporterSecret) -> Endpoint<Client> {
    unwrap!(Endpoint::<Client>::new(secret).ok())
}

#[inline(never)]
fn validate_one(end: &mut Endpoint<Client>, given: &Given<'_>) -> Result<(), ValidateError> {
    validate(end, given, [1; 16], given.authenticators[0])
}

#[inline(never)]
fn validate_two(end: &mut Endpoint<Client>, given: &Given<'_>) -> Result<(), ValidateError> {
    validate(end, given, [2; 16], given.authenticators[1])
}

/// Asks, and validates the answer.
fn validate(
    end: &mut Endpoint<Client>,
    given: &Given<'_>,
    context: [u8; 16],
    authenticator: &[u8],
) -> Result<(), ValidateError> {
    let schemes = [SignatureScheme::ECDSA_SECP256R1_SHA256];
    let parameters = RequestParameters::new(&context, &schemes);
    let request = end.request(&parameters, [0; 64]);
    let request = request.map_err(|_| ValidateError::ContextsExhausted)?;
    let anchors = Anchors::new(&[given.authority]).map_err(ValidateError::Path)?;
    let rules = PathRules::new(&anchors, Usage::ServerAuth, Time::At(given.now));
    let validated = end.validate(request, authenticator, &rules)?;
    let mut names = validated.leaf().subject_alt_names();
    black_box(names.next().is_some())
        .then_some(())
        .ok_or(ValidateError::Path(PathError::Name))
}

#[inline(never)]
fn bare_two(given: &Given<'_>) -> bool {
    let [leaf, own, ..] = given.signatures;
    verified(leaf) & verified(own)
}

#[inline(never)]
fn bare_three(given: &Given<'_>) -> bool {
    let [.., intermediate, leaf, own] = given.signatures;
    verified(intermediate) & verified(leaf) & verified(own)
}

fn verified(signature: &[u8]) -> bool {
    let mut fields = Reader::new(signature);
    let (Ok(key), Ok(digest), Ok(r), Ok(s)) = (
        fields.array(),
        fields.array(),
        fields.array(),
        fields.array(),
    ) else {
        return false;
    };
    RUST_CRYPTO.verify(&key, &digest, &Signature { r, s })
}

/// Paints it, and gives what is in use.
#[inline(never)]
fn prepare_stack() -> usize {
    stack::paint();
    stack::used()
}

/// Writes down the stack that was used.
#[inline(never)]
fn finish(stack: usize, all: bool) -> ! {
    let written =
        File::create(c"stack.bin").and_then(|mut file| file.write_all(&stack.to_be_bytes()));
    exit::exit(i32::from(!all || written.is_err()))
}
