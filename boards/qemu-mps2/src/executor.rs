//! The loop that runs tasks, and sleeps by WFI in between.
//!
//! embassy's own executor for Cortex-M sleeps by WFE, at which QEMU does not stop: it would keep a processor of the host busy.
#![allow(
    unsafe_code,
    reason = "embassy's raw executor is polled by hand, and finds its pender by name"
)]

use core::{
    ptr,
    sync::atomic::{AtomicBool, Ordering},
};
use cortex_m::{asm, interrupt};
use embassy_executor::{Spawner, raw::Executor};
use static_cell::StaticCell;

/// A task has been woken since the tasks were last run.
static WOKEN: AtomicBool = AtomicBool::new(false);

/// Called by the executor when a task is woken, also out of interrupts.
// SAFETY: no other function of the program has this name; embassy-executor asks for it with this signature.
#[unsafe(export_name = "__pender")]
fn pender(_: *mut ()) {
    WOKEN.store(true, Ordering::SeqCst);
}

/// Runs tasks for ever, beginning with those that `start` spawns. Not to be called twice: it panics.
pub(crate) fn run(start: impl FnOnce(Spawner)) -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    let executor: &'static Executor = EXECUTOR.init_with(|| Executor::new(ptr::null_mut()));
    start(executor.spawner());
    loop {
        // SAFETY: this loop is the only caller, `pender` does not call it, and the cell above lets the loop run once.
        unsafe { executor.poll() };
        // With interrupts disabled none can come between the question and the sleep; one that is pending ends WFI all the same.
        interrupt::disable();
        if !WOKEN.swap(false, Ordering::SeqCst) {
            asm::wfi();
        }
        // SAFETY: this is no critical section; they were enabled above.
        unsafe { interrupt::enable() };
    }
}
