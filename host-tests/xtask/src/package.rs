//! Builds the packages: a .deb with the gateway, and an image of it for containers.

use crate::{TaskResult, root, run, setup, tools};
use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The folder of the packages, relative to the root folder of the workspace.
const FOLDER: &str = "target/package";
/// The layers of the image: the packages of Debian whose libraries the program uses, and the authorities of the system.
const LIBRARIES: [&str; 3] = ["libc6", "libgcc-s1", "ca-certificates"];

pub(crate) fn run() -> TaskResult {
    setup::install_for_packages()?;
    let folder = root().join(FOLDER);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    for inner in ["man", "completions", "image-root"] {
        fs::create_dir_all(folder.join(inner))?;
    }
    let program = build(&folder)?;
    document(&program, &folder)?;
    let package = deb(&folder)?;
    check(&package, &folder)?;
    image(&package, &folder)?;
    for name in [package, folder.join("chanbind-gateway.oci.tar")] {
        let kib = fs::metadata(&name)?.len() / 1024;
        println!("{} ({kib} KiB)", name.display());
    }
    Ok(())
}

/// Builds the program with the subcommands that a gateway needs, without the TPM software stack.
fn build(folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    run::quietly(
        "build the gateway",
        &mut run::cargo(&[
            "build",
            "--locked",
            "--release",
            "--package",
            "chanbind",
            "--no-default-features",
            "--features",
            "opentelemetry",
        ]),
    )?;
    let program = folder.join("chanbind");
    fs::copy(root().join("target/release/chanbind"), &program)?;
    run::show(Command::new("strip").arg(&program))?;
    let needed = output(Command::new("objdump").arg("-p").arg(&program))?;
    let needed: Vec<_> = needed
        .lines()
        .filter_map(|line| line.trim().strip_prefix("NEEDED"))
        .map(str::trim)
        .collect();
    println!("libraries: {}", needed.join(", "));
    if needed.iter().any(|library| library.starts_with("libtss2")) {
        return Err("the gateway needs the TPM software stack".into());
    }
    Ok(program)
}

/// Writes manual pages and completions.
fn document(program: &Path, folder: &Path) -> TaskResult {
    run::show(Command::new(program).arg("man").arg(folder.join("man")))?;
    for entry in fs::read_dir(folder.join("man"))? {
        run::show(Command::new("gzip").args(["-9n"]).arg(entry?.path()))?;
    }
    for (shell, name) in [
        ("bash", "chanbind.bash"),
        ("zsh", "_chanbind"),
        ("fish", "chanbind.fish"),
    ] {
        let text = output(Command::new(program).args(["completions", shell]))?;
        fs::write(folder.join("completions").join(name), text)?;
    }
    Ok(())
}

fn deb(folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let path = folder.join("chanbind-gateway.deb");
    let mut command = tools::CARGO_DEB.command(&[
        "--package",
        "chanbind",
        "--no-build",
        "--no-strip",
        "--output",
    ])?;
    run::quietly("build the .deb", command.arg(&path))?;
    Ok(path)
}

/// Unpacks the package, and uses what is in it.
fn check(package: &Path, folder: &Path) -> TaskResult {
    let unpacked = folder.join("unpacked");
    run::show(
        Command::new("dpkg-deb")
            .arg("-x")
            .arg(package)
            .arg(&unpacked),
    )?;
    for file in [
        "usr/bin/chanbind",
        "usr/share/man/man1/chanbind-gateway.1.gz",
        "usr/share/man/man1/chanbind-registry-import.1.gz",
        "usr/share/bash-completion/completions/chanbind",
        "usr/share/zsh/vendor-completions/_chanbind",
        "usr/share/fish/vendor_completions.d/chanbind.fish",
        "usr/lib/systemd/system/chanbind-gateway.service",
        "usr/share/doc/chanbind-gateway/OPERATIONS.md",
        "usr/share/doc/chanbind-gateway/examples/gateway.toml",
    ] {
        if !unpacked.join(file).is_file() {
            return Err(format!("the package has no {file}").into());
        }
    }
    let version = output(Command::new(unpacked.join("usr/bin/chanbind")).arg("--version"))?;
    let fields = output(
        Command::new("dpkg-deb")
            .arg("--field")
            .arg(package)
            .args(["Version", "Depends"]),
    )?;
    print!("{version}{fields}");
    // The page that a user of the package reads.
    let page = output(
        Command::new("man")
            .args(["--warnings", "-l"])
            .arg(unpacked.join("usr/share/man/man1/chanbind-gateway.1.gz")),
    )?;
    if !page.contains("--config") {
        return Err("the manual page does not name --config".into());
    }
    Ok(())
}

