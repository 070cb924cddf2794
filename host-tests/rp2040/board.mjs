// What is soldered to what: a W5500 as on WIZnet's W5500-EVB-Pico, a TPM on the other SPI, a LED.

import { GPIOPinState } from "rp2040js";
import { attachSpi } from "./patches.mjs";

const ETHERNET = { spi: 0, chipSelect: 17, reset: 20, interrupt: 21 };
const TPM = { spi: 1, chipSelect: 13, reset: 14 };
const LED = 25;

/** The parts around the microcontroller, which outlast its resets. */
export class Board {
  /** How often the LED went on or off. */
  ledTransitions = 0;

  #ethernet;
  #tpm;

  /**
   * @param {import("./w5500.mjs").W5500} ethernet
   * @param {import("./wire.mjs").Wire} tpm
   */
  constructor(ethernet, tpm) {
    this.#ethernet = ethernet;
    this.#tpm = tpm;
  }

  /** Puts a microcontroller in, whose pins are not driven yet. */
  connect({ mcu, hold, deliver }) {
    const ethernet = this.#ethernet;
    const tpm = this.#tpm;
    // The pins of the one before have let go.
    ethernet.select();
    tpm.release();

    ethernet.interrupt = (high) => mcu.gpio[ETHERNET.interrupt].setInputValue(high);
    ethernet.driveInterrupt();
    onLevel(mcu, ETHERNET.chipSelect, (low) => low && ethernet.select());
    onLevel(mcu, ETHERNET.reset, (low) => low && ethernet.reset());
    attachSpi(mcu, ETHERNET.spi, (byte, answer) => answer(ethernet.exchange(byte)));

    onLevel(mcu, TPM.chipSelect, (low) => tpm.chipSelect(low));
    onLevel(mcu, TPM.reset, (low) => tpm.reset(low));
    attachSpi(mcu, TPM.spi, (byte, answer) => {
      const release = hold();
      tpm.exchange(byte, (received) =>
        deliver(() => {
          release();
          answer(received);
        }),
      );
    });

    onLevel(mcu, LED, () => {
      this.ledTransitions += 1;
    });
  }
}

/** Tells when a pin goes low, and when it no longer is. */
function onLevel(mcu, pin, tell) {
  let wasLow = false;
  mcu.gpio[pin].addListener((state) => {
    const low = state === GPIOPinState.Low;
    if (low !== wasLow) tell(low);
    wasLow = low;
  });
}
