//! The drivers of an imaginary board. They access registers at fixed addresses, so that the compiler cannot evaluate the programs.
//! The programs are measured and never run.
#![no_std]

mod principal;

pub use principal::Principal;

use chanbind_core::{
    crypto::{
        HmacSha256State,
        ecdsa::{RUST_CRYPTO, Signature},
        sha256,
    },
    exporter::{Exporter, ExporterSecret},
    proof::{Fields, Inputs, Outcome, Prover, RequestTarget, ResponseHead, Step},
};
use core::{
    convert::Infallible,
    future::Future,
    ptr::{read_volatile, write_volatile},
};
use embedded_hal::digital::{ErrorType as PinErrorType, OutputPin};
use embedded_hal_async::{
    delay::DelayNs,
    spi::{ErrorType, SpiBus},
};
use p256::{
    EncodedPoint, PublicKey,
    ecdh::EphemeralSecret,
    elliptic_curve::sec1::{FromEncodedPoint, ToEncodedPoint},
};
use rand_core::{CryptoRng, Error, RngCore};

/// An SPI bus behind a data register.
pub struct Spi;

/// An output pin.
pub struct Pin;

/// A delay by a counter.
pub struct Timer;

/// A random number generator behind a register.
pub struct Rng;

const SPI: *mut u8 = 0x4000_0000 as *mut u8;
const PIN: *mut u32 = 0x4000_1000 as *mut u32;
const TIMER: *mut u32 = 0x4000_2000 as *mut u32;
const RNG: *mut u32 = 0x4000_3000 as *mut u32;

fn exchange(byte: u8) -> u8 {
    // SAFETY: the address is a register of an imaginary board; this code is measured and never run.
    unsafe {
        write_volatile(SPI, byte);
        read_volatile(SPI)
    }
}

/// Returns a word that the optimizer cannot predict.
pub fn input() -> u32 {
    // SAFETY: as above.
    unsafe { read_volatile(RNG) }
}

/// Consumes a word, so that the optimizer cannot remove its computation.
pub fn output(word: u32) {
    // SAFETY: as above.
    unsafe { write_volatile(PIN, word) }
}

impl ErrorType for Spi {
    type Error = Infallible;
}

impl SpiBus for Spi {
    async fn read(&mut self, words: &mut [u8]) -> Result<(), Infallible> {
        words.iter_mut().for_each(|word| *word = exchange(0));
        Ok(())
    }

    async fn write(&mut self, words: &[u8]) -> Result<(), Infallible> {
        words.iter().for_each(|&word| {
            exchange(word);
        });
        Ok(())
    }

    async fn transfer(&mut self, read: &mut [u8], write: &[u8]) -> Result<(), Infallible> {
        for (to, from) in read.iter_mut().zip(write) {
            *to = exchange(*from);
        }
        Ok(())
    }

