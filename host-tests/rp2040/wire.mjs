// The TPM at the end of a TCP connection: the messages are those of `emulator/tis/src/socket.rs`.

import { connect } from "node:net";
import { once } from "node:events";
import { Fault } from "./fault.mjs";

const ONE_BYTE = 0x00;
const SELECT = 0x80;
const DESELECT = 0x81;
const RESET = 0x82;
const RUN = 0x83;

/**
 * The chip's pins, and the bytes that pass its SPI.
 *
 * Each byte is a message of its own. Several would be faster, but the chip would have seen what the firmware may still take back: it
 * can give up a transfer and lift the chip select while bytes are waiting in the FIFO.
 */
export class Wire {
  /** Bytes that passed. */
  bytes = 0;

  #socket;
  /** Who waits for an answer, in the order of the questions. */
  #waiting = [];
  #selected = false;
  #inReset = false;

  /** @param {import("node:net").Socket} socket */
  constructor(socket) {
    this.#socket = socket;
    socket.on("data", (answers) => {
      for (const answer of answers) this.#waiting.shift()?.(answer);
    });
  }

  /** Reaches a chip at `host:port`. */
  static async connect(address) {
    const [, host, port] = /^(.+):(\d+)$/.exec(address) ?? [];
    if (port === undefined) throw new Fault(`${address} is not HOST:PORT`);
    try {
      const socket = connect({ host, port: Number(port), noDelay: true });
      await once(socket, "connect");
      return new Wire(socket);
    } catch (error) {
      throw new Fault(`no TPM at ${address}: ${error.code ?? error.message}`);
    }
  }

  /** Calls back when the connection has ended. */
  onEnd(callback) {
    // An error is followed by the close.
    this.#socket.on("error", () => {});
    this.#socket.on("close", callback);
  }

  /** The pin CS#. */
  chipSelect(low) {
    if (low !== this.#selected) this.#send(low ? SELECT : DESELECT);
    this.#selected = low;
  }

  /** The pin RST#. */
  reset(low) {
    if (low !== this.#inReset) this.#send(low ? RESET : RUN);
    this.#inReset = low;
  }

  /** One byte out; the one that comes back is the answer. */
  exchange(byte, answer) {
    this.bytes += 1;
    this.#waiting.push(answer);
    this.#send(ONE_BYTE, byte);
  }

  /** Lets go of the pins, as a microcontroller does that is reset; resistors pull them up. */
  release() {
    this.chipSelect(false);
    this.reset(false);
  }

  #send(...message) {
    this.#socket.write(Uint8Array.from(message));
  }
}
