//! A key in a TPM, by hand: import it, keep the file that only this TPM can use, load it again and compute with it.
//!
//! ```text
//! CHANBIND_TCTI=swtpm:host=127.0.0.1,port=2321 cargo run --example tpm_key -- client1 client1.pem registry.toml
//! ```
//!
//! This is what `chanbind provision otp` does. The key file may lie around: it is encrypted to the TPM. The registry entry is the key itself
//! and belongs to the gateway alone.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use chanbind::{
    gateway::ClientTable,
    protocol::{
        kdf::{HmacSha256, Layout, derive},
        otp::ClientId,
    },
    tpm::{KeyFile, KeyOptions, OpenOptions, Tpm},
};
use std::{env, error::Error, fs, io::Write};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [client, key_path, registry_path] = arguments.as_slice() else {
        return Err("usage: tpm_key CLIENT_ID KEY_FILE REGISTRY".into());
    };
    let client = ClientId::new(client)?;
    let address = env::var("CHANBIND_TCTI").unwrap_or_else(|_| "device:/dev/tpmrm0".to_owned());
    let tpm = Tpm::open(&address, OpenOptions::default()).await?;
    let done = provision(&tpm, client, key_path, registry_path).await;
    // Keys leave the TPM before the program ends, also after an error.
    tpm.close().await;
    done
}

async fn provision(
    tpm: &Tpm,
    client: ClientId<'_>,
    key_path: &str,
    registry_path: &str,
) -> Result<(), Box<dyn Error>> {
    let mut secret = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(&mut *secret)?;
    let file = tpm.import_hmac_key(&*secret, KeyOptions::default()).await?;
    fs::write(key_path, file.to_pem()?)?;
    let entry = ClientTable::entry(client, &*secret);
    fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(registry_path)?
        .write_all(entry.as_bytes())?;

    let key = tpm
        .load(KeyFile::from_pem(&fs::read_to_string(key_path)?)?, None)
        .await?;
    let by_tpm = key.hmac(b"keying material").await?;
    let mut by_software = [0; 32];
    let mut software = HmacSha256::new(&*secret);
    derive(
        &Layout::Hmac,
        b"keying material",
        &mut software,
        &mut by_software,
    )?;
    if *by_tpm != by_software {
        return Err("the TPM's HMAC differs from the one in software".into());
    }
    println!("the TPM has the key, and computes with it");
    Ok(())
}
