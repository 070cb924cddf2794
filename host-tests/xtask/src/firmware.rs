//! Builds, configures and flashes the images of the boards.

use crate::{TaskResult, firmware_targets, root, run, uf2};
use chanbind_device_config::build as config;
use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

/// A firmware in a folder under `boards`.
pub(crate) struct Board {
    pub(crate) name: &'static str,
    pub(crate) target: &'static str,
    /// The name of the chip for probe-rs; `None` for an emulated board.
    chip: Option<&'static str>,
    /// The UF2 family of the chip's boot loader, if it accepts UF2 files.
    uf2_family: Option<u32>,
    /// The example applications that the board has beside its own: binaries of its crate.
    applications: &'static [Application],
}

/// An example application.
pub(crate) struct Application {
    pub(crate) name: &'static str,
    /// The features of the board's crate that it needs.
    features: &'static [&'static str],
}

const READINGS: Application = Application {
    name: "readings",
    features: &[],
};

const MQTT: Application = Application {
    name: "mqtt",
    features: &[],
};

/// The server for technicians.
pub(crate) const TECHNICIAN: Application = Application {
    name: "technician",
    features: &[MUTUAL],
};

/// A device on Vanadium's channel.
pub(crate) const VANADIUM: Application = Application {
    name: "vanadium",
    features: &["blessing-channel"],
};

pub(crate) const QEMU_MPS2: Board = Board {
    name: "qemu-mps2",
    target: "thumbv7em-none-eabihf",
    chip: None,
    uf2_family: None,
    applications: &[READINGS, MQTT, TECHNICIAN, VANADIUM],
};

/// All boards.
pub(crate) const BOARDS: [Board; 4] = [
    QEMU_MPS2,
    Board {
        name: "rp2040-w5500",
        target: "thumbv6m-none-eabi",
        chip: Some("RP2040"),
        uf2_family: Some(0xe48b_ff56),
        applications: &[READINGS],
    },
    Board {
        name: "rp2350-w5500",
        target: "thumbv8m.main-none-eabihf",
        chip: Some("RP235x"),
        uf2_family: Some(0xe48b_ff59),
        applications: &[],
    },
    Board {
        name: "stm32h563-nucleo",
        target: "thumbv8m.main-none-eabihf",
        chip: Some("STM32H563ZITx"),
        uf2_family: None,
        applications: &[],
    },
];

#[derive(clap::Args, Default)]
pub(crate) struct Arguments {
    /// The board to build. Without it, all boards are built.
    board: Option<String>,

    /// An example application of the board, like readings, in place of its own application.
    #[arg(long, requires = "board")]
    application: Option<String>,

    /// A feature of the board's crate, like small-records.
    #[arg(long)]
    feature: Vec<String>,
}

#[derive(clap::Args)]
pub(crate) struct FlashArguments {
    /// The board: rp2040-w5500, rp2350-w5500 or stm32h563-nucleo.
    board: String,

    /// The drive of a board in boot mode, to which a UF2 file is copied. Without it, a debug probe is used.
    #[arg(long, value_name = "FOLDER")]
    drive: Option<PathBuf>,

    /// An example application of the board, like readings, in place of its own application.
    #[arg(long)]
    application: Option<String>,

    /// A feature of the board's crate, like small-records.
    #[arg(long)]
    feature: Vec<String>,
}

#[derive(clap::Args)]
pub(crate) struct ConfigureArguments {
    /// The image to configure, as an ELF file or raw flash contents.
    image: PathBuf,

    /// The configuration of the device, a chanbind.toml.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,

    /// The file to which the configured image is written.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> TaskResult {
    firmware_targets::prepare()?;
    let features: Vec<_> = arguments.feature.iter().map(String::as_str).collect();
    let boards = match &arguments.board {
        Some(name) => std::slice::from_ref(board(name)?),
        None => &BOARDS[..],
    };
    for board in boards {
        let image = build_application(board, &features, arguments.application.as_deref())?;
        println!("{}", image.display());
    }
    Ok(())
}

