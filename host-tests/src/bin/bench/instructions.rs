//! Instructions on a Cortex-M4, counted exactly: QEMU writes down which blocks of code it executes, and this counts them.

use crate::{Figure, Outcome, SECRET};
use chanbind::{
    gateway::{ClientKey, Registry},
    proof::Settings,
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

/// From exporter secret to token, over the bare compressions in it.
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
            "Cortex-M4: from exporter secret to token, TPM aside".to_owned(),
            token,
            "instructions",
        ),
        (
            "Cortex-M4: the same / bare SHA-256 compressions".to_owned(),
            token / bare,
            "ratio",
        ),
    ])
}

/// Runs a program to be counted to its end, with the files of `folder` at hand.
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
        Err(format!("the program to count ended with {status}").into())
    }
}

/// Who is counted together, by words in the names of functions; the first that fits.
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
    ("ours", &["chanbind"]),
    (
        "network (smoltcp, embassy-net)",
        &["smoltcp", "embassy_net"],
    ),
    ("copying and the rest", &[""]),
];

/// A device's whole way from its start to the answer, by phases and by who has the work.
pub(crate) async fn handshake() -> Outcome<Vec<Figure>> {
    let device = Device::provisioned(SECRET).await?;
    let registry = Registry::new([(Device::CLIENT.to_owned(), ClientKey::secret(SECRET))])?;
    let gateway = TestGateway::start(registry, Settings::default()).await?;
    // Traced, it is slow.
    let toml = device
        .toml(Kind::QemuMps2, gateway.port)
        .replace("step_timeout_ms = 4000", "step_timeout_ms = 100000");
    let image = chanbind_host_tests::board::Image::built(Kind::QemuMps2)
        .and_then(|image| image.configured(&toml, &gateway.pki.ca))?;
    let phases = [
        "connection::prepare",
        "tpm_spi::key::perform",
        "reqwless::request",
    ];
    let elf = image.elf().to_vec();
    let chip = device.chip.clone();
    let counted = tokio::task::spawn_blocking(move || {
        traced(&elf, &phases, |trace| {
            let board = Board::start_traced(&image, &chip, trace)?;
            board.wait_for_within("admitted by what the TPM made", 400);
            Ok(())
        })
    })
    .await??;
    let mut figures = Vec::new();
    for (at, phase) in ["TLS handshake", "proof", "request and answer"]
        .iter()
        .enumerate()
    {
        figures.push((
            format!("Cortex-M4: {phase}, waiting aside"),
            counted.of_phase(at),
            "instructions",
        ));
    }
    for (at, (part, _)) in PARTS.iter().enumerate() {
        let all: f64 = (0..3).map(|phase| counted.of_phase(phase)).sum();
        let part_of_all: f64 = (0..3).map(|phase| counted.of_part(phase, at)).sum();
        figures.push((
            format!("Cortex-M4: handshake, proof and answer, share of {part}"),
            part_of_all / all,
            "ratio",
        ));
    }
    Ok(figures)
}

/// Instructions by phase and part.
pub(crate) struct Counted(HashMap<(usize, usize), u64>);

impl Counted {
    fn of_part(&self, phase: usize, part: usize) -> f64 {
        let count = self.0.get(&(phase, part)).copied().unwrap_or(0);
        u32::try_from(count).map_or(f64::NAN, f64::from)
    }

    pub(crate) fn of_phase(&self, phase: usize) -> f64 {
        (0..PARTS.len()).map(|part| self.of_part(phase, part)).sum()
    }
}

/// Runs a program with a pipe for QEMU's trace, and counts; a phase begins with the function whose name has its words.
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
        let ran = run(&pipe);
        // If QEMU never opened the pipe, the reader still waits for a writer; else there is none to wait for.
        let mut end = File::options();
        drop(end.write(true).custom_flags(NONBLOCK).open(&pipe));
        let counted = counted.join().map_err(|_| "the trace cannot be counted")?;
        ran?;
        counted
    })
}

/// O_NONBLOCK of Linux.
const NONBLOCK: i32 = 0o4000;

/// A block of code as QEMU has translated it.
struct Block {
    instructions: u64,
    part: Option<usize>,
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
                    .ok_or("a trace that QEMU 7 does not write")?;
                blocks.insert(key.to_vec(), functions.block(address, translated));
            }
            if let Some(block) = blocks.get(key) {
                // In their order: a function may be called before its phase, too.
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
                    // Who waits does no work.
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
