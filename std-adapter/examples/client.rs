//! A device on a host: it sends readings with its proof, and takes a command from each response.
//!
//! ```text
//! cargo run --example client -- https://localhost:8443/readings ca.pem client1.pem client1
//! ```
//!
//! The key file is that of `chanbind provision otp`, or of `examples/tpm_key.rs`. `CHANBIND_TCTI` is the address of the TPM.
#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use axum::http::{Request, Uri, header};
use chanbind::{
    client::{ConnectOptions, Connection, Session},
    proof::otp::{self, Form, Settings},
    protocol::{otp::ClientId, proof::Outcome},
    tls,
    tpm::{KeyFile, OpenOptions, Tpm},
};
use std::{env, error::Error, fs};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [uri, ca, key, client] = arguments.as_slice() else {
        return Err("usage: client URL CA KEY_FILE CLIENT_ID".into());
    };
    let address = env::var("CHANBIND_TCTI").unwrap_or_else(|_| "device:/dev/tpmrm0".to_owned());
    let tpm = Tpm::open(&address, OpenOptions::default()).await?;
    let done = send_readings(&tpm, &uri.parse()?, ca, key, client).await;
    // Keys leave the TPM before the program ends, also after an error.
    tpm.close().await;
    done
}

async fn send_readings(
    tpm: &Tpm,
    uri: &Uri,
    ca: &str,
    key: &str,
    client: &str,
) -> Result<(), Box<dyn Error>> {
    let key = KeyFile::from_pem(&fs::read_to_string(key)?)?;
    let key = tpm.load(key, None).await?;

    // The proof is made for this connection, and goes with all its requests.
    let tls = tls::client_config(tls::roots_from_pem(&fs::read(ca)?)?)?;
    let host = uri.host().ok_or("the URL has no host")?;
    let port = uri.port_u16().unwrap_or(443);
    let connection = Connection::open(host, port, tls, &ConnectOptions::default()).await?;
    let prover = otp::prover(&Settings::default(), ClientId::new(client)?, Form::ApiKey);
    let mut session = Session::begin(connection, prover, key).await?;

    for celsius in [23.5, 23.6] {
        let request = Request::post(uri.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(format!("{{\"celsius\":{celsius}}}").into())?;
        let answer = session.send(request).await?;
        if answer.outcome != Outcome::Proved {
            return Err(format!("the gateway answers {}", answer.response.status()).into());
        }
        let status = answer.response.status();
        let command = answer.response.into_body().bytes(1024).await?;
        println!("{status}: {}", String::from_utf8_lossy(&command));
    }
    Ok(())
}
