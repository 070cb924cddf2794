//! Registration of passwords.

use super::new_files::NewFiles;
use crate::{failure::Failure, files::say, password::PasswordArguments, tpm::TpmArguments};
use chanbind::{
    proof::mutual::{UserTable, prepared_password, prepared_user},
    protocol::mutual::{Algorithm, Realm, StoredCredential},
    tpm::{Parent, TpmName},
};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};
use zeroize::{Zeroize, Zeroizing};

/// Register a password, for HTTP Mutual authentication (RFC 8120).
///
/// The entry for the gateway's file of users is printed on standard output. It has no password, and no client can log in with it. A thief of it
/// can try passwords at home, and can play the gateway to this user: keep it secret.
#[derive(Args)]
#[command(
    after_help = "Example:\n  chanbind provision mutual --user john --realm technicians --auth-scope gateway.example >> users.toml"
)]
pub(super) struct Arguments {
    /// The name of the user.
    #[arg(long, value_name = "NAME")]
    user: String,

    /// The realm, as the gateway's configuration has it.
    #[arg(long, value_name = "NAME")]
    realm: String,

    /// The authentication scope, as the gateway's configuration has it: by default there, the gateway's host.
    #[arg(long, value_name = "SCOPE")]
    auth_scope: String,

    /// The algorithm, as the gateway's configuration has it.
    #[arg(long, value_name = "TOKEN", default_value = Algorithm::P256_SHA256.token(), value_parser = algorithm)]
    algorithm: Algorithm,

    #[command(flatten)]
    password: PasswordArguments,

    /// Also write name and password to this file, as the section `[proof.mutual]` of a firmware's `chanbind.toml`, with the name by which the
    /// firmware recognises its TPM. This command must run with that TPM.
    #[arg(long, value_name = "FILE")]
    device_config: Option<PathBuf>,

    #[command(flatten)]
    tpm: TpmArguments,
}

pub(crate) fn algorithm(token: &str) -> Result<Algorithm, String> {
    let mut all = Algorithm::ALL.iter();
    let known = all.find(|one| one.token() == token).copied();
    known.ok_or_else(|| {
        let tokens: Vec<_> = Algorithm::ALL.iter().map(|one| one.token()).collect();
        format!("write one of {}", tokens.join(", "))
    })
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let Arguments {
        user, algorithm, ..
    } = &arguments;
    let mut files = NewFiles::at(&arguments.device_config)?;
    let realm = Realm::new(*algorithm, &arguments.auth_scope, &arguments.realm)?;
    let user = prepared_user(user)?;
    let password = prepared_password(&arguments.password.read_new(&user)?)?;
    let credential = StoredCredential::register(&realm, &user, &password)?;
    if let Some(path) = &arguments.device_config {
        let tpm = arguments.tpm.open().await?;
        let parent_name = tpm.parent_name(Parent::default()).await;
        tpm.close().await;
        files.write(path, section(&parent_name?, &user, &password).as_bytes())?;
    }
    say(&UserTable::entry(&user, &credential))?;
    files.keep();
    eprintln!(
        "the entry is good for realm {:?}, scope {:?}, {algorithm} and this user alone: with any other, register the password again",
        realm.name(),
        realm.auth_scope()
    );
    Ok(ExitCode::SUCCESS)
}

/// Returns the text as a value of TOML.
fn quoted(text: &str) -> Zeroizing<String> {
    let mut value = toml::Value::from(text);
    let quoted = Zeroizing::new(value.to_string());
    if let toml::Value::String(copy) = &mut value {
        copy.zeroize();
    }
    quoted
}

/// Returns the section `[proof.mutual]` of a firmware's configuration.
fn section(parent_name: &TpmName, user: &str, password: &str) -> Zeroizing<String> {
    let [user, password] = [user, password].map(quoted);
    Zeroizing::new(format!(
        "[proof.mutual]\nparent_name = \"{parent_name}\"\nuser = {}\npassword = {}\n",
        *user, *password
    ))
}
