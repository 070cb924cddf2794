//! For build scripts and tools: from TOML to the bytes that firmware reads.
#![allow(
    clippy::print_stdout,
    reason = "that is how a build script talks to cargo"
)]

use crate::{
    CONFIG_LEN, Config, MAGIC, MAX_AUTHORITIES, MAX_CERTIFICATES, MAX_CERTIFICATES_LEN, Proof,
    TimeSource,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chanbind_core::{
    crypto::sha256,
    otp::ClientId,
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

/// Why a configuration cannot be used; for people.
pub type Failure = Box<dyn Error + Send + Sync>;

/// `chanbind.toml`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    host: String,
    port: u16,
    #[serde(default = "root")]
    path: String,
    server_name: Option<String>,
    client_id: String,
    authorities: Vec<PathBuf>,
    time: Time,
    #[serde(default)]
    proof: ProofName,
    #[serde(default)]
    certificates: Vec<PathBuf>,
    #[serde(default = "interval")]
    interval_ms: u32,
    #[serde(default = "first_retry")]
    first_retry_ms: u32,
    #[serde(default = "longest_retry")]
    longest_retry_ms: u32,
    #[serde(default = "step_timeout")]
    step_timeout_ms: u32,
    key: KeyTable,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Time {
    Board,
    Build,
    DangerousUnknown,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
enum ProofName {
    #[default]
    ApiKey,
    Authenticator,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyTable {
    parent_name: String,
    private: String,
    public: String,
    #[serde(default)]
    password: String,
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

/// All that a board's build script does: puts its `memory.x` where the linker looks, names the linker's scripts, and reads the
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
/// If a file cannot be used; the message says why.
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

/// The bytes of a TOML file, with the files that it names, which are looked for beside it.
///
/// # Errors
/// If a file cannot be read or used; the message says why.
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

/// The bytes of a TOML text; `read` reads the files that it names.
///
/// # Errors
/// As [`from_file`].
pub fn from_toml(
    text: &str,
    read: impl Fn(&Path) -> Result<String, Failure>,
) -> Result<Vec<u8>, Failure> {
    let file: File = toml::from_str(text).map_err(|error| unreadable(text, &error))?;
    let all = |files: &[PathBuf]| -> Result<Vec<Vec<u8>>, Failure> {
        let mut all = Vec::new();
        for name in files {
            all.extend(certificates(&read(name)?)?);
        }
        Ok(all)
    };
    let (authorities, own) = (all(&file.authorities)?, all(&file.certificates)?);
    let proof = match file.proof {
        ProofName::ApiKey => Proof::ApiKey,
        ProofName::Authenticator => Proof::Authenticator,
    };
    match proof {
        Proof::ApiKey if !own.is_empty() => {
            return Err("certificates: an API key has none: say proof = \"authenticator\"".into());
        }
        Proof::Authenticator if own.is_empty() || own.len() > MAX_CERTIFICATES => {
            return Err(format!(
                "certificates: {}: give the device's own and those between it and its authority, 1 to {MAX_CERTIFICATES}",
                own.len()
            )
            .into());
        }
        _ => {}
    }
    let own_len: usize = own.iter().map(Vec::len).sum();
    if own_len > MAX_CERTIFICATES_LEN {
        return Err(format!(
            "certificates: {own_len} bytes: the firmware has room for {MAX_CERTIFICATES_LEN}; have smaller ones issued, on P-256"
        )
        .into());
    }
    if authorities.is_empty() || authorities.len() > MAX_AUTHORITIES {
        return Err(format!(
            "authorities: {} certificates: give 1 to {MAX_AUTHORITIES}",
            authorities.len()
        )
        .into());
    }
    ClientId::new(&file.client_id).map_err(|error| format!("client_id: {error}"))?;
    if !file.path.starts_with('/') || !file.path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("path: begin with /, and percent-encode what is not visible ASCII".into());
    }
    if file.first_retry_ms == 0 || file.longest_retry_ms < file.first_retry_ms {
        return Err("first_retry_ms: give at least 1 and at most longest_retry_ms".into());
    }
    let time = match file.time {
        Time::Board => TimeSource::Board,
        Time::Build => TimeSource::NotBefore(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs()),
        ),
        Time::DangerousUnknown => TimeSource::DangerousUnknown,
    };
    let bytes_of = |name: &str, text: &str| {
        hex::decode(text).map_err(|error| format!("key.{name}: {error}: give hexadecimal digits"))
    };
    let key = [
        bytes_of("parent_name", &file.key.parent_name)?,
        bytes_of("private", &file.key.private)?,
        bytes_of("public", &file.key.public)?,
        file.key.password.into_bytes(),
    ];
    for (name, blob) in ["private", "public"].iter().zip(key.iter().skip(1)) {
        let len = blob.first_chunk().map(|&len| u16::from_be_bytes(len));
        if len.map(usize::from) != blob.len().checked_sub(2) {
            return Err(format!(
                "key.{name}: its length is not what it begins with: copy it whole"
            )
            .into());
        }
    }
    let mut bytes = vec![0; CONFIG_LEN];
    let encode = |writer: &mut Writer<'_>| -> Result<(), Full> {
        writer.sized16(file.host.as_bytes())?;
        writer.u16(file.port)?;
        writer.sized16(file.server_name.as_ref().unwrap_or(&file.host).as_bytes())?;
        writer.sized16(file.path.as_bytes())?;
        writer.sized16(file.client_id.as_bytes())?;
        writer.u8(u8::try_from(authorities.len()).map_err(|_| Full)?)?;
        for authority in &authorities {
            writer.sized16(authority)?;
        }
        match time {
            TimeSource::Board => writer.u8(0)?,
            TimeSource::NotBefore(seconds) => {
                writer.u8(1)?;
                writer.put(&seconds.to_be_bytes())?;
            }
            TimeSource::DangerousUnknown => writer.u8(2)?,
        }
        writer.u8(match proof {
            Proof::ApiKey => 0,
            Proof::Authenticator => 1,
        })?;
        writer.u8(u8::try_from(own.len()).map_err(|_| Full)?)?;
        for certificate in &own {
            writer.sized16(certificate)?;
        }
        for field in &key {
            writer.sized16(field)?;
        }
        writer.u32(file.interval_ms)?;
        writer.u32(file.first_retry_ms)?;
        writer.u32(file.longest_retry_ms)?;
        writer.u32(file.step_timeout_ms)
    };
    let mut fields = vec![0; CONFIG_LEN];
    let mut writer = Writer::new(&mut fields);
    let too_long = |_| {
        format!(
            "the configuration is too long: it has room for {CONFIG_LEN} bytes, certificates and key included"
        )
    };
    encode(&mut writer).map_err(too_long)?;
    let fields = writer.finish();
    let fields = [&*fields, &sha256(fields)].concat();
    let mut writer = Writer::new(&mut bytes);
    writer.put(MAGIC).map_err(too_long)?;
    writer.sized16(&fields).map_err(too_long)?;
    Config::parse(&bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Puts a configuration into an image, an ELF or raw flash contents, in place of the one that is there.
///
/// # Errors
/// If there is no place for one, or more than one.
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

/// All certificates of a PEM text, DER.
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

/// The place of an error, and the parser's words where they cannot quote a secret: the table `[key]` may have a password.
fn unreadable(text: &str, error: &toml::de::Error) -> String {
    let before = text
        .get(..error.span().map_or(0, |span| span.start))
        .unwrap_or(text);
    let lines = before.matches('\n').count();
    let line = lines.saturating_add(1);
    let is_secret = before
        .lines()
        .any(|line| line.trim_start().starts_with("[key"));
    let words = if is_secret {
        "the table [key] is not what `chanbind provision --device-config` writes: write it again"
    } else {
        error.message()
    };
    let rest = text.lines().nth(lines).unwrap_or_default();
    match rest.split_once('=') {
        Some((key, _)) => format!("line {line}, {}: {words}", key.trim()),
        None => format!("line {line}: {words}"),
    }
}
