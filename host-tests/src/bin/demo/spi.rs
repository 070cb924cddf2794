//! The device as a firmware is one: driver and session of its own, to a chip on SPI, which is emulated in front of the swtpm.

use crate::{Gateway, Outcome, admitted_and_stolen, say};
use chanbind::tpm::{KeyFile, TpmName};
use chanbind_host_tests::swtpm::Swtpm;
use chanbind_tis_emulator::Emulator;
use chanbind_tpm_spi::{
    Contexts, ParentKey, Tpm,
    command::{Name, Template},
    key::{HmacKey, KeyBlobs, TpmKeys},
    session::AuthValue,
    tis::{ExclusiveBus, Tis},
};
use rand_core::OsRng;

pub(crate) async fn with_key(
    swtpm: &Swtpm,
    file: &KeyFile,
    pin: &str,
    gateway: &Gateway,
) -> Outcome<()> {
    let emulator = Emulator::new(chanbind_tis_emulator::Swtpm::connect(swtpm.port())?);
    let bus = ExclusiveBus::new(emulator.bus(), emulator.chip_select());
    let chip = Tis::builder(bus, emulator.delay())
        .reset_pin(emulator.reset_pin())
        .open()
        .await
        .map_err(|failure| failure.error)?;
    say(
        "device",
        format_args!(
            "found a TPM on its SPI bus, DID_VID {:08x}: an emulated chip in front of the swtpm",
            chip.did_vid()
        ),
    );
    let pin: TpmName = pin.parse()?;
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let tpm = Tpm::new(chip, &mut buffer, &mut contexts);
    let parent = ParentKey::Primary(Template::H2);
    let mut keys = TpmKeys::new(tpm, OsRng, parent, Name::new(pin.as_bytes())?);
    let blobs = KeyBlobs::new(&file.private, &file.public).ok_or("the key file is damaged")?;
    let mut key = HmacKey::new(blobs, AuthValue::empty())?;
    keys.load(&mut key).await?;
    say(
        "device",
        "loaded its key into the TPM; the parent has the pinned name",
    );
    let secrets = admitted_and_stolen(gateway, &mut keys.prf(&mut key)).await?;
    drop(key);
    keys.close().await?;

    println!();
    let counts = emulator.counts();
    say(
        "spi bus",
        format_args!(
            "{} bytes in {} transactions passed in all",
            counts.bytes, counts.transactions
        ),
    );
    if secrets.iter().any(|secret| emulator.has_seen(secret)) {
        return Err("the bus has seen keying material or key".into());
    }
    say("spi bus", "neither keying material nor key was among them");
    let violations = emulator.take_violations();
    if !violations.is_empty() {
        return Err(format!("the chip complains of the driver: {violations:?}").into());
    }
    Ok(())
}
