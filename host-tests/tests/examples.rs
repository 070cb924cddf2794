//! The examples of the crate `chanbind`, run as their first lines say.
#![cfg(test)]

use chanbind_host_tests::{pki::Pki, program, swtpm::Swtpm};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

/// A folder with a certificate, and a TPM.
struct Workspace {
    folder: TempDir,
    tpm: Swtpm,
}

impl Workspace {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pki = Pki::new().unwrap();
        for (name, contents) in [
            ("ca.pem", &pki.ca),
            ("chain.pem", &pki.certificate),
            ("key.pem", &pki.key),
        ] {
            std::fs::write(folder.path().join(name), contents).unwrap();
        }
        Self {
            folder,
            tpm: Swtpm::start().unwrap(),
        }
    }

    fn example(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program::path(&format!("examples/{name}")));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("CHANBIND_TCTI", self.tpm.tcti())
            .env("TSS2_LOG", "all+NONE");
        command
    }

    /// Runs an example to its end and returns its standard output, or its standard error if it failed.
    fn run(&self, name: &str, arguments: &[&str]) -> Result<String, String> {
        let output = self.example(name, arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr))
        }
    }

    fn provisioned(client: &str) -> Self {
        let workspace = Self::new();
        let key = format!("{client}.pem");
        let said = workspace.run("tpm_key", &[client, &key, "registry.toml"]);
        assert_eq!(said.unwrap(), "the TPM has the key, and computes with it\n");
        workspace
    }

    fn server(&self, name: &str) -> Server {
        let arguments = ["registry.toml", "chain.pem", "key.pem", "127.0.0.1:0"];
        Server::start(&mut self.example(name, &arguments))
    }

    fn send(&self, server: &Server, path: &str, key: &str, client: &str) -> Result<String, String> {
        let url = format!("https://localhost:{}{path}", server.port);
        self.run("client", &[&url, "ca.pem", key, client])
    }
}

/// A running server, which is killed when this value is dropped.
struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let (_, port) = line.rsplit_once(':').unwrap();
        let port = port.parse().unwrap();
        // Standard output is read to its end, so that the server can write as much as it wants.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Creates a second key in the same TPM for `client`, whose entry goes to another registry.
fn stranger(workspace: &Workspace, client: &str) {
    let said = workspace.run("tpm_key", &[client, "stranger.pem", "other.toml"]);
    said.unwrap();
    assert!(
        Path::new(workspace.folder.path())
            .join("other.toml")
            .exists()
    );
}

#[test]
fn a_device_sends_readings_to_the_gateway_and_gets_commands() {
    let workspace = Workspace::provisioned("client1");
    let gateway = workspace.server("gateway");
    let said = workspace.send(&gateway, "/readings", "client1.pem", "client1");
    let line = "200 OK: {\"interval_s\":10}\n";
    assert_eq!(said.unwrap(), [line, line].concat());

    stranger(&workspace, "client1");
    let error = workspace
        .send(&gateway, "/readings", "stranger.pem", "client1")
        .unwrap_err();
    assert!(error.contains("401"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_tells_the_service_behind_it_which_device_asks() {
    let service = axum::Router::new().fallback(async |headers: axum::http::HeaderMap| {
        let subjects = headers.get_all("x-client-subject").iter();
        let subjects: Vec<_> = subjects.map(|value| value.to_str().unwrap()).collect();
        format!("asked by {}", subjects.join(", "))
    });
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });

    let workspace = Workspace::provisioned("client1");
    let files = ["registry.toml", "chain.pem", "key.pem", "127.0.0.1:0"];
    let arguments = [&files[..], &[&upstream]].concat();
    let proxy = Server::start(&mut workspace.example("proxy", &arguments));
    let said = workspace.send(&proxy, "/", "client1.pem", "client1");
    let line = "200 OK: asked by client1\n";
    assert_eq!(said.unwrap(), [line, line].concat());

    stranger(&workspace, "client1");
    let error = workspace
        .send(&proxy, "/", "stranger.pem", "client1")
        .unwrap_err();
    assert!(error.contains("401"), "{error}");
}

#[test]
fn a_server_of_ones_own_admits_devices_of_the_registry() {
    let workspace = Workspace::provisioned("client1");
    let server = workspace.server("own_server");
    let said = workspace.send(&server, "/", "client1.pem", "client1");
    let line = "200 OK: hello, client1\n\n";
    assert_eq!(said.unwrap(), [line, line].concat());

    stranger(&workspace, "client2");
    let error = workspace
        .send(&server, "/", "stranger.pem", "client2")
        .unwrap_err();
    assert!(error.contains("401"), "{error}");
}
