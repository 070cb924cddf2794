//! The device with the firmware's driver and sessions, on the host: the TPM is a chip on SPI, emulated in front of a swtpm.

use crate::{Gateway, Outcome, admit_device_and_refuse_thief, print_step};
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

/// Shows that the device is admitted and the thief is refused, and that no secret passed the bus unencrypted.
pub(crate) async fn scenario(
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
    print_step(
        "device",
        format_args!(
            "found a TPM on its SPI bus with DID_VID {:08x}: an emulated chip in front of the swtpm",
            chip.did_vid()
        ),
    );
    let pin: TpmName = pin.parse()?;
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let tpm = Tpm::new(chip, &mut buffer, &mut contexts);
    let parent = ParentKey::Primary(Template::H2);
    let mut keys = TpmKeys::new(tpm, OsRng, parent, Name::new(pin.as_bytes())?);
    let blobs = KeyBlobs::new(&file.private, &file.public)
        .ok_or("the key file contains invalid key blobs")?;
    let mut key = HmacKey::new(blobs, AuthValue::empty())?;
    keys.load(&mut key).await?;
    print_step(
        "device",
        "loaded its key into the TPM; the parent key has the pinned name",
    );
    let hmac = async |input: &[u8]| {
        let mut mac = [0; 32];
        keys.hmac(&mut key, &[input], &mut mac).await?;
        Ok(mac.to_vec())
    };
    let secrets = admit_device_and_refuse_thief(gateway, hmac).await?;
    drop(key);
    keys.close().await?;

    println!();
    let counts = emulator.counts();
    print_step(
        "spi bus",
        format_args!(
            "{} bytes in {} transactions passed in total",
            counts.bytes, counts.transactions
        ),
    );
    if secrets.iter().any(|secret| emulator.has_seen(secret)) {
        return Err(
            "the keying material or the one-time key passed the SPI bus unencrypted".into(),
        );
    }
    print_step(
        "spi bus",
        "the traffic contains neither the keying material nor the one-time key",
    );
    let violations = emulator.take_violations();
    if !violations.is_empty() {
        return Err(format!("the driver violated the protocol of the chip: {violations:?}").into());
    }
    Ok(())
}
