use crate::{
    Bus, ChipSelect, Computes, Delay, Device, Event, Interrupt, ResetPin, Script, Violation,
    chip::Chip, wire::Wire,
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// The emulated chip. Clones refer to the same chip.
#[derive(Clone)]
pub struct Emulator(Arc<Mutex<Inner>>);

pub(crate) struct Inner {
    chip: Chip,
    wire: Wire,
    clock: Clock,
    in_reset: bool,
    /// The time when RST# went high.
    released_at: Option<u64>,
    /// True if a transaction has begun since then.
    addressed: bool,
    /// True if async operations return to the executor before they are done.
    pub(crate) pending: bool,
}

enum Clock {
    /// A time in microseconds that pauses and bytes advance.
    Virtual(u64),
    Wall(Instant),
}

/// The amount of traffic on the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Number of bytes clocked.
    pub bytes: u64,
    /// Number of transactions, counted when the chip select goes low.
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
    /// Creates a chip in front of `tpm`, with a virtual clock.
    #[must_use]
    pub fn new(tpm: impl Computes + 'static) -> Self {
        Self::with_clock(tpm, Clock::Virtual(0))
    }

    /// Creates a chip in front of `tpm`, with the real clock. The chip does not require minimum times between transactions or
    /// around resets, because an emulated board has its own clock, which may run ahead of the real one.
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
            addressed: false,
            pending: false,
        })))
    }

    /// Changes the behaviour of the chip from now on.
    pub fn script(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.inner().chip.script);
    }

    /// Applies an event to the chip now.
    pub fn event(&self, event: Event) {
        let mut inner = self.inner();
        let now = inner.now();
        inner.chip.event(event, now);
    }

    /// Returns and clears the violations of the driver since the last call.
    #[must_use]
    pub fn take_violations(&self) -> Vec<Violation> {
        std::mem::take(&mut self.inner().chip.violations)
    }

    /// Returns the amount of traffic on the bus so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let inner = self.inner();
        Counts {
            bytes: inner.wire.bytes,
            transactions: inner.wire.transactions,
        }
    }

    /// Returns the commands that the chip has executed, as the driver sent them.
    #[must_use]
    pub fn commands(&self) -> Vec<Vec<u8>> {
        self.inner().chip.commands.clone()
    }

    /// Returns the responses of the chip.
    #[must_use]
    pub fn responses(&self) -> Vec<Vec<u8>> {
        self.inner().chip.responses.clone()
    }

    /// Returns true if these bytes occurred in a command, in a response, or on one of the two data lines.
    #[must_use]
    pub fn has_seen(&self, bytes: &[u8]) -> bool {
        let inner = self.inner();
        let frames = inner.chip.commands.iter().chain(&inner.chip.responses);
        frames
            .chain([&inner.wire.mosi, &inner.wire.miso])
            .any(|traffic| traffic.windows(bytes.len()).any(|window| window == bytes))
    }

    /// Returns the access register of a locality.
    #[must_use]
    pub fn access(&self, locality: u8) -> u8 {
        self.inner().chip.access(locality)
    }

    /// Returns the time of the chip's clock, in microseconds.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.inner().now()
    }

    /// Sets whether async operations of the bus and pauses return to the executor before they are done, as on hardware.
    pub fn returns_to_the_executor(&self, yes: bool) {
        self.inner().pending = yes;
    }

    /// Returns the bus, without the chip select.
    #[must_use]
    pub fn bus(&self) -> Bus {
        Bus(self.clone())
    }

    /// Returns the pin at CS#.
    #[must_use]
    pub fn chip_select(&self) -> ChipSelect {
        ChipSelect(self.clone())
    }

    /// Returns the bus and the chip select as one SPI device.
    #[must_use]
    pub fn device(&self) -> Device {
        Device(self.clone())
    }

    /// Returns the pin at RST#.
    #[must_use]
    pub fn reset_pin(&self) -> ResetPin {
        ResetPin(self.clone())
    }

    /// Returns the pin at PIRQ#.
    #[must_use]
    pub fn interrupt(&self) -> Interrupt {
        Interrupt(self.clone())
    }

    /// Returns a delay that uses the chip's clock.
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

    /// Advances the virtual clock. Returns false for the real clock, for which the caller must wait.
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
            if !std::mem::replace(&mut self.addressed, true) {
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
        // One byte takes one microsecond: 8 bits at 8 MHz.
        self.pass(1);
        miso
    }

    pub(crate) fn hold_in_reset(&mut self, held: bool) {
        let now = self.now();
        if self.in_reset && !held {
            self.chip.reset(now);
            self.released_at = Some(now);
            self.addressed = false;
        } else if !self.in_reset && held {
            self.check_reset(now);
        }
        self.in_reset = held;
    }

    /// Checks, at the first transaction after a reset or at the next reset, that RST# was high for long enough. A chip that was
    /// never reset counts as powered for long enough.
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