    async fn transfer_in_place(&mut self, words: &mut [u8]) -> Result<(), Infallible> {
        words.iter_mut().for_each(|word| *word = exchange(*word));
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl PinErrorType for Pin {
    type Error = Infallible;
}

impl OutputPin for Pin {
    fn set_low(&mut self) -> Result<(), Infallible> {
        output(0);
        Ok(())
    }

    fn set_high(&mut self) -> Result<(), Infallible> {
        output(1);
        Ok(())
    }
}

fn wait(ticks: u32) {
    // SAFETY: as above.
    unsafe {
        write_volatile(TIMER, ticks);
        while read_volatile(TIMER) != 0 {}
    }
}

impl DelayNs for Timer {
    async fn delay_ns(&mut self, ns: u32) {
        wait(ns / 1000);
    }

    async fn delay_us(&mut self, us: u32) {
        wait(us);
    }

    async fn delay_ms(&mut self, ms: u32) {
        wait(ms.saturating_mul(1000));
    }
}

impl RngCore for Rng {
    fn next_u32(&mut self) -> u32 {
        input()
    }

    fn next_u64(&mut self) -> u64 {
        u64::from(input()) << 32 | u64::from(input())
    }

    fn fill_bytes(&mut self, dest: &mut [u8]) {
        dest.iter_mut()
            .for_each(|byte| *byte = input().to_le_bytes()[0]);
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

impl CryptoRng for Rng {}

/// Returns `len` bytes that the optimizer cannot predict.
pub fn bytes(len: usize) -> &'static [u8] {
    let address = 0x4001_0000 as *const u8;
    // SAFETY: as above, for memory of the imaginary board.
    unsafe { core::slice::from_raw_parts(core::hint::black_box(address), len) }
}

/// Copies and fills memory, as every firmware does.
pub fn fill() {
    let words = core::hint::black_box([0u64; 40]);
    let buffer = &mut core::hint::black_box([0; 512]);
    let len = (input() as usize).min(512);
    buffer[..len].copy_from_slice(bytes(len));
    output(u32::from(buffer[511]));
    core::hint::black_box(&mut buffer[..len]).fill(0);
    output(u32::from(core::hint::black_box(&mut *buffer)[0]) + words[0] as u32);
}

/// Returns the blobs of a key, TPM2B_PRIVATE and TPM2B_PUBLIC, and the name of its parent.
pub fn identity() -> ([u8; 138], [u8; 50], [u8; 34]) {
    let mut bytes = (0..222).map(|_| input().to_le_bytes()[0]);
    let mut next = || bytes.next().unwrap_or_default();
    let (mut private, mut public, mut name) = ([0; 138], [0; 50], [0; 34]);
    private.fill_with(&mut next);
    public.fill_with(&mut next);
    name.fill_with(&mut next);
    (private, public, name)
}

/// Uses what every firmware with TLS 1.3 has: an exporter, key agreement and signatures on P-256, SHA-256, HMAC and HKDF.
pub fn primitives() -> Option<u32> {
    let channel = ExporterSecret::sha256(bytes(32).first_chunk()?);
    let mut exported = [0; 32];
    (channel.export_keying_material(bytes(20), Some(bytes(8)), &mut exported)).ok()?;
    fill();
    let point = EncodedPoint::from_bytes(bytes(65)).ok()?;
    let point = Option::<PublicKey>::from(PublicKey::from_encoded_point(&point))?;
    let secret = EphemeralSecret::random(&mut Rng);
    let shared = secret.diffie_hellman(&point);
    let own = secret.public_key().to_encoded_point(false);
    let mac = HmacSha256State::new(shared.raw_secret_bytes()).mac_of_parts(&[own.as_bytes()]);
    let signature = Signature::from_der(bytes(72)).ok()?;
    let verified = RUST_CRYPTO.verify(bytes(65).first_chunk()?, &sha256(&mac), &signature);
    let text = str::from_utf8(bytes(20)).ok()?;
    Some(u32::from(verified) + u32::from(text.contains("name")))
}

/// The head of a response.
struct Head;

impl ResponseHead for Head {
    fn status(&self) -> u16 {
        bytes(2)
            .first_chunk()
            .copied()
            .map_or(0, u16::from_le_bytes)
    }

    fn field(&self, _: &str, nth: usize) -> Option<&[u8]> {
        (nth < 2).then(|| bytes(400))
    }
}

/// Carries out the exchanges of a prover, as every firmware with proofs in header fields does.
pub fn drive(prover: &mut impl Prover) -> Option<u32> {
    let channel = ExporterSecret::sha256(bytes(32).first_chunk()?);
    let inputs = Inputs {
        unix_time: None,
        random: bytes(64).first_chunk()?,
    };
    let target = RequestTarget {
        method: "GET",
        authority: "gateway.example",
        path: "/",
    };
    let Step::Send = prover.begin(&channel, &inputs) else {
        return None;
    };
    loop {
        let mut buffer = [0; 1400];
        let mut fields = Fields::new(&mut buffer);
        prover.write_fields(&target, &inputs, &mut fields).ok()?;
        for (_, value) in fields.iter() {
            output(u32::try_from(value.len()).ok()?);
        }
        fill();
        let step = match prover.response(&Head, &inputs) {
            Step::Key(_) => prover.answered(bytes(72)),
            step => step,
        };
        match step {
            Step::Send => {}
            Step::Done(Outcome::Proved) => return Some(0),
            _ => return None,
        }
    }
}

/// Returns a text that the optimizer cannot predict.
pub fn text(len: usize) -> Option<&'static str> {
    str::from_utf8(bytes(len)).ok()
}

/// Returns the size in bytes of the future that an async function returns.
pub const fn size_of_future<A, F: Future>(_: fn(A) -> F) -> usize {
    size_of::<F>()
}

/// Defines the panic handler and the entry point of a program, which outputs the value of `$body`.
#[macro_export]
macro_rules! program {
    ($body:expr) => {
        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
            loop {}
        }

        #[unsafe(no_mangle)]
        extern "C" fn _start() -> ! {
            $crate::output($body);
            loop {}
        }
    };
}
