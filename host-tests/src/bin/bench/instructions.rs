//! Exact counts of instructions on a Cortex-M4: QEMU writes a trace of the blocks of code that it executes, and this module adds up their
//! instructions.

use crate::{Figure, Outcome, SECRET};
use chanbind::{
    gateway::{ClientKey, ClientTable, MemoryRegistry},
    proof::otp::Settings,
};
use chanbind_host_tests::{
    board::{Board, Device, Kind, built},
    gateway::TestGateway,
};
use object::{Object, ObjectSymbol, SymbolKind};
use rustix::fs::{FileType, Mode};
use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{BufRead, BufReader},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    process::{Command, Stdio},
    thread,
};

/// Counts the instructions from the exporter secret to the one-time password, and relates them to those of the bare SHA-256 compressions.
pub(crate) fn token() -> Outcome<Vec<Figure>> {
    let program = built(Kind::QemuMps2, "instructions");
    let phases = [
        "instructions::exporter_secret_to_token",
        "instructions::compressions",
    ];
    let counted = traced(&std::fs::read(&program)?, &phases, |trace| {
        run(&program, trace, Path::new("."))
    })?;
    let (token, bare) = (counted.of_phase(0), counted.of_phase(1));
    Ok(vec![
        (
            "Cortex-M4: from exporter secret to one-time password, without the TPM".to_owned(),
            token,
            "instructions",
        ),
        (
            "Cortex-M4: from exporter secret to one-time password / bare SHA-256 compressions"
                .to_owned(),
            token / bare,
            "ratio",
        ),
    ])
}

/// Runs a program in QEMU to its end, in the working directory `folder`, and has QEMU write a trace to the file or pipe `trace`.
pub(crate) fn run(program: &Path, trace: &Path, folder: &Path) -> Outcome<()> {
    let status = Command::new("qemu-system-arm")
        .args(["-M", "mps2-an386", "-display", "none", "-monitor", "none"])
        .args(["-semihosting-config", "enable=on,target=native"])
        .args(["-d", "exec,nochain,in_asm", "-D"])
        .arg(trace)
        .arg("-kernel")
        .arg(std::path::absolute(program)?)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("the program in QEMU ended with {status}").into())
    }
}

/// Reads the bytes of stack that a program has used, which it wrote to its working directory `folder`.
pub(crate) fn stack_used(folder: &Path) -> Outcome<f64> {
    let stack = std::fs::read(folder.join("stack.bin"))?;
    let stack: [u8; 4] = stack
        .try_into()
        .map_err(|_| "the program wrote no size of its stack")?;
    Ok(f64::from(u32::from_be_bytes(stack)))
}

/// The parts to which instructions are attributed, with words in the names of their functions. The first part that matches counts.
const PARTS: [(&str, &[&str]); 8] = [
    (
        "P-256",
        &[
            "p256",
            "primeorder",
            "elliptic_curve",
            "crypto_bigint",
            "ecdsa::rust_crypto",
        ],
    ),
    (
        "AES-GCM",
        &["aes::", "aes_gcm", "ghash", "polyval", "AesGcm", "cfb"],
    ),
    (
        "SHA-256, HMAC, HKDF",
        &[
            "sha2",
            "hmac",
            "hkdf",
            "block_buffer",
            "digest",
            "transcript::hash",
        ],
    ),
    ("certificates (webpki)", &["webpki", "x509"]),
    ("TLS (embedded-tls)", &["embedded_tls::"]),
    ("chanbind", &["chanbind"]),
    (
        "network (smoltcp, embassy-net)",
        &["smoltcp", "embassy_net"],
    ),
    ("copying and other code", &[""]),
];

/// Counts the instructions of a device from the TLS handshake to the response, by phases and by parts.
pub(crate) async fn handshake() -> Outcome<Vec<Figure>> {
    let device = Device::provisioned(SECRET).await?;
    let clients = [(Device::CLIENT.to_owned(), ClientKey::secret(SECRET))];
    let registry = MemoryRegistry::new(ClientTable::new(clients)?);
    let gateway = TestGateway::start(registry, Settings::default()).await?;
    // QEMU is slow when it writes a trace.
    let toml = device
        .toml(Kind::QemuMps2, gateway.port)
        .replace("step_timeout_ms = 4000", "step_timeout_ms = 100000");
    let image = chanbind_host_tests::board::Image::built(Kind::QemuMps2)
        .and_then(|image| image.configured(&toml, &gateway.pki.ca))?;
    let phases = [
        "connection::prepare",
        "tpm_spi::key::perform",
        "http::content::write",
    ];
    let elf = image.elf().to_vec();
    let chip = device.chip.clone();
    let counted = tokio::task::spawn_blocking(move || {
        traced(&elf, &phases, |trace| {
            let board = Board::start_traced(&image, &chip, trace)?;
            board.wait_for_within("event=admitted", 400);
            Ok(())
        })
    })
    .await??;
    let mut figures = Vec::new();
    for (at, phase) in ["TLS handshake", "proof", "request and response"]
        .iter()
        .enumerate()
    {
        figures.push((
            format!("Cortex-M4: {phase}, without waiting"),
            counted.of_phase(at),
            "instructions",
        ));
    }
    for (at, (part, _)) in PARTS.iter().enumerate() {
        let all: f64 = (0..3).map(|phase| counted.of_phase(phase)).sum();
        let part_of_all: f64 = (0..3).map(|phase| counted.of_part(phase, at)).sum();
        figures.push((
            format!("Cortex-M4: handshake, proof and response, share of {part}"),
            part_of_all / all,
            "ratio",
        ));
    }
    Ok(figures)
}

