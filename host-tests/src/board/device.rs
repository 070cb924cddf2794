use super::{HOST, Image, Kind};
use crate::{
    gateway::TestGateway,
    pki::{Authority, for_device, pem},
    swtpm::Swtpm,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chanbind::{
    proof::blessing::{Principal, PrincipalKey, to_text},
    protocol::blessing::Condition,
    tpm::{KeyFile, KeyOptions, OpenOptions, Parent, Tpm},
};
use chanbind_device_config::build::Failure;
use chanbind_tis_emulator::Emulator;

/// The parts of a device beside its image: a TPM with the device's key, and the emulated chip through which a board reaches the TPM.
pub struct Device {
    _swtpm: Swtpm,
    /// The emulated TPM chip on SPI.
    pub chip: Emulator,
    parent_name: Vec<u8>,
    proof: Proof,
}

/// The proof of a device.
enum Proof {
    /// An HMAC key.
    Otp(KeyFile),
    /// An ECDSA key, and its certificate in PEM.
    Authenticator(KeyFile, String),
    /// A user's name and password.
    Mutual(String, String),
    /// An ECDSA key, and the lines of the section beside it.
    Blessing(KeyFile, String),
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
        Self::with(swtpm, &tpm, Proof::Otp(key)).await
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
        Self::with(swtpm, &tpm, Proof::Authenticator(key, certificate)).await
    }

    /// Creates a device with a new TPM, which proves a password by HTTP Mutual authentication.
    ///
    /// # Errors
    /// Returns an error if swtpm does not start, or if a TPM command fails.
    pub async fn with_password(user: &str, password: &str) -> Result<Self, Failure> {
        let swtpm = Swtpm::start()?;
        let tpm = Tpm::open(&swtpm.tcti(), OpenOptions::default()).await?;
        let proof = Proof::Mutual(user.to_owned(), password.to_owned());
        Self::with(swtpm, &tpm, proof).await
    }

    /// Creates a device with a new TPM and a new ECDSA key in it, which `factory` blesses with `extension`. The device recognizes the roots of `factory`,
    /// and trusts servers with names that match `server`.
    ///
    /// # Errors
    /// Returns an error if swtpm does not start, if a TPM command fails, or if the extension is invalid.
    pub async fn blessed(
        factory: &Principal,
        extension: &str,
        server: &str,
        conditions: &[Condition<'_>],
    ) -> Result<Self, Failure> {
        let swtpm = Swtpm::start()?;
        let tpm = Tpm::open(&swtpm.tcti(), OpenOptions::default()).await?;
        let key = tpm.create_signing_key(KeyOptions::default()).await?;
        let loaded = PrincipalKey::tpm(tpm.load_signing_key(key.clone(), None).await?);
        let blessings = factory.bless(loaded.public_key(), extension, conditions);
        let blessings = blessings.await?;
        drop(loaded);
        let roots = factory.roots().to_string();
        let roots: Vec<_> = roots.lines().map(|line| format!("{line:?}")).collect();
        let section = format!(
            "[proof.blessing]\nblessings = \"{}\"\nroots = [{}]\nservers = [{server:?}]\n",
            to_text(&blessings),
            roots.join(", ")
        );
        Self::with(swtpm, &tpm, Proof::Blessing(key, section)).await
    }

    async fn with(swtpm: Swtpm, tpm: &Tpm, proof: Proof) -> Result<Self, Failure> {
        let parent_name = tpm.parent_name(Parent::default()).await?;
        tpm.close().await;
        let chip = Emulator::in_real_time(chanbind_tis_emulator::Swtpm::connect(swtpm.port())?);
        Ok(Self {
            _swtpm: swtpm,
            chip,
            parent_name: parent_name.as_bytes().to_vec(),
            proof,
        })
    }

    /// Returns the device's certificate in DER, if it has one.
    #[must_use]
    pub fn certificate(&self) -> Option<Vec<u8>> {
        let Proof::Authenticator(_, text) = &self.proof else {
            return None;
        };
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
        let key = |key: &KeyFile| {
            let (private, public) = (hex::encode(&key.private), hex::encode(&key.public));
            format!("private = \"{private}\"\npublic = \"{public}\"\n")
        };
        let parent_name = format!("parent_name = \"{}\"\n", hex::encode(&self.parent_name));
        let proof = match &self.proof {
            Proof::Otp(own) => format!("[proof.otp.key]\n{parent_name}{}", key(own)),
            Proof::Authenticator(own, _) => format!(
                "[proof.authenticator]\ncertificates = [\"own.pem\"]\n[proof.authenticator.key]\n{parent_name}{}",
                key(own)
            ),
            Proof::Mutual(user, password) => format!(
                "[proof.mutual]\n{parent_name}user = \"{user}\"\npassword = \"{password}\"\n"
            ),
            Proof::Blessing(own, section) => {
                format!("{section}[proof.blessing.key]\n{parent_name}{}", key(own))
            }
        };
        format!(
            "host = \"{HOST}\"\nport = {port}\nserver_name = \"localhost\"\npath = \"/get\"\nname = \"{}\"\n\
             authorities = [\"ca.pem\"]\ntime = \"build\"\ninterval_ms = 300\nfirst_retry_ms = 200\nlongest_retry_ms = 1600\n\
             step_timeout_ms = {step_timeout}\n{proof}",
            Self::CLIENT,
        )
    }

    /// Returns the image of a board, configured for this device and `gateway`.
    ///
    /// # Errors
    /// Returns an error if the image is not built, or if the configuration is rejected.
    pub fn image(&self, kind: Kind, gateway: &TestGateway) -> Result<Image, Failure> {
        let (toml, ca) = (self.toml(kind, gateway.port), &gateway.pki.ca);
        match &self.proof {
            Proof::Authenticator(_, own) => {
                Image::with_feature(kind, "authenticator")?.configured_with(&toml, ca, own)
            }
            Proof::Otp(_) => Image::built(kind)?.configured(&toml, ca),
            Proof::Mutual(..) => Image::with_feature(kind, "mutual")?.configured(&toml, ca),
            Proof::Blessing(..) => Image::with_feature(kind, "blessing")?.configured(&toml, ca),
        }
    }
}
