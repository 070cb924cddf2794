//! Counts of bytes and transactions on the SPI bus, with an emulated chip that responds at once, without wait states and with a burst
//! count of 64.

use super::{Figure, Outcome, SECRET};
use chanbind::tpm::{KeyFile, KeyOptions, OpenOptions};
use chanbind_host_tests::swtpm::Swtpm;
use chanbind_tis_emulator::{Counts, Emulator};
use chanbind_tpm_spi::{
    Contexts, ParentKey, Tpm,
    command::{Entity, Hmac, Load, Name, SessionType, Template},
    key::{HmacKey, KeyBlobs, TpmKeys},
    session::{AuthValue, Password},
    tis::{ExclusiveBus, Tis},
};
use rand_core::OsRng;

pub(crate) async fn figures() -> Outcome<Vec<Figure>> {
    let swtpm = Swtpm::start()?;
    let (file, name) = provision(&swtpm).await?;
    let emulator = Emulator::new(chanbind_tis_emulator::Swtpm::connect(swtpm.port())?);
    let mut figures = Vec::new();
    let mut last = Counts::default();
    let mut count = |name: &str| -> Counts {
        let now = emulator.counts();
        let counted = now - last;
        last = now;
        if !name.is_empty() {
            for (unit, value) in [
                ("bytes", counted.bytes),
                ("transactions", counted.transactions),
            ] {
                let value = u32::try_from(value).map_or(0.0, f64::from);
                figures.push((format!("SPI: {name}, {unit}"), value, unit));
            }
        }
        counted
    };

    let open = async || {
        let bus = ExclusiveBus::new(emulator.bus(), emulator.chip_select());
        Tis::builder(bus, emulator.delay()).open().await
    };
    {
        let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
        let mut tpm = Tpm::new(open().await?, &mut buffer, &mut contexts);
        tpm.start().await?;
        count("");
        let parent = tpm.parent(H2, &name).await?;
        let mut cold = count("TPM2_CreatePrimary, H-2");
        let load = Load {
            parent: parent.entity(),
            private: &file.private,
            public: &file.public,
        };
        let loaded = tpm.execute(&load, &mut [&mut Password::empty()]).await?;
        let key = Entity::object(loaded.handle, Name::new(loaded.name)?);
        cold += count("TPM2_Load");
        let hmac = Hmac {
            key: &key,
            data: &[&[7; 32]],
        };
        tpm.execute(&hmac, &mut [&mut Password::empty()]).await?;
        count("TPM2_HMAC of 32 bytes, password");
        let mut session = tpm
            .start_session(&parent, SessionType::Hmac, &mut OsRng)
            .await?;
        cold += count("TPM2_StartAuthSession, salted");
        let empty = AuthValue::empty();
        for round in 0..2 {
            let mut authorization = session.authorizing(&empty);
            tpm.execute(&hmac, &mut [&mut authorization]).await?;
            if round == 0 {
                cold += count("TPM2_HMAC of 32 bytes, salted and encrypted");
            }
        }
        count("");
        emulator.script(|script| script.execution = Box::new(|_| 50_000));
        tpm.execute(&hmac, &mut [&mut session.authorizing(&empty)])
            .await?;
        count("TPM2_HMAC of 32 bytes, salted and encrypted, when the chip takes 50 ms");
        emulator.script(|script| script.execution = Box::new(|_| 0));
        for (unit, value) in [("bytes", cold.bytes), ("transactions", cold.transactions)] {
            let value = u32::try_from(value).map_or(0.0, f64::from);
            let name = format!("SPI: primary, load, session and HMAC, {unit}");
            figures.push((name, value, unit));
        }
    }
    // The whole sequence of a firmware: open the chip, start the TPM, flush orphaned objects, compute the HMAC.
    let before = emulator.counts();
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let tpm = Tpm::new(open().await?, &mut buffer, &mut contexts);
    let mut keys = TpmKeys::new(tpm, OsRng, H2, name);
    let blobs = KeyBlobs::new(&file.private, &file.public)
        .ok_or("the key file contains invalid key blobs")?;
    let mut key = HmacKey::new(blobs, AuthValue::empty())?;
    let mut out = [0; 32];
    keys.hmac(&mut key, &[&[7; 32]], &mut out).await?;
    let all = emulator.counts() - before;
    figures.push((
        "SPI: from opening the chip to the first HMAC, bytes".to_owned(),
        u32::try_from(all.bytes).map_or(0.0, f64::from),
        "bytes",
    ));
    let violations = emulator.take_violations();
    if !violations.is_empty() {
        return Err(format!("the driver violated the protocol of the chip: {violations:?}").into());
    }
    Ok(figures)
}

const H2: ParentKey = ParentKey::Primary(Template::H2);

async fn provision(swtpm: &Swtpm) -> Outcome<(KeyFile, Name)> {
    let tpm = chanbind::tpm::Tpm::open(&swtpm.tcti(), OpenOptions::default()).await?;
    let file = tpm.import_hmac_key(SECRET, KeyOptions::default()).await?;
    let name = tpm.parent_name(file.parent).await?;
    tpm.close().await;
    Ok((file, Name::new(name.as_bytes())?))
}
