//! Changes of the registry while a gateway runs.

use super::*;
use chanbind::{
    client::{ConnectOptions, Connection, Session},
    proof::otp::{self, Form, OtpProver, Settings},
    tls,
};
use chanbind_core::{kdf::HmacSha256, otp::ClientId, proof::Outcome};
use std::{fs::File, os::unix::fs::FileExt};

const SECRET: &[u8] = b"a key with more than 16 bytes";

/// A client with a key in software, and the outcome of its first request.
struct Client {
    session: Session<OtpProver, HmacSha256>,
    url: axum::http::Uri,
    outcome: Outcome,
}

impl Client {
    async fn connect(workspace: &Workspace, gateway: &Gateway, client: &str) -> Self {
        let roots = tls::roots_from_pem(workspace.read("ca.pem").as_bytes()).unwrap();
        let config = tls::client_config(roots).unwrap();
        let options = ConnectOptions::default();
        let connection = Connection::open("localhost", gateway.port, config, &options)
            .await
            .unwrap();
        let client = ClientId::new(client).unwrap();
        let prover = otp::prover(&Settings::default(), client, Form::ApiKey);
        let key = HmacSha256::new(SECRET);
        let mut session = Session::begin(connection, prover, key).await.unwrap();
        let url = gateway.url().parse().unwrap();
        let outcome = session.authenticate(&url).await.unwrap();
        Self {
            session,
            url,
            outcome,
        }
    }

    /// Sends another request on the same connection.
    async fn request(&mut self) -> Outcome {
        self.session.authenticate(&self.url).await.unwrap()
    }

