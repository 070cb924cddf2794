use crate::{Done, firmware, firmware_targets, run, setup};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What the device is.
    #[arg(long, value_enum, default_value_t = Board::QemuMps2)]
    board: Board,

    /// How the device proves who it is.
    #[arg(long, value_enum, default_value_t = Proof::ApiKey)]
    proof: Proof,

    /// How the device reaches its TPM, with --board host and --proof api-key.
    #[arg(long, value_enum, default_value_t = Tpm::Host)]
    tpm: Tpm,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Proof {
    /// By a one-time password, which an HMAC key in the TPM makes.
    ApiKey,
    /// By a certificate, whose key is in the TPM: an Exported Authenticator (RFC 9261).
    Authenticator,
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
    /// By tss-esapi, as a Linux host does.
    Host,
    /// By the driver for chips on SPI, which an emulated chip answers.
    Spi,
}

pub(crate) fn run(arguments: &Arguments) -> Done {
    setup::for_the_demo()?;
    let device = match (arguments.board, arguments.tpm) {
        (Board::QemuMps2, _) => "qemu-mps2",
        (Board::Rp2040W5500, _) => "rp2040-w5500",
        (Board::Host, Tpm::Host) => "host",
        (Board::Host, Tpm::Spi) => "spi",
    };
    if arguments.board == Board::Rp2040W5500 {
        if !run::has("npm") {
            return Err(
                "Node.js with npm runs the RP2040: install it, or take --board qemu-mps2".into(),
            );
        }
        setup::for_the_rp2040()?;
    }
    if arguments.board != Board::Host {
        firmware_targets::prepare()?;
        let features: &[&str] = match arguments.proof {
            Proof::ApiKey => &[],
            Proof::Authenticator => &[firmware::AUTHENTICATOR],
        };
        firmware::build(firmware::board(device)?, features)?;
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
        (Proof::Authenticator, "spi") => {
            return Err("--tpm spi is a story of passwords: leave it out with --proof authenticator, where firmware signs over SPI".into());
        }
        (Proof::Authenticator, _) => "authenticator",
        (Proof::ApiKey, _) => "api-key",
    };
    run::show(&mut run::command(&["target/debug/demo", device, proof]))
}
