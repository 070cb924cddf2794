//! The end of a program, which also ends QEMU, with an exit code that states the cause.

use core::{
    panic::PanicInfo,
    sync::atomic::{AtomicI32, Ordering},
};
use semihosting::process;

/// The exit code of a program that succeeded.
pub const SUCCESS: i32 = 0;
/// The exit code of a program that reported a failure.
pub const FAILURE: i32 = 1;
/// The exit code after a panic; the log states the location.
pub const PANIC: i32 = 101;
/// The exit code after a processor fault; the log states the location.
pub const HARD_FAULT: i32 = 102;

/// Ends the program and QEMU with this exit code, 0 to 255.
pub fn exit(code: i32) -> ! {
    process::exit(code)
}

/// Ends the program after `last_words`. If `last_words` fails in turn, the program ends without it, with the code of the first
/// failure.
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
