//! Configurations for build scripts and tools: from TOML to the bytes that firmware reads.
#![allow(
    clippy::print_stdout,
    reason = "a build script talks to cargo on standard output"
)]

use crate::{
    CONFIG_LEN, Config, MAGIC, MAX_AUTHORITIES, MAX_NAME_LEN, VERSION, login, proof::file::Proofs,
    tag,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chanbind_core::{
    crypto::sha256,
    wire::{Full, Writer},
};
use serde::Deserialize;
use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// The reason why a configuration cannot be used, for people.
pub type Failure = Box<dyn Error + Send + Sync>;

/// The file `chanbind.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    host: String,
    port: u16,
    #[serde(default = "root")]
    path: String,
    server_name: Option<String>,
    name: String,
    authorities: Vec<PathBuf>,
    time: Time,
    #[serde(default = "interval")]
    interval_ms: u32,
    #[serde(default = "first_retry")]
    first_retry_ms: u32,
    #[serde(default = "longest_retry")]
    longest_retry_ms: u32,
    #[serde(default = "step_timeout")]
    step_timeout_ms: u32,
    proof: Proofs,
    login: Option<login::file::Section>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Time {
    Board,
    Build,
    DangerousUnknown,
}

/// The table of a key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyTable {
    parent_name: String,
    private: String,
    public: String,
    #[serde(default)]
    password: String,
}

/// The bytes of a key.
pub(crate) struct KeyBytes([Vec<u8>; 4]);

impl KeyBytes {
    pub(crate) fn write(&self, writer: &mut Writer<'_>) -> Result<(), Full> {
        self.0.iter().try_for_each(|field| writer.sized16(field))
    }
}

impl KeyTable {
    /// Decodes a key; `place` names its table in errors.
    pub(crate) fn decode(&self, place: &str) -> Result<KeyBytes, Failure> {
        let bytes_of = |name: &str, text: &str| {
            hex::decode(text)
                .map_err(|error| format!("{place}.{name}: {error}: give hexadecimal digits"))
        };
        let key = [
            bytes_of("parent_name", &self.parent_name)?,
            bytes_of("private", &self.private)?,
            bytes_of("public", &self.public)?,
            self.password.clone().into_bytes(),
        ];
        for (name, blob) in ["private", "public"].iter().zip(key.iter().skip(1)) {
            let len = blob.first_chunk().map(|&len| u16::from_be_bytes(len));
            if len.map(usize::from) != blob.len().checked_sub(2) {
                return Err(format!(
                    "{place}.{name}: its length is not what it begins with: copy it whole"
                )
                .into());
            }
        }
        Ok(KeyBytes(key))
    }
}

/// The rest of the file, as far as the section of a proof needs it.
pub(crate) struct Context<'a> {
    /// The name of the device.
    pub(crate) name: &'a str,
    read: &'a dyn Fn(&Path) -> Result<String, Failure>,
}

impl Context<'_> {
    /// Reads all certificates of these files, DER.
    pub(crate) fn certificates(&self, files: &[PathBuf]) -> Result<Vec<Vec<u8>>, Failure> {
        let mut all = Vec::new();
        for name in files {
            all.extend(certificates(&(self.read)(name)?)?);
        }
        Ok(all)
    }

    /// Encodes a section.
    pub(crate) fn encode(
        &self,
        write: impl FnOnce(&mut Writer<'_>) -> Result<(), Full>,
    ) -> Result<Vec<u8>, Failure> {
        let mut buffer = vec![0; CONFIG_LEN];
        let mut writer = Writer::new(&mut buffer);
        write(&mut writer).map_err(|_| too_long())?;
        Ok(writer.finish().to_vec())
    }
}

fn too_long() -> Failure {
    format!(
        "the configuration is too long: it has room for {CONFIG_LEN} bytes, certificates and key included"
    )
    .into()
}

fn root() -> String {
    "/".to_owned()
}

fn interval() -> u32 {
    60_000
}

fn first_retry() -> u32 {
    1_000
}

fn longest_retry() -> u32 {
    60_000
}

fn step_timeout() -> u32 {
    30_000
}

