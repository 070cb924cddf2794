use super::{HOST, Image, Kind};
use crate::{gateway::TestGateway, swtpm::Swtpm};
use chanbind::tpm::{KeyFile, KeyOptions, OpenOptions, Parent, Tpm};
use chanbind_device_config::build::Failure;
use chanbind_tis_emulator::Emulator;

/// What a device is beside its image: a TPM with a key in it, and the chip by which a board sees it.
pub struct Device {
    _swtpm: Swtpm,
    /// The chip.
    pub chip: Emulator,
    key: KeyFile,
    parent_name: Vec<u8>,
}

impl Device {
    /// The name by which gateways know it.
    pub const CLIENT: &'static str = "client1";

    /// With this HMAC key in a new TPM.
    ///
    /// # Errors
    /// As the TPM says.
    pub async fn provisioned(secret: &[u8]) -> Result<Self, Failure> {
        let swtpm = Swtpm::start()?;
        let tpm = Tpm::open(&swtpm.tcti(), OpenOptions::default()).await?;
        let key = tpm.import_hmac_key(secret, KeyOptions::default()).await?;
        let parent_name = tpm.parent_name(Parent::default()).await?;
        tpm.close().await;
        let chip = Emulator::in_real_time(chanbind_tis_emulator::Swtpm::connect(swtpm.port())?);
        Ok(Self {
            _swtpm: swtpm,
            chip,
            key,
            parent_name: parent_name.as_bytes().to_vec(),
        })
    }

    /// A configuration for a gateway at this port, with patience that suits tests.
    #[must_use]
    pub fn toml(&self, kind: Kind, port: u16) -> String {
        // rp2040js computes more slowly than the real chip.
        let patience = match kind {
            Kind::QemuMps2 => 4_000,
            Kind::Rp2040W5500 => 30_000,
        };
        format!(
            "host = \"{HOST}\"\nport = {port}\nserver_name = \"localhost\"\npath = \"/get\"\nclient_id = \"{}\"\n\
             authorities = [\"ca.pem\"]\ntime = \"build\"\ninterval_ms = 300\nfirst_retry_ms = 200\nlongest_retry_ms = 1600\n\
             patience_ms = {patience}\n[key]\nparent_name = \"{}\"\nprivate = \"{}\"\npublic = \"{}\"\n",
            Self::CLIENT,
            hex::encode(&self.parent_name),
            hex::encode(&self.key.private),
            hex::encode(&self.key.public),
        )
    }

    /// The image of a board, configured for this device and a gateway.
    ///
    /// # Errors
    /// If it is not built.
    pub fn image(&self, kind: Kind, gateway: &TestGateway) -> Result<Image, Failure> {
        Image::built(kind)?.configured(&self.toml(kind, gateway.port), &gateway.pki.ca)
    }
}
