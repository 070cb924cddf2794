// What ends a run with one line instead of a stack trace.

/** Something outside that is to be expected: a file that is not there, a socket that nobody listens at. */
export class Fault extends Error {
  exitCode = 2;
}

/** The firmware did what ends in a HardFault on the chip. */
export class FirmwareFault extends Fault {
  exitCode = 3;
}
