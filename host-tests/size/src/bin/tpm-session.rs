//! The driver, the pinned parent, a salted and encrypted session, and an HMAC by a loaded key.
#![no_std]
#![no_main]

use chanbind_size::{Pin, Rng, Spi, Timer, identity, program, size_of_future};
use chanbind_tpm_spi::{
    Contexts, ParentKey, Tpm,
    blocking::run,
    command::{Name, Template},
    key::{HmacKey, KeyBlobs, TpmKeys},
    session::AuthValue,
    tis::{ExclusiveBus, Tis},
};

/// The buffer and the identity of the firmware.
struct Inputs<'g> {
    buffer: &'g mut [u8],
    private: &'g [u8],
    public: &'g [u8],
    name: &'g [u8],
}

async fn hmac(inputs: Inputs<'_>) -> Option<u32> {
    let bus = ExclusiveBus::new(Spi, Pin);
    let chip = Tis::builder(bus, Timer).open().await.ok()?;
    let mut contexts = Contexts::new();
    let tpm = Tpm::new(chip, inputs.buffer, &mut contexts);
    let pinned = Name::new(inputs.name).ok()?;
    let mut keys = TpmKeys::new(tpm, Rng, ParentKey::Primary(Template::H2), pinned);
    let blobs = KeyBlobs::new(inputs.private, inputs.public)?;
    let mut key = HmacKey::new(blobs, AuthValue::empty()).ok()?;
    let mut out = [0; 32];
    keys.hmac(&mut key, &[&[7; 32]], &mut out).await.ok()?;
    Some(u32::from_be_bytes(*out.first_chunk()?))
}

type Chip = Tis<ExclusiveBus<Spi, Pin>, Timer>;

/// The arguments of [`use_key`].
struct UseKeyArguments {
    keys: &'static mut TpmKeys<'static, Chip, Rng>,
    key: &'static mut HmacKey<'static, 'static>,
    out: &'static mut [u8; 32],
}

async fn use_key(arguments: UseKeyArguments) -> bool {
    let UseKeyArguments { keys, key, out } = arguments;
    keys.hmac(key, &[&[7; 32]], out).await.is_ok()
}

/// The memory of the crate in bytes while a future waits for the chip: the list of contexts, the driver with its session, the
/// key, and the future.
#[unsafe(no_mangle)]
#[used]
static SIZE_OF_STATE: usize = size_of::<Contexts>()
    + size_of::<TpmKeys<'static, Chip, Rng>>()
    + size_of::<HmacKey<'static, 'static>>()
    + size_of_future(use_key as fn(UseKeyArguments) -> _);

program!({
    let (private, public, name) = identity();
    let inputs = Inputs {
        buffer: &mut [0; 512],
        private: &private,
        public: &public,
        name: &name,
    };
    run(hmac(inputs)).unwrap_or(1)
});
