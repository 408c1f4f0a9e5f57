// The core's decoder alone, compiled for tests: bytes in, form and length out. It is the file that the core runs.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CodeBits } from "../../src/codec/index.js";
import { projectRoot } from "../support/golden.js";

/** What the core's decoder says; `form` is the number in the decode table, absent for an undefined opcode. */
export interface CoreDecoded {
  readonly form?: number;
  readonly length: number;
}

/** All that the decoder needs around it: a state block with every feature, bytes, a micro-op. */
const entry = `
import { decode } from "../../../src/core/decode";
import { cpu, KEY_CODE16, KEY_CODE32, KEY_CODE64, MicroOp } from "../../../src/core/layout.generated";
import { KNOWN_FORMS } from "../../../src/core/decode-table.generated";
import { Op } from "../../../src/core/ops";

const bytes: usize = memory.data(16);
const result: usize = memory.data(64, 8);

export function bytesAddress(): usize {
  return bytes;
}

/** Form in bits 31-8, length in bits 7-0; a form of 0xffff is none. */
export function decodeBytes(bits: u32): u32 {
  cpu.codeKey = bits == 16 ? KEY_CODE16 : bits == 32 ? KEY_CODE32 : KEY_CODE64;
  cpu.features0 = ~(<u64>0);
  cpu.features1 = ~(<u64>0);
  cpu.features2 = ~(<u64>0);
  cpu.features3 = ~(<u64>0);
  const op = changetype<MicroOp>(result);
  decode(bytes, bytes + 15, op);
  // Opcodes of sets that the table lacks end a run; no form is theirs.
  const none = op.op == <u8>Op.UNDEFINED || op.op == <u8>Op.TOO_LONG || op.form >= <u16>KNOWN_FORMS;
  return ((none ? 0xffff : <u32>op.form) << 8) | op.length;
}
`;

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  readonly bytesAddress: () => number;
  readonly decodeBytes: (bits: number) => number;
}

/** Compiles the decoder (a few seconds) and gives it as a function. */
export function buildCoreDecoder(): (bytes: Uint8Array, bits: CodeBits) => CoreDecoded {
  mkdirSync(join(projectRoot, "dist/lockstep"), { recursive: true });
  const folder = mkdtempSync(join(projectRoot, "dist/lockstep/"));
  try {
    writeFileSync(join(folder, "entry.ts"), entry);
    compile(folder);
    return instantiate(readFileSync(join(folder, "decoder.wasm")));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function compile(folder: string): void {
  const layout = readFileSync(join(projectRoot, "src/core/layout.generated.ts"), "utf8");
  const memoryBase = String(Number(/STATIC_BASE: u32 = (0x[0-9a-f]+)/.exec(layout)?.[1]));
  const compiler = join(projectRoot, "node_modules/assemblyscript/bin/asc.js");
  const options = [
    "--runtime",
    "stub",
    "--memoryBase",
    memoryBase,
    "--initialMemory",
    "256",
    "--disableWarning",
    "201",
  ];
  const files = [join(folder, "entry.ts"), "--outFile", join(folder, "decoder.wasm"), "--baseDir", projectRoot];
  const made = spawnSync(process.execPath, [compiler, ...files, ...options], { cwd: projectRoot, encoding: "utf8" });
  if (made.status !== 0) throw new Error(`the core's decoder does not compile: ${made.stderr}`);
}

/** The little of the WebAssembly interface that is used here; Node's own types leave the values out. */
interface Engine {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: Exports };
}

function instantiate(wasm: Uint8Array): (bytes: Uint8Array, bits: CodeBits) => CoreDecoded {
  const engine = (globalThis as unknown as { WebAssembly: Engine }).WebAssembly;
  const abort = (): never => {
    throw new Error("the core's decoder aborted");
  };
  const { exports } = new engine.Instance(new engine.Module(wasm), { env: { abort } });
  return (bytes, bits) => {
    new Uint8Array(exports.memory.buffer, exports.bytesAddress(), 15).set(bytes.subarray(0, 15));
    const packed = exports.decodeBytes(bits);
    const length = packed & 0xff;
    return packed >>> 8 === 0xffff ? { length } : { form: packed >>> 8, length };
  };
}
