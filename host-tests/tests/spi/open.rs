//! Parts that the driver returns to its user, and transports, templates and commands that a user adds.

use super::*;
use chanbind_core::wire::{Full, Reader, Truncated, Writer};
use chanbind_tis_emulator::Event;
use chanbind_tpm_spi::{
    command::*,
    key::WrongKey,
    session::Password,
    tis::{LockedBus, Parts},
};
use embassy_sync::{blocking_mutex::raw::NoopRawMutex, mutex::Mutex};
use embedded_hal_async::{delay::DelayNs, spi::SpiBus};

#[test]
fn failed_open_and_close_return_all_parts() {
    let fixture = Fixture::new();
    fixture.emulator.event(Event::VanishHigh);
    let bus = ExclusiveBus::new(fixture.emulator.bus(), fixture.emulator.chip_select());
    let builder =
        Tis::builder(bus, fixture.emulator.delay()).reset_pin(fixture.emulator.reset_pin());
    let failure = run(builder.open()).err().unwrap();
    assert_eq!(failure.error, TisError::NoChip { access: 0xff });
    // The same parts find the chip later.
    fixture.emulator.event(Event::Return);
    let chip = run(failure.builder.open()).unwrap();
    let Parts {
        transport, delay, ..
    } = chip.release();
    let (bus, chip_select) = transport.release();
    let chip = run(Tis::builder(ExclusiveBus::new(bus, chip_select), delay).open()).unwrap();
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let mut tpm = Tpm::new(chip, &mut buffer, &mut contexts);
    run(tpm.random(&mut [0; 8])).unwrap();
    // An error of `close` returns the chip.
    fixture.emulator.event(Event::VanishHigh);
    let failure = run(tpm.close()).err().unwrap();
    fixture.emulator.event(Event::Return);
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let mut tpm = Tpm::new(failure.chip, &mut buffer, &mut contexts);
    run(tpm.random(&mut [0; 8])).unwrap();
}

/// A bus in a mutex stays locked during wait states, and other devices can use it between transactions.
#[test]
fn locked_bus_is_shared_between_transactions() {
    let fixture = Fixture::new();
    fixture.emulator.script(|script| {
        script.wait_states = Box::new(|number| if number % 3 == 0 { 300 } else { 2 })
    });
    let mutex: Mutex<NoopRawMutex, _> = Mutex::new(fixture.emulator.bus());
    let bus = LockedBus::new(&mutex, fixture.emulator.chip_select());
    let chip = run(Tis::builder(bus, fixture.emulator.delay()).open()).unwrap();
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let tpm = Tpm::new(chip, &mut buffer, &mut contexts);
    let mut keys = TpmKeys::new(tpm, OsRng, H2, fixture.key.parent_name);
    let mut key = HmacKey::new(fixture.key.blobs(), AuthValue::empty()).unwrap();
    let mut out = [0; 32];
    fixture.emulator.returns_to_the_executor(true);
    let mut others = 0;
    run(async {
        let work = keys.hmac(&mut key, &[b"data"], &mut out);
        let others = async {
            loop {
                // Uses the bus while the TPM is not selected: within a transaction, the chip would record a violation.
                let mut bus = mutex.lock().await;
                SpiBus::<u8>::flush(&mut *bus).await.unwrap();
                drop(bus);
                others += 1;
                fixture.emulator.delay().delay_us(3).await;
            }
        };
        futures_util::pin_mut!(work, others);
        match futures_util::future::select(work, others).await {
            futures_util::future::Either::Left((done, _)) => done.unwrap(),
            futures_util::future::Either::Right(_) => unreachable!(),
        }
    });
    fixture.emulator.returns_to_the_executor(false);
    assert_eq!(out, hmac(b"data"));
    assert!(others > 10, "{others}");
    fixture.assert_no_violations();
}

/// The low-range endorsement key on P-256 (TCG EK Credential Profile, template L-2) equals the one that tpm2-tools creates.
#[test]
fn creates_primary_of_custom_template() {
    const EK: [u8; 122] = {
        let mut area = [0; 122];
        let head: [u8; 10] = [0x00, 0x23, 0x00, 0x0b, 0x00, 0x03, 0x00, 0xb2, 0x00, 0x20];
        let policy: [u8; 32] = [
            0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5,
            0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b,
            0x33, 0x14, 0x69, 0xaa,
        ];
        let rest: [u8; 14] = [
            0x00, 0x06, 0x00, 0x80, 0x00, 0x43, 0x00, 0x10, 0x00, 0x03, 0x00, 0x10, 0x00, 0x20,
        ];
        let mut at = 0;
        while at < 10 {
            area[at] = head[at];
            at += 1;
        }
        while at < 42 {
            area[at] = policy[at - 10];
            at += 1;
        }
        while at < 56 {
            area[at] = rest[at - 42];
            at += 1;
        }
        area[89] = 0x20;
        area
    };
    let swtpm = Swtpm::start().unwrap();
    swtpm.tool(
        "tpm2_createek",
        &["-Q", "-G", "ecc", "-c", "ek.ctx", "-u", "ek.pub"],
    );
    swtpm.tool("tpm2_flushcontext", &["-t"]);
    let expected = swtpm.file("ek.pub");
    let fixture = Fixture {
        key: provision(&swtpm, |_| {}),
        emulator: emulator(&swtpm),
        _swtpm: swtpm,
    };
    fixture.with_tpm(async |tpm| {
        let create = CreatePrimary {
            hierarchy: &Entity::ENDORSEMENT,
            template: Template::new(&EK),
        };
        let mut password = Password::empty();
        let created = tpm.execute(&create, &mut [&mut password]).await.unwrap();
        assert_eq!(created.public_area, &expected[2..]);
    });
}

