//! Finding the chip.

use super::*;
use chanbind_tis_emulator::Event;
use chanbind_tpm_spi::tis::Locality;
use chanbind_tpm_spi::tis::{SharedBus, TransportError};

fn nobody(event: Event) -> ChipError {
    let swtpm = Swtpm::start().unwrap();
    let emulator = emulator(&swtpm);
    emulator.event(event);
    let error = run(open_chip(&emulator)).map(|_| ()).unwrap_err();
    // Not at once, and not for ever: time-out A is 750 ms, of the emulator's clock.
    assert!((750_000..2_000_000).contains(&emulator.now()));
    error
}

#[test]
fn nobody_is_there() {
    let error = nobody(Event::VanishHigh);
    assert_eq!(error, TisError::NoChip { access: 0xff });
    assert!(error.to_string().contains("power, wiring, chip select"));
    assert_eq!(nobody(Event::VanishLow), TisError::NoChip { access: 0x00 });
}

#[test]
fn somebody_else_is_there() {
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
    // Who knows better says so.
    let bus = ExclusiveBus::new(emulator.bus(), emulator.chip_select());
    let chip = Tis::builder(bus, emulator.delay())
        .vendors(&[0x8086])
        .open();
    assert_eq!(run(chip).unwrap().did_vid(), 0x1234_8086);
}

#[test]
fn an_old_tpm_is_there() {
    let swtpm = Swtpm::start().unwrap();
    let emulator = emulator(&swtpm);
    emulator.script(|script| script.is_tpm_2 = false);
    let error = run(open_chip(&emulator)).map(|_| ()).unwrap_err();
    assert_eq!(error, TisError::NotTpm2 { status: 0 });
}

#[test]
fn the_chip_is_there() {
    let swtpm = Swtpm::start().unwrap();
    let emulator = emulator(&swtpm);
    let chip = run(open_chip(&emulator)).unwrap();
    assert_eq!(chip.did_vid(), 0x001b_15d1);
    assert_eq!(emulator.take_violations(), []);
}

#[test]
fn a_reset_pin_clears_what_was_left() {
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
    // Shut down before the reset; then a question was rejected, the chip started, and the question asked again. Nothing was there to be
    // flushed.
    assert_eq!(codes, [0x45, 0x7a, 0x44, 0x7a, 0x7a]);
    assert_eq!(fixture.emulator.responses().last().unwrap()[18], 0);
    fixture.assert_no_violations();
}

#[test]
fn a_shared_bus_does_where_no_wait_states_come() {
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

    fixture
        .emulator
        .script(|script| script.wait_states = Box::new(|_| 0));
    run(tpm.random(&mut random)).unwrap();
}

#[test]
fn another_locality() {
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
    // Given back, others can have it; the next command asks for it again.
    run(tpm.chip_mut().relinquish_locality()).unwrap();
    let mut other = run(open_chip(&emulator)).unwrap();
    run(other.relinquish_locality()).unwrap();
    run(tpm.random(&mut [0; 8])).unwrap();
    // Taken, it is waited for, but not for ever.
    run(tpm.chip_mut().relinquish_locality()).unwrap();
    let _other = run(open_chip(&emulator)).unwrap();
    assert_eq!(
        run(tpm.random(&mut [0; 8])).unwrap_err(),
        chanbind_tpm_spi::Error::Chip(TisError::LocalityTaken)
    );
    assert_eq!(emulator.take_violations(), []);
}
