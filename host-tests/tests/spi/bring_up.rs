//! Detection of the chip, reset, bus variants and localities.

use super::*;
use chanbind_tis_emulator::Event;
use chanbind_tpm_spi::tis::Locality;
use chanbind_tpm_spi::tis::{SharedBus, TransportError};

fn open_error_after(event: Event) -> ChipError {
    let swtpm = Swtpm::start().unwrap();
    let emulator = emulator(&swtpm);
    emulator.event(event);
    let error = run(open_chip(&emulator)).map(|_| ()).unwrap_err();
    // The driver waits for timeout A, which is 750 ms, and not much longer. Times are those of the emulator's clock.
    assert!((750_000..2_000_000).contains(&emulator.now()));
    error
}

#[test]
fn open_reports_missing_chip() {
    let error = open_error_after(Event::VanishHigh);
    assert_eq!(error, TisError::NoChip { access: 0xff });
    assert!(error.to_string().contains("power, wiring, chip select"));
    assert_eq!(
        open_error_after(Event::VanishLow),
        TisError::NoChip { access: 0x00 }
    );
}

#[test]
fn open_rejects_unknown_vendor_unless_listed() {
    let swtpm = Swtpm::start().unwrap();
    let emulator = emulator(&swtpm);
    emulator.script(|script| script.did_vid = 0x1234_8086);
    let error = run(open_chip(&emulator)).map(|_| ()).unwrap_err();
    assert_eq!(
        error,
        TisError::WrongVendor {
            actual: 0x1234_8086
        }
    );
    // A caller can list further vendors.
    let bus = ExclusiveBus::new(emulator.bus(), emulator.chip_select());
    let chip = Tis::builder(bus, emulator.delay())
        .vendors(&[0x8086])
        .open();
    assert_eq!(run(chip).unwrap().did_vid(), 0x1234_8086);
}

#[test]
fn open_rejects_chip_that_is_not_tpm_2() {
    let swtpm = Swtpm::start().unwrap();
    let emulator = emulator(&swtpm);
    emulator.script(|script| script.is_tpm_2 = false);
    let error = run(open_chip(&emulator)).map(|_| ()).unwrap_err();
    assert_eq!(error, TisError::NotTpm2 { status: 0 });
}

#[test]
fn open_reads_device_and_vendor_id() {
    let swtpm = Swtpm::start().unwrap();
    let emulator = emulator(&swtpm);
    let chip = run(open_chip(&emulator)).unwrap();
    assert_eq!(chip.did_vid(), 0x001b_15d1);
    assert_eq!(emulator.take_violations(), []);
}

#[test]
fn reset_pin_clears_leftover_objects() {
    let fixture = Fixture::new();
    fixture.with_tpm(async |tpm| {
        let parent = tpm.parent(H2, &fixture.key.parent_name).await.unwrap();
        core::mem::forget(parent);
    });
    let bus = ExclusiveBus::new(fixture.emulator.bus(), fixture.emulator.chip_select());
    let chip = Tis::builder(bus, fixture.emulator.delay())
        .reset_pin(fixture.emulator.reset_pin())
        .open();
    let mut chip = run(chip).unwrap();
    let before = fixture.emulator.commands().len();
    run(chip.reset()).unwrap();
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let mut tpm = Tpm::new(chip, &mut buffer, &mut contexts);
    run(tpm.start()).unwrap();
    let codes: Vec<_> = fixture.emulator.commands()[before..]
        .iter()
        .map(|command| command[9])
        .collect();
    // TPM2_Shutdown before the reset. Then TPM2_GetCapability was rejected, the chip was started, and TPM2_GetCapability
    // repeated. There was nothing to flush.
    assert_eq!(codes, [0x45, 0x7a, 0x44, 0x7a, 0x7a]);
    assert_eq!(fixture.emulator.responses().last().unwrap()[18], 0);
    fixture.assert_no_violations();
}

#[test]
fn shared_bus_works_only_without_wait_states() {
    let fixture = Fixture::new();
    let open = || {
        Tis::builder(
            SharedBus::new(fixture.emulator.device()),
            fixture.emulator.delay(),
        )
    };
    let chip = run(open().open()).unwrap();
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let mut tpm = Tpm::new(chip, &mut buffer, &mut contexts);
    run(tpm.start()).unwrap();

    fixture
        .emulator
        .script(|script| script.wait_states = Box::new(|_| 1));
    let mut random = [0; 8];
    let error = run(tpm.random(&mut random)).unwrap_err();
    let inserted = TisError::Transport(TransportError::WaitStateInserted);
    assert_eq!(error, chanbind_tpm_spi::Error::Chip(inserted));
    assert!(error.to_string().contains("ExclusiveBus"));
    assert_eq!(run(open().open()).err().unwrap().error, inserted);

    fixture.restore_good_behaviour();
    run(tpm.random(&mut random)).unwrap();
}

#[test]
fn requests_and_relinquishes_locality_3() {
    let swtpm = Swtpm::start().unwrap();
    let emulator = emulator(&swtpm);
    let bus = ExclusiveBus::new(emulator.bus(), emulator.chip_select());
    let chip = run(Tis::builder(bus, emulator.delay())
        .locality(Locality::Three)
        .open())
    .unwrap();
    let (mut buffer, mut contexts) = ([0; 512], Contexts::new());
    let mut tpm = Tpm::new(chip, &mut buffer, &mut contexts);
    run(tpm.start()).unwrap();
    // After it was relinquished, another locality can use the chip; the next command requests it again.
    run(tpm.chip_mut().relinquish_locality()).unwrap();
    let mut other = run(open_chip(&emulator)).unwrap();
    run(other.relinquish_locality()).unwrap();
    run(tpm.random(&mut [0; 8])).unwrap();
    // While another locality is active, the driver waits for a limited time.
    run(tpm.chip_mut().relinquish_locality()).unwrap();
    let _other = run(open_chip(&emulator)).unwrap();
    assert_eq!(
        run(tpm.random(&mut [0; 8])).unwrap_err(),
        chanbind_tpm_spi::Error::Chip(TisError::LocalityTaken)
    );
    assert_eq!(emulator.take_violations(), []);
}
