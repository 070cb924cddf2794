//! Runs the flash images of boards in emulators, with a network that can be disturbed, and decodes their logs.

mod device;
mod image;
mod nat;
mod network_link;

pub use device::Device;
pub use image::{Image, built};
pub use network_link::NetworkLink;

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

/// The IPv4 address under which a board reaches 127.0.0.1 of the host.
pub const HOST: &str = "10.0.2.2";

/// A board that an emulator can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The board `boards/qemu-mps2`, which runs in QEMU.
    QemuMps2,
    /// The board `boards/rp2040-w5500`, which runs in rp2040js.
    Rp2040W5500,
}

impl Kind {
    /// Returns the board with this name; `None` if it is not emulated.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let mut all = [Self::QemuMps2, Self::Rp2040W5500].into_iter();
        all.find(|kind| kind.name() == name)
    }

    /// Returns the name of the board's folder under `boards`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::QemuMps2 => "qemu-mps2",
            Self::Rp2040W5500 => "rp2040-w5500",
        }
    }

    /// Returns whether the board can be run on this machine. The RP2040 needs Node.js, which `cargo x setup` does not install.
    #[must_use]
    pub fn can_run(self) -> bool {
        match self {
            Self::QemuMps2 => true,
            Self::Rp2040W5500 => crate::program::is_installed("node"),
        }
    }

    /// Returns the bare-metal target for which the board is built.
    #[must_use]
    pub fn target(self) -> &'static str {
        match self {
            Self::QemuMps2 => "thumbv7em-none-eabihf",
            Self::Rp2040W5500 => "thumbv6m-none-eabi",
        }
    }
}

/// A running board, with its TPM reached over a socket and its network over a link that can be unplugged. The emulators are killed on
/// drop.
pub struct Board {
    child: Child,
    lines: Receiver<String>,
    log: Mutex<String>,
    network_link: NetworkLink,
    _nat: Nat,
    _wire: socket::Server,
    _folder: TempDir,
}

impl Board {
    /// Starts `image` with the network plugged in.
    ///
    /// # Errors
    /// Returns an error if QEMU, or for the RP2040 Node.js or rp2040js, is not installed, or if the system provides no sockets or files.
    pub fn start(image: &Image, tpm: &Emulator) -> io::Result<Self> {
        Self::start_on(image, tpm, true, None, None)
    }

    /// Starts `image`, which must be an image for QEMU, with the network plugged in. QEMU writes a trace of the executed blocks to the
    /// file or pipe `trace`.
    ///
    /// # Errors
    /// Returns an error in the cases of [`Board::start`].
    pub fn start_traced(image: &Image, tpm: &Emulator, trace: &Path) -> io::Result<Self> {
        Self::start_on(image, tpm, true, Some(trace), None)
    }

    /// Starts `image` with the network unplugged.
    ///
    /// # Errors
    /// Returns an error in the cases of [`Board::start`].
    pub fn start_unplugged(image: &Image, tpm: &Emulator) -> io::Result<Self> {
        Self::start_on(image, tpm, false, None, None)
    }

    /// Starts `image` with the network plugged in. Connections to `port` of 127.0.0.1 reach port 80 of the board. QEMU writes a trace to `trace`,
    /// as in [`Board::start_traced`], if there is one.
    ///
    /// # Errors
    /// Returns an error in the cases of [`Board::start`].
    pub fn start_forwarded(
        image: &Image,
        tpm: &Emulator,
        port: u16,
        trace: Option<&Path>,
    ) -> io::Result<Self> {
        Self::start_on(image, tpm, true, trace, Some(port))
    }

