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

/// What a device is beside its image: a TPM with a key in it, and the chip by which a board sees it.
pub struct Device {
    _swtpm: Swtpm,
    /// The chip.
    pub chip: Emulator,
    key: KeyFile,
    parent_name: Vec<u8>,
    /// Its certificate, PEM, if that is how it proves itself.
    certificate: Option<String>,
}

impl Device {
    /// The name by which gateways know it.
    pub const CLIENT: &'static str = "client1";

    /// The name in its certificate.
    pub const URI: &'static str = "urn:device:client1";

    /// With this HMAC key in a new TPM.
    ///
    /// # Errors
    /// As the TPM says.
    pub async fn provisioned(secret: &[u8]) -> Result<Self, Failure> {
        let swtpm = Swtpm::start()?;
        let tpm = Tpm::open(&swtpm.tcti(), OpenOptions::default()).await?;
        let key = tpm.import_hmac_key(secret, KeyOptions::default()).await?;
        Self::with(swtpm, &tpm, key, None).await
    }

    /// With a new ECDSA key in a new TPM, and a certificate of `authority` with its URI.
    ///
    /// # Errors
    /// As the TPM says.
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

    /// Its certificate, DER, if it has one.
    #[must_use]
    pub fn certificate(&self) -> Option<Vec<u8>> {
        let text = self.certificate.as_ref()?;
        let body = text.lines().filter(|line| !line.starts_with('-'));
        BASE64_STANDARD.decode(body.collect::<String>()).ok()
    }

    /// A configuration for a gateway at this port, with step_timeout that suits tests.
    #[must_use]
    pub fn toml(&self, kind: Kind, port: u16) -> String {
        // rp2040js computes more slowly than the real chip.
        let step_timeout = match kind {
            Kind::QemuMps2 => 4_000,
            Kind::Rp2040W5500 => 30_000,
        };
        let proof = match &self.certificate {
            Some(_) => "proof = \"authenticator\"\ncertificates = [\"own.pem\"]\n",
            None => "",
        };
        format!(
            "host = \"{HOST}\"\nport = {port}\nserver_name = \"localhost\"\npath = \"/get\"\nclient_id = \"{}\"\n\
             authorities = [\"ca.pem\"]\ntime = \"build\"\ninterval_ms = 300\nfirst_retry_ms = 200\nlongest_retry_ms = 1600\n\
             step_timeout_ms = {step_timeout}\n{proof}[key]\nparent_name = \"{}\"\nprivate = \"{}\"\npublic = \"{}\"\n",
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
        let (toml, ca) = (self.toml(kind, gateway.port), &gateway.pki.ca);
        match &self.certificate {
            Some(own) => Image::with_authenticators(kind)?.configured_with(&toml, ca, own),
            None => Image::built(kind)?.configured(&toml, ca),
        }
    }
}
