//! The device as firmware: a flash image on an emulated board, with an emulated TPM chip on SPI and an emulated network.

use crate::{CLIENT, Gateway, Outcome, print_step};
use chanbind_host_tests::{
    board::{Board, HOST, Image, Kind},
    swtpm::Swtpm,
};
use chanbind_tis_emulator::Emulator;
use chanbind_tpm_spi::command::CommandCode;
use std::{path::Path, time::Duration};

/// The connections that an emulated board may lose before it is admitted.
const MAX_LOST_CONNECTIONS: u32 = 3;

/// Configures the image of a board for a server on `port` of the host: that which was built with `feature`, if that is not empty.
pub(crate) fn configured(
    kind: Kind,
    feature: &str,
    folder: &Path,
    port: u16,
    ca: &str,
) -> Outcome<Image> {
    let key = std::fs::read_to_string(folder.join("device-key.toml"))?;
    let toml = format!(
        "host = \"{HOST}\"\nport = {port}\nserver_name = \"localhost\"\npath = \"/get\"\nname = \"{CLIENT}\"\n\
         authorities = [\"ca.pem\"]\ntime = \"build\"\ninterval_ms = 2000\n{key}"
    );
    std::fs::write(folder.join("chanbind.toml"), &toml)?;
    std::fs::write(folder.join("ca.pem"), ca)?;
    let certificate = std::fs::read_to_string(folder.join("client1.crt")).unwrap_or_default();
    let name = match feature {
        "" => kind.name().to_owned(),
        feature => format!("{}-{feature}", kind.name()),
    };
    print_step(
        "operator",
        format_args!("$ cargo x configure {name}.elf --config chanbind.toml --out device.elf"),
    );
    let image = match feature {
        "" => Image::built(kind),
        feature => Image::with_feature(kind, feature),
    };
    let image = image.and_then(|image| image.configured_with(&toml, ca, &certificate));
    image.map_err(|error| error.to_string().into())
}

/// Runs the image that was built with `feature`, if that is not empty, until the gateway has admitted the device, for which the gateway's log has lines with the texts of `accepted`.
pub(crate) fn run(
    kind: Kind,
    feature: &str,
    folder: &Path,
    swtpm: &Swtpm,
    gateway: &Gateway,
    accepted: &[&str],
) -> Outcome<()> {
    let image = configured(kind, feature, folder, gateway.port, &gateway.ca)?;
    let tpm = Emulator::in_real_time(chanbind_tis_emulator::Swtpm::connect(swtpm.port())?);
    let emulator = match kind {
        Kind::QemuMps2 => "QEMU, a Cortex-M4F with LAN9118 Ethernet",
        Kind::Rp2040W5500 => "rp2040js, a Cortex-M0+ with a W5500",
    };
    print_step(
        "operator",
        format_args!(
            "the flash image of {} starts in {emulator}; its TPM is a chip on SPI, emulated in front of the swtpm",
            kind.name()
        ),
    );
    println!();
    let board = Board::start(&image, &tpm)?;
    let mut lost_connections = 0;
    let admitted = loop {
        let line = board
            .line(Duration::from_secs(60))
            .ok_or("the device ended, or logged nothing for 60 s")?;
        if line.contains("event=admitted") {
            break line;
        }
        print_step("device", &line);
        // The gateway's time limits hold for an emulated board too, which may be slow on a busy machine. The device tries again.
        if line.contains("the connection broke") && lost_connections < MAX_LOST_CONNECTIONS {
            lost_connections += 1;
        } else if line.starts_with("ERROR") {
            return Err("the device logged an error".into());
        }
    };
    gateway.log(&[&["connection accepted"], accepted].concat())?;
    let counts = tpm.counts();
    print_step(
        "spi bus",
        format_args!(
            "{} bytes in {} transactions, with secret parameters encrypted: {}",
            counts.bytes,
            counts.transactions,
            commands(&tpm)
        ),
    );
    let violations = tpm.take_violations();
    if !violations.is_empty() {
        return Err(format!("the driver violated the protocol of the chip: {violations:?}").into());
    }
    print_step("device", admitted);
    while let Some(line) = board.line(Duration::from_millis(500)) {
        print_step("device", line);
    }
    Ok(())
}

/// Returns the names of the TPM commands that have passed, in their order. A command that is repeated in a row appears once, with its count.
fn commands(tpm: &Emulator) -> String {
    let mut names: Vec<(&str, usize)> = Vec::new();
    for command in tpm.commands() {
        let code = command.get(6..10).and_then(|code| code.try_into().ok());
        let name = code.map_or("?", |code| CommandCode(u32::from_be_bytes(code)).name());
        match names.last_mut() {
            Some((last, times)) if *last == name => *times += 1,
            _ => names.push((name, 1)),
        }
    }
    let words: Vec<_> = names
        .iter()
        .map(|(name, times)| match times {
            1 => (*name).to_owned(),
            _ => format!("{name} ({times} times)"),
        })
        .collect();
    words.join(", ")
}
