//! The parts that benchmarks share: their files, in the working directory of QEMU, and the bare verification of a signature.

use crate::{exit, stack};
use chanbind_core::{
    crypto::ecdsa::{RUST_CRYPTO, Signature},
    wire::Reader,
};
use core::ffi::CStr;
use semihosting::{
    fs::File,
    io::{Error, Read, Write},
};

/// Reads a file to the front of `bytes`, and returns its length.
///
/// # Errors
/// The error of the host, for example if the file is missing.
pub fn read(name: &CStr, bytes: &mut [u8]) -> Result<usize, Error> {
    let mut file = File::open(name)?;
    let mut len = 0;
    loop {
        match file.read(bytes.get_mut(len..).unwrap_or_default())? {
            0 => return Ok(len),
            more => len = usize::saturating_add(len, more),
        }
    }
}

/// Paints the stack, and returns the number of bytes in use. Not inlined: its instructions are a phase of their own.
#[inline(never)]
pub fn prepare_stack() -> usize {
    stack::paint();
    stack::used()
}

/// Writes the number of bytes of stack that were used to the file `stack.bin`, and ends the program.
#[inline(never)]
pub fn finish(used: usize, all_valid: bool) -> ! {
    let written = write_stack(used);
    exit::exit(i32::from(!all_valid || written.is_err()))
}

fn write_stack(used: usize) -> Result<(), Error> {
    let mut file = File::create(c"stack.bin")?;
    file.write_all(&used.to_be_bytes())
}

/// Verifies an ECDSA signature: public key, digest, r and s, one after another.
#[must_use]
pub fn is_valid(signature: &[u8]) -> bool {
    let mut fields = Reader::new(signature);
    let (Ok(key), Ok(digest), Ok(r), Ok(s)) = (
        fields.array(),
        fields.array(),
        fields.array(),
        fields.array(),
    ) else {
        return false;
    };
    RUST_CRYPTO.verify(&key, &digest, &Signature { r, s })
}