/// The number of instructions by phase and part.
pub(crate) struct Counted(HashMap<(usize, usize), u64>);

impl Counted {
    pub(crate) fn of_part(&self, phase: usize, part: usize) -> f64 {
        let count = self.0.get(&(phase, part)).copied().unwrap_or(0);
        u32::try_from(count).map_or(f64::NAN, f64::from)
    }

    pub(crate) fn of_phase(&self, phase: usize) -> f64 {
        (0..PARTS.len()).map(|part| self.of_part(phase, part)).sum()
    }
}

/// Calls `run` with a pipe for QEMU's trace and counts the instructions in it. A phase begins with the function whose name contains its
/// words; instructions before the first phase are not counted.
pub(crate) fn traced(
    elf: &[u8],
    phases: &[&str],
    run: impl FnOnce(&Path) -> Outcome<()>,
) -> Outcome<Counted> {
    let functions = Functions::read(elf, phases)?;
    let folder = tempfile::tempdir()?;
    let pipe = folder.path().join("trace");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        FileType::Fifo,
        Mode::RUSR | Mode::WUSR,
        0,
    )?;
    thread::scope(|scope| {
        let reader = pipe.clone();
        let counted = scope.spawn(move || {
            count(
                BufReader::with_capacity(1 << 20, File::open(reader)?),
                &functions,
            )
        });
        let result = run(&pipe);
        // If QEMU never opened the pipe, the reader still waits for a writer: open and close the pipe to end the wait.
        let mut end = File::options();
        drop(end.write(true).custom_flags(NONBLOCK).open(&pipe));
        let counted = counted.join().map_err(|_| "the trace cannot be counted")?;
        result?;
        counted
    })
}

/// The value of O_NONBLOCK on Linux.
const NONBLOCK: i32 = 0o4000;

/// A block of code that QEMU has translated.
struct Block {
    instructions: u64,
    part: Option<usize>,
    /// The phase that begins with this block.
    begins: Option<usize>,
}

fn count(mut trace: impl BufRead, functions: &Functions) -> Outcome<Counted> {
    let mut counted = HashMap::new();
    let mut blocks: HashMap<Vec<u8>, Block> = HashMap::new();
    let (mut translated, mut phase) = (0, None);
    let mut line = Vec::new();
    while trace.read_until(b'\n', &mut line)? > 0 {
        if line.starts_with(b"0x") {
            translated += 1;
        } else if line.starts_with(b"IN:") {
            translated = 0;
        } else if let Some(rest) = line.strip_prefix(b"Trace 0: ") {
            let key = rest.split(|&byte| byte == b' ').next().unwrap_or_default();
            if !blocks.contains_key(key) {
                let address = rest
                    .split(|&byte| byte == b'/')
                    .nth(1)
                    .and_then(|digits| u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok())
                    .ok_or("the trace does not have the format of QEMU 7")?;
                blocks.insert(key.to_vec(), functions.block(address, translated));
            }
            if let Some(block) = blocks.get(key) {
                // Phases begin only in their order, because the function of a later phase may be called earlier, too.
                if block.begins == Some(phase.map_or(0, |phase: usize| phase + 1)) {
                    phase = block.begins;
                }
                if let (Some(phase), Some(part)) = (phase, block.part) {
                    *counted.entry((phase, part)).or_insert(0) += block.instructions;
                }
            }
        }
        line.clear();
    }
    Ok(Counted(counted))
}

/// The functions of a program, by address.
struct Functions(BTreeMap<u64, Function>);

struct Function {
    part: Option<usize>,
    phase: Option<usize>,
}

impl Functions {
    fn read(elf: &[u8], phases: &[&str]) -> Outcome<Self> {
        let file = object::File::parse(elf)?;
        let functions: BTreeMap<_, _> = file
            .symbols()
            .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0)
            .map(|symbol| {
                let name = rustc_demangle::demangle(symbol.name().unwrap_or_default()).to_string();
                let phase = phases.iter().position(|words| name.contains(words));
                let function = Function {
                    // The executor's loop is waiting, not work.
                    part: (!name.contains("executor::run")).then(|| part_of(&name)),
                    phase,
                };
                (symbol.address() & !1, function)
            })
            .collect();
        for (at, words) in phases.iter().enumerate() {
            if !functions
                .values()
                .any(|function| function.phase == Some(at))
            {
                return Err(format!("the program has no function {words:?}").into());
            }
        }
        Ok(Self(functions))
    }

    fn block(&self, address: u64, instructions: u64) -> Block {
        let function = self.0.range(..=address).next_back();
        Block {
            instructions,
            part: function.and_then(|(_, function)| function.part),
            begins: function
                .filter(|(start, _)| **start == address)
                .and_then(|(_, function)| function.phase),
        }
    }
}

fn part_of(name: &str) -> usize {
    PARTS
        .iter()
        .position(|(_, words)| words.iter().any(|word| name.contains(word)))
        .unwrap_or(PARTS.len() - 1)
}
