use crate::{
    failure::Failure, files::named, principal_folder::PrincipalFolder,
    provision::new_files::NewFiles, tpm::TpmArguments,
};
use chanbind::{
    proof::blessing::{Principal, PrincipalKey, Roots, to_text},
    tpm::KeyOptions,
};
use clap::{Args, ValueEnum};
use std::{fs, path::PathBuf, process::ExitCode};
use zeroize::Zeroizing;

/// Create a principal: a key, and with --name blessings of its own by which it can give names.
#[derive(Args)]
pub(super) struct Arguments {
    /// The folder to create.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,

    /// The name by which the principal blesses itself. Without it, the principal has a key and no name until another one blesses it.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// The key.
    #[arg(long, value_enum, value_name = "TYPE", default_value_t = KeyType::P256)]
    key_type: KeyType,

    #[command(flatten)]
    tpm: TpmArguments,
}

#[derive(Clone, Copy, ValueEnum)]
enum KeyType {
    /// ECDSA on P-256, in a file.
    P256,
    /// ECDSA on P-384, in a file.
    P384,
    /// Ed25519, in a file.
    Ed25519,
    /// ECDSA on P-256, created in the TPM, which it never leaves.
    Tpm,
}

pub(super) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    if arguments.folder.exists() {
        return Err(named(
            &arguments.folder,
            "exists: it was left as it is; choose another folder",
        ));
    }
    let (pem, key, tpm) = match arguments.key_type {
        KeyType::Tpm => {
            let tpm = arguments.tpm.open().await?;
            let created = async {
                let file = tpm.create_signing_key(KeyOptions::default()).await?;
                let pem = Zeroizing::new(file.to_pem()?);
                let key = tpm.load_signing_key(file, None).await?;
                Ok::<_, Failure>((pem, PrincipalKey::tpm(key)))
            };
            match created.await {
                Ok((pem, key)) => (pem, key, Some(tpm)),
                Err(error) => {
                    tpm.close().await;
                    return Err(error);
                }
            }
        }
        in_file => {
            let algorithm = match in_file {
                KeyType::P384 => &rcgen::PKCS_ECDSA_P384_SHA384,
                KeyType::Ed25519 => &rcgen::PKCS_ED25519,
                KeyType::P256 | KeyType::Tpm => &rcgen::PKCS_ECDSA_P256_SHA256,
            };
            let pair = rcgen::KeyPair::generate_for(algorithm)?;
            let pem = Zeroizing::new(pair.serialize_pem());
            let key = PrincipalKey::from_pem(pem.as_bytes())?;
            (pem, key, None)
        }
    };
    let written = write(&arguments, &pem, &key).await;
    drop(key);
    if let Some(tpm) = tpm {
        tpm.close().await;
    }
    written?;
    Ok(ExitCode::SUCCESS)
}

async fn write(arguments: &Arguments, pem: &str, key: &PrincipalKey) -> Result<(), Failure> {
    let mut roots = Roots::new();
    let blessings = match &arguments.name {
        Some(name) => {
            roots.add(key.public_key(), name)?;
            Principal::bless_self(key, name, &[]).await?
        }
        None => Principal::nameless(key.clone(), Roots::new())?
            .blessings()
            .to_vec(),
    };
    let folder = PrincipalFolder::new(&arguments.folder);
    fs::create_dir(&arguments.folder).map_err(|error| named(&arguments.folder, error))?;
    if let Err(error) = write_files(&folder, pem, key, &blessings, &roots) {
        // It is empty again.
        let _ = fs::remove_dir(&arguments.folder);
        return Err(error);
    }
    eprintln!("wrote the principal {}", arguments.folder.display());
    eprintln!("its public key: {}", to_text(key.public_key()));
    if arguments.name.is_none() {
        eprintln!(
            "next: have another principal bless it, with chanbind principal bless ... --for {}",
            arguments.folder.display()
        );
    }
    Ok(())
}

fn write_files(
    folder: &PrincipalFolder,
    pem: &str,
    key: &PrincipalKey,
    blessings: &[u8],
    roots: &Roots,
) -> Result<(), Failure> {
    let mut files = NewFiles::default();
    let public_key = to_text(key.public_key());
    files.write(&folder.key(), pem.as_bytes())?;
    files.write(&folder.public_key(), format!("{public_key}\n").as_bytes())?;
    files.write(
        &folder.blessings(),
        format!("{}\n", to_text(blessings)).as_bytes(),
    )?;
    files.write(&folder.roots(), roots.to_string().as_bytes())?;
    files.keep();
    Ok(())
}