/// TPM2_NV_ReadPublic, as a user of the driver adds it.
struct NvReadPublic(Entity);

impl Command for NvReadPublic {
    const CODE: CommandCode = CommandCode(0x169);
    const AUTHORIZATIONS: usize = 0;
    type Response<'r> = (&'r [u8], &'r [u8]);

    fn entities(&self) -> Entities<'_> {
        [Some(&self.0), None, None]
    }

    fn parameters(&self, _: &mut Writer<'_>) -> Result<(), Full> {
        Ok(())
    }

    fn response<'r>(
        &self,
        _: Handle,
        parameters: &mut Reader<'r>,
    ) -> Result<Self::Response<'r>, Truncated> {
        Ok((parameters.sized16()?, parameters.sized16()?))
    }
}

/// TPM2_PolicyNV, which has three handles. It compares the contents of the index with `operand`.
struct PolicyNv<'a> {
    index: &'a Entity,
    session: &'a Entity,
    operand: &'a [u8],
}

impl Command for PolicyNv<'_> {
    const CODE: CommandCode = CommandCode(0x149);
    const AUTHORIZATIONS: usize = 1;
    type Response<'r> = ();

    fn entities(&self) -> Entities<'_> {
        [Some(self.index), Some(self.index), Some(self.session)]
    }

    fn parameters(&self, out: &mut Writer<'_>) -> Result<(), Full> {
        out.u16(u16::try_from(self.operand.len()).unwrap())?;
        out.put(self.operand)?;
        // The offset is 0, the operation TPM_EO_EQ.
        out.put(&[0; 4])
    }

    fn response<'r>(&self, _: Handle, _: &mut Reader<'r>) -> Result<(), Truncated> {
        Ok(())
    }
}

#[test]
fn custom_nv_commands_use_names_and_three_handles() {
    let swtpm = Swtpm::start().unwrap();
    let attributes = "authread|authwrite|ownerread|ownerwrite|no_da";
    let define = ["-Q", "-C", "o", "-s", "8", "-a", attributes, "0x1500016"];
    swtpm.tool("tpm2_nvdefine", &define);
    swtpm.put_file("data", b"contents");
    swtpm.tool(
        "tpm2_nvwrite",
        &["-Q", "-C", "o", "-i", "data", "0x1500016"],
    );
    let fixture = Fixture {
        key: provision(&swtpm, |_| {}),
        emulator: emulator(&swtpm),
        _swtpm: swtpm,
    };
    fixture.with_tpm(async |tpm| {
        let handle = Handle(0x0150_0016);
        let read = NvReadPublic(Entity::named_by_handle(handle));
        let (area, name) = tpm.execute(&read, &mut []).await.unwrap();
        assert_eq!(Name::of_nv_public(area).unwrap().as_bytes(), name);
        assert!(Name::of_nv_public(&area[1..]).is_err());
        assert!(Name::of_nv_public(&[]).is_err());
        let index = Entity::object(handle, Name::new(name).unwrap());

        // The HMAC session covers the names of all three handles.
        let parent = tpm.parent(H2, &fixture.key.parent_name).await.unwrap();
        let mut hmac = tpm
            .start_session(&parent, SessionType::Hmac, &mut OsRng)
            .await
            .unwrap();
        let policy = tpm
            .start_session(&parent, SessionType::Policy, &mut OsRng)
            .await
            .unwrap();
        let entity = policy.entity();
        let auth = AuthValue::empty();
        for (operand, is_equal) in [(b"contents", true), (b"contentz", false)] {
            let command = PolicyNv {
                index: &index,
                session: &entity,
                operand,
            };
            let result = tpm
                .execute(&command, &mut [&mut hmac.authorizing(&auth)])
                .await;
            assert_eq!(result.is_ok(), is_equal, "{result:?}");
        }
    });
}

#[test]
fn rejects_hmac_key_with_policy() {
    let fixture = Fixture::provisioned(|options| options.pcrs = Some("sha256:16".parse().unwrap()));
    let key = HmacKey::new(fixture.key.blobs(), AuthValue::empty());
    assert_eq!(key.map(|_| ()), Err(WrongKey::Policy));
    assert!(WrongKey::Policy.to_string().contains("Tpm::execute"));
}

/// An error of the reset pin is returned. After an error of the interrupt pin, the driver polls the chip.
#[test]
fn reports_reset_pin_error_and_polls_after_interrupt_pin_error() {
    use chanbind_tpm_spi::tis::{InterruptPin, ResetPin};
    use embedded_hal::digital::ErrorKind;

    struct Broken;
    impl ResetPin for Broken {
        const IS_THERE: bool = true;
        fn set(&mut self, _: bool) -> Result<(), ErrorKind> {
            Err(ErrorKind::Other)
        }
    }
    impl InterruptPin for Broken {
        const IS_THERE: bool = true;
        async fn low(&mut self) -> Result<(), ErrorKind> {
            Err(ErrorKind::Other)
        }
    }
    let fixture = Fixture::new();
    fixture
        .emulator
        .script(|script| script.execution = Box::new(|_| 30_000));
    let bus = || ExclusiveBus::new(fixture.emulator.bus(), fixture.emulator.chip_select());
    let reset = Tis::builder(bus(), fixture.emulator.delay()).reset_pin(Broken);
    let failure = run(reset.open()).err().unwrap();
    assert_eq!(failure.error, TisError::Pin(ErrorKind::Other));

    let interrupt = Tis::builder(bus(), fixture.emulator.delay()).interrupt_pin(Broken);
    let chip = run(interrupt.open()).unwrap();
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let mut tpm = Tpm::new(chip, &mut buffer, &mut contexts);
    run(tpm.random(&mut [0; 8])).unwrap();
}
