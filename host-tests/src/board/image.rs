use super::Kind;
use chanbind_device_config::build;
use std::path::PathBuf;

/// The flash image of a board, as an ELF file, with or without a configuration.
#[derive(Clone)]
pub struct Image {
    kind: Kind,
    elf: Vec<u8>,
}

impl Image {
    /// Reads the image that `cargo x firmware` has built for a board.
    ///
    /// # Errors
    /// Returns an error if the image cannot be read, usually because it is not built.
    pub fn built(kind: Kind) -> Result<Self, build::Failure> {
        Self::read(kind, kind.name())
    }

    /// Reads the image that was built for a board with a feature: that of a kind of proof.
    ///
    /// # Errors
    /// Returns an error if the image cannot be read, usually because it is not built.
    pub fn with_feature(kind: Kind, feature: &str) -> Result<Self, build::Failure> {
        Self::read(kind, &format!("{}-{feature}", kind.name()))
    }

    /// Reads the image of an example application that was built for a board.
    ///
    /// # Errors
    /// Returns an error if the image cannot be read, usually because it is not built.
    pub fn of_application(kind: Kind, application: &str) -> Result<Self, build::Failure> {
        Self::read(kind, &format!("{}-{application}", kind.name()))
    }

    fn read(kind: Kind, name: &str) -> Result<Self, build::Failure> {
        let path = built(kind, &format!("images/{name}.elf"));
        let elf = std::fs::read(path).map_err(|error| {
            format!("the image {name} cannot be read ({error}): build it with `cargo x firmware`")
        })?;
        Ok(Self { kind, elf })
    }

    /// Returns a copy of the image with the configuration `toml`, the text of a `chanbind.toml`. Every file that it names as an
    /// authority is replaced by `authority`, a certificate in PEM.
    ///
    /// # Errors
    /// Returns an error if the configuration is invalid, or if the image has no place for a configuration.
    pub fn configured(&self, toml: &str, authority: &str) -> Result<Self, build::Failure> {
        self.configured_with(toml, authority, "")
    }

    /// Returns a copy of the image with the configuration `toml`, as [`Image::configured`] does. The file `own.pem` and files with the
    /// extension `crt`, which the text names as `certificates`, are replaced by `own`, certificates in PEM.
    ///
    /// # Errors
    /// Returns an error if the configuration is invalid, or if the image has no place for a configuration.
    pub fn configured_with(
        &self,
        toml: &str,
        authority: &str,
        own: &str,
    ) -> Result<Self, build::Failure> {
        let config = build::from_toml(toml, |name| {
            let is_own_certificate =
                name.starts_with("own.pem") || name.extension().is_some_and(|end| end == "crt");
            Ok(if is_own_certificate { own } else { authority }.to_owned())
        })?;
        let mut image = self.clone();
        build::patch(&mut image.elf, &config)?;
        Ok(image)
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the image as an ELF file.
    #[must_use]
    pub fn elf(&self) -> &[u8] {
        &self.elf
    }
}

/// Returns the path of `program` among the built programs for a board. The file need not exist.
#[must_use]
pub fn built(kind: Kind, program: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../target")
        .join(kind.target())
        .join("firmware")
        .join(program)
}
