// SEGGER's Real-Time Transfer, as a debug probe does it: the host reads what the firmware has put into a ring in its memory.

const RAM = 0x20000000;
const ID = Buffer.from("SEGGER RTT\0\0\0\0\0\0", "latin1");

// The first channel up, behind the identification and two counts of channels.
const BUFFER = 28;
const SIZE = 32;
const WRITE = 36;
const READ = 40;
const FLAGS = 44;

const MODE_MASK = 3;
const BLOCK_IF_FULL = 2;

/** The first channel up of the control block at an address. */
export class Rtt {
  #block;

  /** @param {number} address of the control block, the symbol `_SEGGER_RTT` */
  constructor(address) {
    this.#block = address - RAM;
  }

  /** Empties the ring before a reset that the memory outlasts: nothing old is read while the firmware sets it up anew. */
  forget({ sramView: view }) {
    for (const field of [WRITE, READ, FLAGS]) view.setUint32(this.#block + field, 0, true);
  }

  /**
   * Takes what is in the ring.
   *
   * @returns {Uint8Array[]} one piece, two where the ring wraps, none if it is empty or the firmware has not come so far
   */
  drain({ sram, sramView: view }) {
    const block = this.#block;
    const field = (at) => view.getUint32(block + at, true);
    if (field(WRITE) === field(READ) && (field(FLAGS) & MODE_MASK) === BLOCK_IF_FULL) return [];
    if (!ID.equals(sram.subarray(block, block + ID.length))) return [];

    // Without a host that says so, the firmware throws away what does not fit.
    view.setUint32(block + FLAGS, (field(FLAGS) & ~MODE_MASK) | BLOCK_IF_FULL, true);
    const begin = field(BUFFER) - RAM;
    const [size, write, read] = [field(SIZE), field(WRITE), field(READ)];
    if (begin < 0 || begin + size > sram.length || write >= size || read >= size) return [];
    view.setUint32(block + READ, write, true);
    const piece = (from, to) => sram.slice(begin + from, begin + to);
    const pieces = write >= read ? [piece(read, write)] : [piece(read, size), piece(0, write)];
    return pieces.filter((bytes) => bytes.length > 0);
  }
}
