//! Firmware that runs: the flash images of boards, in emulators, with a network that can be disturbed, and logs in words.

mod device;
mod image;
mod nat;
mod spi_link;

pub use device::Device;
pub use image::{Image, built};
pub use spi_link::SpiLink;

use chanbind_tis_emulator::{Emulator, socket};
use nat::Nat;
use std::{
    fmt::Write as _,
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        mpsc::{self, Receiver},
    },
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// The address by which a board reaches 127.0.0.1 of the host.
pub const HOST: &str = "10.0.2.2";

/// The boards that run without hardware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `boards/qemu-mps2` in QEMU.
    QemuMps2,
    /// `boards/rp2040-w5500` in rp2040js.
    Rp2040W5500,
}

impl Kind {
    /// The folder under `boards`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::QemuMps2 => "qemu-mps2",
            Self::Rp2040W5500 => "rp2040-w5500",
        }
    }

    /// Whether what runs it is installed: Node.js is not everywhere.
    #[must_use]
    pub fn can_run(self) -> bool {
        match self {
            Self::QemuMps2 => true,
            Self::Rp2040W5500 => crate::program::is_installed("node"),
        }
    }

    /// The bare-metal target that it is built for.
    #[must_use]
    pub fn target(self) -> &'static str {
        match self {
            Self::QemuMps2 => "thumbv7em-none-eabihf",
            Self::Rp2040W5500 => "thumbv6m-none-eabi",
        }
    }
}

/// A board that runs, with its TPM on a wire and its network on a spi_link; ended when dropped.
pub struct Board {
    child: Child,
    lines: Receiver<String>,
    said: Mutex<String>,
    spi_link: SpiLink,
    _nat: Nat,
    _wire: socket::Server,
    _folder: TempDir,
}

impl Board {
    /// Starts `image` with a network that is plugged in.
    ///
    /// # Errors
    /// If QEMU or Node.js is not installed.
    pub fn start(image: &Image, tpm: &Emulator) -> io::Result<Self> {
        Self::start_on(image, tpm, true, None)
    }

    /// Starts `image`, which must be one for QEMU, and has QEMU write what it executes to a file or pipe.
    ///
    /// # Errors
    /// As [`Board::start`].
    pub fn start_traced(image: &Image, tpm: &Emulator, trace: &Path) -> io::Result<Self> {
        Self::start_on(image, tpm, true, Some(trace))
    }

    /// Starts `image` with a network that is not plugged in yet.
    ///
    /// # Errors
    /// As [`Board::start`].
    pub fn start_unplugged(image: &Image, tpm: &Emulator) -> io::Result<Self> {
        Self::start_on(image, tpm, false, None)
    }

