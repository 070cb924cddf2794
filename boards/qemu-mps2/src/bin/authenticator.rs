//! A benchmark of the validation of authenticators: `cargo x bench` makes QEMU record the executed instructions. The input is in
//! the file `authenticator.bin`: the time, then fields that are each preceded by their length in two bytes.
#![no_std]
#![no_main]

use chanbind_board_qemu_mps2::{benchmark, stack};
use chanbind_core::{
    authenticator::{Client, Endpoint, RequestParameters, ValidateError},
    exporter::ExporterSecret,
    wire::{Reader, Truncated},
    x509::{Anchors, PathError, PathRules, SignatureScheme, Time, Usage},
};
use core::hint::black_box;
use cortex_m_rt::entry;
use defmt::unwrap;

/// The input.
struct Input<'i> {
    now: u64,
    authority: &'i [u8],
    /// One authenticator with a leaf certificate, and one with a leaf and an intermediate.
    authenticators: [&'i [u8]; 2],
    /// Public key, digest and signature for each signature of the authenticators: two in the first one, then three in the second.
    signatures: [&'i [u8]; 5],
}

#[entry]
fn main() -> ! {
    let mut bytes = [0; 8192];
    let len = unwrap!(benchmark::read(c"authenticator.bin", &mut bytes).ok());
    let input = unwrap!(Input::parse(bytes.get(..len).unwrap_or_default()).ok());
    let secret = ExporterSecret::sha256(&[7; 32]);
    let mut endpoint = endpoint_of(&secret);
    let mut all_valid = validate_one(&mut endpoint, &input).is_ok();
    all_valid &= bare_two(&input);
    let used = benchmark::prepare_stack();
    all_valid &= validate_two(&mut endpoint, &input).is_ok();
    let high_water = stack::high_water();
    all_valid &= bare_three(&input);
    benchmark::finish(high_water.saturating_sub(used), all_valid)
}

impl<'i> Input<'i> {
    fn parse(bytes: &'i [u8]) -> Result<Self, Truncated> {
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

/// Creates an endpoint, which exports its keys from the connection.
#[inline(never)]
fn endpoint_of(secret: &ExporterSecret) -> Endpoint<Client> {
    unwrap!(Endpoint::<Client>::new(secret).ok())
}

#[inline(never)]
fn validate_one(endpoint: &mut Endpoint<Client>, input: &Input<'_>) -> Result<(), ValidateError> {
    validate(endpoint, input, [1; 16], input.authenticators[0])
}

#[inline(never)]
fn validate_two(endpoint: &mut Endpoint<Client>, input: &Input<'_>) -> Result<(), ValidateError> {
    validate(endpoint, input, [2; 16], input.authenticators[1])
}

/// Creates a request, and validates the authenticator that answers it.
fn validate(
    endpoint: &mut Endpoint<Client>,
    input: &Input<'_>,
    context: [u8; 16],
    authenticator: &[u8],
) -> Result<(), ValidateError> {
    let schemes = [SignatureScheme::ECDSA_SECP256R1_SHA256];
    let parameters = RequestParameters::new(&context, &schemes);
    let request = endpoint.request(&parameters, [0; 64]);
    let request = request.map_err(|_| ValidateError::ContextsExhausted)?;
    let anchors = Anchors::new(&[input.authority]).map_err(ValidateError::Path)?;
    let rules = PathRules::new(&anchors, Usage::ServerAuth, Time::At(input.now));
    let validated = endpoint.validate(request, authenticator, &rules)?;
    let mut names = validated.leaf().subject_alt_names();
    black_box(names.next().is_some())
        .then_some(())
        .ok_or(ValidateError::Path(PathError::Name))
}

#[inline(never)]
fn bare_two(input: &Input<'_>) -> bool {
    let [leaf, own, ..] = input.signatures;
    benchmark::is_valid(leaf) & benchmark::is_valid(own)
}

#[inline(never)]
fn bare_three(input: &Input<'_>) -> bool {
    let [.., intermediate, leaf, own] = input.signatures;
    benchmark::is_valid(intermediate) & benchmark::is_valid(leaf) & benchmark::is_valid(own)
}
