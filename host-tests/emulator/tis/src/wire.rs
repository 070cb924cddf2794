//! The SPI transport (PTP section 6.4.6): while the chip select is low, the chip sends one byte for each byte it receives.

use crate::chip::{Chip, Violation};

/// The progress of a transaction.
#[derive(Debug, Clone, Copy)]
enum Stage {
    /// The number of header bytes received.
    Header(usize),
    /// The number of wait states left.
    Wait(u32),
    /// The time until which wait states are inserted.
    Hold(u64),
    /// The number of data bytes transferred.
    Data(usize),
}

pub(crate) struct Wire {
    selected: bool,
    /// The time when the chip select last went high.
    deselected_at: Option<u64>,
    /// True if the chip sleeps during this transaction.
    lost: bool,
    awake_at: u64,
    header: [u8; 4],
    stage: Stage,
    pub(crate) transactions: u64,
    pub(crate) bytes: u64,
    pub(crate) mosi: Vec<u8>,
    pub(crate) miso: Vec<u8>,
}

impl Wire {
    pub(crate) fn new() -> Self {
        Self {
            selected: false,
            deselected_at: None,
            lost: false,
            awake_at: 0,
            header: [0; 4],
            stage: Stage::Header(0),
            transactions: 0,
            bytes: 0,
            mosi: Vec::new(),
            miso: Vec::new(),
        }
    }

    pub(crate) fn select(&mut self, chip: &mut Chip, now: u64) {
        if self.selected {
            return;
        }
        self.selected = true;
        self.stage = Stage::Header(0);
        self.transactions += 1;
        let number = self.transactions;
        let events: Vec<_> = chip
            .script
            .events
            .iter()
            .filter(|(at, _)| *at == number)
            .map(|(_, event)| *event)
            .collect();
        for event in events {
            chip.event(event, now);
        }
        let idle = self.deselected_at.map(|at| now.saturating_sub(at));
        if let Some(idle) = idle.filter(|&idle| idle < chip.script.min_idle) {
            chip.violations.push(Violation::Idle(idle));
        }
        let sleeps =
            (chip.script.sleeps_after).is_some_and(|after| idle.is_none_or(|idle| idle > after));
        if sleeps && now >= self.awake_at {
            self.awake_at = now + chip.script.wakes_in;
            self.lost = true;
        } else {
            self.lost = now < self.awake_at;
        }
    }

    pub(crate) fn deselect(&mut self, chip: &mut Chip, now: u64) {
        if !std::mem::replace(&mut self.selected, false) {
            return;
        }
        self.deselected_at = Some(now);
        if self.lost || chip.undriven_byte(now).is_some() {
            return;
        }
        let complete = matches!(self.stage, Stage::Data(done) if done == self.len());
        if !complete {
            chip.violations.push(Violation::CutShort);
        }
    }

    pub(crate) fn clock(&mut self, mosi: u8, chip: &mut Chip, now: u64) -> u8 {
        let miso = self.respond(mosi, chip, now);
        self.bytes += 1;
        self.mosi.push(mosi);
        self.miso.push(miso);
        miso
    }

    fn respond(&mut self, mosi: u8, chip: &mut Chip, now: u64) -> u8 {
        if !self.selected {
            chip.violations.push(Violation::NotSelected);
            return 0xff;
        }
        if let Some(undriven) = chip.undriven_byte(now) {
            // A chip that wakes in the middle of a transaction has missed its beginning, and waits for the next one.
            self.lost = true;
            return undriven;
        }
        if self.lost {
            return 0xff;
        }
        match self.stage {
            Stage::Header(at) => {
                self.header[at] = mosi;
                if at < 3 {
                    self.stage = Stage::Header(at + 1);
                    return 0;
                }
                if self.header[1] != 0xd4 {
                    chip.violations.push(Violation::Address(self.header[1]));
                }
                let hold = (chip.script.holds_off)(self.transactions);
                if hold > 0 {
                    self.stage = Stage::Hold(now + hold);
                    return 0;
                }
                match (chip.script.wait_states)(self.transactions) {
                    0 => {
                        self.stage = Stage::Data(0);
                        u8::from(!(chip.script.loses_ready)(self.transactions))
                    }
                    waits => {
                        self.stage = Stage::Wait(waits);
                        0
                    }
                }
            }
            Stage::Hold(until) => {
                if now >= until {
                    self.stage = Stage::Data(0);
                }
                u8::from(now >= until)
            }
            Stage::Wait(1) => {
                self.stage = Stage::Data(0);
                1
            }
            Stage::Wait(left) => {
                self.stage = Stage::Wait(left - 1);
                0
            }
            Stage::Data(done) => {
                if done >= self.len() || done >= 64 {
                    chip.violations.push(Violation::TooManyBytes);
                    return 0xff;
                }
                self.stage = Stage::Data(done + 1);
                let [direction, _, high, low] = self.header;
                let (locality, register) = (high >> 4, u16::from_be_bytes([high & 0x0f, low]));
                let offset = u16::try_from(done).unwrap_or(0);
                if direction & 0x80 != 0 {
                    chip.read(locality, register, offset, now)
                } else {
                    chip.write(locality, register, offset, mosi, now);
                    0
                }
            }
        }
    }

    fn len(&self) -> usize {
        usize::from(self.header[0] & 0x3f) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tpm::Computes;
    use std::io;

    /// A TPM that no command reaches.
    struct Unused;

    impl Computes for Unused {
        fn execute(&mut self, _: &[u8]) -> io::Result<Vec<u8>> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn reset(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_chip_that_wakes_within_a_transaction_ignores_the_rest_of_it() {
        let (mut wire, mut chip) = (Wire::new(), Chip::new(Box::new(Unused)));
        chip.script.start_up = 100;
        chip.reset(0);
        // A read of TPM_ACCESS begins while the chip starts, and its dummy bytes come later.
        let header = [0x80, 0xd4, 0, 0];
        wire.select(&mut chip, 99);
        wire.clock(header[0], &mut chip, 99);
        for byte in [0; 8] {
            wire.clock(byte, &mut chip, 101);
        }
        wire.deselect(&mut chip, 102);
        assert!(chip.violations.is_empty(), "{:?}", chip.violations);

        wire.select(&mut chip, 110);
        let last = header
            .map(|byte| wire.clock(byte, &mut chip, 110))
            .last()
            .copied();
        assert_eq!(last, Some(1), "the chip is ready");
        let access = wire.clock(0, &mut chip, 110);
        wire.deselect(&mut chip, 111);
        assert_eq!(access & 0x80, 0x80, "tpmRegValidSts is set: {access:02x}");
        assert!(chip.violations.is_empty(), "{:?}", chip.violations);
    }
}
