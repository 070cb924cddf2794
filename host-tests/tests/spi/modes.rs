//! States in which a TPM accepts few commands: the commands that repair it reach it, and each state has an error that names the
//! remedy. Also startup with saved state, and the reset at open.

use super::*;
use chanbind_tis_emulator::Event;
use chanbind_tpm_spi::command::*;

/// Lets the chip execute only TPM2_Startup, TPM2_SelfTest and TPM2_GetTestResult. It responds with `code` to all other commands.
fn restrict_to_repair_commands(fixture: &Fixture, code: u16) {
    fixture.emulator.script(|script| {
        script.refusal = Box::new(move |command| {
            let is_for_repair = matches!(command[6..10], [0, 0, 1, 0x7c | 0x43 | 0x44]);
            (!is_for_repair).then(|| error_response(code))
        });
    });
}

#[test]
fn repair_commands_work_in_restricted_tpm_states() {
    let fixture = Fixture::new();
    for (code, remedy) in [
        (0x101, "reset it or cycle its power"),
        (0x12d, "the vendor's tool"),
        (0x130, "must be reset"),
        (0x153, "run SelfTest"),
    ] {
        let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
        let mut tpm = Tpm::new(fixture.chip(), &mut buffer, &mut contexts);
        // The driver does not know yet what the chip contains, and would query that before each command.
        restrict_to_repair_commands(&fixture, code);
        run(async {
            let error = tpm.random(&mut [0; 8]).await.unwrap_err();
            assert!(error.to_string().contains(remedy), "{error}");
            tpm.execute(&GetTestResult, &mut []).await.unwrap();
            tpm.execute(&SelfTest { full_test: true }, &mut [])
                .await
                .unwrap();
            let vendor = tpm.execute(&Vendor, &mut []).await.unwrap_err();
            let Error::Tpm { command, .. } = vendor else {
                panic!("{vendor}");
            };
            assert_eq!(command.0, 0x2000_0001);
            // The chip can be used after the repair.
            fixture.restore_good_behaviour();
            tpm.random(&mut [0; 8]).await.unwrap();
        });
    }
}

/// A vendor-specific command.
struct Vendor;

impl Command for Vendor {
    const CODE: CommandCode = CommandCode(0x2000_0001);
    const AUTHORIZATIONS: usize = 0;
    type Response<'r> = ();

    fn entities(&self) -> Entities<'_> {
        [None; 3]
    }

    fn parameters(
        &self,
        _: &mut chanbind_core::wire::Writer<'_>,
    ) -> Result<(), chanbind_core::wire::Full> {
        Ok(())
    }

    fn response<'r>(
        &self,
        _: Handle,
        _: &mut chanbind_core::wire::Reader<'r>,
    ) -> Result<(), chanbind_core::wire::Truncated> {
        Ok(())
    }
}

async fn pcr_0<C: chanbind_tpm_spi::Chip<Error = ChipError>>(tpm: &mut Tpm<'_, C>) -> Vec<u8> {
    let read = PcrRead {
        pcrs: PcrSelection::sha256(&[0]),
    };
    let mut values = tpm.execute(&read, &mut []).await.unwrap().values;
    values.next().unwrap().to_vec()
}

async fn extend(tpm: &mut TestTpm<'_>) {
    let extend = PcrExtend {
        pcr: &Entity::pcr(0),
        digest: &[7; 32],
    };
    let mut password = chanbind_tpm_spi::session::Password::empty();
    tpm.execute(&extend, &mut [&mut password]).await.unwrap();
}

/// PCRs are lost at power loss unless the state was saved and the startup requests it. A chip without saved state starts anyway.
#[test]
fn startup_with_state_keeps_pcrs() {
    let fixture = Fixture::new();
    let digest = |fixture: &Fixture, startup: StartupType| {
        let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
        let mut tpm = Tpm::new(fixture.chip(), &mut buffer, &mut contexts).with_startup(startup);
        run(async {
            let value = pcr_0(&mut tpm).await;
            extend(&mut tpm).await;
            tpm.close().await.unwrap();
            value
        })
    };
    let zero = vec![0; 32];
    // No state is saved yet.
    assert_eq!(digest(&fixture, StartupType::State), zero);
    fixture.emulator.event(Event::Return);
    let kept = digest(&fixture, StartupType::State);
    assert_ne!(kept, zero);
    fixture.emulator.event(Event::Return);
    assert_ne!(digest(&fixture, StartupType::Clear), kept);
    fixture.emulator.event(Event::Return);
    assert_eq!(digest(&fixture, StartupType::Clear), zero);
}

/// `open` with a reset pin clears the PCRs unless the builder disables the reset.
#[test]
fn open_resets_chip_unless_disabled() {
    let fixture = Fixture::new();
    let value = |resets: bool| {
        let bus = ExclusiveBus::new(fixture.emulator.bus(), fixture.emulator.chip_select());
        let mut chip =
            Tis::builder(bus, fixture.emulator.delay()).reset_pin(fixture.emulator.reset_pin());
        if !resets {
            chip = chip.without_reset_at_open();
        }
        let chip = run(chip.open()).unwrap();
        let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
        let mut tpm = Tpm::new(chip, &mut buffer, &mut contexts);
        run(pcr_0(&mut tpm))
    };
    fixture.with_tpm(async |tpm| extend(tpm).await);
    assert_ne!(value(false), vec![0; 32]);
    assert_eq!(value(true), vec![0; 32]);
}
