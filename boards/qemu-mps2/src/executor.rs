//! An executor that runs tasks, and sleeps with WFI in between.
//!
//! embassy's executor for Cortex-M sleeps with WFE, for which QEMU does not stop: it would keep a processor of the host busy.
#![allow(
    unsafe_code,
    reason = "embassy's raw executor is polled manually, and finds its pender by symbol name"
)]

use core::{
    ptr,
    sync::atomic::{AtomicBool, Ordering},
};
use cortex_m::{asm, interrupt};
use embassy_executor::{Spawner, raw::Executor};
use static_cell::StaticCell;

/// True if a task has been woken since the tasks last ran.
static WOKEN: AtomicBool = AtomicBool::new(false);

/// Records that a task was woken. Called by the executor, including from interrupts.
// SAFETY: no other function of the program has this name; embassy-executor requires it with this signature.
#[unsafe(export_name = "__pender")]
fn pender(_: *mut ()) {
    WOKEN.store(true, Ordering::SeqCst);
}

/// Runs tasks forever, beginning with those that `start` spawns. Panics when called a second time.
pub(crate) fn run(start: impl FnOnce(Spawner)) -> ! {
    static EXECUTOR: StaticCell<Executor> = StaticCell::new();
    let executor: &'static Executor = EXECUTOR.init_with(|| Executor::new(ptr::null_mut()));
    start(executor.spawner());
    loop {
        // SAFETY: this loop is the only caller, `pender` does not call it, and the cell above ensures that there is only one loop.
        unsafe { executor.poll() };
        // With interrupts disabled, none can occur between the check and the sleep; a pending one still ends WFI.
        interrupt::disable();
        if !WOKEN.swap(false, Ordering::SeqCst) {
            asm::wfi();
        }
        // SAFETY: this is not within a critical section: interrupts were enabled before `disable` above.
        unsafe { interrupt::enable() };
    }
}
