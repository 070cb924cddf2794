//! Advice for a device whose proof the gateway does not ask for.

use super::*;
use workspace::{connect_authenticator, connect_otp};

#[test]
fn a_refused_one_time_password_leads_to_the_authenticator_that_the_gateway_asks_for() {
    let workspace = Workspace::new();
    workspace.provision("client1", &[]);
    workspace.software_device("device", "devices");
    let gateway = workspace.authenticator_gateway("devices.pem", &[]);
    let (code, error) = workspace.fail(&connect_otp(&gateway.url(), "client1.pem"));
    assert_eq!(code, 3);
    assert_eq!(
        error,
        "401 Unauthorized\nthe gateway did not admit this device by this kind of proof (otp) alone: it asks for another; connect with `chanbind connect authenticator`\n"
    );
}

#[test]
fn a_refused_certificate_leads_to_the_one_time_password_that_the_gateway_asks_for() {
    let workspace = Workspace::without_tpm();
    workspace.register("client1", b"a key with more than 16 bytes");
    workspace.software_device("device", "devices");
    let gateway = workspace.otp_gateway(&[]);
    let url = gateway.url();
    let (code, error) = workspace.fail(&connect_authenticator(&url, "device.pem", "device.key"));
    assert_eq!(code, 3);
    assert_eq!(
        error,
        "401 Unauthorized\nthe gateway did not admit this device by this kind of proof (authenticator) alone: it asks for another; connect with `chanbind connect otp`\n"
    );
}

#[test]
fn advice_is_about_the_proof_itself_if_the_gateway_asks_for_it_too() {
    let workspace = Workspace::new();
    workspace.provision("client1", &[]);
    workspace.software_device("device", "devices");
    workspace.software_device("stranger", "strangers");
    let gateway = workspace.configured_gateway(
        "[proof.otp]\nregistry = \"registry.toml\"\n\
         [proof.authenticator]\nclient_ca = \"devices.pem\"\n\
         [[rule]]\npath = \"/\"\nany = [\"otp\", \"authenticator\"]\n",
    );
    let url = gateway.url();
    let unknown = ["--client-id", "stranger"];
    let otp = [&connect_otp(&url, "client1.pem")[..], &unknown].concat();
    let (code, error) = workspace.fail(&otp);
    assert_eq!(code, 3);
    assert!(error.contains("is it in the registry"), "{error}");
    let (code, error) =
        workspace.fail(&connect_authenticator(&url, "stranger.pem", "stranger.key"));
    assert_eq!(code, 3);
    assert!(error.contains("--client-ca"), "{error}");
}
