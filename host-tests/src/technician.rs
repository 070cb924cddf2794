//! A board with a server for technicians, and the client of a technician.

use crate::{
    board::{Board, Device, Image, Kind},
    pki::Pki,
    port, program,
};
use chanbind::protocol::mutual::{Algorithm, Realm, StoredCredential};
use chanbind_device_config::build::Failure;
use std::{
    io,
    path::Path,
    process::{Command, Output},
};

/// The image of qemu-mps2 with a server, and what it needs to run. Its user is [`Technician::USER`].
pub struct Technician {
    device: Device,
    image: Image,
    port: u16,
}

impl Technician {
    /// The user of the board.
    pub const USER: &'static str = "technician";
    /// The realm of the board.
    pub const REALM: &'static str = "pump 7";
    /// The authentication scope of the board, which is the host of its origin.
    pub const SCOPE: &'static str = "pump7.local";

    /// Configures the image for a technician with this PIN.
    ///
    /// # Errors
    /// As [`Technician::with_credential`].
    pub async fn with_pin(pin: &str) -> Result<Self, Failure> {
        let realm = Realm::new(Algorithm::P256_SHA256, Self::SCOPE, Self::REALM)?;
        let credential = StoredCredential::register(&realm, Self::USER, pin)?;
        Self::with_credential(&credential.to_text()).await
    }

    /// Configures the image with a credential, as `chanbind provision mutual` prints it.
    ///
    /// # Errors
    /// Returns an error if the image is not built, if it rejects the credential, or if swtpm does not start.
    pub async fn with_credential(credential: &str) -> Result<Self, Failure> {
        // A proof and a TPM belong to every configuration; this application uses neither.
        let device = Device::with_password("pump7", "unused").await?;
        let toml = format!(
            "{}{}",
            device.toml(Kind::QemuMps2, 1),
            Self::section(credential)
        );
        let image = Image::of_application(Kind::QemuMps2, "technician-mutual")?;
        let image = image.configured(&toml, &Pki::new()?.ca)?;
        let (listener, _) = port::listeners()?;
        let port = listener.local_addr()?.port();
        Ok(Self {
            device,
            image,
            port,
        })
    }

    /// Returns the section of the board's configuration.
    #[must_use]
    pub fn section(credential: &str) -> String {
        format!(
            "[login]\norigin = \"http://{}\"\nrealm = \"{}\"\nuser = \"{}\"\ncredential = \"{credential}\"\n",
            Self::SCOPE,
            Self::REALM,
            Self::USER
        )
    }

    /// Returns the configured image.
    #[must_use]
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Returns the port of 127.0.0.1 that reaches the board's server.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts the board. QEMU writes a trace to `trace`, if there is one.
    ///
    /// # Errors
    /// Returns an error in the cases of [`Board::start`].
    pub fn start(&self, trace: Option<&Path>) -> io::Result<Board> {
        Board::start_forwarded(&self.image, &self.device.chip, self.port, trace)
    }

    /// Returns the arguments of a technician's `chanbind`, which gets `path` with the password in the file `pin`.
    #[must_use]
    pub fn arguments(&self, path: &str) -> Vec<String> {
        let url = format!("http://{}{path}", Self::SCOPE);
        let resolve = format!("127.0.0.1:{}", self.port);
        let own = ["connect", "mutual", &url, "--resolve", &resolve];
        let rest = ["--user", Self::USER, "--password-file", "pin"];
        let all = [&own[..], &rest].concat();
        all.into_iter().map(str::to_owned).collect()
    }

    /// Runs a technician's `chanbind` with a PIN in `folder`. It waits for an answer for at most 5 minutes: QEMU is slow when it writes a trace.
    ///
    /// # Errors
    /// Returns an error if the file of the PIN cannot be written, or if the program does not start.
    pub fn connect(
        &self,
        folder: &Path,
        pin: &str,
        path: &str,
        more: &[&str],
    ) -> io::Result<Output> {
        std::fs::write(folder.join("pin"), pin)?;
        Command::new(program::path("chanbind"))
            .args(self.arguments(path))
            .args(["--timeout", "300"])
            .args(more)
            .current_dir(folder)
            .output()
    }
}
