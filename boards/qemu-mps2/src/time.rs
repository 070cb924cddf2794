//! A time driver for embassy with a resolution of one microsecond, based on two timers of 25 MHz.
//!
//! Timer 0 counts down continuously; its interrupt, once in 172 seconds, counts the rounds. Timer 1 is the alarm for waiting
//! tasks.

use crate::registers::{Device, Interrupt, TIMER0, TIMER1};
use core::{
    cell::{Cell, RefCell},
    task::Waker,
};
use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

/// The number of timer ticks in one microsecond.
pub const CYCLES_PER_MICROSECOND: u64 = 25;

/// Offsets of a CMSDK timer's registers.
mod register {
    pub(super) const CONTROL: u16 = 0x0;
    pub(super) const VALUE: u16 = 0x4;
    pub(super) const RELOAD: u16 = 0x8;
    /// Reads as 1 after the timer has reached zero; cleared by writing 1.
    pub(super) const INTERRUPT: u16 = 0xc;
}

/// CONTROL: the timer counts, and interrupts at zero.
const COUNT_AND_INTERRUPT: u32 = 0b1001;
/// CONTROL: the timer is stopped.
const STOPPED: u32 = 0;
/// INTERRUPT: the timer has reached zero.
const REACHED: u32 = 1;

/// The timers, and the queue of waiting tasks.
struct Timers {
    /// The number of times that timer 0 has passed zero.
    rounds: Mutex<Cell<u32>>,
    queue: Mutex<RefCell<Queue>>,
}

embassy_time_driver::time_driver_impl!(static TIMERS: Timers = Timers {
    rounds: Mutex::new(Cell::new(0)),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

defmt::timestamp!("{=u64:us}", embassy_time::Instant::now().as_micros());

/// Starts timer 0, and enables the interrupts of both timers.
pub(crate) fn start() {
    TIMER0.write(register::RELOAD, u32::MAX);
    clear(TIMER0);
    TIMER0.write(register::CONTROL, COUNT_AND_INTERRUPT);
    Interrupt::Timer0.enable();
    Interrupt::Timer1.enable();
}

/// Returns the number of ticks of 40 ns since the start of the program. With `-icount shift=6,sleep=off`, QEMU turns it into an
/// exact count of instructions, the same in every run: [`CYCLES_PER_MICROSECOND`] ticks are then 1000 / 64 instructions.
#[must_use]
pub fn cycles() -> u64 {
    critical_section::with(|cs| TIMERS.cycles(cs))
}

/// Handles the interrupt of a timer that has reached zero.
pub(crate) fn on_interrupt() {
    critical_section::with(|cs| {
        // Counts the round if the interrupt is that of timer 0.
        TIMERS.cycles(cs);
        TIMERS.set_next_alarm(cs, &mut TIMERS.queue.borrow_ref_mut(cs));
    });
}

fn clear(timer: Device) {
    timer.write(register::INTERRUPT, REACHED);
}

impl Timers {
    fn cycles(&self, cs: CriticalSection<'_>) -> u64 {
        let rounds = self.rounds.borrow(cs);
        let mut left = TIMER0.read(register::VALUE);
        if TIMER0.read(register::INTERRUPT) & REACHED != 0 {
            clear(TIMER0);
            rounds.set(rounds.get().wrapping_add(1));
            // The first reading may belong to the previous round.
            left = TIMER0.read(register::VALUE);
        }
        u64::from(rounds.get()) << 32 | u64::from(!left)
    }

    /// Wakes the tasks that are due, and sets the alarm for the next one.
    fn set_next_alarm(&self, cs: CriticalSection<'_>, queue: &mut Queue) {
        loop {
            let now = self.cycles(cs) / CYCLES_PER_MICROSECOND;
            if self.set_alarm(cs, queue.next_expiration(now)) {
                return;
            }
        }
    }

    /// Sets timer 1 to interrupt at `microseconds`, or never if that is `u64::MAX`. Returns false if that time has already passed.
    fn set_alarm(&self, cs: CriticalSection<'_>, microseconds: u64) -> bool {
        TIMER1.write(register::CONTROL, STOPPED);
        clear(TIMER1);
        if microseconds == u64::MAX {
            return true;
        }
        let due = microseconds.saturating_mul(CYCLES_PER_MICROSECOND);
        let wait = due.saturating_sub(self.cycles(cs));
        if wait == 0 {
            return false;
        }
        // A wait that exceeds the range of the timer is shortened: the interrupt then finds no task due, and sets the alarm again.
        TIMER1.write(register::RELOAD, u32::try_from(wait).unwrap_or(u32::MAX));
        TIMER1.write(register::CONTROL, COUNT_AND_INTERRUPT);
        true
    }
}

impl Driver for Timers {
    fn now(&self) -> u64 {
        cycles() / CYCLES_PER_MICROSECOND
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            let mut queue = self.queue.borrow_ref_mut(cs);
            if queue.schedule_wake(at, waker) {
                self.set_next_alarm(cs, &mut queue);
            }
        });
    }
}
