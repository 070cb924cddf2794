//! A device proves its certificate, whose key is in its TPM, with an Exported Authenticator (RFC 9261); a thief presents the same
//! authenticator on another connection.

use crate::{
    CLIENT, Gateway, Outcome, firmware, open_tpm, print_response, print_step, run_provision,
    start_swtpm,
};
use axum::http::header;
use chanbind::{
    client::Connection,
    proof::authenticator::{Credentials, header_fields},
    protocol::authenticator::{Client, Endpoint, Request as AuthenticatorRequest},
    tpm::KeyFile,
};
use chanbind_host_tests::{
    board::Kind,
    client::{TestClient, authenticate, challenged},
    pki::Authority,
    swtpm::Swtpm,
};
use std::path::Path;

/// The lines of the gateway's log when it admits a device, in this order.
const ACCEPTED: &[&str] = &["proof asked for", "proof accepted"];

pub(crate) async fn scenario(device: &str, folder: &Path) -> Outcome<()> {
    println!(
        "\nchanbind: a certificate proved for one TLS connection, with an Exported Authenticator (RFC 9261)\n"
    );
    let swtpm = start_swtpm()?;
    let pin = provision(folder, &swtpm)?;
    let gateway = Gateway::start(folder, &["authenticator", "--client-ca", "device-ca.pem"])?;
    match Kind::of_name(device) {
        Some(kind) => firmware::run(kind, "authenticator", folder, &swtpm, &gateway, ACCEPTED)?,
        None => run_on_host(folder, &swtpm, &pin, &gateway).await?,
    }
    drop((gateway, swtpm));
    Ok(())
}

/// Creates the device's key and a certificate for it, by a new authority. Returns the name of the TPM's parent key.
fn provision(folder: &Path, swtpm: &Swtpm) -> Outcome<String> {
    let authority = Authority::new("devices")?;
    std::fs::write(folder.join("device-ca.pem"), authority.pem())?;
    std::fs::write(folder.join("device-ca.key"), authority.key_pem())?;
    let arguments = [
        "provision",
        "authenticator",
        "--client-id",
        CLIENT,
        "--uri",
        "urn:device:client1",
        "--out",
        "client1.pem",
        "--ca",
        "device-ca.pem",
        "--ca-key",
        "device-ca.key",
        "--certificate",
        "client1.crt",
        "--device-config",
        "device-key.toml",
    ];
    print_step(
        "operator",
        format_args!("$ chanbind {}", arguments.join(" ")),
    );
    let (_, pin) = run_provision(folder, swtpm, &arguments)?;
    print_step(
        "operator",
        "an ECDSA key was created inside the TPM and never leaves it; client1.crt is its certificate, issued by the authority for devices",
    );
    Ok(pin)
}

/// Shows that the gateway admits the device, here a program on the host, and refuses the thief.
async fn run_on_host(folder: &Path, swtpm: &Swtpm, pin: &str, gateway: &Gateway) -> Outcome<()> {
    let tpm = open_tpm(swtpm, pin).await?;
    let file = KeyFile::from_pem(&std::fs::read_to_string(folder.join("client1.pem"))?)?;
    let key = tpm.load_signing_key(file, None).await?;
    let credentials = Credentials::tpm(&std::fs::read(folder.join("client1.crt"))?, key)?;
    print_step(
        "device",
        "loaded its key into the TPM; the parent key has the pinned name",
    );
    let mut first = gateway.connect("device", "A").await?;
    let request = request_without_proof(gateway, &mut first, "device", "A").await?;
    let mut endpoint = Endpoint::<Client>::new(first.channel())?;
    let parsed = AuthenticatorRequest::parse(&request)?;
    let authenticator = authenticate(&credentials, &mut endpoint, &parsed).await?;
    print_step(
        "tpm",
        "TPM2_Sign over the handshake context of A, the gateway's request and the certificate",
    );
    let admitted = send_authenticator(gateway, &mut first, "device", "A", &authenticator).await?;
    gateway.log(&["proof accepted"])?;
    print_response("device", "A", &admitted);

    println!();
    let mut second = gateway.connect("thief", "B").await?;
    request_without_proof(gateway, &mut second, "thief", "B").await?;
    print_step("thief", "has the device's authenticator from A");
    let refused = send_authenticator(gateway, &mut second, "thief", "B", &authenticator).await?;
    gateway.log(&["the authenticator answers another request"])?;
    print_response("thief", "B", &refused);

    println!();
    print_step(
        "device",
        "-> gateway on A: GET /get, without an authenticator: connection A is already authenticated",
    );
    let again = first
        .send(Connection::get(&gateway.url().parse()?)?)
        .await?;
    print_response("device", "A", &again);
    tpm.close().await;
    let statuses =
        [admitted.status(), refused.status(), again.status()].map(|status| status.as_u16());
    if statuses != [200, 401, 200] {
        return Err(
            format!("the gateway's responses are {statuses:?} instead of 200, 401, 200").into(),
        );
    }
    println!(
        "\nThe gateway accepted the same authenticator on connection A and refused it on connection B.\n"
    );
    Ok(())
}

/// Sends a request without an authenticator. Returns the authenticator request of the gateway's response.
async fn request_without_proof(
    gateway: &Gateway,
    connection: &mut TestClient,
    actor: &str,
    name: &str,
) -> Outcome<Vec<u8>> {
    print_step(actor, format_args!("-> gateway on {name}: GET /get"));
    let response = connection
        .send(Connection::get(&gateway.url().parse()?)?)
        .await?;
    let request = challenged(response.headers())
        .ok_or("the gateway's response has no authenticator request")?;
    gateway.log(&["proof asked for"])?;
    print_step(
        "gateway",
        format_args!(
            "-> {actor} on {name}: {}, with an authenticator request of {} bytes",
            response.status(),
            request.len()
        ),
    );
    Ok(request)
}

/// Sends a request with `authenticator` and returns the response.
async fn send_authenticator(
    gateway: &Gateway,
    connection: &mut TestClient,
    actor: &str,
    name: &str,
    authenticator: &[u8],
) -> Outcome<axum::http::Response<bytes::Bytes>> {
    let mut request = Connection::get(&gateway.url().parse()?)?;
    let value = header_fields::credentials(authenticator);
    request.headers_mut().insert(header::AUTHORIZATION, value);
    print_step(
        actor,
        format_args!(
            "-> gateway on {name}: GET /get, with an authenticator of {} bytes",
            authenticator.len()
        ),
    );
    Ok(connection.send(request).await?)
}