    fn start_on(
        image: &Image,
        tpm: &Emulator,
        plugged_in: bool,
        trace: Option<&Path>,
        forward: Option<u16>,
    ) -> io::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("chanbind-board-")
            .tempdir()?;
        let elf = folder.path().join("firmware.elf");
        std::fs::write(&elf, image.elf())?;
        let wire = socket::Server::start(tpm.clone())?;
        let nat = Nat::start(forward)?;
        let network_link = NetworkLink::start(nat.port(), plugged_in)?;
        let mut command = match image.kind() {
            Kind::QemuMps2 => qemu(&elf, wire.address().port(), &network_link)?,
            Kind::Rp2040W5500 => rp2040(&elf, wire.address(), &network_link)?,
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
            .ok_or_else(|| io::Error::other("the emulator has no standard output"))?;
        let lines = decode(output, image.elf().to_vec());
        Ok(Self {
            child,
            lines,
            log: Mutex::default(),
            network_link,
            _nat: nat,
            _wire: wire,
            _folder: folder,
        })
    }

    /// Returns the network link between the board and the gateway.
    #[must_use]
    pub fn network_link(&self) -> &NetworkLink {
        &self.network_link
    }

    /// Waits for the next line of the board's log. Returns `None` if the board has ended or logs nothing within `timeout`.
    pub fn line(&self, timeout: Duration) -> Option<String> {
        let line = self.lines.recv_timeout(timeout).ok()?;
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(log, "{line}");
        Some(line)
    }

    /// Waits for a line of the log that contains `words`, and returns it.
    ///
    /// # Panics
    /// Panics with the log if there is no such line within `seconds`, or if the board ends.
    pub fn wait_for_within(&self, words: &str, seconds: u64) -> String {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            let remaining = end.saturating_duration_since(Instant::now());
            match self.line(remaining) {
                Some(line) if line.contains(words) => return line,
                Some(_) => {}
                None => panic!(
                    "the board's log does not contain {words:?}:\n{}",
                    self.said()
                ),
            }
        }
    }

    /// Waits for a line of the log that contains `words`, for at most 60 seconds, and returns it.
    ///
    /// # Panics
    /// Panics with the log if there is no such line within 60 seconds, or if the board ends.
    pub fn wait_for(&self, words: &str) -> String {
        self.wait_for_within(words, 60)
    }

    /// Returns all lines of the log that have been read up to now.
    pub fn said(&self) -> String {
        self.log
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

fn qemu(elf: &Path, wire: u16, network_link: &NetworkLink) -> io::Result<Command> {
    let mut command = Command::new("qemu-system-arm");
    command
        .args(["-M", "mps2-an386", "-display", "none", "-monitor", "none"])
        .args(["-semihosting-config", "enable=on,target=native"])
        .arg("-nic")
        .arg(format!(
            "socket,udp=127.0.0.1:{},localaddr=127.0.0.1:{},model=lan9118",
            network_link.board_side(),
            network_link.board_port()
        ))
        .args(["-serial", "null", "-serial", "null", "-chardev"])
        .arg(format!(
            "socket,id=wire,host=127.0.0.1,port={wire},nodelay=on"
        ))
        .args(["-serial", "chardev:wire", "-kernel"])
        .arg(elf);
    Ok(command)
}

fn rp2040(
    elf: &Path,
    wire: std::net::SocketAddr,
    network_link: &NetworkLink,
) -> io::Result<Command> {
    let harness = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("rp2040");
    if !harness.join("node_modules/rp2040js").is_dir() {
        return Err(io::Error::other(
            "rp2040js is not installed: install Node.js with npm, then run `cargo x setup`",
        ));
    }
    let mut command = Command::new("node");
    command
        .arg(harness.join("run.mjs"))
        .arg(elf)
        .arg("--tis")
        .arg(wire.to_string())
        .arg("--net-send")
        .arg(network_link.board_side().to_string())
        .arg("--net-bind")
        .arg(network_link.board_port().to_string())
        .arg("--stdin-guard");
    Ok(command)
}

/// Decodes the firmware's defmt messages in a thread, and returns a channel with one line per message.
fn decode(mut output: impl Read + Send + 'static, elf: Vec<u8>) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let Ok(Some(table)) = defmt_decoder::Table::parse(&elf) else {
            let _ = sender.send("the image has no table of defmt messages".to_owned());
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
                        let _ = sender.send("(a malformed log message)".to_owned());
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
