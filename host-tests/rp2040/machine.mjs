// The microcontroller with its flash image, in step with the clock on the wall.

import { RP2040 } from "rp2040js";
import { Fault, FirmwareFault } from "./fault.mjs";
import { patch, watchdog } from "./patches.mjs";
import { Rtt } from "./rtt.mjs";

const FLASH = 0x10000000;
const FLASH_LEN = 2 * 1024 * 1024;
/** Where the second stage of the boot, which takes the first 256 bytes, goes on. */
const VECTOR_TABLE = FLASH + 0x100;

/** How far emulated time may be ahead of the wall: pauses shorter than a timer of the host then cost no wall time of their own. */
const LEAD = 2e6;
/** How much a busy firmware catches up afterwards; what it is behind beyond that is lost, as on a slower chip. */
const LAG = 20e6;
/** Milliseconds after which I/O gets its turn. */
const SLICE = 4;
/** Milliseconds of the longest sleep. */
const LONGEST_SLEEP = 1000;

/** Thrown to leave the instruction that has reset the chip. */
class Reset extends Error {}

/** An RP2040 that runs an image from its flash. */
export class Machine {
  /** Instructions executed, and resets. */
  counts = { instructions: 0, resets: 0 };

  #elf;
  #rtt;
  #output;
  #connect;
  #mcu;
  /** Nanoseconds of a cycle. */
  #cycle;
  /** Emulated nanoseconds when the wall's clock stood at zero. */
  #origin;
  #limit = 0;
  /** Since when a part has owed an answer, in emulated time and on the wall. */
  #held;
  #events = [];
  #wake = () => {};

  /**
   * @param {ReturnType<typeof import("./elf.mjs").readElf>} elf
   * @param {(bytes: Uint8Array) => void} output takes what the firmware logs over RTT
   * @param {(parts: { mcu: RP2040, hold: () => () => void, deliver: (event: () => void) => void }) => void} connect
   *   connects what is around the chip, again after each reset
   */
  constructor(elf, output, connect) {
    this.#elf = elf;
    const block = elf.symbol("_SEGGER_RTT");
    this.#rtt = block === undefined ? undefined : new Rtt(block);
    this.#output = output;
    this.#connect = connect;
    this.#start();
  }

  /** Emulated seconds since the last reset. */
  get seconds() {
    return this.#mcu.clock.nanos / 1e9;
  }

  /** Something happens outside, at what is now by the wall. */
  deliver(event) {
    this.#events.push(event);
    this.#wake();
  }

  /**
   * Runs for ever.
   *
   * @throws {FirmwareFault} if the firmware does what the chip would not bear
   */
  async run() {
    for (;;) {
      try {
        // What happened may have woken the firmware: it goes on at once.
        do this.#advance();
        while (this.#happen());
      } catch (error) {
        if (error instanceof Reset) this.#restart();
        else throw this.#located(error);
      }
      this.#drain();
      await this.#rest();
    }
  }

  /** Powers up, or comes out of a reset with what that leaves as it was. */
  #start(before) {
    const mcu = new RP2040();
    this.#mcu = mcu;
    this.#held = undefined;
    this.#events = [];
    this.#origin = -performance.now() * 1e6;
    patch(mcu, () => {
      throw new Reset();
    });
    this.#cycle = 1e9 / mcu.clkSys;
    mcu.addClockListener((hertz) => {
      this.#cycle = 1e9 / hertz;
    });

    if (before) {
      mcu.flash.set(before.flash);
      mcu.sram.set(before.sram);
      this.#rtt?.forget(mcu);
      watchdog(mcu).scratchData.set(watchdog(before).scratchData);
      watchdog(mcu).reason = watchdog(before).reason;
    } else {
      for (const { address, bytes } of this.#elf.segments) {
        if (address < FLASH || address - FLASH + bytes.length > FLASH_LEN) {
          throw new Fault(`the image has ${bytes.length} bytes at ${address.toString(16)}, which is not in the flash`);
        }
        mcu.flash.set(bytes, address - FLASH);
      }
    }
    // As the second stage of the boot leaves it; what is before that is not emulated.
    const { core } = mcu;
    core.VTOR = VECTOR_TABLE;
    core.SP = mcu.readUint32(VECTOR_TABLE);
    core.PC = mcu.readUint32(VECTOR_TABLE + 4) & ~1;

    this.#connect({ mcu, hold: () => this.#hold(), deliver: (event) => this.deliver(event) });
  }

  #restart() {
    this.#drain();
    this.counts.resets += 1;
    this.#start(this.#mcu);
  }

  /**
   * A part owes an answer that comes through the host. Until the returned function is called, emulated time goes no faster than the
   * wall's, so that the answer never seems to have taken longer than it did.
   */
  #hold() {
    const held = { nanos: this.#mcu.clock.nanos, wall: performance.now() };
    this.#held = held;
    this.#limit = held.nanos;
    return () => {
      if (this.#held === held) this.#held = undefined;
    };
  }

  /** Runs until emulated time has come to its limit, or I/O should get its turn. */
  #advance() {
    const { core, clock } = this.#mcu;
    const begin = performance.now();
    this.#limit = this.#origin + begin * 1e6 + LEAD;
    if (this.#held) {
      this.#limit = Math.min(this.#limit, this.#held.nanos + (begin - this.#held.wall) * 1e6);
    }
    let steps = 0;
    while (clock.nanos < this.#limit) {
      if (core.waiting) {
        const left = this.#limit - clock.nanos;
        clock.tick(clock.nextAlarm ? Math.min(clock.nanosToNextAlarm, left) : left);
      } else {
        clock.tick(core.executeInstruction() * this.#cycle);
        this.counts.instructions += 1;
      }
      steps += 1;
      if (steps % 1024 === 0 && performance.now() - begin > SLICE) break;
    }
    if (!this.#held && this.#limit - clock.nanos > LAG) this.#origin -= this.#limit - clock.nanos - LAG;
  }

  /** Whether something has happened outside, which has its effect now. */
  #happen() {
    const events = this.#events.splice(0);
    for (const event of events) event();
    return events.length > 0;
  }

  /** Gives I/O its turn: until something happens, where the firmware sleeps, or just a moment. */
  #rest() {
    const { core, clock } = this.#mcu;
    if (this.#events.length > 0 || clock.nanos < this.#limit) return new Promise(setImmediate);
    let millis = 1;
    if (core.waiting) {
      const left = clock.nextAlarm ? clock.nanosToNextAlarm / 1e6 : LONGEST_SLEEP;
      millis = Math.min(Math.max(left, 1), LONGEST_SLEEP);
    }
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, millis);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #drain() {
    for (const bytes of this.#rtt?.drain(this.#mcu) ?? []) this.#output(bytes);
  }

  /** Says where the firmware was. */
  #located(error) {
    if (!(error instanceof FirmwareFault)) return error;
    this.#drain();
    const { core } = this.#mcu;
    const [pc, lr] = [core.PC, core.LR].map((address) => {
      const name = this.#elf.functionAt(address & ~1);
      return `${address.toString(16).padStart(8, "0")}${name ? ` (${name})` : ""}`;
    });
    return new FirmwareFault(`the firmware faults at PC ${pc}, LR ${lr}: ${error.message}`);
  }
}
