// A run of bytes as lines of text. What is printed assembles to the same bytes at the same address, or says its bytes.

import { decode } from "./decode.js";
import { encodeForm } from "./encode.js";
import { format } from "./format.js";
import type { CodeBits } from "./instruction.js";

/** One instruction, or bytes that are none. */
export interface DisassembledLine {
  readonly address: bigint;
  readonly bytes: Uint8Array;
  /** The instruction, or `db` with the bytes. */
  readonly text: string;
  /** Why the bytes are no instruction, or that they are not those that the text assembles to. */
  readonly remark?: string;
}

/** Disassembles bytes that lie at `origin`. */
export function* disassemble(bytes: Uint8Array, bits: CodeBits, origin = 0n): Generator<DisassembledLine> {
  for (let at = 0; at < bytes.length;) {
    const address = origin + BigInt(at);
    const line = disassembleOne(bytes, at, bits, address);
    yield line;
    at += line.bytes.length;
  }
}

function disassembleOne(bytes: Uint8Array, at: number, bits: CodeBits, address: bigint): DisassembledLine {
  const decoded = decode(bytes, at, bits, address);
  if (decoded.kind === "truncated") {
    const rest = bytes.subarray(at);
    return { address, bytes: rest, text: dataText(rest), remark: "the instruction goes on behind the end" };
  }
  const own = bytes.subarray(at, at + decoded.length);
  if (decoded.kind === "invalid") return { address, bytes: own, text: dataText(own), remark: "no instruction" };
  const { value } = decoded;
  // The default form first; where the bytes have another one, it is named.
  for (const written of [value, { ...value, form: decoded.form.code }]) {
    const again = encodeForm(written, { bits, address });
    if (again !== undefined && sameBytes(again.bytes, own)) return { address, bytes: own, text: format(written) };
  }
  return { address, bytes: own, text: format(value), remark: `as ${spacedHex(own)}` };
}

const dataText = (bytes: Uint8Array): string =>
  `db ${[...bytes].map((byte) => `0x${byte.toString(16).padStart(2, "0")}`).join(", ")}`;

const spacedHex = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
