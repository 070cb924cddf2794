//! The baseline of the other programs: the drivers of the board that they use, and copies and fills of memory, which every
//! firmware has.
#![no_std]
#![no_main]

use chanbind_size::{Pin, Spi, identity, input, program};
use chanbind_tpm_spi::blocking::run;
use embedded_hal::digital::OutputPin;
use embedded_hal_async::spi::SpiBus;

async fn board(buffer: &mut [u8]) -> Option<u32> {
    let (private, public, name) = identity();
    let len = usize::try_from(input()).ok()?;
    buffer.get_mut(..len)?.fill(0);
    buffer.get_mut(..len)?.copy_from_slice(private.get(..len)?);
    buffer.copy_within(..len, len);
    let _ = Pin.set_low();
    for bytes in [&*buffer, &private, &public, &name] {
        Spi.write(bytes).await.ok()?;
    }
    Some(0)
}

program!(run(board(&mut [0; 512])).unwrap_or(1));
