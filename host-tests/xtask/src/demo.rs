use crate::{TaskResult, firmware, firmware_targets, run, setup};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The kind of device.
    #[arg(long, value_enum, default_value_t = Board::QemuMps2)]
    board: Board,

    /// The proof of identity that the device presents.
    #[arg(long, value_enum, default_value_t = Proof::ApiKey)]
    proof: Proof,

    /// The interface to the TPM, for --board host with --proof api-key.
    #[arg(long, value_enum, default_value_t = Tpm::Host)]
    tpm: Tpm,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Proof {
    /// A one-time password, which is derived with an HMAC key in the TPM.
    ApiKey,
    /// An Exported Authenticator (RFC 9261) with a certificate whose key is in the TPM.
    Authenticator,
    /// A password, by HTTP Mutual authentication (RFC 8120).
    Mutual,
    /// Vanadium's blessings of a key in the TPM, over TLS and over Vanadium's own channel.
    Blessing,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Board {
    /// Firmware on a Cortex-M4F in QEMU.
    QemuMps2,
    /// Firmware on an RP2040 in rp2040js, which needs Node.js.
    #[value(name = "rp2040-w5500")]
    Rp2040W5500,
    /// A program on this host.
    Host,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Tpm {
    /// The TPM software stack, through tss-esapi, as on a Linux host.
    Host,
    /// The driver for TPM chips on SPI, with an emulated chip.
    Spi,
}

pub(crate) fn run(arguments: &Arguments) -> TaskResult {
    setup::install_for_demo()?;
    let device = match (arguments.board, arguments.tpm) {
        (Board::QemuMps2, _) => "qemu-mps2",
        (Board::Rp2040W5500, _) => "rp2040-w5500",
        (Board::Host, Tpm::Host) => "host",
        (Board::Host, Tpm::Spi) => "spi",
    };
    if arguments.board == Board::Rp2040W5500 {
        if !run::is_installed("npm") {
            return Err(
                "the emulator of the RP2040 needs Node.js with npm: install it, or use --board qemu-mps2".into(),
            );
        }
        setup::install_rp2040_emulator()?;
    }
    if arguments.board != Board::Host {
        firmware_targets::prepare()?;
        let features: &[&str] = match arguments.proof {
            Proof::ApiKey => &[],
            Proof::Authenticator => &[firmware::AUTHENTICATOR],
            Proof::Mutual => &[firmware::MUTUAL],
            Proof::Blessing => &[firmware::BLESSING],
        };
        let board = firmware::board(device)?;
        firmware::build_application(board, features, None)?;
        let application = match (arguments.proof, arguments.board) {
            (Proof::Mutual, Board::QemuMps2) => Some(&firmware::TECHNICIAN),
            (Proof::Blessing, Board::QemuMps2) => Some(&firmware::VANADIUM),
            _ => None,
        };
        if let Some(application) = application {
            firmware::build_application(board, &[], Some(application.name))?;
        }
    }
    run::quietly(
        "build the demo",
        &mut run::cargo(&[
            "build",
            "--locked",
            "--package",
            "chanbind-host-tests",
            "--package",
            "chanbind",
            "--bin",
            "demo",
            "--bin",
            "chanbind",
        ]),
    )?;
    let proof = match (arguments.proof, device) {
        (Proof::Authenticator | Proof::Mutual | Proof::Blessing, "spi") => {
            return Err("--tpm spi goes with --proof api-key alone: leave one of them out, or use a --board other than host, whose TPM is on SPI".into());
        }
        (Proof::Authenticator, _) => "authenticator",
        (Proof::Mutual, _) => "mutual",
        (Proof::Blessing, _) => "blessing",
        (Proof::ApiKey, _) => "api-key",
    };
    run::show(&mut run::command(&["target/debug/demo", device, proof]))
}
