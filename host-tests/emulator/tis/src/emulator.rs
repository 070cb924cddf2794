use crate::{
    Bus, ChipSelect, Computes, Delay, Device, Event, Interrupt, ResetPin, Script, Violation,
    chip::Chip, wire::Wire,
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// The emulated chip. Clones are the same chip.
#[derive(Clone)]
pub struct Emulator(Arc<Mutex<Inner>>);

pub(crate) struct Inner {
    chip: Chip,
    wire: Wire,
    clock: Clock,
    in_reset: bool,
    /// When RST# rose, and whether the chip has been spoken to since.
    released_at: Option<u64>,
    spoken_to: bool,
    pub(crate) pending: bool,
}

enum Clock {
    /// Microseconds: pauses and bytes move it.
    Virtual(u64),
    Wall(Instant),
}

/// What has passed the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Bytes clocked.
    pub bytes: u64,
    /// Times that the chip select went low.
    pub transactions: u64,
}

impl std::ops::Sub for Counts {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            bytes: self.bytes - earlier.bytes,
            transactions: self.transactions - earlier.transactions,
        }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.transactions += other.transactions;
    }
}

impl Emulator {
    /// A chip in front of `tpm`, with a clock of its own.
    #[must_use]
    pub fn new(tpm: impl Computes + 'static) -> Self {
        Self::with_clock(tpm, Clock::Virtual(0))
    }

    /// A chip in front of `tpm`, with the clock on the wall. It does not demand times between transactions or around resets: an emulated
    /// board has a clock of its own, which may run ahead of this one.
    #[must_use]
    pub fn in_real_time(tpm: impl Computes + 'static) -> Self {
        let emulator = Self::with_clock(tpm, Clock::Wall(Instant::now()));
        emulator.script(|script| {
            script.min_idle = 0;
            script.reset_high = 0;
        });
        emulator
    }

    fn with_clock(tpm: impl Computes + 'static, clock: Clock) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            chip: Chip::new(Box::new(tpm)),
            wire: Wire::new(),
            clock,
            in_reset: false,
            released_at: None,
            spoken_to: false,
            pending: false,
        })))
    }

    /// Changes how it behaves from now on.
    pub fn script(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.inner().chip.script);
    }

    /// Something happens to it now.
    pub fn event(&self, event: Event) {
        let mut inner = self.inner();
        let now = inner.now();
        inner.chip.event(event, now);
    }

    /// What the driver did that it must not, since the last look.
    #[must_use]
    pub fn take_violations(&self) -> Vec<Violation> {
        std::mem::take(&mut self.inner().chip.violations)
    }

    /// What has passed the bus so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let inner = self.inner();
        Counts {
            bytes: inner.wire.bytes,
            transactions: inner.wire.transactions,
        }
    }

    /// The commands that the chip has worked on, as the driver sent them.
    #[must_use]
    pub fn commands(&self) -> Vec<Vec<u8>> {
        self.inner().chip.commands.clone()
    }

    /// The responses that the chip has given.
    #[must_use]
    pub fn responses(&self) -> Vec<Vec<u8>> {
        self.inner().chip.responses.clone()
    }

    /// Whether these bytes have passed, in a command, in a response, or on either wire.
    #[must_use]
    pub fn has_seen(&self, bytes: &[u8]) -> bool {
        let inner = self.inner();
        let frames = inner.chip.commands.iter().chain(&inner.chip.responses);
        frames
            .chain([&inner.wire.mosi, &inner.wire.miso])
            .any(|passed| passed.windows(bytes.len()).any(|window| window == bytes))
    }

    /// The access register of a locality.
    #[must_use]
    pub fn access(&self, locality: u8) -> u8 {
        self.inner().chip.access(locality)
    }

    /// Microseconds of its clock.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.inner().now()
    }

    /// Makes every async operation of the bus, and every pause, return to the executor in its middle, as hardware does.
    pub fn returns_to_the_executor(&self, yes: bool) {
        self.inner().pending = yes;
    }

    /// The bus; the chip select comes beside it.
    #[must_use]
    pub fn bus(&self) -> Bus {
        Bus(self.clone())
    }

    /// The pin at CS#.
    #[must_use]
    pub fn chip_select(&self) -> ChipSelect {
        ChipSelect(self.clone())
    }

    /// Bus and chip select in one.
    #[must_use]
    pub fn device(&self) -> Device {
        Device(self.clone())
    }

    /// The pin at RST#.
    #[must_use]
    pub fn reset_pin(&self) -> ResetPin {
        ResetPin(self.clone())
    }

    /// The pin at PIRQ#.
    #[must_use]
    pub fn interrupt(&self) -> Interrupt {
        Interrupt(self.clone())
    }

    /// A delay by its clock.
    #[must_use]
    pub fn delay(&self) -> Delay {
        Delay(self.clone())
    }

    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    pub(crate) fn now(&self) -> u64 {
        match &self.clock {
            Clock::Virtual(now) => *now,
            Clock::Wall(start) => u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX),
        }
    }

    /// Lets time pass; the wall's clock needs no help but patience.
    pub(crate) fn pass(&mut self, micros: u64) -> bool {
        match &mut self.clock {
            Clock::Virtual(now) => {
                *now += micros;
                true
            }
            Clock::Wall(_) => false,
        }
    }

    pub(crate) fn select(&mut self, selected: bool) {
        let now = self.now();
        if selected {
            if !std::mem::replace(&mut self.spoken_to, true) {
                self.check_reset(now);
            }
            self.wire.select(&mut self.chip, now);
        } else {
            self.wire.deselect(&mut self.chip, now);
        }
    }

    pub(crate) fn clock(&mut self, mosi: u8) -> u8 {
        let now = self.now();
        if self.in_reset {
            return 0xff;
        }
        let miso = self.wire.clock(mosi, &mut self.chip, now);
        // 8 bits at 8 MHz.
        self.pass(1);
        miso
    }

    pub(crate) fn hold_in_reset(&mut self, held: bool) {
        let now = self.now();
        if self.in_reset && !held {
            self.chip.reset(now);
            self.released_at = Some(now);
            self.spoken_to = false;
        } else if !self.in_reset && held {
            self.check_reset(now);
        }
        self.in_reset = held;
    }

    /// The chip is spoken to, or reset again: its RST# must have been high for long enough. With the emulator it is powered for long.
    fn check_reset(&mut self, now: u64) {
        let high = self.released_at.map(|at| now.saturating_sub(at));
        if let Some(high) = high.filter(|&high| high < self.chip.script.reset_high) {
            self.chip.violations.push(Violation::ResetTiming(high));
        }
    }

    pub(crate) fn interrupts(&mut self) -> bool {
        let now = self.now();
        self.chip.interrupts(now)
    }
}
