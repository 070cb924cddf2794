use super::{HOST, Image, Kind};
use crate::{
    gateway::TestGateway,
    pki::{Authority, for_device, pem},
    swtpm::Swtpm,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chanbind::tpm::{KeyFile, KeyOptions, OpenOptions, Parent, Tpm};
use chanbind_device_config::build::Failure;
use chanbind_tis_emulator::Emulator;

/// The parts of a device beside its image: a TPM with the device's key, and the emulated chip through which a board reaches the TPM.
pub struct Device {
    _swtpm: Swtpm,
    /// The emulated TPM chip on SPI.
    pub chip: Emulator,
    key: KeyFile,
    parent_name: Vec<u8>,
    /// The device's certificate in PEM, if the device proves its identity with a certificate.
    certificate: Option<String>,
}

impl Device {
    /// The client id of the device.
    pub const CLIENT: &'static str = "client1";

    /// The URI in the device's certificate.
    pub const URI: &'static str = "urn:device:client1";

    /// Creates a device with a new TPM and imports `secret` into it as the device's HMAC key.
    ///
    /// # Errors
    /// Returns an error if swtpm does not start, or if a TPM command fails.
    pub async fn provisioned(secret: &[u8]) -> Result<Self, Failure> {
        let swtpm = Swtpm::start()?;
        let tpm = Tpm::open(&swtpm.tcti(), OpenOptions::default()).await?;
        let key = tpm.import_hmac_key(secret, KeyOptions::default()).await?;
        Self::with(swtpm, &tpm, key, None).await
    }

    /// Creates a device with a new TPM, a new ECDSA key in it, and a certificate for [`Device::URI`] that `authority` issues.
    ///
    /// # Errors
    /// Returns an error if swtpm does not start, if a TPM command fails, or if the certificate cannot be issued.
    pub async fn certified(authority: &Authority) -> Result<Self, Failure> {
        let swtpm = Swtpm::start()?;
        let tpm = Tpm::open(&swtpm.tcti(), OpenOptions::default()).await?;
        let key = tpm.create_signing_key(KeyOptions::default()).await?;
        let loaded = tpm.load_signing_key(key.clone(), None).await?;
        let certificate =
            authority.issue_for(loaded.public_key(), |params| for_device(params, Self::URI))?;
        drop(loaded);
        let certificate = pem("CERTIFICATE", &certificate);
        Self::with(swtpm, &tpm, key, Some(certificate)).await
    }

    async fn with(
        swtpm: Swtpm,
        tpm: &Tpm,
        key: KeyFile,
        certificate: Option<String>,
    ) -> Result<Self, Failure> {
        let parent_name = tpm.parent_name(Parent::default()).await?;
        tpm.close().await;
        let chip = Emulator::in_real_time(chanbind_tis_emulator::Swtpm::connect(swtpm.port())?);
        Ok(Self {
            _swtpm: swtpm,
            chip,
            key,
            parent_name: parent_name.as_bytes().to_vec(),
            certificate,
        })
    }

    /// Returns the device's certificate in DER, if it has one.
    #[must_use]
    pub fn certificate(&self) -> Option<Vec<u8>> {
        let text = self.certificate.as_ref()?;
        let body = text.lines().filter(|line| !line.starts_with('-'));
        BASE64_STANDARD.decode(body.collect::<String>()).ok()
    }

    /// Returns the text of a `chanbind.toml` for a gateway on `port` of the host, with time limits that suit tests.
    #[must_use]
    pub fn toml(&self, kind: Kind, port: u16) -> String {
        // rp2040js is slower than the real chip.
        let step_timeout = match kind {
            Kind::QemuMps2 => 4_000,
            Kind::Rp2040W5500 => 30_000,
        };
        let proof = match &self.certificate {
            Some(_) => {
                "[proof.authenticator]\ncertificates = [\"own.pem\"]\n[proof.authenticator.key]\n"
            }
            None => "[proof.otp.key]\n",
        };
        format!(
            "host = \"{HOST}\"\nport = {port}\nserver_name = \"localhost\"\npath = \"/get\"\nname = \"{}\"\n\
             authorities = [\"ca.pem\"]\ntime = \"build\"\ninterval_ms = 300\nfirst_retry_ms = 200\nlongest_retry_ms = 1600\n\
             step_timeout_ms = {step_timeout}\n{proof}parent_name = \"{}\"\nprivate = \"{}\"\npublic = \"{}\"\n",
            Self::CLIENT,
            hex::encode(&self.parent_name),
            hex::encode(&self.key.private),
            hex::encode(&self.key.public),
        )
    }

    /// Returns the image of a board, configured for this device and `gateway`.
    ///
    /// # Errors
    /// Returns an error if the image is not built, or if the configuration is rejected.
    pub fn image(&self, kind: Kind, gateway: &TestGateway) -> Result<Image, Failure> {
        let (toml, ca) = (self.toml(kind, gateway.port), &gateway.pki.ca);
        match &self.certificate {
            Some(own) => Image::with_authenticators(kind)?.configured_with(&toml, ca, own),
            None => Image::built(kind)?.configured(&toml, ca),
        }
    }
}
