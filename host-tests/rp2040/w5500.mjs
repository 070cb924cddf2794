// WIZnet's W5500 (datasheet 1.1.0), as far as embassy-net-wiznet uses it: socket 0 in MACRAW mode, with all of the memory.

const COMMON = 0;
const SOCKET = 1;
const TX_BUFFER = 2;
const RX_BUFFER = 3;

// Common registers.
const MODE = 0x00;
const OWN_MAC = 0x09;
const SOCKET_INTERRUPTS = 0x17;
const SOCKET_INTERRUPT_MASK = 0x18;
const PHY_CONFIGURATION = 0x2e;
const CHIP_VERSION = 0x39;

// Registers of the socket.
const SOCKET_MODE = 0x00;
const COMMAND = 0x01;
const INTERRUPTS = 0x02;
const STATUS = 0x03;
const RX_KILOBYTES = 0x1e;
const TX_KILOBYTES = 0x1f;
const TX_FREE = 0x20;
const TX_READ = 0x22;
const TX_WRITE = 0x24;
const RX_RECEIVED = 0x26;
const RX_READ = 0x28;
const RX_WRITE = 0x2a;
const INTERRUPT_MASK = 0x2c;

const MODE_RESET = 0x80;
const MACRAW = 4;
const MAC_FILTER = 0x80;
const OPEN = 0x01;
const CLOSE = 0x10;
const SEND = 0x20;
const RECEIVE = 0x40;
const IS_MACRAW = 0x42;
const SENT = 0x10;
const RECEIVED = 0x04;

const BUFFER_LEN = 0x4000;
const SHORTEST_FRAME = 60;
/** Link up, 100 Mbit/s, full duplex, negotiated. */
const LINK_UP = 0xbf;

/** The chip between an SPI bus and a network that takes and gives Ethernet frames. */
export class W5500 {
  /** Frames that went out, came in, and found no room. */
  counts = { sent: 0, received: 0, dropped: 0 };

  /** Sets the pin INT#: whoever has the chip on their board puts a function here. */
  interrupt = (high) => {};

  #send;
  #common;
  #socket;
  #txBuffer;
  #rxBuffer;
  // The transaction under way: header bytes so far, then address and control phase.
  #header;
  #address;
  #control;

  /** @param {(frame: Buffer) => void} send takes a frame to the network */
  constructor(send) {
    this.#send = send;
    this.reset();
  }

  /** As by the pin RST#. */
  reset() {
    this.#common = new Uint8Array(0x40);
    this.#socket = new Uint8Array(0x30);
    this.#txBuffer = new Uint8Array(BUFFER_LEN);
    this.#rxBuffer = new Uint8Array(BUFFER_LEN);
    this.#common[CHIP_VERSION] = 4;
    this.#common[PHY_CONFIGURATION] = LINK_UP;
    this.#socket[RX_KILOBYTES] = 2;
    this.#socket[TX_KILOBYTES] = 2;
    this.#put16(TX_FREE, 2 * 1024);
    this.select();
    this.driveInterrupt();
  }

  /** The chip select goes low. */
  select() {
    this.#header = 0;
  }

  /** One byte in, one byte out. */
  exchange(byte) {
    switch (this.#header) {
      case 0:
        this.#address = byte << 8;
        this.#header = 1;
        return 1;
      case 1:
        this.#address |= byte;
        this.#header = 2;
        return 2;
      case 2:
        this.#control = byte;
        this.#header = 3;
        return 3;
    }
    const block = this.#control >> 3;
    const address = this.#address;
    this.#address = (address + 1) & 0xffff;
    if (this.#control & 4) {
      this.#write(block, address, byte);
      return 0;
    }
    return this.#read(block, address);
  }

