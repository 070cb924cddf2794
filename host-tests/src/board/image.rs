use super::Kind;
use chanbind_device_config::build;
use std::path::PathBuf;

/// The flash image of a board with a configuration in it.
#[derive(Clone)]
pub struct Image {
    kind: Kind,
    elf: Vec<u8>,
}

impl Image {
    /// The image as `cargo x firmware` built it.
    ///
    /// # Errors
    /// If it is not built.
    pub fn built(kind: Kind) -> Result<Self, build::Failure> {
        Self::read(kind, kind.name())
    }

    /// As [`Image::built`], with the feature `authenticator`.
    ///
    /// # Errors
    /// If it is not built.
    pub fn with_authenticators(kind: Kind) -> Result<Self, build::Failure> {
        Self::read(kind, &format!("{}-authenticator", kind.name()))
    }

    fn read(kind: Kind, name: &str) -> Result<Self, build::Failure> {
        let path = built(kind, &format!("images/{name}.elf"));
        let elf = std::fs::read(path).map_err(|error| {
            format!(
                "the image of {} ({error}): build it with `cargo x firmware`",
                kind.name()
            )
        })?;
        Ok(Self { kind, elf })
    }

    /// The same with the configuration of a `chanbind.toml`, whose authorities are all `authority`.
    ///
    /// # Errors
    /// If the text is no configuration.
    pub fn configured(&self, toml: &str, authority: &str) -> Result<Self, build::Failure> {
        self.configured_with(toml, authority, "")
    }

    /// As [`Image::configured`], with `own` for what the text has as `certificates`: `own.pem`, or files that end in `crt`.
    ///
    /// # Errors
    /// If the text is no configuration.
    pub fn configured_with(
        &self,
        toml: &str,
        authority: &str,
        own: &str,
    ) -> Result<Self, build::Failure> {
        let config = build::from_toml(toml, |name| {
            let is_own =
                name.starts_with("own.pem") || name.extension().is_some_and(|end| end == "crt");
            Ok(if is_own { own } else { authority }.to_owned())
        })?;
        let mut image = self.clone();
        build::patch(&mut image.elf, &config)?;
        Ok(image)
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// The ELF.
    #[must_use]
    pub fn elf(&self) -> &[u8] {
        &self.elf
    }
}

/// Where a program for a board is when it is built.
#[must_use]
pub fn built(kind: Kind, program: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../target")
        .join(kind.target())
        .join("firmware")
        .join(program)
}