/// Does the work of a board's build script: puts its `memory.x` where the linker looks, names the linker's scripts, and reads the
/// configuration that the environment variable `CHANBIND_CONFIG` names into `config.bin` of the output folder, where
/// `chanbind_device::config_of_image!` takes it from. If it names none, the image has an empty one, to be filled by [`patch`].
///
/// ```no_run
/// # use chanbind_device_config::build;
/// fn main() -> Result<(), build::Failure> {
///     build::for_board(&["link.x", "defmt.x"])
/// }
/// ```
///
/// # Errors
/// Fails if a file cannot be used; the message says why.
pub fn for_board(linker_scripts: &[&str]) -> Result<(), Failure> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("not run by cargo")?);
    fs::copy("memory.x", out.join("memory.x"))?;
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=memory.x");
    // Sections are not aligned to pages, which a microcontroller does not have.
    println!("cargo::rustc-link-arg-bins=--nmagic");
    for script in linker_scripts {
        println!("cargo::rustc-link-arg-bins=-T{script}");
    }
    println!("cargo::rerun-if-env-changed=CHANBIND_CONFIG");
    let mut bytes = vec![0; CONFIG_LEN];
    if let Some(file) = env::var_os("CHANBIND_CONFIG") {
        let file = PathBuf::from(file);
        println!("cargo::rerun-if-changed={}", file.display());
        bytes = from_file(&file)?;
    } else if let Some(start) = bytes.get_mut(..MAGIC.len()) {
        start.copy_from_slice(MAGIC);
    }
    Ok(fs::write(out.join("config.bin"), bytes)?)
}

/// Returns the bytes of a TOML file. The files that it names are read from its folder.
///
/// # Errors
/// Fails if a file cannot be read or used; the message says why.
pub fn from_file(file: &Path) -> Result<Vec<u8>, Failure> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let named = |path: &Path, error: &dyn std::fmt::Display| -> Failure {
        format!("{}: {error}", path.display()).into()
    };
    let text = fs::read_to_string(file).map_err(|error| named(file, &error))?;
    from_toml(&text, |name| {
        let path = folder.join(name);
        println!("cargo::rerun-if-changed={}", path.display());
        fs::read_to_string(&path).map_err(|error| named(&path, &error))
    })
    .map_err(|error| named(file, &error))
}

