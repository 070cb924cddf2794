//! Where things lie in the flash and memory of the part.

use std::{env, fs, io, path::PathBuf};

fn main() -> io::Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?);
    // The linker script of cortex-m-rt looks for it on the search path.
    fs::write(out.join("memory.x"), include_bytes!("memory.x"))?;
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rerun-if-changed=memory.x");
    // Sections of flash are not aligned to the pages of an operating system.
    println!("cargo::rustc-link-arg-bins=--nmagic");
    for script in ["link.x", "link-rp.x", "defmt.x"] {
        println!("cargo::rustc-link-arg-bins=-T{script}");
    }
    // defmt's default drops all but errors.
    println!("cargo::rerun-if-env-changed=DEFMT_LOG");
    if env::var_os("DEFMT_LOG").is_none() {
        println!("cargo::rustc-env=DEFMT_LOG=info");
    }
    Ok(())
}