/// Builds an image with the package and the libraries that it needs, and runs the program inside of it.
fn image(package: &Path, folder: &Path) -> TaskResult {
    let files = folder.join("image-root");
    for library in LIBRARIES {
        let mut download = Command::new("apt-get");
        download
            .args(["download", "-qq", library])
            .current_dir(folder);
        run::quietly(&format!("download {library}"), &mut download)?;
    }
    let mut packages = vec![package.to_owned()];
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_library = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().contains('_'));
        if is_library && path.extension().is_some_and(|extension| extension == "deb") {
            packages.push(path);
        }
    }
    for package in packages {
        run::show(Command::new("dpkg-deb").arg("-x").arg(package).arg(&files))?;
    }
    // A package's scripts are not run here, and one of them writes the list of authorities.
    let mut authorities = String::new();
    for entry in fs::read_dir(files.join("usr/share/ca-certificates/mozilla"))? {
        authorities.push_str(&fs::read_to_string(entry?.path())?);
    }
    if authorities.is_empty() {
        return Err("ca-certificates has no authorities".into());
    }
    fs::create_dir_all(files.join("etc/ssl/certs"))?;
    fs::write(files.join("etc/ssl/certs/ca-certificates.crt"), authorities)?;
    // Where volumes are mounted.
    for folder in ["etc/chanbind", "var/lib/chanbind"] {
        fs::create_dir_all(files.join(folder))?;
    }
    // Programs there look for the loader in folders that packages take for granted.
    for (link, target) in [
        ("lib64", "usr/lib64"),
        ("lib", "usr/lib"),
        ("bin", "usr/bin"),
    ] {
        let link = files.join(link);
        if !link.exists() && files.join(target).exists() {
            std::os::unix::fs::symlink(target, link)?;
        }
    }
    let layout = folder.join("image");
    let tagged = format!("{}:latest", layout.display());
    run::show(
        Command::new("umoci")
            .args(["init", "--layout"])
            .arg(&layout),
    )?;
    run::show(Command::new("umoci").args(["new", "--image", &tagged]))?;
    let mut insert = Command::new("umoci");
    insert
        .args(["insert", "--rootless", "--image", &tagged])
        .arg(&files)
        .arg("/");
    run::quietly("build the image", &mut insert)?;
    run::show(Command::new("umoci").args([
        "config",
        "--image",
        &tagged,
        "--config.user=65532:65532",
        "--config.entrypoint=/usr/bin/chanbind",
        "--config.cmd=gateway",
        "--config.cmd=--config",
        "--config.cmd=/etc/chanbind/gateway.toml",
        "--config.exposedports=8443/tcp",
    ]))?;
    let bundle = folder.join("bundle");
    run::show(
        Command::new("umoci")
            .args(["unpack", "--rootless", "--image", &tagged])
            .arg(&bundle),
    )?;
    let mut inside = Command::new(files.join("usr/bin/chanbind"));
    inside.arg("--version");
    // Only root may change the root folder; others run the program with the system's libraries.
    if let Ok(text) = output(
        Command::new("chroot")
            .arg(bundle.join("rootfs"))
            .args(["/usr/bin/chanbind", "--version"]),
    ) {
        print!("in the image: {text}");
    } else {
        output(&mut inside)?;
    }
    let mut tar = Command::new("tar");
    tar.arg("-C")
        .arg(&layout)
        .arg("-cf")
        .arg(folder.join("chanbind-gateway.oci.tar"))
        .arg(".");
    run::show(&mut tar)
}

fn output(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let output = command
        .output()
        .map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
