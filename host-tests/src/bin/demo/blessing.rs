//! Principals with Vanadium's blessings authenticate each other: over TLS with the gateway, and on Vanadium's own channel. A server that the device
//! does not trust is shown nothing.

use crate::{
    CLIENT, Gateway, Outcome, firmware, print_output, print_step, run_provision, start_swtpm,
};
use chanbind::{
    proof::blessing::{
        ChannelOptions, PeerPatterns, Principal, PrincipalKey, Received, Roots, VanadiumConnection,
        accept, dial, from_text,
    },
    tpm::{KeyFile, OpenOptions, Tpm},
};
use chanbind_host_tests::{
    board::{Board, Kind},
    program,
    swtpm::Swtpm,
};
use chanbind_tis_emulator::Emulator;
use std::{path::Path, process::Command, sync::Arc, time::Duration};
use tokio::net::{TcpListener, TcpStream};

/// The servers that the device trusts.
const SERVERS: &str = "factory:gateway";

/// The lines of the gateway's log when it admits a device, in this order.
const ACCEPTED: &[&str] = &["proof asked for", "proof accepted"];

pub(crate) async fn scenario(device: &str, folder: &Path) -> Outcome<()> {
    println!(
        "\nchanbind: two principals prove their blessings to each other on one connection, the server first\n"
    );
    let swtpm = start_swtpm()?;
    create_principals(folder, &swtpm)?;
    let admit = ["--admit", "factory:line3"];
    let gateway = [&["blessing", "--principal", "gateway"][..], &admit].concat();
    let gateway = Gateway::start(folder, &gateway)?;
    let kind = Kind::of_name(device);
    match kind {
        Some(kind) => firmware::run(kind, "blessing", folder, &swtpm, &gateway, ACCEPTED)?,
        None => {
            connect(folder, &swtpm, &gateway, 0)?;
            println!("\nanother server, with a name that the device does not trust\n");
            let stranger = ["blessing", "--principal", "stranger", "--admit", "..."];
            connect(folder, &swtpm, &Gateway::start(folder, &stranger)?, 1)?;
        }
    }
    match kind {
        Some(Kind::Rp2040W5500) => Ok(()),
        kind => channel(kind, folder, &swtpm, &gateway.ca).await,
    }
}

/// Runs a command. Its standard output goes to `file`, if that is not empty.
fn run(folder: &Path, swtpm: &Swtpm, line: &str, file: &str) -> Outcome<()> {
    let to = if file.is_empty() {
        String::new()
    } else {
        format!(" > {file}")
    };
    print_step("operator", format_args!("$ chanbind {line}{to}"));
    let arguments: Vec<_> = line.split(' ').collect();
    let (printed, _) = run_provision(folder, swtpm, &arguments)?;
    if !file.is_empty() {
        std::fs::write(folder.join(file), printed)?;
    }
    Ok(())
}

/// Creates a factory, which blesses a gateway and a device with a key in the TPM; and a stranger.
fn create_principals(folder: &Path, swtpm: &Swtpm) -> Outcome<()> {
    for (line, file) in [
        ("principal create factory --name factory", ""),
        ("principal create gateway", ""),
        (
            "principal bless factory --for gateway --extension gateway",
            "gateway.blessings",
        ),
        ("principal set gateway gateway.blessings", ""),
        (
            "principal recognize gateway --blessings gateway.blessings",
            "",
        ),
        ("principal create client1 --key-type tpm", ""),
        (
            "principal bless factory --for client1 --extension line3:client1 --valid-for 365d",
            "client1.blessings",
        ),
        ("principal set client1 client1.blessings", ""),
        (
            "principal recognize client1 --blessings client1.blessings",
            "",
        ),
        (
            "provision blessing --principal client1 --server factory:gateway --device-config device-key.toml",
            "",
        ),
        ("principal create stranger --name factory:gateway", ""),
    ] {
        run(folder, swtpm, line, file)?;
    }
    print_step(
        "operator",
        "the stranger has given itself the gateway's name: that counts only for those who recognize its key",
    );
    Ok(())
}

/// Connects to a gateway with the command, which must end with `code`.
fn connect(folder: &Path, swtpm: &Swtpm, gateway: &Gateway, code: i32) -> Outcome<()> {
    std::fs::write(folder.join("ca.pem"), &gateway.ca)?;
    let url = gateway.url();
    let arguments = [
        "connect",
        "blessing",
        &url,
        "--ca",
        "ca.pem",
        "--principal",
        CLIENT,
        "--server",
        SERVERS,
    ];
    print_step("device", format_args!("$ chanbind {}", arguments.join(" ")));
    let output = Command::new(program::path("chanbind"))
        .args(arguments)
        .env("CHANBIND_TCTI", swtpm.tcti())
        .current_dir(folder)
        .output()?;
    print_output("device", &output, code)
}