/// Builds the images of all boards, with each kind of proof, and of their example applications. The tests run some of them; the
/// others must at least build.
pub(crate) fn build_for_tests() -> TaskResult {
    firmware_targets::prepare()?;
    for board in &BOARDS {
        for feature in PROOFS {
            build(board, &[feature])?;
        }
        let plain = board.applications.iter();
        let plain = plain.filter(|application| application.features.is_empty());
        let names: Vec<_> = plain.map(|application| application.name).collect();
        build_with(board, &[], &names)?;
    }
    build_for_benchmarks()
}

/// Builds the images of the emulated board, with and without authenticators, and the benchmarks that run on it.
pub(crate) fn build_for_benchmarks() -> TaskResult {
    build_with(&QEMU_MPS2, &[AUTHENTICATOR], &["authenticator"])?;
    build_with(&QEMU_MPS2, &[MUTUAL], &[TECHNICIAN.name, "agreement"])?;
    build_with(&QEMU_MPS2, &[BLESSING], &["blessing"])?;
    build_with(&QEMU_MPS2, VANADIUM.features, &[VANADIUM.name])?;
    build_with(&QEMU_MPS2, &[], &["instructions"])?;
    Ok(())
}

/// Runs clippy over the crates of all boards, with and without the features of proofs. Warnings are errors.
pub(crate) fn lint() -> TaskResult {
    firmware_targets::prepare()?;
    for board in &BOARDS {
        let applications = board.applications.iter();
        let applications = applications.flat_map(|application| application.features);
        let all: Vec<_> = PROOFS.iter().chain(applications).copied().collect();
        for features in [&[][..], &all] {
            let mut clippy = firmware_targets::cargo_for(board.target, "clippy");
            clippy
                .args(["--quiet", "--target", board.target])
                .args(["--package", &format!("chanbind-board-{}", board.name)])
                .args(["--features", &features.join(",")])
                .args(["--", "-D", "warnings"]);
            let names = [&[board.name], features].concat().join(", ");
            run::quietly(&format!("clippy, {names}"), &mut clippy)?;
        }
    }
    Ok(())
}

/// The feature of the boards with which a firmware proves a certificate.
pub(crate) const AUTHENTICATOR: &str = "authenticator";

/// The feature of the boards with which a firmware proves a password.
pub(crate) const MUTUAL: &str = "mutual";

/// The feature of the boards with which a firmware proves blessings.
pub(crate) const BLESSING: &str = "blessing";

/// The features of the boards that add a kind of proof.
const PROOFS: [&str; 3] = [AUTHENTICATOR, MUTUAL, BLESSING];

