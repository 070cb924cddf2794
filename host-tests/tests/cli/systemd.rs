//! The messages by which systemd learns of the state of a gateway (sd_notify(3)).

use super::*;
use std::os::unix::net::UnixDatagram;

#[test]
fn systemd_learns_when_a_gateway_is_ready_reloads_and_stops() {
    let workspace = Workspace::without_tpm();
    workspace.register("client1", b"a key with more than 16 bytes");
    let path = workspace.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let next = || {
        let mut message = [0; 256];
        let len = socket.recv(&mut message).unwrap();
        text(&message[..len])
    };
    let rule =
        "[proof.otp]\nregistry = \"registry.toml\"\n[[rule]]\npath = \"/\"\nany = [\"otp\"]\n";
    workspace.write("gateway.toml", workspace::configuration(rule));
    let mut command = workspace.command(&["gateway", "--config", "gateway.toml"]);
    let gateway = Gateway::start(command.env("NOTIFY_SOCKET", &path), None);
    assert_eq!(next().trim(), "READY=1");
    gateway.signal(Signal::HUP);
    let reloading = next();
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert_eq!(next().trim(), "READY=1");
    gateway.signal(Signal::TERM);
    assert_eq!(next().trim(), "STOPPING=1");
}

/// systemd itself reads the unit of the package.
#[test]
fn the_unit_is_valid() {
    let unit = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../std-adapter/packaging/chanbind-gateway.service");
    let Ok(output) = Command::new("systemd-analyze")
        .arg("verify")
        .arg(unit)
        .output()
    else {
        eprintln!("SKIPPED: systemd-analyze is not installed (Debian: systemd)");
        return;
    };
    let messages = text(&output.stderr);
    // The program and its manual are not installed here.
    let mut others = messages.lines().filter(|line| {
        !line.contains("/usr/bin/chanbind is not executable")
            && !line.contains("man chanbind-gateway(1)")
    });
    assert_eq!(others.next(), None, "{messages}");
}
