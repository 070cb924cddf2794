//! The flash images of boards, end to end: a TPM, a gateway, and all that can come between.
//!
//! `cargo x test` builds the images before; `cargo x firmware` does it alone.

mod admitted;
mod gateways;
mod networks;
mod tpms;

use chanbind::{
    gateway::{ClientKey, Registry},
    proof::Settings,
    tpm::{KeyFile, KeyOptions, OpenOptions, Parent, Tpm},
};
use chanbind_host_tests::{
    board::{Board, HOST, Image, Kind},
    gateway::TestGateway,
    swtpm::Swtpm,
};
use chanbind_tis_emulator::Emulator;

const CLIENT: &str = "client1";

/// A TPM with a key in it, and the chip that a board sees.
struct Device {
    _swtpm: Swtpm,
    chip: Emulator,
    key: KeyFile,
    parent_name: Vec<u8>,
}

impl Device {
    async fn provisioned(secret: &[u8]) -> Self {
        let swtpm = Swtpm::start().unwrap();
        let tpm = Tpm::open(&swtpm.tcti(), OpenOptions::default())
            .await
            .unwrap();
        let key = tpm
            .import_hmac_key(secret, KeyOptions::default())
            .await
            .unwrap();
        let parent_name = tpm.parent_name(Parent::default()).await.unwrap();
        tpm.close().await;
        let chip =
            Emulator::in_real_time(chanbind_tis_emulator::Swtpm::connect(swtpm.port()).unwrap());
        Self {
            _swtpm: swtpm,
            chip,
            key,
            parent_name: parent_name.as_bytes().to_vec(),
        }
    }

    /// A configuration for a gateway at this port.
    fn toml(&self, port: u16) -> String {
        format!(
            "host = \"{HOST}\"\nport = {port}\nserver_name = \"localhost\"\npath = \"/get\"\nclient_id = \"{CLIENT}\"\n\
             authorities = [\"ca.pem\"]\ntime = \"build\"\ninterval_ms = 300\nfirst_retry_ms = 200\nlongest_retry_ms = 1600\npatience_ms = 4000\n\
             [key]\nparent_name = \"{}\"\nprivate = \"{}\"\npublic = \"{}\"\n",
            hex::encode(&self.parent_name),
            hex::encode(&self.key.private),
            hex::encode(&self.key.public),
        )
    }

    fn image(&self, kind: Kind, gateway: &TestGateway) -> Image {
        self.image_for(kind, gateway.port, &gateway.pki.ca)
    }

    fn image_for(&self, kind: Kind, port: u16, ca: &str) -> Image {
        let mut toml = self.toml(port);
        if kind == Kind::Rp2040W5500 {
            // It computes more slowly than the real chip.
            toml = toml.replace("patience_ms = 4000", "patience_ms = 30000");
        }
        configured(kind, &toml, ca)
    }
}

fn configured(kind: Kind, toml: &str, ca: &str) -> Image {
    Image::built(kind).unwrap().configured(toml, ca).unwrap()
}

fn registry(secret: &[u8]) -> Registry {
    Registry::new([(CLIENT.to_owned(), ClientKey::secret(secret))]).unwrap()
}

async fn gateway(secret: &[u8]) -> TestGateway {
    TestGateway::start(registry(secret), Settings::default())
        .await
        .unwrap()
}

/// Ends a gateway and starts it again, with another registry.
async fn restarted(gateway: TestGateway, secret: &[u8]) -> TestGateway {
    let (pki, port) = (gateway.pki.clone(), gateway.port);
    gateway.stop().await;
    TestGateway::start_as(registry(secret), Settings::default(), pki, port)
        .await
        .unwrap()
}

const SECRET: &[u8] = b"a key of this test, 32 bytes long";
const ADMITTED: &str = "admitted by a token that the TPM made: 200";

/// The driver has done nothing that the chip complains of.
fn assert_no_violations(device: &Device) {
    let violations = device.chip.take_violations();
    assert!(violations.is_empty(), "{violations:?}");
}
