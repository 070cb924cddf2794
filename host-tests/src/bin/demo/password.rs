//! A user and a server prove a password to each other, by HTTP Mutual authentication (RFC 8120). The user is a device with its PIN, or a person on
//! the host; the server is the gateway, or a board into which a technician logs in.

use crate::{Gateway, Outcome, firmware, print_output, print_step, run_provision, start_swtpm};
use chanbind_host_tests::{board::Kind, program, swtpm::Swtpm, technician::Technician};
use std::{path::Path, process::Command, time::Duration};

const USER: &str = "client1";
const REALM: &str = "devices";

/// The lines of the gateway's log when it admits a user, in this order.
const ACCEPTED: &[&str] = &["proof asked for", "proof accepted"];

pub(crate) async fn scenario(device: &str, folder: &Path) -> Outcome<()> {
    println!(
        "\nchanbind: a password proves both sides to each other on one TLS connection (RFC 8120)\n"
    );
    let swtpm = start_swtpm()?;
    provision(folder, &swtpm)?;
    let users = ["mutual", "--users", "users.toml", "--realm", REALM];
    let origin = ["--origin", "https://localhost"];
    let gateway = Gateway::start(folder, &[&users[..], &origin].concat())?;
    let Some(kind) = Kind::of_name(device) else {
        return run_on_host(folder, &gateway);
    };
    firmware::run(kind, "mutual", folder, &swtpm, &gateway, ACCEPTED)?;
    if kind == Kind::QemuMps2 {
        technician(folder, &swtpm).await?;
    }
    Ok(())
}

fn provision(folder: &Path, swtpm: &Swtpm) -> Outcome<()> {
    std::fs::write(folder.join("pin"), "493817\n")?;
    std::fs::write(folder.join("guess"), "000000\n")?;
    let config = ["--device-config", "device-key.toml"];
    let users = register(folder, swtpm, [USER, REALM, "localhost"], &config)?;
    std::fs::write(folder.join("users.toml"), &users)?;
    print_step(
        "operator",
        "users.toml has no password: only a value by which the gateway can verify it",
    );
    Ok(())
}

/// Registers the PIN for a user, a realm and an authentication scope. Returns the entry for a file of users.
fn register(
    folder: &Path,
    swtpm: &Swtpm,
    [user, realm, scope]: [&str; 3],
    more: &[&str],
) -> Outcome<String> {
    let names = ["--user", user, "--realm", realm, "--auth-scope", scope];
    let arguments = [
        &["provision", "mutual"],
        &names[..],
        &["--password-file", "pin"],
        more,
    ]
    .concat();
    print_step(
        "operator",
        format_args!("$ chanbind {}", arguments.join(" ")),
    );
    Ok(String::from_utf8(
        run_provision(folder, swtpm, &arguments)?.0,
    )?)
}

/// A technician logs into a board: the same firmware's other direction, in which the board is the server.
async fn technician(folder: &Path, swtpm: &Swtpm) -> Outcome<()> {
    println!("\nthe other direction: a technician logs into a board, which is the server\n");
    let names = [Technician::USER, Technician::REALM, Technician::SCOPE];
    let entry = register(folder, swtpm, names, &[])?;
    let credential = entry
        .split('"')
        .find(|value| value.starts_with("mutual1:"))
        .ok_or("the command printed no credential")?;
    print_step("operator", "chanbind.toml of the board:");
    for line in Technician::section(credential).lines() {
        print_step("operator", line);
    }
    let technician = Technician::with_credential(credential)
        .await
        .map_err(|error| error.to_string())?;
    let board = technician.start(None)?;
    let until = |words: &str| -> Outcome<()> {
        loop {
            let line = board
                .line(Duration::from_secs(60))
                .ok_or("the board ended, or logged nothing for 60 s")?;
            print_step("board", &line);
            if line.contains(words) {
                return Ok(());
            }
        }
    };
    until("event=listening")?;
    let put = ["-X", "PUT", "-d", "37"];
    for (pin, more, code) in [
        ("493817", &put[..], 0),
        ("000000", &put, 3),
        ("493817", &[], 0),
    ] {
        let arguments = [
            technician.arguments("/set-point"),
            more.iter().map(|&one| one.to_owned()).collect(),
        ]
        .concat();
        let file = if code == 0 {
            ""
        } else {
            ", with a guess in the file"
        };
        print_step(
            "technician",
            format_args!("$ chanbind {}{file}", arguments.join(" ")),
        );
        let output = technician.connect(folder, pin, "/set-point", more)?;
        print_output("technician", &output, code)?;
        until("event=left")?;
    }
    Ok(())
}

/// A person logs in with the right password, and another with a guess.
fn run_on_host(folder: &Path, gateway: &Gateway) -> Outcome<()> {
    std::fs::write(folder.join("ca.pem"), &gateway.ca)?;
    let url = format!("https://localhost:{}/get", gateway.port);
    for (file, code) in [("pin", 0), ("guess", 3)] {
        let arguments = [
            "connect",
            "mutual",
            &url,
            "--ca",
            "ca.pem",
            "--user",
            USER,
            "--password-file",
            file,
        ];
        print_step("person", format_args!("$ chanbind {}", arguments.join(" ")));
        let output = Command::new(program::path("chanbind"))
            .args(arguments)
            .current_dir(folder)
            .output()?;
        print_output("person", &output, code)?;
    }
    Ok(())
}
