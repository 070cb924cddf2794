//! Puts the memory map where the linker looks, and names the linker scripts.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(env::var("OUT_DIR")?);
    fs::copy("memory.x", folder.join("memory.x"))?;
    println!("cargo:rustc-link-search={}", folder.display());
    // `--nmagic`: sections are not aligned to pages, which a microcontroller does not have.
    for argument in ["--nmagic", "-Tlink.x", "-Tdefmt.x"] {
        println!("cargo:rustc-link-arg-bins={argument}");
    }
    // Unless told otherwise, what is compiled here logs from `info` up; defmt's own default is `error`.
    if env::var_os("DEFMT_LOG").is_none() {
        println!("cargo:rustc-env=DEFMT_LOG=info");
    }
    println!("cargo:rerun-if-env-changed=DEFMT_LOG");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=memory.x");
    Ok(())
}