    /// Waits until the gateway has closed the connection.
    async fn is_closed(&self) -> bool {
        let closed = async {
            while !self.session.connection().is_closed() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(LIMIT, closed).await.is_ok()
    }
}

/// Creates a workspace with two clients, and a gateway for them.
fn gateway() -> (Workspace, Gateway) {
    let workspace = Workspace::without_tpm();
    workspace.register("kept", SECRET);
    workspace.register("removed", SECRET);
    let gateway = workspace.otp_gateway(&[]);
    (workspace, gateway)
}

/// Returns the registry without the client `removed`.
fn without_removed(workspace: &Workspace) -> String {
    let registry = workspace.read("registry.toml");
    let (kept, _) = registry.split_once("[clients.\"removed\"]").unwrap();
    kept.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_removed_from_the_file_is_cut_and_refused() {
    let (workspace, gateway) = gateway();
    let mut kept = Client::connect(&workspace, &gateway, "kept").await;
    let removed = Client::connect(&workspace, &gateway, "removed").await;
    assert_eq!(kept.outcome, Outcome::Proved);
    assert_eq!(removed.outcome, Outcome::Proved);

    workspace.write("registry.toml", without_removed(&workspace));
    assert!(removed.is_closed().await, "{}", gateway.log());
    let again = Client::connect(&workspace, &gateway, "removed").await;
    assert_eq!(again.outcome, Outcome::Refused);
    assert_eq!(kept.request().await, Outcome::Proved);
    gateway.wait_for_log("registry read");
    gateway.wait_for_log("connection closed: the client was removed from the registry or changed");
}

/// The file is changed in place and keeps its length and its time, so only the signal makes the gateway read it.
#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_read_again_after_sighup() {
    let (workspace, gateway) = gateway();
    workspace.write(
        "registry.toml",
        workspace.read("registry.toml") + "enabled = true #\n",
    );
    gateway.wait_for_log("registry read");
    let mut kept = Client::connect(&workspace, &gateway, "kept").await;
    let mut removed = Client::connect(&workspace, &gateway, "removed").await;
    assert_eq!(removed.outcome, Outcome::Proved);

    let path = workspace.path("registry.toml");
    let file = File::options().write(true).open(&path).unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    let at = workspace.read("registry.toml").find("enabled").unwrap();
    file.write_all_at(b"enabled = false \n", u64::try_from(at).unwrap())
        .unwrap();
    file.set_modified(modified).unwrap();
    assert!(
        workspace
            .read("registry.toml")
            .ends_with("\nenabled = false \n")
    );
    // The gateway looks at the file every second.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(removed.request().await, Outcome::Proved);

    gateway.signal(Signal::HUP);
    assert!(removed.is_closed().await, "{}", gateway.log());
    let again = Client::connect(&workspace, &gateway, "removed").await;
    assert_eq!(again.outcome, Outcome::Refused);
    assert_eq!(kept.request().await, Outcome::Proved);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_changes_nothing() {
    let (workspace, gateway) = gateway();
    let mut removed = Client::connect(&workspace, &gateway, "removed").await;
    workspace.write("registry.toml", "[clients.kept]\nhmac_sha256 = ");
    gateway.wait_for_log("the registry changed and cannot be read: the clients stay as they were");
    gateway.signal(Signal::HUP);
    let log = gateway.wait_for_log("the registry cannot be read: the clients stay as they were");
    assert!(log.contains("registry.toml: "), "{log}");
    assert_eq!(removed.request().await, Outcome::Proved);
    let again = Client::connect(&workspace, &gateway, "removed").await;
    assert_eq!(again.outcome, Outcome::Proved);
}

#[tokio::test(flavor = "multi_thread")]
async fn added_clients_are_admitted_without_a_restart() {
    let (workspace, gateway) = gateway();
    let before = Client::connect(&workspace, &gateway, "added").await;
    assert_eq!(before.outcome, Outcome::Refused);
    workspace.register("added", SECRET);
    gateway.signal(Signal::HUP);
    gateway.wait_for_log("clients=3");
    let after = Client::connect(&workspace, &gateway, "added").await;
    assert_eq!(after.outcome, Outcome::Proved);
}

/// Puts a certificate of another authority into the files of the gateway. Returns the authority's certificate.
fn renew(workspace: &Workspace) -> String {
    let pki = chanbind_host_tests::pki::Pki::new().unwrap();
    workspace.write("chain.pem", pki.certificate);
    workspace.write("server.pem", pki.key);
    pki.ca
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_used_after_sighup_and_no_connection_is_lost() {
    let (workspace, gateway) = gateway();
    let mut before = Client::connect(&workspace, &gateway, "kept").await;
    assert_eq!(before.outcome, Outcome::Proved);
    let ca = renew(&workspace);
    gateway.signal(Signal::HUP);
    gateway.wait_for_log("configuration read");
    assert_eq!(before.request().await, Outcome::Proved);
    workspace.write("ca.pem", ca);
    let mut after = Client::connect(&workspace, &gateway, "kept").await;
    assert_eq!(after.outcome, Outcome::Proved);

    // A key that does not belong to the certificate changes nothing.
    workspace.write(
        "server.pem",
        rcgen::KeyPair::generate().unwrap().serialize_pem(),
    );
    gateway.signal(Signal::HUP);
    gateway.wait_for_log("the configuration cannot be used: all stays as it was");
    assert_eq!(after.request().await, Outcome::Proved);
    let again = Client::connect(&workspace, &gateway, "kept").await;
    assert_eq!(again.outcome, Outcome::Proved);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_rules_hold_after_sighup_also_on_open_connections() {
    let workspace = Workspace::without_tpm();
    workspace.register("kept", SECRET);
    workspace.software_device("device", "devices");
    let proofs = "[proof.otp]\nregistry = \"registry.toml\"\n[proof.authenticator]\nclient_ca = \"devices.pem\"\n";
    let rule = |kind: &str| format!("{proofs}[[rule]]\npath = \"/\"\nany = [\"{kind}\"]\n");
    let gateway = workspace.configured_gateway(&rule("otp"));
    let mut client = Client::connect(&workspace, &gateway, "kept").await;
    assert_eq!(client.outcome, Outcome::Proved);

    workspace.write("gateway.toml", workspace::configuration("[[rule]]\n"));
    gateway.signal(Signal::HUP);
    let log = gateway.wait_for_log("the configuration cannot be used: all stays as it was");
    assert!(log.contains("gateway.toml: "), "{log}");
    assert_eq!(client.request().await, Outcome::Proved);

    workspace.write(
        "gateway.toml",
        workspace::configuration(&rule("authenticator")),
    );
    gateway.signal(Signal::HUP);
    gateway.wait_for_log("configuration read");
    assert_eq!(client.request().await, Outcome::Refused);

    // A device that is removed loses a connection from before.
    workspace.write("gateway.toml", workspace::configuration(&rule("otp")));
    gateway.signal(Signal::HUP);
    let mut client = Client::connect(&workspace, &gateway, "kept").await;
    while client.outcome != Outcome::Proved {
        client = Client::connect(&workspace, &gateway, "kept").await;
    }
    gateway.signal(Signal::HUP);
    workspace.register("other", SECRET);
    let registry = workspace.read("registry.toml");
    let (_, other) = registry.split_once("[clients.\"other\"]").unwrap();
    workspace.write("registry.toml", format!("[clients.\"other\"]{other}"));
    assert!(client.is_closed().await, "{}", gateway.log());
}
