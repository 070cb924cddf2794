// What a flash image needs of its ELF file: 32 bits, little-endian.

import { readFileSync } from "node:fs";
import { Fault } from "./fault.mjs";

const PROGRAM_LOAD = 1;
const SECTION_SYMBOLS = 2;
const SYMBOL_FUNCTION = 2;
const MACHINE_ARM = 40;

/**
 * Reads the segments that are loaded, by their physical addresses, and finds symbols.
 *
 * @param {string} path
 */
export function readElf(path) {
  let file;
  try {
    file = readFileSync(path);
  } catch (error) {
    throw new Fault(`${path}: ${error.code ?? error.message}`);
  }
  if (file.length < 52 || file.readUInt32BE(0) !== 0x7f454c46 || file.readUInt16LE(18) !== MACHINE_ARM) {
    throw new Fault(`${path} is no ELF file for ARM`);
  }
  try {
    return contents(file);
  } catch (error) {
    if (error instanceof RangeError) throw new Fault(`${path} is cut short`);
    throw error;
  }
}

function contents(file) {
  const found = [...symbols(file)];
  return {
    segments: segments(file),
    /** The value of a symbol, or nothing. */
    symbol: (name) => found.find((symbol) => symbol.name === name)?.value,
    /** The name of the function that an instruction belongs to, or nothing. */
    functionAt: (address) =>
      found.find(({ value, size, isFunction }) => {
        // Bit 0 of a function's address says that it is in Thumb code.
        const begin = value & ~1;
        return isFunction && address >= begin && address < begin + size;
      })?.name,
  };
}

function segments(file) {
  return table(file, { offset: 28, entryLen: 42, entries: 44 })
    .filter((header) => file.readUInt32LE(header) === PROGRAM_LOAD)
    .map((header) => {
      const offset = file.readUInt32LE(header + 4);
      const len = file.readUInt32LE(header + 16);
      return { address: file.readUInt32LE(header + 12), bytes: file.subarray(offset, offset + len) };
    })
    .filter((segment) => segment.bytes.length > 0);
}

function* symbols(file) {
  const sections = table(file, { offset: 32, entryLen: 46, entries: 48 });
  for (const section of sections) {
    if (file.readUInt32LE(section + 4) !== SECTION_SYMBOLS) continue;
    const names = file.readUInt32LE(sections[file.readUInt32LE(section + 24)] + 16);
    const begin = file.readUInt32LE(section + 16);
    const end = begin + file.readUInt32LE(section + 20);
    for (let entry = begin; entry < end; entry += 16) {
      const at = names + file.readUInt32LE(entry);
      yield {
        name: file.toString("latin1", at, file.indexOf(0, at)),
        value: file.readUInt32LE(entry + 4),
        size: file.readUInt32LE(entry + 8),
        isFunction: (file[entry + 12] & 0x0f) === SYMBOL_FUNCTION,
      };
    }
  }
}

/** Where the headers of a table lie, by the places of its fields in the file's header. */
function table(file, fields) {
  const offset = file.readUInt32LE(fields.offset);
  const len = file.readUInt16LE(fields.entryLen);
  return Array.from({ length: file.readUInt16LE(fields.entries) }, (_, number) => offset + number * len);
}
