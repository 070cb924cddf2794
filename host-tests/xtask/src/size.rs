//! Counts the bytes of flash that parts of chanbind add to a firmware, and the memory and stack that they need, with the programs in
//! `host-tests/size`.

use crate::{
    TaskResult, firmware, firmware_targets,
    report::{self, Figure},
    root, run,
};
use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, elf};
use std::{collections::HashMap, error::Error, fs};

/// Cortex-M4F, the target of the programs that are counted.
const TARGET: &str = "thumbv7em-none-eabihf";

/// The crate's name in the mangled names of its functions.
const TPM_SPI_MANGLED: &str = "16chanbind_tpm_spi";

pub(crate) fn run(arguments: &report::Arguments) -> TaskResult {
    let figures = figures()?;
    report::print("size", &figures, arguments)
}

fn figures() -> Result<Vec<Figure>, Box<dyn Error>> {
    firmware_targets::prepare()?;
    let target_folder = root().join("target/size");
    let mut build = firmware_targets::cargo_for(TARGET, "build");
    build
        .args(["--release", "--target", TARGET])
        .current_dir(root().join("host-tests/size"))
        .env("CARGO_TARGET_DIR", &target_folder)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zemit-stack-sizes");
    run::quietly("build the programs whose size is counted", &mut build)?;

    let program = |name: &str| -> Result<Program, Box<dyn Error>> {
        let path = target_folder.join(TARGET).join("release").join(name);
        Program::read(&fs::read(path)?).map_err(|error| format!("{name}: {error}").into())
    };
    let nothing = program("nothing")?;
    let password = program("tpm-password")?;
    let crypto = program("crypto")?;
    let session = program("tpm-session")?;
    let x509 = program("x509")?;
    let authenticator = program("authenticator")?;
    let p256 = program("p256")?;
    let mutual = program("mutual")?;
    let blessing = program("blessing")?;
    let channel = program("blessing-channel")?;
    let frame = (session.largest_frame.max(password.largest_frame))
        .ok_or("the programs have no sizes of stack frames")?;
    let bytes = |name: &str, value: u64| Figure {
        name: name.to_owned(),
        value: u32::try_from(value).map_or(f64::NAN, f64::from),
        unit: "bytes".to_owned(),
    };
    let image = |features: &[&str]| -> Result<Program, Box<dyn Error>> {
        let path = firmware::build(&firmware::QEMU_MPS2, features)?;
        Program::read(&fs::read(path)?).map_err(|error| format!("qemu-mps2: {error}").into())
    };
    let small_records = image(&["small-records"])?;
    let assembler = image(&["p256-cm4"])?;
    let authenticators = image(&[firmware::AUTHENTICATOR])?;
    let technician =
        firmware::build_application(&firmware::QEMU_MPS2, &[], Some(firmware::TECHNICIAN.name))?;
    let technician = Program::read(&fs::read(technician)?)?;
    let passwords = image(&[firmware::MUTUAL])?;
    let blessings = image(&[firmware::BLESSING])?;
    let whole = image(&[])?;
    Ok(vec![
        bytes("firmware, qemu-mps2: text", whole.text),
        bytes(
            "firmware, qemu-mps2: text, with authenticators",
            authenticators.text,
        ),
        bytes(
            "firmware, qemu-mps2: static RAM, with authenticators",
            authenticators.memory,
        ),
        bytes(
            "firmware, qemu-mps2: text, with passwords (RFC 8120)",
            passwords.text,
        ),
        bytes(
            "firmware, qemu-mps2: static RAM, with passwords (RFC 8120)",
            passwords.memory,
        ),
        bytes("firmware, qemu-mps2: text, with blessings", blessings.text),
        bytes(
            "firmware, qemu-mps2: static RAM, with blessings",
            blessings.memory,
        ),
        bytes(
            "firmware, qemu-mps2: text, server for a technician, without TLS and TPM",
            technician.text,
        ),
        bytes(
            "firmware, qemu-mps2: static RAM, server for a technician, without TLS and TPM",
            technician.memory,
        ),
        bytes(
            "firmware, qemu-mps2: text, signatures with p256-cm4",
            assembler.text,
        ),
        bytes(
            "firmware, qemu-mps2: static RAM, full-size TLS records",
            whole.memory,
        ),
        bytes(
            "firmware, qemu-mps2: static RAM, TLS records of 2 KiB",
            small_records.memory,
        ),
        bytes(
            "authenticator: all of RFC 9261 section 7, text without P-256, SHA-256, certificate path",
            authenticator.text.saturating_sub(x509.text),
        ),
        bytes(
            "mutual: client of RFC 8120, text without P-256, SHA-256, exporter",
            mutual.text.saturating_sub(p256.text),
        ),
        bytes(
            "blessing: client over TLS, text without P-256, AES, SHA-256, exporter",
            blessing.text.saturating_sub(p256.text),
        ),
        bytes(
            "blessing: Vanadium's channel, dialer, text in addition",
            channel.text.saturating_sub(blessing.text),
        ),
        bytes(
            "tpm-spi: driver and HMAC path with passwords, text",
            password.text.saturating_sub(nothing.text),
        ),
        bytes(
            "tpm-spi: driver and HMAC path with sessions, text without P-256, AES, SHA-256",
            session.text.saturating_sub(crypto.text),
        ),
        bytes(
            "tpm-spi: static memory",
            session.memory.max(password.memory),
        ),
        bytes(
            "tpm-spi: memory while a key is used, without the caller's buffer",
            session
                .state
                .ok_or("the program has no symbol SIZE_OF_STATE")?,
        ),
        bytes("tpm-spi: largest stack frame", frame),
    ])
}

