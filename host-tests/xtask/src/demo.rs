use crate::{Done, run, setup};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How the device reaches its TPM.
    #[arg(long, value_enum, default_value_t = Tpm::Host)]
    tpm: Tpm,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Tpm {
    /// By tss-esapi, as a Linux host does.
    Host,
    /// By the driver for chips on SPI, which an emulated chip answers.
    Spi,
}

pub(crate) fn run(arguments: &Arguments) -> Done {
    setup::for_the_demo()?;
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
    let tpm = match arguments.tpm {
        Tpm::Host => "host",
        Tpm::Spi => "spi",
    };
    run::show(&mut run::command(&["target/debug/demo", tpm]))
}
