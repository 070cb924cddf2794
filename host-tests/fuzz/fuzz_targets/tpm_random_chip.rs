//! A bus that returns the bytes of the input: the driver returns in bounded time by its own clock and does not panic.
#![no_main]

use chanbind_tpm_spi::{
    Contexts, Tpm,
    blocking::run,
    tis::{Data, Tis, Transport, TransportError},
};
use embedded_hal_async::delay::DelayNs;
use libfuzzer_sys::fuzz_target;
use std::{cell::Cell, convert::Infallible};

struct Bytes<'d> {
    rest: std::slice::Iter<'d, u8>,
    /// The byte that is returned after all others have been read.
    last: u8,
    transfers: u32,
}

impl Transport for Bytes<'_> {
    type Error = Infallible;

    async fn transfer(
        &mut self,
        _: &mut impl DelayNs,
        header: [u8; 4],
        data: Data<'_>,
    ) -> Result<(), TransportError<Infallible>> {
        assert_eq!(header[1], 0xd4);
        self.transfers += 1;
        assert!(self.transfers < 300_000, "the driver does not stop");
        let len = usize::from(header[0] & 0x3f) + 1;
        match data {
            Data::Read(data) => {
                assert_eq!((header[0] & 0x80, data.len()), (0x80, len));
                for byte in data {
                    *byte = self.rest.next().copied().unwrap_or(self.last);
                }
            }
            Data::Write(data) => assert_eq!((header[0] & 0x80, data.len()), (0, len)),
        }
        Ok(())
    }
}

struct Clock<'c>(&'c Cell<u64>);

impl DelayNs for Clock<'_> {
    async fn delay_ns(&mut self, ns: u32) {
        self.0.set(self.0.get() + u64::from(ns));
    }

    async fn delay_us(&mut self, us: u32) {
        self.0.set(self.0.get() + u64::from(us) * 1_000);
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&last, rest)) = bytes.split_first() else {
        return;
    };
    let clock = Cell::new(0);
    let transport = Bytes {
        rest: rest.iter(),
        last,
        transfers: 0,
    };
    let Ok(chip) = run(Tis::builder(transport, Clock(&clock)).open()) else {
        return;
    };
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let mut tpm = Tpm::new(chip, &mut buffer, &mut contexts);
    for _ in 0..3 {
        let _ = run(tpm.random(&mut [0; 40]));
    }
    // Each of the three calls sends a few commands of at most 2 s, with cancellations and retries.
    assert!(clock.get() < 300_000_000_000, "{}", clock.get());
});