/// A device connects on Vanadium's own channel: firmware, or this program.
async fn channel(kind: Option<Kind>, folder: &Path, swtpm: &Swtpm, ca: &str) -> Outcome<()> {
    println!(
        "\nVanadium's own channel: the same principals over TCP, one round trip less than with TLS\n"
    );
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    print_step(
        "gateway",
        format_args!("listens for Vanadium's channel on 127.0.0.1:{port}"),
    );
    let key = std::fs::read(folder.join("gateway/key.pem"))?;
    let gateway = principal(&folder.join("gateway"), PrincipalKey::from_pem(&key)?)?;
    match kind {
        None => {
            let (served, dialed) = tokio::join!(
                serve(&listener, &gateway),
                dial_on_host(folder, swtpm, port)
            );
            served.and(dialed)
        }
        Some(kind) => {
            let image = firmware::configured(kind, "vanadium-blessing-channel", folder, port, ca)?;
            let tpm = Emulator::in_real_time(chanbind_tis_emulator::Swtpm::connect(swtpm.port())?);
            let board = Board::start(&image, &tpm)?;
            let said = tokio::task::spawn_blocking(move || -> Outcome<()> {
                loop {
                    let line = board
                        .line(Duration::from_secs(60))
                        .ok_or("the device ended, or logged nothing for 60 s")?;
                    print_step("device", &line);
                    if line.contains("event=answer") {
                        return Ok(());
                    }
                    if line.starts_with("ERROR") {
                        return Err("the device logged an error".into());
                    }
                }
            });
            serve(&listener, &gateway).await?;
            said.await?
        }
    }
}

/// Reads the principal in a folder, with this key.
fn principal(folder: &Path, key: PrincipalKey) -> Outcome<Arc<Principal>> {
    let read = |name: &str| std::fs::read_to_string(folder.join(name));
    let blessings = from_text(&read("blessings")?)?;
    let principal = Principal::new(key, blessings, Roots::parse(&read("roots")?)?)?;
    Ok(Arc::new(principal))
}

/// Accepts one connection, and answers the first data of its flow.
async fn serve(listener: &TcpListener, gateway: &Arc<Principal>) -> Outcome<()> {
    let (stream, _) = listener.accept().await?;
    let options = ChannelOptions {
        handshake_timeout: Duration::from_secs(60),
        ..ChannelOptions::default()
    };
    let mut connection: VanadiumConnection<TcpStream> = accept(stream, gateway, &options).await?;
    let Received::Opened {
        flow,
        names,
        payload,
        ..
    } = connection.receive().await?
    else {
        return Err("the device opened no flow".into());
    };
    let text = String::from_utf8_lossy(&payload);
    print_step(
        "gateway",
        format_args!("{} sends {text:?}", names.join(", ")),
    );
    connection.send(flow, b"set 20", false).await?;
    // Until the device ends the connection.
    while connection.receive().await.is_ok() {}
    Ok(())
}

async fn dial_on_host(folder: &Path, swtpm: &Swtpm, port: u16) -> Outcome<()> {
    let pem = std::fs::read_to_string(folder.join(CLIENT).join("key.pem"))?;
    let tpm = Tpm::open(&swtpm.tcti(), OpenOptions::default()).await?;
    let key = tpm.load_signing_key(KeyFile::from_pem(&pem)?, None).await?;
    let device = principal(&folder.join(CLIENT), PrincipalKey::tpm(key))?;
    let stream = TcpStream::connect(("127.0.0.1", port)).await?;
    let servers = PeerPatterns::admit([SERVERS]);
    let mut connection = dial(stream, &device, &servers, &ChannelOptions::default()).await?;
    print_step(
        "device",
        "the gateway has proved its name, and the TPM has signed the channel's binding",
    );
    connection.open(b"23.5 C").await?;
    let Received::Data { payload, .. } = connection.receive().await? else {
        return Err("the gateway opened a flow".into());
    };
    let text = String::from_utf8_lossy(&payload);
    print_step("device", format_args!("the gateway answers {text:?}"));
    connection.tear_down("done").await?;
    drop(device);
    tpm.close().await;
    Ok(())
}
