//! Finding the chip.

use super::*;

#[test]
fn finds_the_chip() {
    let swtpm = Swtpm::start().unwrap();
    let emulator = emulator(&swtpm);
    let chip = run(open_chip(&emulator)).unwrap();
    assert_eq!(chip.did_vid(), 0x001b_15d1);
    assert_eq!(emulator.take_violations(), []);
}
