//! Installs missing system packages with apt-get.

use crate::{TaskResult, root, run};
use std::process::{Command, Stdio};

/// A Debian package and the reason to install it.
pub(crate) struct Package {
    name: &'static str,
    reason: &'static str,
}

const fn package(name: &'static str, reason: &'static str) -> Package {
    Package { name, reason }
}

/// The packages that the demo needs.
const FOR_THE_DEMO: &[Package] = &[
    package("swtpm", "the software TPM of the demo and the tests"),
    package(
        "libtss2-dev",
        "the TPM software stack, which the crate tss-esapi links",
    ),
    package("pkg-config", "finds the TPM software stack"),
    package("qemu-system-arm", "runs the firmware and its network"),
];

/// The packages that the tests need in addition to those of the demo.
const FOR_THE_TESTS: &[Package] = &[
    package(
        "tpm2-tools",
        "reads key files that chanbind writes, and writes key files that chanbind reads",
    ),
    package(
        "openssl",
        "peer of TLS connections, and certificates with every signature algorithm",
    ),
    package(
        "postgresql",
        "a server that verifies the channel binding tls-server-end-point",
    ),
    package("g++", "builds libFuzzer"),
    package("chromium", "a browser for the gateway's pages"),
    package("curl", "a client that knows nothing of proofs"),
    package(
        "python3-openssl",
        "a client of one-time passwords in Python",
    ),
];

/// The packages with which packages are built.
const FOR_PACKAGES: &[Package] = &[
    package("binutils", "shows the libraries of a program"),
    package("man-db", "shows manual pages"),
    package("umoci", "builds an image for containers"),
];

/// The packages that the models of the proofs need.
const FOR_THE_PROOFS: &[Package] = &[package("spass", "the theorem prover of `cargo x prove`")];

/// The packages that bare-metal builds need if rustup cannot install the targets.
const FOR_BARE_METAL: &[Package] = &[
    package(
        "rustc-web",
        "a compiler whose standard library is available as source",
    ),
    package("cargo-web", "builds core from source"),
    package("rust-web-clippy", "the lints of the boards"),
    package("rust-web-src", "the source of core"),
    package("lld-22", "the linker for bare-metal targets"),
    package(
        "rust-web-llvm",
        "provides the linker under the name that the compiler expects",
    ),
];

pub(crate) fn install_for_demo() -> TaskResult {
    install(FOR_THE_DEMO)
}

pub(crate) fn install_for_packages() -> TaskResult {
    install(FOR_PACKAGES)
}

pub(crate) fn install_for_tests() -> TaskResult {
    install(FOR_THE_DEMO)?;
    install(FOR_THE_TESTS)?;
    install_for_proofs()?;
    install_rp2040_emulator()
}

/// Installs the emulator of the RP2040, if npm is installed. Otherwise does nothing.
pub(crate) fn install_rp2040_emulator() -> TaskResult {
    let folder = root().join("host-tests/rp2040");
    if !run::is_installed("npm") || folder.join("node_modules/rp2040js").is_dir() {
        return Ok(());
    }
    let mut npm = run::command(&["npm", "ci", "--no-audit", "--no-fund"]);
    run::quietly("install rp2040js", npm.current_dir(folder)).map(|_| ())
}

pub(crate) fn install_for_proofs() -> TaskResult {
    install(FOR_THE_PROOFS)
}

pub(crate) fn install_for_bare_metal() -> TaskResult {
    install(FOR_BARE_METAL)
}

fn install(packages: &[Package]) -> TaskResult {
    let missing: Vec<_> = packages
        .iter()
        .filter(|package| !is_package_installed(package.name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("system packages to install:");
    for package in &missing {
        println!("  {:14} {}", package.name, package.reason);
    }
    let names: Vec<_> = missing.iter().map(|package| package.name).collect();
    if !run::is_installed("apt-get") {
        return Err(format!(
            "apt-get is not installed: install the equivalents of these Debian packages by hand: {}",
            names.join(" ")
        )
        .into());
    }
    let privilege: &[&str] = if is_root() {
        &[]
    } else if run::is_installed("sudo") {
        &["sudo"]
    } else {
        return Err(format!(
            "installing packages needs root or sudo: run `apt-get install {}` as root, then repeat this command",
            names.join(" ")
        )
        .into());
    };
    let apt = |arguments: &[&str]| {
        let mut command = run::command(
            &[
                privilege,
                &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"],
                arguments,
            ]
            .concat(),
        );
        // sudo may ask for a password.
        command.stdin(Stdio::inherit());
        command
    };
    run::quietly("update the list of packages", &mut apt(&["update", "-q"]))?;
    run::quietly(
        &format!("install {}", names.join(" ")),
        &mut apt(&[
            &["install", "-q", "-y", "--no-install-recommends"],
            names.as_slice(),
        ]
        .concat()),
    )?;
    Ok(())
}

fn is_package_installed(name: &str) -> bool {
    Command::new("dpkg-query")
        .args(["-W", "-f=${Status}", name])
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|output| output.stdout.ends_with(b"ok installed"))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