/// Writes a configuration into a built image.
pub(crate) fn configure(arguments: &ConfigureArguments) -> TaskResult {
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

/// Builds the image of a board with the configuration that `CHANBIND_CONFIG` names, and flashes it.
pub(crate) fn flash(arguments: &FlashArguments) -> TaskResult {
    let board = board(&arguments.board)?;
    if std::env::var_os("CHANBIND_CONFIG").is_none() {
        return Err("the image needs a configuration: run CHANBIND_CONFIG=/path/to/chanbind.toml cargo x flash ...".into());
    }
    firmware_targets::prepare()?;
    let features: Vec<_> = arguments.feature.iter().map(String::as_str).collect();
    let image = build_application(board, &features, arguments.application.as_deref())?;
    match (&arguments.drive, board.uf2_family, board.chip) {
        (Some(drive), Some(family), _) => {
            let uf2 = uf2::from_elf(&fs::read(image)?, family)?;
            let to = drive.join(format!("{}.uf2", board.name));
            fs::write(&to, uf2).map_err(|error| format!("{}: {error}", to.display()))?;
            println!("wrote {}: the board restarts and runs it", to.display());
            Ok(())
        }
        (Some(_), None, _) => Err(format!("the boot loader of {} does not accept UF2 files: leave out --drive and use a debug probe", board.name).into()),
        (None, _, Some(chip)) if run::is_installed("probe-rs") => {
            run::show(run::command(&["probe-rs", "run", "--chip", chip]).arg(image))
        }
        (None, Some(family), _) => {
            let to = root().join("target").join(format!("{}.uf2", board.name));
            fs::write(&to, uf2::from_elf(&fs::read(image)?, family)?)?;
            println!(
                "probe-rs is not installed (`cargo install probe-rs-tools`); without it, hold BOOTSEL while the board powers up and copy {} to its drive",
                to.display()
            );
            Ok(())
        }
        (None, None, Some(_)) => Err(format!(
            "probe-rs is not installed: run `cargo install probe-rs-tools` and repeat this command; the image is {}",
            image.display()
        )
        .into()),
        (None, None, None) => Err(format!(
            "{} is an emulated board and cannot be flashed: run it with `cargo x demo --board {}`",
            board.name, board.name
        )
        .into()),
    }
}

/// Builds the image of a board and returns its path.
pub(crate) fn build(board: &Board, features: &[&str]) -> Result<PathBuf, Box<dyn Error>> {
    build_with(board, features, &[])
}

/// Builds the image of an example application of a board, or without a name that of its own application, and returns its path.
pub(crate) fn build_application(
    board: &Board,
    features: &[&str],
    application: Option<&str>,
) -> Result<PathBuf, Box<dyn Error>> {
    let Some(name) = application else {
        return build(board, features);
    };
    let mut all = board.applications.iter();
    let Some(application) = all.find(|application| application.name == name) else {
        let names: Vec<_> = board.applications.iter().map(|one| one.name).collect();
        return Err(format!(
            "{} has no application {name:?}; its applications: {}",
            board.name,
            names.join(", ")
        )
        .into());
    };
    let mut features = features.to_vec();
    for feature in application.features {
        if !features.contains(feature) {
            features.push(feature);
        }
    }
    build_with(board, &features, &[name])?;
    Ok(image(board, Some(name), &features))
}

/// Builds the image of a board, and in the same run other binaries of its crate. Returns the path of the board's image.
fn build_with(
    board: &Board,
    features: &[&str],
    programs: &[&str],
) -> Result<PathBuf, Box<dyn Error>> {
    let package = format!("chanbind-board-{}", board.name);
    let mut command = firmware_targets::cargo_for(board.target, "build");
    command
        .args(["--profile", "firmware", "--target", board.target])
        .args(["--package", &package, "--features", &features.join(",")])
        .args(["--bin", &package])
        .args(programs.iter().flat_map(|program| ["--bin", program]))
        .env("RUSTFLAGS", path_remapping());
    if let Some(config) = std::env::var_os("CHANBIND_CONFIG") {
        // The path may be relative to the user's folder, but the build script runs in another one.
        command.env("CHANBIND_CONFIG", std::path::absolute(config)?);
    }
    run::quietly(
        &format!(
            "build the image of {}",
            [&[board.name], features, programs].concat().join(", ")
        ),
        &mut command,
    )?;
    // Cargo writes the builds with all combinations of features to the same file: copy each image to a file of its own.
    let folder = folder(board);
    fs::create_dir_all(folder.join("images"))?;
    for program in programs {
        fs::copy(folder.join(program), image(board, Some(program), features))?;
    }
    let own = image(board, None, features);
    fs::copy(folder.join(package), &own)?;
    Ok(own)
}

/// Returns the path of the image of a board's program, or without a name that of its own application.
fn image(board: &Board, program: Option<&str>, features: &[&str]) -> PathBuf {
    let name = [&[board.name], program.as_slice(), features].concat();
    folder(board)
        .join("images")
        .join(format!("{}.elf", name.join("-")))
}

/// Returns the folder in which cargo writes the programs of a board.
fn folder(board: &Board) -> PathBuf {
    root().join("target").join(board.target).join("firmware")
}

pub(crate) fn board(name: &str) -> Result<&'static Board, Box<dyn Error>> {
    BOARDS
        .iter()
        .find(|board| board.name == name)
        .ok_or_else(|| {
            let names: Vec<_> = BOARDS.iter().map(|board| board.name).collect();
            format!("unknown board {name:?}: use one of {}", names.join(", ")).into()
        })
}

/// Returns the compiler flags that shorten the paths of source files in panic messages, which otherwise reveal folders of this machine
/// and take space in flash.
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
            let version = String::from_utf8_lossy(&output.stdout).into_owned();
            let hash = version
                .lines()
                .find_map(|line| line.strip_prefix("commit-hash: "))?;
            Some(format!("--remap-path-prefix=/rustc/{hash}/library/="))
        });
    registries.chain(library).collect::<Vec<_>>().join(" ")
}
