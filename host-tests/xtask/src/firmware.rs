//! Boards: their images built, counted, configured and flashed.

use crate::{Done, firmware_targets, root, run, uf2};
use chanbind_device_config::build as config;
use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

/// A folder under `boards` that is a firmware.
pub(crate) struct Board {
    pub(crate) name: &'static str,
    pub(crate) target: &'static str,
    /// As probe-rs knows the part.
    chip: Option<&'static str>,
    /// Of the boot loader that takes UF2.
    uf2_family: Option<u32>,
}

pub(crate) const QEMU_MPS2: Board = Board {
    name: "qemu-mps2",
    target: "thumbv7em-none-eabihf",
    chip: None,
    uf2_family: None,
};

/// All that there are.
pub(crate) const BOARDS: [Board; 4] = [
    QEMU_MPS2,
    Board {
        name: "rp2040-w5500",
        target: "thumbv6m-none-eabi",
        chip: Some("RP2040"),
        uf2_family: Some(0xe48b_ff56),
    },
    Board {
        name: "rp2350-w5500",
        target: "thumbv8m.main-none-eabihf",
        chip: Some("RP235x"),
        uf2_family: Some(0xe48b_ff59),
    },
    Board {
        name: "stm32h563-nucleo",
        target: "thumbv8m.main-none-eabihf",
        chip: Some("STM32H563ZITx"),
        uf2_family: None,
    },
];

#[derive(clap::Args, Default)]
pub(crate) struct Arguments {
    /// One board; all of them where none is named.
    board: Option<String>,

    /// A feature of the board's, like small-records.
    #[arg(long)]
    feature: Vec<String>,
}

#[derive(clap::Args)]
pub(crate) struct FlashArguments {
    /// The board: rp2040-w5500, rp2350-w5500 or stm32h563-nucleo.
    board: String,

    /// The drive of a board in boot mode, to copy a UF2 file to, instead of a debug probe.
    #[arg(long, value_name = "FOLDER")]
    drive: Option<PathBuf>,

    /// A feature of the board's, like small-records.
    #[arg(long)]
    feature: Vec<String>,
}

#[derive(clap::Args)]
pub(crate) struct ConfigureArguments {
    /// The image, ELF or raw flash contents.
    image: PathBuf,

    /// The device's configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// The configured image.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Done {
    firmware_targets::prepare()?;
    let features: Vec<_> = arguments.feature.iter().map(String::as_str).collect();
    let boards = match &arguments.board {
        Some(name) => std::slice::from_ref(board(name)?),
        None => &BOARDS[..],
    };
    for board in boards {
        let image = build(board, &features)?;
        println!("{}", image.display());
    }
    Ok(())
}

/// The images that the tests run or link: every board, with authenticators and without.
pub(crate) fn for_the_tests() -> Done {
    firmware_targets::prepare()?;
    for board in &BOARDS {
        build(board, &[AUTHENTICATOR])?;
        build(board, &[])?;
    }
    Ok(())
}

/// The feature of firmware that proves certificates.
pub(crate) const AUTHENTICATOR: &str = "authenticator";

/// Puts a configuration into an image that is built.
pub(crate) fn configure(arguments: &ConfigureArguments) -> Done {
    let mut image = fs::read(&arguments.image)
        .map_err(|error| format!("{}: {error}", arguments.image.display()))?;
    config::from_file(&arguments.config)
        .and_then(|bytes| config::patch(&mut image, &bytes))
        .map_err(|error| -> Box<dyn Error> { error })?;
    fs::write(&arguments.out, image)
        .map_err(|error| format!("{}: {error}", arguments.out.display()))?;
    println!("wrote {}", arguments.out.display());
    Ok(())
}

