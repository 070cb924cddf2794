//! The parts that benchmarks share: their files, in the working directory of QEMU, and the bare verification of a signature.

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

/// Writes the number of bytes of stack that were used to the file `stack.bin`.
///
/// # Errors
/// The error of the host.
pub fn write_stack(used: usize) -> Result<(), Error> {
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
