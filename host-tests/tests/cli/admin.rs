//! The listener for operators.

use super::*;
use std::{
    io::{Read, Write},
    net::TcpStream,
};
use workspace::{configuration, connect_authenticator, connect_otp};

pub(super) const RULES: &str = "[proof.otp]\nregistry = \"registry.toml\"\n\
    [proof.authenticator]\nclient_ca = \"devices.pem\"\n\
    [[rule]]\npath = \"/\"\nany = [\"otp\", \"authenticator\"]\n";

pub(super) fn workspace() -> Workspace {
    let workspace = Workspace::without_tpm();
    workspace.register("client1", b"a key with more than 16 bytes");
    workspace.software_device("device", "devices");
    workspace
}

/// The address of the listener for operators, from the line that a gateway prints.
pub(super) fn operators(gateway: &Gateway) -> String {
    let (_, address) = gateway.line.rsplit_once("http://").unwrap();
    address.trim_end_matches('/').to_owned()
}

/// Returns the head and the content of the response to a request of this host.
fn get_as(address: &str, path: &str, host: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let (head, content) = response.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), content.to_owned())
}

pub(super) fn get(address: &str, path: &str) -> String {
    let (head, content) = get_as(address, path, address);
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{path}: {head}");
    content
}

/// Has one device admitted, and refuses another that claims to be `<b>client1`.
pub(super) fn busy(workspace: &Workspace, gateway: &Gateway) {
    let url = gateway.url();
    workspace.succeed(&connect_authenticator(&url, "device.pem", "device.key"));
    for client in ["client1", "<b>client1"] {
        let curl = Command::new("curl")
            .args([
                "--silent",
                "--cacert",
                "ca.pem",
                "-H",
                &format!("chanbind-client: {client}"),
            ])
            .args(["-H", &format!("chanbind-key: {}=", "A".repeat(43)), &url])
            .current_dir(workspace.folder.path())
            .output()
            .unwrap();
        assert!(curl.status.success());
    }
}

#[test]
fn operators_see_health_counters_and_devices() {
    let workspace = workspace();
    let gateway =
        workspace.configured_gateway(&format!("{RULES}[admin]\nlisten = \"127.0.0.1:0\"\n"));
    let address = operators(&gateway);
    assert_eq!(get(&address, "/healthz"), "ok\n");
    assert_eq!(get(&address, "/readyz"), "ready\n");
    busy(&workspace, &gateway);

    let metrics = get(&address, "/metrics");
    for line in [
        "chanbind_requests_admitted_total{kind=\"authenticator\"} 1",
        "chanbind_requests_refused_total{reason=\"not proved\"} 2",
        "chanbind_requests_asked_total 1",
        "chanbind_connections_opened_total 3",
        "# EOF",
    ] {
        assert!(metrics.lines().any(|one| one == line), "{line}: {metrics}");
    }

    let page = get(&address, "/");
    assert!(page.contains("urn:example:device"), "{page}");
    // Whatever a peer has written is text.
    assert!(
        page.contains("&lt;b&gt;client1") && !page.contains("<b>client1"),
        "{page}"
    );
    let device = get(&address, "/device?name=urn%3Aexample%3Adevice");
    assert!(
        device.contains("admitted by authenticator from 127.0.0.1"),
        "{device}"
    );
    let refused = get(&address, "/device?name=%3Cb%3Eclient1");
    assert!(refused.contains("is not in the registry"), "{refused}");
    let (head, _) = get_as(&address, "/device?name=not-seen", &address);
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    let (head, _) = get_as(&address, "/jwks.json", &address);
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
}