/// Builds with the configuration that `CHANBIND_CONFIG` names, and flashes.
pub(crate) fn flash(arguments: &FlashArguments) -> Done {
    let board = board(&arguments.board)?;
    if std::env::var_os("CHANBIND_CONFIG").is_none() {
        return Err("an image without configuration is of no use: say which, CHANBIND_CONFIG=/path/of/chanbind.toml cargo x flash ...".into());
    }
    firmware_targets::prepare()?;
    let features: Vec<_> = arguments.feature.iter().map(String::as_str).collect();
    let image = build(board, &features)?;
    match (&arguments.drive, board.uf2_family, board.chip) {
        (Some(drive), Some(family), _) => {
            let uf2 = uf2::from_elf(&fs::read(image)?, family)?;
            let to = drive.join(format!("{}.uf2", board.name));
            fs::write(&to, uf2).map_err(|error| format!("{}: {error}", to.display()))?;
            println!("wrote {}: the board starts by itself", to.display());
            Ok(())
        }
        (Some(_), None, _) => Err(format!("{} takes no UF2: use a debug probe", board.name).into()),
        (None, _, Some(chip)) if run::has("probe-rs") => {
            run::show(run::command(&["probe-rs", "run", "--chip", chip]).arg(image))
        }
        (None, Some(family), _) => {
            let to = root().join("target").join(format!("{}.uf2", board.name));
            fs::write(&to, uf2::from_elf(&fs::read(image)?, family)?)?;
            println!(
                "there is no probe-rs here (`cargo install probe-rs-tools`); copy {} to the drive that the board is while BOOTSEL is held at power-up",
                to.display()
            );
            Ok(())
        }
        (None, None, Some(_)) => Err(format!(
            "there is no probe-rs here: `cargo install probe-rs-tools`, then this again; the image is {}",
            image.display()
        )
        .into()),
        (None, None, None) => Err(format!(
            "{} is emulated: `cargo x demo --board {}` runs it",
            board.name, board.name
        )
        .into()),
    }
}

/// Builds the image of a board, and says where it is.
pub(crate) fn build(board: &Board, features: &[&str]) -> Result<PathBuf, Box<dyn Error>> {
    let package = format!("chanbind-board-{}", board.name);
    let mut command = firmware_targets::cargo_for(board.target, "build");
    command
        .args(["--profile", "firmware", "--target", board.target])
        .args([
            "--package",
            &package,
            "--bins",
            "--features",
            &features.join(","),
        ])
        .env("RUSTFLAGS", path_remapping());
    if let Some(config) = std::env::var_os("CHANBIND_CONFIG") {
        // The build script runs in another folder than the user.
        command.env("CHANBIND_CONFIG", std::path::absolute(config)?);
    }
    run::quietly(
        &format!(
            "build the image of {}",
            [&[board.name], features].concat().join(", ")
        ),
        &mut command,
    )?;
    // Cargo has one place for all features: each image gets its own.
    let folder = root().join("target").join(board.target).join("firmware");
    let name = [&[board.name], features].concat().join("-");
    let image = folder.join("images").join(format!("{name}.elf"));
    fs::create_dir_all(folder.join("images"))?;
    fs::copy(folder.join(package), &image)?;
    Ok(image)
}

pub(crate) fn board(name: &str) -> Result<&'static Board, Box<dyn Error>> {
    BOARDS
        .iter()
        .find(|board| board.name == name)
        .ok_or_else(|| {
            let names: Vec<_> = BOARDS.iter().map(|board| board.name).collect();
            format!("no board {name:?}: there are {}", names.join(", ")).into()
        })
}

/// Panic messages name files; where those lie on this machine is nobody's business, and takes room in flash.
fn path_remapping() -> String {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo")));
    let registries = home
        .and_then(|home| fs::read_dir(home.join("registry/src")).ok())
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|registry| format!("--remap-path-prefix={}/=", registry.path().display()));
    let library = std::process::Command::new("rustc")
        .arg("-vV")
        .output()
        .ok()
        .and_then(|output| {
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let hash = said
                .lines()
                .find_map(|line| line.strip_prefix("commit-hash: "))?;
            Some(format!("--remap-path-prefix=/rustc/{hash}/library/="))
        });
    registries.chain(library).collect::<Vec<_>>().join(" ")
}
