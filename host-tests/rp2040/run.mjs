// Runs a flash image of the RP2040 board: `node run.mjs ELF --tis HOST:PORT --net-send PORT --net-bind PORT [--seconds N]`.
//
// What the firmware logs by defmt goes to the standard output as it is, everything else to the standard error. Exit codes: 0 at
// the end of the seconds, on SIGTERM and SIGINT, and, with `--stdin-guard`, when the standard input ends; 2 if something outside
// is not as it should be; 3 if the firmware faults.

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { Board } from "./board.mjs";
import { readElf } from "./elf.mjs";
import { Fault } from "./fault.mjs";
import { Machine } from "./machine.mjs";
import { W5500 } from "./w5500.mjs";
import { Wire } from "./wire.mjs";

const USAGE =
  "usage: node run.mjs ELF --tis HOST:PORT --net-send PORT --net-bind PORT [--seconds N] [--stdin-guard]";
const LOCALHOST = "127.0.0.1";

try {
  await main();
} catch (error) {
  if (!(error instanceof Fault)) throw error;
  end(error.exitCode, error.message);
}

async function main() {
  const options = parse();
  for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => end(0));
  // Who reads the log has gone, and nobody is left to run for.
  process.stdout.on("error", () => end(0));
  if (options.stdinGuard) {
    process.stdin.on("error", () => end(0)).on("close", () => end(0)).on("end", () => end(0));
    process.stdin.resume();
  }

  const elf = readElf(options.elf);
  const wire = await Wire.connect(options.tis);
  wire.onEnd(() => end(2, `the TPM at ${options.tis} has closed the connection`));
  const network = await openNetwork(options.netBind);

  const ethernet = new W5500((frame) => network.send(frame, options.netSend, LOCALHOST));
  const board = new Board(ethernet, wire);
  const machine = new Machine(
    elf,
    (bytes) => process.stdout.write(bytes),
    (parts) => board.connect(parts),
  );
  network.on("message", (frame) => machine.deliver(() => ethernet.receive(frame)));

  if (options.seconds !== undefined) {
    setTimeout(() => end(0, summary(machine, board, ethernet, wire)), options.seconds * 1000);
  }
  await machine.run();
}

function parse() {
  let parsed;
  try {
    parsed = parseArgs({
      allowPositionals: true,
      options: {
        tis: { type: "string" },
        "net-send": { type: "string" },
        "net-bind": { type: "string" },
        seconds: { type: "string" },
        "stdin-guard": { type: "boolean", default: false },
      },
    });
  } catch (error) {
    throw new Fault(`${error.message}\n${USAGE}`);
  }
  const { positionals, values } = parsed;
  if (positionals.length !== 1 || values.tis === undefined) throw new Fault(USAGE);
  return {
    elf: positionals[0],
    tis: values.tis,
    netSend: number(values["net-send"], 65535),
    netBind: number(values["net-bind"], 65535),
    seconds: values.seconds === undefined ? undefined : number(values.seconds, 1e6),
    stdinGuard: values["stdin-guard"],
  };
}

function number(text, most) {
  const value = Number(text);
  if (!(value > 0 && value <= most)) throw new Fault(USAGE);
  return value;
}

/** One datagram is one Ethernet frame. */
async function openNetwork(port) {
  const network = createSocket("udp4");
  network.bind(port, LOCALHOST);
  try {
    await once(network, "listening");
  } catch (error) {
    throw new Fault(`UDP port ${port}: ${error.code ?? error.message}`);
  }
  // A frame that cannot be sent is lost, as on a cable that is not plugged in.
  network.on("error", () => {});
  return network;
}

function summary(machine, board, ethernet, wire) {
  const { instructions, resets } = machine.counts;
  const { sent, received, dropped } = ethernet.counts;
  return (
    `${machine.seconds.toFixed(1)} s since the last of ${resets} resets, ${(instructions / 1e6).toFixed(1)} M instructions, ` +
    `frames ${sent} out ${received} in ${dropped} dropped, ${wire.bytes} bytes on the TPM's SPI, ` +
    `LED ${board.ledTransitions} transitions`
  );
}

/** The only way out. */
function end(exitCode, message) {
  if (message !== undefined) process.stderr.write(`rp2040: ${message}\n`);
  process.exit(exitCode);
}
