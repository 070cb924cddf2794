//! A device with a certificate, whose key is in its TPM, answers the gateway that asks for it; a thief has the answer.

use crate::{CLIENT, Gateway, Outcome, firmware, open_tpm, operate, say, start_swtpm, tell_answer};
use axum::http::{Request, header};
use chanbind::{
    authenticator::{Credentials, header_fields},
    client::Connection,
    core::authenticator::{Client, Endpoint, Request as AuthenticatorRequest},
    tpm::KeyFile,
};
use chanbind_host_tests::{board::Kind, pki::Authority, swtpm::Swtpm};
use std::{path::Path, sync::Mutex};

/// What the gateway's log says of a device that has proved itself.
const ACCEPTED: &[&str] = &["no authenticator", "authenticator accepted"];

pub(crate) async fn scenario(device: &str, folder: &Path) -> Outcome<()> {
    println!(
        "\nchanbind: a certificate for one TLS channel, by an Exported Authenticator (RFC 9261)\n"
    );
    let swtpm = start_swtpm()?;
    let pin = provision(folder, &swtpm)?;
    let gateway = Gateway::start(folder, &["--authenticator-ca", "device-ca.pem"])?;
    match device {
        "qemu-mps2" => firmware::run(Kind::QemuMps2, folder, &swtpm, &gateway, ACCEPTED)?,
        "rp2040-w5500" => firmware::run(Kind::Rp2040W5500, folder, &swtpm, &gateway, ACCEPTED)?,
        _ => by_the_host(folder, &swtpm, &pin, &gateway).await?,
    }
    drop((gateway, swtpm));
    Ok(())
}

/// The device's key, and a certificate for it; gives the name of the TPM's parent key.
fn provision(folder: &Path, swtpm: &Swtpm) -> Outcome<String> {
    let authority = Authority::new("devices")?;
    std::fs::write(folder.join("device-ca.pem"), authority.pem())?;
    std::fs::write(folder.join("device-ca.key"), authority.key_pem())?;
    let arguments = [
        "provision",
        "--authenticator",
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
    say(
        "operator",
        format_args!("$ chanbind {}", arguments.join(" ")),
    );
    let (_, pin) = operate(folder, swtpm, &arguments)?;
    say(
        "operator",
        "an ECDSA key was made inside the TPM, which it never leaves; client1.crt is its certificate, by the authority of the devices",
    );
    Ok(pin)
}

async fn by_the_host(folder: &Path, swtpm: &Swtpm, pin: &str, gateway: &Gateway) -> Outcome<()> {
    let tpm = open_tpm(swtpm, pin).await?;
    let file = KeyFile::from_pem(&std::fs::read_to_string(folder.join("client1.pem"))?)?;
    let key = tpm.load_signing_key(file, None).await?;
    let credentials = Credentials::tpm(&std::fs::read(folder.join("client1.crt"))?, key)?;
    say(
        "device",
        "loaded its key into the TPM; the parent has the pinned name",
    );
    let mut first = gateway.connect("device", "A").await?;
    let request = ask(gateway, &mut first, "device", "A").await?;
    let endpoint = Mutex::new(Endpoint::<Client>::new(first.channel())?);
    let parsed = AuthenticatorRequest::parse(&request)?;
    let authenticator = credentials.answer(&endpoint, &parsed).await?;
    say(
        "tpm",
        "TPM2_Sign over the connection's own values, the gateway's request and the certificate",
    );
    let admitted = present(gateway, &mut first, "device", "A", &authenticator).await?;
    gateway.log(&["authenticator accepted"])?;
    tell_answer("device", "A", &admitted);

    println!();
    let mut second = gateway.connect("thief", "B").await?;
    ask(gateway, &mut second, "thief", "B").await?;
    say("thief", "has the device's authenticator from A");
    let refused = present(gateway, &mut second, "thief", "B", &authenticator).await?;
    gateway.log(&["the authenticator answers another request"])?;
    tell_answer("thief", "B", &refused);

    println!();
    say(
        "device",
        "-> gateway on A: GET /get, and nothing else: the proof is good for its connection",
    );
    let again = first
        .send(Connection::get(&gateway.url().parse()?)?)
        .await?;
    tell_answer("device", "A", &again);
    tpm.close().await;
    let statuses =
        [admitted.status(), refused.status(), again.status()].map(|status| status.as_u16());
    if statuses != [200, 401, 200] {
        return Err(format!("not as it should be: answers {statuses:?}").into());
    }
    println!(
        "\nThe same authenticator was good on connection A, and worth nothing on connection B.\n"
    );
    Ok(())
}

/// Asks without a proof; gives the gateway's request for one.
async fn ask(
    gateway: &Gateway,
    connection: &mut Connection,
    who: &str,
    name: &str,
) -> Outcome<Vec<u8>> {
    say(who, format_args!("-> gateway on {name}: GET /get"));
    let response = connection
        .send(Connection::get(&gateway.url().parse()?)?)
        .await?;
    let request = header_fields::challenged(response.headers()).ok_or("no challenge")?;
    gateway.log(&["no authenticator"])?;
    say(
        "gateway",
        format_args!(
            "-> {who} on {name}: {}, with an authenticator request of {} bytes",
            response.status(),
            request.len()
        ),
    );
    Ok(request)
}

async fn present(
    gateway: &Gateway,
    connection: &mut Connection,
    who: &str,
    name: &str,
    authenticator: &[u8],
) -> Outcome<axum::http::Response<bytes::Bytes>> {
    let mut request: Request<()> = Connection::get(&gateway.url().parse()?)?;
    let value = header_fields::credentials(authenticator);
    request.headers_mut().insert(header::AUTHORIZATION, value);
    say(
        who,
        format_args!(
            "-> gateway on {name}: GET /get, with an authenticator of {} bytes",
            authenticator.len()
        ),
    );
    Ok(connection.send(request).await?)
}
