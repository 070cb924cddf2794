//! How a program ends: QEMU with it, with an exit code that tells why.

use core::{
    panic::PanicInfo,
    sync::atomic::{AtomicI32, Ordering},
};
use semihosting::process;

/// All went well.
pub const SUCCESS: i32 = 0;
/// The program says that something did not.
pub const FAILURE: i32 = 1;
/// The program panicked; the log says where.
pub const PANIC: i32 = 101;
/// The processor faulted; the log says where.
pub const HARD_FAULT: i32 = 102;

/// Ends the program with this exit code of QEMU, 0 to 255.
pub fn exit(code: i32) -> ! {
    process::exit(code)
}

/// Ends the program after last words. If those go wrong in turn, it ends without, and with the code of what came first.
pub(crate) fn after(code: i32, last_words: impl FnOnce()) -> ! {
    static ENDING: AtomicI32 = AtomicI32::new(SUCCESS);
    match ENDING.swap(code, Ordering::SeqCst) {
        SUCCESS => last_words(),
        first => exit(first),
    }
    exit(code)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    after(PANIC, || {
        defmt::error!("{}", defmt::Display2Format(info));
    })
}
