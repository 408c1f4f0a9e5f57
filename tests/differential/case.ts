// A case: the state in which some instructions start, and what may differ from the usual tables and memory.

import {
  caseBytes,
  field,
  kernel,
  modes,
  mostMsrs,
  msrBytes,
  patchBytes,
  recordBytes,
  recordFields,
  type RecordField,
} from "./places.js";

export type ModeName =
  | "real16" | "bigreal" | "prot16" | "prot32" | "paged32" | "pae32" | "v86" | "compat16" | "compat32" | "long64"; // prettier-ignore

export interface Patch {
  readonly address: number;
  readonly bytes: Uint8Array;
}

export interface Case {
  /** What it is about, where it was not made by chance. */
  readonly title?: string;
  /** The access that it is about: whether it reads and writes, whether it is the processor's own. */
  readonly access?: { readonly updates: boolean; readonly implicit: boolean };
  readonly modeName: ModeName;
  readonly bits: 16 | 32 | 64;
  /** Each instruction's bytes, at the start of the case's code; INT3 follows. */
  readonly code: readonly Uint8Array[];
  readonly codeAddress: number;
  readonly mode: number;
  readonly cr0: number;
  readonly cr3: number;
  readonly cr4: number;
  readonly efer: number;
  readonly dr7: number;
  readonly dr: readonly number[];
  readonly registers: readonly bigint[];
  readonly rip: bigint;
  readonly cs: number;
  readonly rflags: bigint;
  readonly ss: number;
  /** ES, DS, FS, GS. */
  readonly segments: readonly number[];
  readonly patches: readonly Patch[];
  /** MSRs that are written before the case; those of system calls keep what the last such case left. */
  readonly msrs?: readonly (readonly [address: number, value: bigint])[];
}

/** What a machine says of a case; undefined fields do not exist, `shutdown` and `silent` are ends without a record. */
export interface Outcome {
  readonly end: "record" | "shutdown" | "silent" | "unsupported";
  readonly values: Readonly<Record<RecordField, bigint>>;
  /** Changed doublewords of the compared memory, by address. */
  readonly changes: ReadonlyMap<number, number>;
}

export function encodeCase(one: Case): Uint8Array {
  const bytes = new Uint8Array(caseBytes);
  const view = new DataView(bytes.buffer);
  const u32 = (at: number, value: number): void => view.setUint32(at, value, true);
  const u64 = (at: number, value: bigint): void => view.setBigUint64(at, BigInt.asUintN(64, value), true);
  u32(field.mode, one.mode);
  u32(field.cr0, one.cr0);
  u32(field.cr4, one.cr4);
  u32(field.efer, one.efer);
  u32(field.cr3, one.cr3);
  u32(field.dr7, one.dr7);
  one.dr.forEach((value, i) => u32(field.dr0 + i * 4, value));
  one.registers.forEach((value, i) => u64(field.registers + i * 8, value));
  const frame = [one.rip, BigInt(one.cs), one.rflags, one.registers[4] ?? 0n, BigInt(one.ss)];
  frame.forEach((value, i) => u64(field.frame + i * 8, value));
  one.segments.forEach((value, i) => u32(field.segments + i * 4, value));
  const msrs = one.msrs ?? [];
  if (msrs.length > mostMsrs) throw new Error("a case has too many MSRs");
  u32(field.msrCount, msrs.length);
  msrs.forEach(([address, value], i) => {
    u32(field.msrs + i * msrBytes, address);
    u64(field.msrs + i * msrBytes + 4, value);
  });
  const patches = patchesOf(one);
  u32(field.patchCount, patches.length);
  patches.forEach(({ address, bytes: own }, i) => {
    const at = field.patches + i * patchBytes;
    if (at + patchBytes > caseBytes) throw new Error("a case has too many patches");
    u32(at, address);
    u32(at + 4, own.length);
    bytes.set(own, at + 8);
  });
  return bytes;
}

/** The code, and what the case says itself, in pieces of eight bytes. */
function patchesOf(one: Case): Patch[] {
  const code = Uint8Array.from(one.code.flatMap((bytes) => [...bytes]));
  return [{ address: one.codeAddress, bytes: code }, ...one.patches].flatMap(({ address, bytes }) =>
    Array.from({ length: Math.ceil(bytes.length / 8) }, (_, i) => ({
      address: address + i * 8,
      bytes: bytes.subarray(i * 8, i * 8 + 8),
    })),
  );
}

const noValues = Object.fromEntries(recordFields.map((name) => [name, 0n])) as Record<RecordField, bigint>;

export function endedWithout(end: Outcome["end"]): Outcome {
  return { end, values: noValues, changes: new Map() };
}

/** Reads the outcomes that came over the serial port, by number of the case. */
export function decodeOutcomes(bytes: Uint8Array): Map<number, Outcome> {
  const found = new Map<number, Outcome>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = 0;
  while (at + 5 + recordBytes <= bytes.length) {
    const number = view.getUint32(at + 1, true);
    const start = at + 5;
    const values = Object.fromEntries(
      recordFields.map((name, i) => [name, view.getBigUint64(start + i * 8, true)]),
    ) as Record<RecordField, bigint>;
    at = start + recordBytes;
    const changes = new Map<number, number>();
    let complete = false;
    while (at + 4 <= bytes.length) {
      const address = view.getUint32(at, true);
      at += 4;
      if (address === 0) {
        complete = true;
        break;
      }
      if (at + 4 > bytes.length) break;
      changes.set(address, view.getUint32(at, true));
      at += 4;
    }
    if (!complete) break;
    found.set(number, { end: "record", values, changes });
  }
  return found;
}

export { kernel, modes };
