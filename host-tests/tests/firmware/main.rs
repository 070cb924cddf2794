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
    swtpm: Swtpm,
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
            swtpm,
            chip,
            key,
            parent_name: parent_name.as_bytes().to_vec(),
        }
    }

    /// A configuration for a gateway at this port; `changes` come first in the file.
    fn toml(&self, port: u16) -> String {
        format!(
            "host = \"{HOST}\"\nport = {port}\nserver_name = \"localhost\"\npath = \"/get\"\nclient_id = \"{CLIENT}\"\n\
             authorities = [\"ca.pem\"]\ntime = \"build\"\ninterval_ms = 300\nfirst_retry_ms = 200\nlongest_retry_ms = 1000\n\
             [key]\nparent_name = \"{}\"\nprivate = \"{}\"\npublic = \"{}\"\n",
            hex::encode(&self.parent_name),
            hex::encode(&self.key.private),
            hex::encode(&self.key.public),
        )
    }

    fn image(&self, kind: Kind, gateway: &TestGateway) -> Image {
        Image::built(kind)
            .unwrap()
            .configured(&self.toml(gateway.port), &gateway.pki.ca)
            .unwrap()
    }
}

async fn gateway(secret: &[u8]) -> TestGateway {
    let registry = Registry::new([(CLIENT.to_owned(), ClientKey::secret(secret))]).unwrap();
    TestGateway::start(registry, Settings::default())
        .await
        .unwrap()
}

/// Whether the bus of the chip has seen a proof that a gateway accepts is for others to say; here: nothing that was wrong.
fn assert_no_violations(device: &Device) {
    let violations = device.chip.take_violations();
    assert!(violations.is_empty(), "{violations:?}");
}
