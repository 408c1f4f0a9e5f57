// What must be equal on two machines, how a case is told, and how a failing one is made small.

import { decode, format } from "../../src/codec/index.js";
import { undefinedFlagsOf } from "../hostcpu/generate.js";
import type { Case, Outcome } from "./case.js";
import { dwordBefore } from "./kernel.js";
import { recordFields, room, tables } from "./places.js";

const statusFlags = 0x8d5n;
/** Where a selector is pushed the upper half of its slot is the vendor's own. */
const selectors = new Set(["cs", "ss", "ds", "es", "fs", "gs", "tr", "ldtr"]);
const debugException = 1n;
const doubleFault = 8n;
const pageFault = 14n;
const accessed = 0x20;

/** What a machine is known not to do as the manual says (docs/findings.md). */
export interface Known {
  readonly ignoredFlags?: bigint;
  /** Bits of the error code of a page fault, where ours has this one. */
  ignoredError?(one: Case, error: bigint): bigint;
  /** Cases of which it makes something else altogether. */
  isWrong?(one: Case): boolean;
  /** It sets an accessed flag in PDPTEs of PAE paging, which have none. */
  readonly marksPdptes?: boolean;
}

/** The differences of ours and another machine, a line each; none when the outcomes agree. */
export function differences(one: Case, a: Outcome, b: Outcome, known: Known = {}): string[] {
  if (a.end !== b.end) return [`end: ${a.end}, ${b.end}`];
  if (known.isWrong?.(one) === true) return [];
  if (wrapsAt4G(a) || wrapsAt4G(b)) return [];
  const lines: string[] = [];
  const ignoredError = (a.values.vector === pageFault && known.ignoredError?.(one, a.values.error)) || 0n;
  const undefinedFlags = (undefinedFlagsOf(one.code, one.bits) & statusFlags) | (known.ignoredFlags ?? 0n);
  for (const name of recordFields) {
    let left = a.values[name];
    let right = b.values[name];
    if (selectors.has(name)) [left, right] = [left & 0xffffn, right & 0xffffn];
    if (name === "error") [left, right] = [left & ~ignoredError, right & ~ignoredError];
    if (name === "rflags") [left, right] = [left & ~undefinedFlags, right & ~undefinedFlags];
    // Bits of conditions that are not enabled may be set or not.
    // A descriptor that cannot be marked accessed: at which of its bytes is not said.
    if (name === "cr2" && one.access?.updates === true && (left ^ right) < 8n) continue;
    if (name === "dr6" && a.values.vector !== debugException) continue;
    if (left !== right) lines.push(`${name}: 0x${left.toString(16)}, 0x${right.toString(16)}`);
  }
  for (const address of new Set([...a.changes.keys(), ...b.changes.keys()])) {
    const left = a.changes.get(address);
    const right = b.changes.get(address);
    const pdpte = known.marksPdptes === true && address >= tables.pdptPae && address < tables.pdptPae + 32;
    if (left === right || pdpte || isFree(one, address, [a, b], undefinedFlags)) continue;
    lines.push(`[0x${address.toString(16)}]: ${told(left)}, ${told(right)}`);
  }
  return lines;
}

/** Whether an access that wraps at the end of a segment of 4 GiB faults is the processor's choice (SDM vol. 3, "Limit Checking"). */
const wrapsAt4G = ({ values }: Outcome): boolean =>
  values.vector === pageFault && values.cr2 >= 0xffff_fff0n && values.cr2 <= 0xffff_ffffn;

const told = (value: number | undefined): string =>
  value === undefined ? "unchanged" : `0x${(value >>> 0).toString(16)}`;

/** Accessed flags of a walk that faulted may be set or not; saved flags hold what is undefined in RFLAGS. */
function isFree(one: Case, address: number, outcomes: readonly [Outcome, Outcome], undefinedFlags: bigint): boolean {
  const [left, right] = outcomes.map(({ changes }) => changes.get(address)) as [number | undefined, number | undefined];
  // The error code on the stack is told as such.
  const before = dwordBefore(one, address);
  if (outcomes.every(({ values }, i) => BigInt([left, right][i] ?? before) === values.error)) return true;
  if (address >= tables.directory32 && address < tables.end) {
    if (!outcomes.some(({ values }) => values.vector === pageFault || values.vector === doubleFault)) return false;
    return (((left ?? before) ^ (right ?? before)) & ~accessed) === 0;
  }
  if (left === undefined || right === undefined || undefinedFlags === 0n) return false;
  const inFrame =
    (address >= room.stack && address < room.compared) || (address >= tables.tss && address < tables.idt32);
  return inFrame && ((left ^ right) & ~Number(undefinedFlags)) === 0;
}

/** A case as a person reads it. */
export function describe(one: Case): string {
  const hex = (value: number | bigint): string => value.toString(16);
  const lines = [
    ...(one.title === undefined ? [] : [`${one.title}\n `]),
    `${one.modeName} cs=${hex(one.cs)} ss=${hex(one.ss)} es,ds,fs,gs=${one.segments.map(hex).join(",")} rflags=${hex(one.rflags)} cr0=${hex(one.cr0)} cr4=${hex(one.cr4)} dr7=${hex(one.dr7)} dr0=${hex(one.dr[0] ?? 0)}`,
  ];
  for (const bytes of one.code) {
    const decoded = decode(bytes, 0, one.bits, one.rip);
    const text = decoded.kind === "instruction" ? format(decoded.value) : decoded.kind;
    lines.push(`  ${Buffer.from(bytes).toString("hex").padEnd(24)} ${text}`);
  }
  lines.push(`  registers ${one.registers.map(hex).join(" ")}`);
  for (const { address, bytes } of one.patches) {
    lines.push(`  [${hex(address)}] = ${Buffer.from(Uint8Array.from(bytes).reverse()).toString("hex")}`);
  }
  return lines.join("\n");
}

/** Candidates that are simpler than a case in one respect each. */
export function simpler(one: Case): Case[] {
  const made: Case[] = [];
  for (let i = one.code.length - 1; i >= 0 && one.code.length > 1; i--) {
    made.push({ ...one, code: one.code.filter((_, at) => at !== i) });
  }
  if (one.patches.length > 1) {
    const half = one.patches.length >> 1;
    made.push({ ...one, patches: one.patches.slice(0, half) }, { ...one, patches: one.patches.slice(half) });
  }
  one.patches.forEach((_, i) => made.push({ ...one, patches: one.patches.filter((__, at) => at !== i) }));
  if (one.dr7 !== 0x400) made.push({ ...one, dr7: 0x400 });
  const plainFlags = one.rflags & 0x2_0002n;
  if (one.rflags !== plainFlags) made.push({ ...one, rflags: plainFlags });
  for (let bit = 0n; bit < 22n; bit++) {
    if (bit !== 1n && bit !== 17n && ((one.rflags >> bit) & 1n) !== 0n)
      made.push({ ...one, rflags: one.rflags & ~(1n << bit) });
  }
  one.registers.forEach((value, i) => {
    if (value !== 0n && i !== 4) made.push({ ...one, registers: one.registers.map((v, at) => (at === i ? 0n : v)) });
  });
  return made;
}