    fn start_on(
        image: &Image,
        tpm: &Emulator,
        plugged_in: bool,
        trace: Option<&Path>,
    ) -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("chanbind-board-")
            .tempdir()?;
        let elf = folder.path().join("firmware.elf");
        std::fs::write(&elf, image.elf())?;
        let wire = socket::Server::start(tpm.clone())?;
        let nat = Nat::start()?;
        let spi_link = SpiLink::start(nat.port(), plugged_in)?;
        let mut command = match image.kind() {
            Kind::QemuMps2 => qemu(&elf, wire.address().port(), &spi_link)?,
            Kind::Rp2040W5500 => rp2040(&elf, wire.address(), &spi_link)?,
        };
        if let Some(trace) = trace {
            command.args(["-d", "exec,nochain,in_asm", "-D"]).arg(trace);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!(
                        "{:?}: {error} (`cargo x setup` installs it)",
                        command.get_program()
                    ),
                )
            })?;
        let output = child
            .stdout
            .take()
            .ok_or_else(|| io::Error::other("no output"))?;
        let lines = decode(output, image.elf().to_vec());
        Ok(Self {
            child,
            lines,
            said: Mutex::default(),
            spi_link,
            _nat: nat,
            _wire: wire,
            _folder: folder,
        })
    }

    /// The network spi_link.
    #[must_use]
    pub fn spi_link(&self) -> &SpiLink {
        &self.spi_link
    }

    /// The next line of its log; none when it has ended, or after so long.
    pub fn line(&self, step_timeout: Duration) -> Option<String> {
        let line = self.lines.recv_timeout(step_timeout).ok()?;
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(said, "{line}");
        Some(line)
    }

    /// Waits for a line that has `what` in it.
    ///
    /// # Panics
    /// If there is none in so many seconds; with the log.
    pub fn wait_for_within(&self, what: &str, seconds: u64) -> String {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.line(left) {
                Some(line) if line.contains(what) => return line,
                Some(_) => {}
                None => panic!("the board does not say {what:?}, but:\n{}", self.said()),
            }
        }
    }

    /// As [`Board::wait_for_within`], within a minute.
    pub fn wait_for(&self, what: &str) -> String {
        self.wait_for_within(what, 60)
    }

    /// All lines that have been waited for, and those between them.
    pub fn said(&self) -> String {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn qemu(elf: &Path, wire: u16, spi_link: &SpiLink) -> io::Result<Command> {
    let mut command = Command::new("qemu-system-arm");
    command
        .args(["-M", "mps2-an386", "-display", "none", "-monitor", "none"])
        .args(["-semihosting-config", "enable=on,target=native"])
        .arg("-nic")
        .arg(format!(
            "socket,udp=127.0.0.1:{},localaddr=127.0.0.1:{},model=lan9118",
            spi_link.board_side(),
            spi_link.board_port()
        ))
        .args(["-serial", "null", "-serial", "null", "-chardev"])
        .arg(format!(
            "socket,id=wire,host=127.0.0.1,port={wire},nodelay=on"
        ))
        .args(["-serial", "chardev:wire", "-kernel"])
        .arg(elf);
    Ok(command)
}

fn rp2040(elf: &Path, wire: std::net::SocketAddr, spi_link: &SpiLink) -> io::Result<Command> {
    let harness = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("rp2040");
    if !harness.join("node_modules/rp2040js").is_dir() {
        return Err(io::Error::other(
            "rp2040js is not installed: `cargo x setup` does it, where there is npm",
        ));
    }
    let mut command = Command::new("node");
    command
        .arg(harness.join("run.mjs"))
        .arg(elf)
        .arg("--tis")
        .arg(wire.to_string())
        .arg("--net-send")
        .arg(spi_link.board_side().to_string())
        .arg("--net-bind")
        .arg(spi_link.board_port().to_string())
        .arg("--stdin-guard");
    Ok(command)
}

/// What the firmware logs by defmt, in words, a line a message.
fn decode(mut output: impl Read + Send + 'static, elf: Vec<u8>) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let Ok(Some(table)) = defmt_decoder::Table::parse(&elf) else {
            let _ = sender.send("the image has no log messages".to_owned());
            return;
        };
        let mut decoder = table.new_stream_decoder();
        let mut bytes = [0; 1024];
        while let Ok(len @ 1..) = output.read(&mut bytes) {
            decoder.received(bytes.get(..len).unwrap_or_default());
            loop {
                match decoder.decode() {
                    Ok(frame) => {
                        let level = frame.level().map_or("", |level| level.as_str());
                        let (level, message) = (level.to_uppercase(), frame.display_message());
                        let line = format!("{level:5} {message}");
                        if sender.send(line).is_err() {
                            return;
                        }
                    }
                    Err(defmt_decoder::DecodeError::UnexpectedEof) => break,
                    Err(defmt_decoder::DecodeError::Malformed) => {
                        let _ = sender.send("(a log message that cannot be read)".to_owned());
                        if !table.encoding().can_recover() {
                            return;
                        }
                    }
                }
            }
        }
    });
    lines
}
