//! System packages: only what is missing, by the system's own package manager.

use crate::{Done, firmware_targets, root, run};
use std::process::{Command, Stdio};

/// A Debian package and why it is wanted.
pub(crate) struct Package {
    name: &'static str,
    why: &'static str,
}

const fn package(name: &'static str, why: &'static str) -> Package {
    Package { name, why }
}

/// What the demo needs.
const FOR_THE_DEMO: &[Package] = &[
    package("swtpm", "the TPM that demo and tests run against"),
    package(
        "libtss2-dev",
        "the TPM software stack that the crate tss-esapi is built on",
    ),
    package("pkg-config", "finds that library"),
    package("qemu-system-arm", "runs the firmware, and its network"),
];

/// What the tests need beyond that.
const FOR_THE_TESTS: &[Package] = &[
    package(
        "tpm2-tools",
        "reads the key files that we write, and writes some that we read",
    ),
    package(
        "openssl",
        "the other end of TLS connections, and certificates of every signature algorithm",
    ),
    package(
        "postgresql",
        "a server that checks tls-server-end-point by itself",
    ),
    package("g++", "builds libFuzzer"),
];

/// What bare-metal builds need where rustup cannot give the targets.
const FOR_BARE_METAL: &[Package] = &[
    package("rustc-web", "a compiler with its own library's sources"),
    package("cargo-web", "builds core from them"),
    package("rust-web-src", "the sources of core"),
    package("lld-22", "the linker of bare-metal targets"),
    package(
        "rust-web-llvm",
        "the name under which that compiler looks for it",
    ),
];

pub(crate) fn for_the_demo() -> Done {
    install(FOR_THE_DEMO)
}

pub(crate) fn for_the_tests() -> Done {
    install(FOR_THE_DEMO)?;
    install(FOR_THE_TESTS)?;
    for_the_rp2040()
}

/// The emulator of the RP2040, where there is Node.js to run it.
pub(crate) fn for_the_rp2040() -> Done {
    let folder = root().join("host-tests/rp2040");
    if !run::has("npm") || folder.join("node_modules/rp2040js").is_dir() {
        return Ok(());
    }
    let mut npm = run::command(&["npm", "ci", "--no-audit", "--no-fund"]);
    run::quietly("install rp2040js", npm.current_dir(folder)).map(|_| ())
}

pub(crate) fn for_bare_metal() -> Done {
    install(FOR_BARE_METAL)
}

pub(crate) fn all() -> Done {
    for_the_tests()?;
    firmware_targets::prepare()?;
    println!("everything is installed");
    Ok(())
}

fn install(packages: &[Package]) -> Done {
    let missing: Vec<_> = packages
        .iter()
        .filter(|package| !is_installed(package.name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("system packages to install:");
    for package in &missing {
        println!("  {:14} {}", package.name, package.why);
    }
    let names: Vec<_> = missing.iter().map(|package| package.name).collect();
    if !run::has("apt-get") {
        return Err(format!(
            "there is no apt-get here: install the equivalents of {} by hand",
            names.join(" ")
        )
        .into());
    }
    let privilege: &[&str] = if is_root() {
        &[]
    } else if run::has("sudo") {
        &["sudo"]
    } else {
        return Err(format!(
            "run `apt-get install {}` as root, then this again",
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
    run::quietly("look for packages", &mut apt(&["update", "-q"]))?;
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

fn is_installed(name: &str) -> bool {
    Command::new("dpkg-query")
        .args(["-W", "-f=${Status}", name])
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|output| output.stdout.ends_with(b"ok installed"))
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