  /** Sets INT# to what it is. */
  driveInterrupt() {
    const raised = this.#socket[INTERRUPTS] & this.#socket[INTERRUPT_MASK];
    this.#common[SOCKET_INTERRUPTS] = raised ? 1 : 0;
    this.interrupt((this.#common[SOCKET_INTERRUPTS] & this.#common[SOCKET_INTERRUPT_MASK]) === 0);
  }

  /** A frame comes from the network. */
  receive(frame) {
    const socket = this.#socket;
    if (socket[STATUS] !== IS_MACRAW) return;
    const isGroup = (frame[0] & 1) !== 0;
    if (socket[SOCKET_MODE] & MAC_FILTER && !isGroup) {
      const own = this.#common.subarray(OWN_MAC, OWN_MAC + 6);
      if (!own.every((byte, at) => byte === frame[at])) return;
    }
    // User-mode networks leave out the padding that a wire has.
    const len = Math.max(frame.length, SHORTEST_FRAME) + 2;
    if (this.#get16(RX_RECEIVED) + len > socket[RX_KILOBYTES] * 1024) {
      this.counts.dropped += 1;
      return;
    }
    const record = new Uint8Array(len);
    record[0] = len >> 8;
    record[1] = len & 0xff;
    record.set(frame, 2);
    const begin = this.#get16(RX_WRITE);
    record.forEach((byte, at) => {
      this.#rxBuffer[(begin + at) % BUFFER_LEN] = byte;
    });
    this.#put16(RX_WRITE, begin + len);
    this.#put16(RX_RECEIVED, this.#get16(RX_RECEIVED) + len);
    socket[INTERRUPTS] |= RECEIVED;
    this.counts.received += 1;
    this.driveInterrupt();
  }

  #read(block, address) {
    switch (block) {
      case COMMON:
        return this.#common[address] ?? 0;
      case SOCKET:
        return this.#socket[address] ?? 0;
      case TX_BUFFER:
        return this.#txBuffer[address % BUFFER_LEN];
      case RX_BUFFER:
        return this.#rxBuffer[address % BUFFER_LEN];
      default:
        return 0;
    }
  }

  #write(block, address, byte) {
    switch (block) {
      case COMMON:
        if (address === MODE && byte & MODE_RESET) return this.reset();
        if (address < PHY_CONFIGURATION) this.#common[address] = byte;
        return this.driveInterrupt();
      case SOCKET:
        return this.#writeSocket(address, byte);
      case TX_BUFFER:
        this.#txBuffer[address % BUFFER_LEN] = byte;
    }
  }

  #writeSocket(address, byte) {
    const socket = this.#socket;
    switch (address) {
      case COMMAND:
        this.#command(byte);
        break;
      case INTERRUPTS:
        // Ones clear.
        socket[INTERRUPTS] &= ~byte;
        break;
      case TX_KILOBYTES:
        socket[TX_KILOBYTES] = byte;
        this.#put16(TX_FREE, byte * 1024);
        break;
      default:
        if (address < socket.length) socket[address] = byte;
    }
    this.driveInterrupt();
  }

  #command(command) {
    const socket = this.#socket;
    switch (command) {
      case OPEN:
        if ((socket[SOCKET_MODE] & 0x0f) !== MACRAW) return;
        socket[STATUS] = IS_MACRAW;
        for (const pointer of [TX_READ, TX_WRITE, RX_RECEIVED, RX_READ, RX_WRITE]) this.#put16(pointer, 0);
        return;
      case CLOSE:
        socket[STATUS] = 0;
        return;
      case SEND:
        return this.#transmit();
      case RECEIVE:
        // The host has moved RX_READ behind what it has read; what is left asks for another look.
        this.#put16(RX_RECEIVED, this.#get16(RX_WRITE) - this.#get16(RX_READ));
        if (this.#get16(RX_RECEIVED) !== 0) socket[INTERRUPTS] |= RECEIVED;
    }
  }

  #transmit() {
    const begin = this.#get16(TX_READ);
    const end = this.#get16(TX_WRITE);
    const frame = Buffer.alloc((end - begin) & 0xffff);
    for (let at = 0; at < frame.length; at += 1) frame[at] = this.#txBuffer[(begin + at) % BUFFER_LEN];
    this.#put16(TX_READ, end);
    this.#socket[INTERRUPTS] |= SENT;
    this.counts.sent += 1;
    this.#send(frame);
  }

  #get16(address) {
    return (this.#socket[address] << 8) | this.#socket[address + 1];
  }

  #put16(address, value) {
    this.#socket[address] = (value >> 8) & 0xff;
    this.#socket[address + 1] = value & 0xff;
  }
}
