// What rp2040js 1.4.1 does differently from the chip, mended from outside: the package stays as npm gives it.
//
// Each function says what goes wrong without it. With another version of the package, look at each again.

import { FirmwareFault } from "./fault.mjs";

const DMA_CHAN_ABORT = 0x444;
const ROSC_RANDOMBIT = 0x1c;
const AIRCR = 0xd0c;
const AIRCR_KEY = 0x05fa;
const SYSRESETREQ = 4;

/** Bits 15 to 6 of the instructions. */
const ADCS = 0b0100000101;
const SBCS = 0b0100000110;

/** Where ROM and flash end, and registers and memory begin. */
const END_OF_FLASH = 0x14000000;

/** Which of the logger's warnings are HardFaults on the chip. */
const FAULTS = /invalid memory address|undefined address|not 32 bit aligned|not implemented yet/;

/**
 * Mends a machine that was just made.
 *
 * @param {import("rp2040js").RP2040} mcu
 * @param {() => never} reset what SYSRESETREQ and the watchdog do
 */
export function patch(mcu, reset) {
  listenToTheLogger(mcu);
  faultOnBadAccess(mcu);
  carryIntoTheSign(mcu.core);
  endDmaAborts(mcu.dma);
  addMissingRegisters(mcu, reset);
}

/**
 * (1) The instruction SEV does nothing but log itself, so that an executor that was woken by an interrupt sleeps on for ever.
 * (6) Breakpoints, undefined instructions and addresses where nothing is are only logged, and the firmware runs on; on the chip
 * each is a HardFault.
 */
function listenToTheLogger(mcu) {
  mcu.logger = {
    debug() {},
    info(_, message) {
      if (message === "SEV") mcu.core.eventRegistered = true;
    },
    warn(_, message) {
      if (FAULTS.test(message)) throw new FirmwareFault(message);
    },
    error(_, message) {
      throw new FirmwareFault(message);
    },
  };
  mcu.onBreak = (code) => {
    throw new FirmwareFault(`BKPT or UDF ${code}`);
  };
}

/** (6) Stores to ROM and flash change them, and what is unaligned is done all the same; on the chip each is a HardFault. */
function faultOnBadAccess(mcu) {
  const { core } = mcu;
  const check = (address, alignment) => {
    const to = address >>> 0;
    if (to < END_OF_FLASH || to & (alignment - 1)) {
      throw new FirmwareFault(`store of ${alignment} bytes to ${to.toString(16)}`);
    }
  };
  core.writeUint8 = (address, value) => {
    check(address, 1);
    mcu.writeUint8(address, value);
  };
  core.writeUint16 = (address, value) => {
    check(address, 2);
    mcu.writeUint16(address, value);
  };
  core.writeUint32 = (address, value) => {
    check(address, 4);
    mcu.writeUint32(address, value);
  };
  // Words are looked at by the package.
  core.readUint16 = (address) => {
    if (address & 1) throw new FirmwareFault(`load of 2 bytes from ${(address >>> 0).toString(16)}`);
    return mcu.readUint16(address);
  };
}

/**
 * (4) ADCS and SBCS add the carry to the operand before they look at its sign: of 7fffffff and a carry comes 80000000, which counts as
 * negative, and the flag V is wrong. Signed comparisons of 64 bits then go the wrong way, once in a long while.
 */
function carryIntoTheSign(core) {
  // Whether the instruction under way is this one, and the register at `shift` of it is the largest number. Results are written
  // when the flags are done, so that the register is what it was.
  const takesLargest = (instruction, shift) => {
    const opcode = core.readUint16(core.PC - 2);
    return opcode >> 6 === instruction && core.registers[(opcode >> shift) & 7] === 0x7fffffff;
  };
  const addUpdateFlags = core.addUpdateFlags.bind(core);
  core.addUpdateFlags = (addend, withCarry) => {
    const sum = addUpdateFlags(addend, withCarry);
    if (withCarry === 0x80000000 && takesLargest(ADCS, 0)) core.V = !(addend & 0x80000000);
    return sum;
  };
  const substractUpdateFlags = core.substractUpdateFlags.bind(core);
  core.substractUpdateFlags = (minuend, withBorrow) => {
    const difference = substractUpdateFlags(minuend, withBorrow);
    if (withBorrow === 0x80000000 && takesLargest(SBCS, 3)) core.V = !!(minuend & 0x80000000);
    return difference;
  };
}

/**
 * (3) CHAN_ABORT reads as all ones, "still aborting", and setting one channel's bit in it sets, and so aborts, all. It reads 0:
 * aborts take no time here.
 */
function endDmaAborts(dma) {
  const readUint32 = dma.readUint32.bind(dma);
  dma.readUint32 = (offset) => (offset === DMA_CHAN_ABORT ? 0 : readUint32(offset));
}

/**
 * (5) What is not there at all: the cache of the flash, which embassy-rp flushes; the ring oscillator's random bit, which would
 * be 1 for ever (this one is random, but tells nothing of the chip's); and the two ways to a reset.
 */
function addMissingRegisters(mcu, reset) {
  mcu.peripherals[0x14000] = { readUint32: () => 0, writeUint32Atomic() {} };

  const ringOscillator = mcu.peripherals[0x40060];
  const readUint32 = ringOscillator.readUint32.bind(ringOscillator);
  ringOscillator.readUint32 = (offset) =>
    offset === ROSC_RANDOMBIT ? Math.floor(Math.random() * 2) : readUint32(offset);

  const { ppb } = mcu;
  const writeUint32 = ppb.writeUint32.bind(ppb);
  ppb.writeUint32 = (offset, value) => {
    if (offset === AIRCR && value >>> 16 === AIRCR_KEY && value & SYSRESETREQ) reset();
    writeUint32(offset, value);
  };
  watchdog(mcu).onWatchdogTrigger = reset;
}

/** The watchdog, whose scratch registers and reason outlast a reset. */
export function watchdog(mcu) {
  return mcu.peripherals[0x40058];
}

/**
 * (2) A byte on SPI is there and back in no time, within the very store to the FIFO, and the two DMA channels that serve it wait for
 * each other for ever. A byte takes its bits' time, or as long as the part at the other end takes to answer.
 *
 * @param {import("rp2040js").RP2040} mcu
 * @param {number} bus SPI0 or SPI1
 * @param {(byte: number, answer: (byte: number) => void) => void} exchange the part; it answers once, at once or later
 */
export function attachSpi(mcu, bus, exchange) {
  const spi = mcu.spi[bus];
  const { clock } = mcu;
  let received = 0;
  const end = clock.createAlarm(() => spi.completeTransmit(received));
  spi.onTransmit = (byte) => {
    const done = clock.nanos + (spi.dataBits * 1e9) / (spi.clockFrequency || 1e6);
    exchange(byte, (answer) => {
      received = answer;
      end.schedule(Math.max(done - clock.nanos, 0));
    });
  };
}
