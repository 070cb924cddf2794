//! Gateways with a configuration file.

mod check;
mod errors;
mod rules;
pub(crate) mod upstream;

use super::*;
use std::io::Read as _;
use workspace::{configuration, connect_authenticator, connect_otp};

const OTP: &str = "[proof.otp]\nregistry = \"registry.toml\"\n";
const OTP_RULE: &str = "[[rule]]\npath = \"/\"\nany = [\"otp\"]\n";

/// Creates a workspace whose registry has one client.
fn workspace() -> Workspace {
    let workspace = Workspace::without_tpm();
    workspace.register("client1", b"a key with more than 16 bytes");
    workspace
}

#[test]
fn relative_paths_refer_to_the_folder_of_the_file() {
    let workspace = Workspace::without_tpm();
    workspace.register("client1", b"a key with more than 16 bytes");
    workspace.software_device("device", "devices");
    std::fs::create_dir(workspace.path("etc")).unwrap();
    for name in ["registry.toml", "server.pem", "devices.pem"] {
        std::fs::rename(workspace.path(name), workspace.path("etc").join(name)).unwrap();
    }
    let chain = workspace.path("chain.pem");
    let text = format!(
        "listen = \"127.0.0.1:0\"\n[tls]\ncertificate = \"{}\"\nkey = \"../etc/server.pem\"\n\
         {OTP}[proof.authenticator]\nclient_ca = \"devices.pem\"\n\
         [[rule]]\npath = \"/\"\nany = [\"otp\", \"authenticator\"]\n",
        chain.display()
    );
    workspace.write("etc/gateway.toml", text);
    let mut command = workspace.command(&["gateway", "--config", "etc/gateway.toml"]);
    let gateway = Gateway::start(&mut command, None);
    assert_eq!(
        gateway.line,
        format!(
            "listening on 127.0.0.1:{} for 1 client(s), certificates of etc/devices.pem",
            gateway.port
        )
    );
    let url = gateway.url();
    workspace.succeed(&connect_authenticator(&url, "device.pem", "device.key"));
}

#[test]
fn settings_of_passwords_are_those_of_the_file() {
    let workspace = Workspace::new();
    workspace.provision("client1", &[]);
    let settings = "profile = \"go-demo-api-key\"\nlabel = \"EXPERIMENTAL-own\"\ncontext = \"fixed\"\n\
        layout = \"sp800-108\"\nclient_header = \"x-client\"\nkey_header = \"x-key\"\n";
    let gateway = workspace.configured_gateway(&format!("{OTP}{settings}{OTP_RULE}"));
    let url = gateway.url();
    let same = [
        ["--profile", "go-demo-api-key"],
        ["--label", "EXPERIMENTAL-own"],
        ["--context", "fixed"],
        ["--layout", "sp800-108"],
        ["--client-header", "x-client"],
        ["--key-header", "x-key"],
    ];
    let connect = connect_otp(&url, "client1.pem");
    let (out, _) = workspace.succeed(&[&connect[..], same.as_flattened()].concat());
    assert_eq!(out, "ok client1\n");
    let (code, error) = workspace.fail(&connect);
    assert_eq!(code, 3, "{error}");
}

#[test]
fn a_gateway_listens_on_all_addresses_without_a_host() {
    let workspace = workspace();
    workspace.software_device("device", "devices");
    let by_option = workspace.authenticator_gateway("devices.pem", &["--listen", ":0"]);
    let text = configuration(
        "[proof.authenticator]\nclient_ca = \"devices.pem\"\n\
         [[rule]]\npath = \"/\"\nany = [\"authenticator\"]\n",
    );
    workspace.write("gateway.toml", text.replace("127.0.0.1:0", ":0"));
    let mut command = workspace.command(&["gateway", "--config", "gateway.toml"]);
    let by_file = Gateway::start(&mut command, None);
    for gateway in [by_option, by_file] {
        assert!(gateway.port != 0, "the free port is printed");
        assert!(
            gateway
                .line
                .starts_with(&format!("listening on [::]:{} ", gateway.port)),
            "{}",
            gateway.line
        );
        for address in ["127.0.0.1", "::1"] {
            let url = gateway.url();
            let connect = connect_authenticator(&url, "device.pem", "device.key");
            let (out, _) = workspace.succeed(&[&connect[..], &["--resolve", address]].concat());
            assert_eq!(out, "ok urn:example:device\n");
        }
    }
}

#[test]
fn the_size_of_records_is_limited_by_the_file() {
    let workspace = Workspace::without_tpm();
    workspace.software_device("device", "devices");
    let text = configuration(
        "[proof.authenticator]\nclient_ca = \"devices.pem\"\n\
         [[rule]]\npath = \"/\"\nany = [\"authenticator\"]\n",
    );
    // An encrypted record has 17 bytes more: the type and the tag.
    for (line, is_limited) in [("max_fragment_size = 512\n", true), ("", false)] {
        workspace.write("gateway.toml", format!("{line}{text}"));
        let mut command = workspace.command(&["gateway", "--config", "gateway.toml"]);
        let gateway = Gateway::start(&mut command, None);
        let tap = peers::Tap::start(gateway.port);
        let url = format!("https://localhost:{}/", tap.port);
        workspace.succeed(&connect_authenticator(&url, "device.pem", "device.key"));
        let longest = tap.longest_record();
        assert_eq!(longest <= 512 + 17, is_limited, "{longest} bytes");
    }
}

#[test]
fn the_number_of_connections_from_one_address_is_limited_by_the_file() {
    use std::{io::Read, net::TcpStream};
    let workspace = workspace();
    let text = configuration(&format!("{OTP}{OTP_RULE}"));
    let text = format!("max_connections_per_address = 1\n{text}");
    workspace.write("gateway.toml", text);
    let mut command = workspace.command(&["gateway", "--config", "gateway.toml"]);
    let gateway = Gateway::start(&mut command, None);
    let connect = |wait| {
        let stream = TcpStream::connect(("127.0.0.1", gateway.port)).unwrap();
        stream.set_read_timeout(Some(wait)).unwrap();
        stream
    };
    let is_closed = |stream: &mut TcpStream| match stream.read(&mut [0]) {
        Ok(len) => len == 0,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    };
    // The second connection takes the place of the first, which is idle.
    let mut first = connect(Duration::from_secs(5));
    let mut second = connect(Duration::from_millis(500));
    assert!(is_closed(&mut first));
    assert!(!is_closed(&mut second));
}

#[test]
fn the_time_of_handshakes_is_limited_by_the_file() {
    let workspace = workspace();
    let text = configuration(&format!("{OTP}{OTP_RULE}"));
    workspace.write("gateway.toml", format!("handshake_seconds = 1\n{text}"));
    let mut command = workspace.command(&["gateway", "--config", "gateway.toml"]);
    let gateway = Gateway::start(&mut command, None);
    let mut silent = std::net::TcpStream::connect(("127.0.0.1", gateway.port)).unwrap();
    // The default limit is 10 seconds.
    let limit = Some(Duration::from_secs(8));
    silent.set_read_timeout(limit).unwrap();
    assert_eq!(silent.read(&mut [0]).unwrap(), 0);
    gateway.stop();
}