/// Returns the bytes of a TOML text; `read` reads the files that it names.
///
/// # Errors
/// As [`from_file`].
pub fn from_toml(
    text: &str,
    read: impl Fn(&Path) -> Result<String, Failure>,
) -> Result<Vec<u8>, Failure> {
    let file: File = toml::from_str(text)
        .map_err(|error| old_format(text).unwrap_or_else(|| unreadable(text, &error)))?;
    let context = Context {
        name: &file.name,
        read: &read,
    };
    let authorities = context.certificates(&file.authorities)?;
    if authorities.is_empty() || authorities.len() > MAX_AUTHORITIES {
        return Err(format!(
            "authorities: {} certificates: give 1 to {MAX_AUTHORITIES}",
            authorities.len()
        )
        .into());
    }
    if file.name.is_empty() || file.name.len() > MAX_NAME_LEN {
        return Err(format!("name: give 1 to {MAX_NAME_LEN} bytes").into());
    }
    if file.host.is_empty() {
        return Err("host: give a DNS name or an IP address".into());
    }
    if !file.path.starts_with('/') || !file.path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("path: begin with /, and percent-encode what is not visible ASCII".into());
    }
    if file.first_retry_ms == 0 || file.longest_retry_ms < file.first_retry_ms {
        return Err("first_retry_ms: give at least 1 and at most longest_retry_ms".into());
    }
    let (proof, section) = file.proof.encode(&context)?;
    let login = file.login.as_ref().map(|login| login.encode(&context));
    let login = login.transpose()?;
    let mut time = vec![match file.time {
        Time::Board => 0,
        Time::Build => 1,
        Time::DangerousUnknown => 2,
    }];
    if let Time::Build = file.time {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        time.extend(now.map_or(0, |since| since.as_secs()).to_be_bytes());
    }
    let timers = [
        file.interval_ms,
        file.first_retry_ms,
        file.longest_retry_ms,
        file.step_timeout_ms,
    ];
    let timers: Vec<u8> = timers
        .iter()
        .flat_map(|timer| timer.to_be_bytes())
        .collect();
    let mut fields: Vec<(u8, &[u8])> = vec![
        (tag::HOST, file.host.as_bytes()),
        (
            tag::SERVER_NAME,
            file.server_name.as_ref().unwrap_or(&file.host).as_bytes(),
        ),
        (tag::PATH, file.path.as_bytes()),
        (tag::NAME, file.name.as_bytes()),
        (tag::TIME, &time),
        (tag::TIMERS, &timers),
        (proof, &section),
    ];
    fields.extend(login.iter().map(|login| (tag::LOGIN, login.as_slice())));
    let port = file.port.to_be_bytes();
    fields.push((tag::PORT, &port));
    fields.extend(
        authorities
            .iter()
            .map(|one| (tag::AUTHORITY, one.as_slice())),
    );
    let encoded = context.encode(|writer| {
        fields.iter().try_for_each(|(tag, value)| {
            writer.u8(*tag)?;
            writer.sized16(value)
        })
    })?;
    let body = [&*encoded, &sha256(&encoded)].concat();
    let mut bytes = vec![0; CONFIG_LEN];
    let mut writer = Writer::new(&mut bytes);
    let written = writer
        .put(MAGIC)
        .and_then(|()| writer.u8(VERSION))
        .and_then(|()| writer.sized16(&body));
    written.map_err(|_| too_long())?;
    Config::parse(&bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Returns advice for a file of an earlier version, which had the proof at its top level.
fn old_format(text: &str) -> Option<String> {
    let table: toml::Table = text.parse().ok()?;
    let is_old = table.contains_key("key")
        || table.contains_key("client_id")
        || table.get("proof").is_some_and(toml::Value::is_str);
    is_old.then(|| {
        "the file is of an earlier version: client_id is now name, and proof, certificates and [key] are a section, [proof.otp] with [proof.otp.key], or [proof.authenticator] with certificates and [proof.authenticator.key]".to_owned()
    })
}

/// Replaces the configuration in an image, which is an ELF file or the raw content of the flash.
///
/// # Errors
/// Fails if the image has no place for a configuration, or more than one.
pub fn patch(image: &mut [u8], config: &[u8]) -> Result<(), Failure> {
    let mut places = image
        .windows(MAGIC.len())
        .enumerate()
        .filter(|(_, window)| *window == MAGIC)
        .map(|(at, _)| at);
    let (place, another) = (places.next(), places.next());
    let at =
        place.ok_or("the image has no place for a configuration: is it firmware of chanbind?")?;
    if another.is_some() {
        return Err("the image has more than one place that looks like a configuration".into());
    }
    let end = at.saturating_add(config.len());
    image
        .get_mut(at..end)
        .filter(|place| place.len() == CONFIG_LEN)
        .ok_or("the image ends within the configuration")?
        .copy_from_slice(config);
    Ok(())
}

/// Returns all certificates of a PEM text, DER.
fn certificates(pem: &str) -> Result<Vec<Vec<u8>>, Failure> {
    let mut found = Vec::new();
    for part in pem.split("-----BEGIN CERTIFICATE-----").skip(1) {
        let (body, _) = part
            .split_once("-----END CERTIFICATE-----")
            .ok_or("a certificate has no end: give PEM")?;
        let body: String = body.split_whitespace().collect();
        found.push(
            BASE64_STANDARD
                .decode(body)
                .map_err(|error| format!("a certificate is not base64: {error}"))?,
        );
    }
    if found.is_empty() {
        return Err("no certificate in a file: give PEM with -----BEGIN CERTIFICATE-----".into());
    }
    Ok(found)
}

/// Returns the place of an error, and the parser's words where they cannot quote a secret: the table of a key may have a password.
fn unreadable(text: &str, error: &toml::de::Error) -> String {
    let before = text
        .get(..error.span().map_or(0, |span| span.start))
        .unwrap_or(text);
    let lines = before.matches('\n').count();
    let line = lines.saturating_add(1);
    let is_secret = before.lines().any(|line| {
        line.trim_start().starts_with('[')
            && ["key", "mutual", "login"]
                .iter()
                .any(|word| line.contains(word))
    });
    let words = if is_secret {
        "the table is not what `chanbind provision` writes: write it again"
    } else {
        error.message()
    };
    let rest = text.lines().nth(lines).unwrap_or_default();
    match rest.split_once('=') {
        Some((key, _)) => format!("line {line}, {}: {words}", key.trim()),
        None => format!("line {line}: {words}"),
    }
}