/// The sizes in a linked program, in bytes.
struct Program {
    /// The size of code and constants, which lie in flash.
    text: u64,
    /// The size of static variables, which lie in RAM.
    memory: u64,
    /// The largest stack frame of the functions of `chanbind-tpm-spi`, if the compiler was asked to emit the sizes.
    largest_frame: Option<u64>,
    /// The value of the symbol `SIZE_OF_STATE`.
    state: Option<u64>,
}

impl Program {
    fn read(bytes: &[u8]) -> Result<Self, Box<dyn Error>> {
        let file = object::File::parse(bytes)?;
        let (mut text, mut memory) = (0, 0);
        for section in file.sections() {
            let SectionFlags::Elf { sh_flags } = section.flags() else {
                continue;
            };
            if sh_flags & u64::from(elf::SHF_ALLOC) == 0 {
                continue;
            }
            if sh_flags & u64::from(elf::SHF_WRITE) == 0 {
                text += section.size();
            } else {
                memory += section.size();
            }
        }
        if text < 500 {
            return Err(
                "the program is empty: it was probably linked without its entry point".into(),
            );
        }
        let names: HashMap<u64, &str> = file
            .symbols()
            // Bit 0 of a function's address marks Thumb code.
            .map(|symbol| (symbol.address() & !1, symbol.name().unwrap_or_default()))
            .filter(|(_, name)| name.contains(TPM_SPI_MANGLED))
            .collect();
        let frames = file
            .section_by_name(".stack_sizes")
            .map_or(Ok(&[][..]), |section| section.data())?
            .to_vec();
        let largest_frame = stack_sizes(&frames)
            .filter(|(address, _)| names.contains_key(&(address & !1)))
            .map(|(_, size)| size)
            .max();
        let state = file
            .symbols()
            .find(|symbol| symbol.name() == Ok("SIZE_OF_STATE"))
            .and_then(|symbol| {
                let section = file.section_by_index(symbol.section_index()?).ok()?;
                let word = section.data_range(symbol.address(), 4).ok()??;
                Some(u64::from(u32::from_le_bytes(word.try_into().ok()?)))
            });
        Ok(Self {
            text,
            memory,
            largest_frame,
            state,
        })
    }
}

/// Parses the section `.stack_sizes`: addresses of 32 bits, each followed by a size as ULEB128.
fn stack_sizes(mut bytes: &[u8]) -> impl Iterator<Item = (u64, u64)> {
    std::iter::from_fn(move || {
        let (address, rest) = bytes.split_first_chunk::<4>()?;
        let end = rest.iter().position(|byte| byte & 0x80 == 0)? + 1;
        let (size, rest) = rest.split_at(end);
        bytes = rest;
        let size = size
            .iter()
            .rev()
            .fold(0, |size, byte| size << 7 | u64::from(byte & 0x7f));
        Some((u64::from(u32::from_le_bytes(*address)), size))
    })
}
