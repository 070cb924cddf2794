//! Gateways with a server behind them.

use super::*;
use axum::{Router, extract::Request};

/// Starts a server that answers with the path and with these fields of the request. Returns its address.
pub(crate) async fn application(fields: &'static [&'static str]) -> std::net::SocketAddr {
    let app = Router::new().fallback(move |request: Request| async move {
        let mut text = format!("{}\n", request.uri());
        for name in fields {
            let value = request.headers().get(*name);
            let value = value.map(|value| value.to_str().unwrap());
            text += &format!("{name}: {}\n", value.unwrap_or("-"));
        }
        text
    });
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

const FIELDS: &[&str] = &[
    "x-client-subject",
    "x-device",
    "x-client-proof",
    "x-client-token",
    "authorization",
];

const RULE: &str = "[proof.authenticator]\nclient_ca = \"devices.pem\"\n\
    [[rule]]\npath = \"/\"\nany = [\"authenticator\"]\n";

#[tokio::test(flavor = "multi_thread")]
async fn an_application_is_told_the_name_of_the_device() {
    let address = application(FIELDS).await;
    let workspace = Workspace::without_tpm();
    workspace.software_device("device", "devices");
    workspace.write(
        "token.pem",
        rcgen::KeyPair::generate().unwrap().serialize_pem(),
    );
    for (identity, expected) in [
        (
            "",
            "x-client-subject: urn:example:device\nx-device: -\nx-client-proof: authenticator\nx-client-token: -\n",
        ),
        (
            "[upstream.identity]\nsubject = \"X-Device\"\nproof = false\n",
            "x-client-subject: -\nx-device: urn:example:device\nx-client-proof: -\nx-client-token: -\n",
        ),
    ] {
        let text = format!("[upstream]\nurl = \"http://{address}\"\n{identity}{RULE}");
        let gateway = workspace.configured_gateway(&text);
        assert!(
            gateway
                .line
                .ends_with(&format!("passed on to http://{address}/")),
            "{}",
            gateway.line
        );
        let url = gateway.url();
        let (out, _) = workspace.succeed(&connect_authenticator(&url, "device.pem", "device.key"));
        assert_eq!(out, format!("/get\n{expected}authorization: -\n"));
    }
    let token = "[upstream.identity]\n[upstream.identity.token]\nfield = \"X-Client-Token\"\n\
        key = \"token.pem\"\nissuer = \"gateway\"\naudience = \"app\"\nlifetime_seconds = 30\n";
    let text = format!("[upstream]\nurl = \"http://{address}\"\n{token}{RULE}");
    let gateway = workspace.configured_gateway(&text);
    let url = gateway.url();
    let (out, _) = workspace.succeed(&connect_authenticator(&url, "device.pem", "device.key"));
    assert!(out.contains("x-client-token: eyJ"), "{out}");
}

#[test]
fn errors_of_the_section_say_what_to_write() {
    let workspace = Workspace::without_tpm();
    workspace.software_device("device", "devices");
    for (section, says) in [
        (
            "url = \"localhost:80\"\n",
            "\"localhost:80\" is not an upstream: write http://host:port",
        ),
        (
            "url = \"https://localhost\"\n",
            "an upstream with https needs the authorities of its certificate: ca names a file",
        ),
        (
            "url = \"http://localhost\"\nresponse_seconds = 0\n",
            "upstream.response_seconds = 0: write a number from 1 to 86400",
        ),
        (
            "url = \"http://localhost\"\n[upstream.identity]\nsubject = true\n",
            "upstream.identity.subject: write the name of a field, or false for none",
        ),
        (
            "url = \"http://localhost\"\n[upstream.identity]\nsubject = \"a b\"\n",
            "upstream.identity.subject: \"a b\" is not the name of a header field",
        ),
        (
            "url = \"http://localhost\"\n[upstream.identity]\nsubject = \"Host\"\n",
            "upstream.identity: host cannot carry an identity",
        ),
        (
            "url = \"http://localhost\"\n[upstream.identity.token]\nfield = \"t\"\nkey = \"chain.pem\"\nissuer = \"\"\naudience = \"\"\n",
            "chain.pem: the key is not PKCS #8 in PEM for ECDSA on P-256",
        ),
    ] {
        let text = configuration(&format!("[upstream]\n{section}{RULE}"));
        workspace.write("gateway.toml", text);
        let arguments = ["gateway", "--config", "gateway.toml"];
        let (code, error) = workspace.fail(&arguments);
        assert_eq!(code, 1, "{error}");
        assert!(error.contains(says), "{section}: {error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