/// The registry is in a database, and larger than a page.
#[test]
fn the_devices_of_a_registry_are_listed_page_by_page() {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let workspace = registry::workspace();
    workspace.provision("pump000", &[]);
    registry::registry(&workspace, &["import", "registry.toml"]);
    let mut csv = "id,hmac_sha256,enabled,groups\n".to_owned();
    for number in 1..=200 {
        let key = BASE64_STANDARD.encode(format!("the key of pump number {number}"));
        csv += &format!("pump{number:03},{key},{},line3 north\n", number != 7);
    }
    // The last one needs escapes in addresses and in HTML.
    csv = csv.replace("pump200", "pump<i>&=200");
    workspace.write("devices.csv", csv);
    registry::registry(&workspace, &["import", "devices.csv"]);
    let admin = "[admin]\nlisten = \"127.0.0.1:0\"\n";
    let gateway = workspace.configured_gateway(&format!("{}{admin}", registry::CONFIG));
    let address = operators(&gateway);
    workspace.succeed(&connect_otp(&gateway.url(), "pump000.pem"));

    let overview = get(&address, "/");
    assert!(
        overview.contains("<a href=\"/fleet?kind=otp\">"),
        "{overview}"
    );
    let first = get(&address, "/fleet?kind=otp");
    let row = |name: &str, state: &str| format!("{name}</a></td><td>{state}</td>");
    assert_contains_all(
        &first,
        &[
            &row("pump006", "enabled"),
            &row("pump007", "disabled"),
            "<td>line3, north</td><td>never</td>",
            "<a id=\"next\" href=\"/fleet?kind=otp&amp;after=pump199\">",
        ],
    );
    assert_eq!(first.matches("<tr>").count(), 201);
    let second = get(&address, "/fleet?kind=otp&after=pump199");
    assert_eq!(second.matches("<tr>").count(), 2);
    assert_contains_all(
        &second,
        &["<a href=\"/device?name=pump%3Ci%3E%26%3D200\">pump&lt;i&gt;&amp;=200</a>"],
    );
    assert!(!second.contains("id=\"next\""), "{second}");
    // Gateways write the times down every ten seconds.
    let seen = || get(&address, "/fleet?kind=otp").contains(" s ago</td>");
    assert!(wait_until(seen));
    let (head, unseen) = get_as(&address, "/device?name=pump006", &address);
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    assert!(
        unseen.contains("This gateway has not seen it since it started."),
        "{unseen}"
    );
    for (path, status) in [
        ("/fleet?kind=mutual", "404"),
        ("/fleet?kind=otp&after=%00", "400"),
    ] {
        let (head, _) = get_as(&address, path, &address);
        assert!(
            head.starts_with(&format!("HTTP/1.1 {status}")),
            "{path}: {head}"
        );
    }
    // Another site's page cannot have the database read.
    let (head, _) = get_as(
        &address,
        "/fleet?kind=otp",
        &format!("{address}\r\nSec-Fetch-Site: cross-site"),
    );
    assert!(head.starts_with("HTTP/1.1 403"), "{head}");
}

/// A page of another site, whose name leads to this host, reads nothing.
#[test]
fn other_hosts_read_nothing() {
    let workspace = workspace();
    let gateway =
        workspace.configured_gateway(&format!("{RULES}[admin]\nlisten = \"127.0.0.1:0\"\n"));
    let address = operators(&gateway);
    let (_, port) = address.split_once(':').unwrap();
    for host in [
        address.as_str(),
        "localhost",
        &format!("localhost:{port}"),
        "[::1]:80",
    ] {
        let (head, _) = get_as(&address, "/", host);
        assert!(head.starts_with("HTTP/1.1 200"), "{host}: {head}");
        assert!(
            head.contains("content-security-policy: default-src 'none'"),
            "{head}"
        );
    }
    for host in [
        "rebound.example",
        &format!("rebound.example:{port}"),
        "192.0.2.1",
        "",
        "127.0.0.1.example",
    ] {
        let (head, content) = get_as(&address, "/", host);
        assert!(head.starts_with("HTTP/1.1 4"), "{host}: {head}");
        assert!(!content.contains("<html"), "{host}");
    }
    // Another host cannot come here at all.
    workspace.write(
        "gateway.toml",
        configuration(&format!("{RULES}[admin]\nlisten = \"0.0.0.0:9443\"\n")),
    );
    let (code, error) = workspace.fail(&["gateway", "--config", "gateway.toml"]);
    assert_eq!(code, 1);
    assert!(
        error.contains("admin.listen = \"0.0.0.0:9443\": write an address of this host alone"),
        "{error}"
    );
}

/// The pages in a browser: what it makes of them, with the styles and the plot.
#[test]
fn a_browser_shows_the_pages() {
    let is_there = Command::new("chromium")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if !is_there.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: chromium is not installed (Debian: chromium)");
        return;
    }
    let workspace = workspace();
    let gateway =
        workspace.configured_gateway(&format!("{RULES}[admin]\nlisten = \"127.0.0.1:0\"\n"));
    let address = operators(&gateway);
    busy(&workspace, &gateway);
    let dom = |path: &str| {
        let output = Command::new("timeout")
            .args([
                "60",
                "chromium",
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--dump-dom",
            ])
            .arg(format!(
                "--user-data-dir={}",
                workspace.path("browser").display()
            ))
            .arg(format!("http://{address}{path}"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    let page = dom("/");
    assert!(page.contains("<b id=\"state\">ready</b>"), "{page}");
    assert!(page.contains("<b id=\"devices\">3</b>"), "{page}");
    assert!(
        page.contains("<rect class=\"a\"") && page.contains("<rect class=\"r\""),
        "{page}"
    );
    assert!(page.contains(">urn:example:device</a>"), "{page}");
    let device = dom("/device?name=urn%3Aexample%3Adevice");
    assert!(device.contains("admitted by authenticator"), "{device}");
}
