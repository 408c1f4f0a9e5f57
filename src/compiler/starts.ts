// The states in which guests start: what their modes give, with what `start` lines declare put in.

import { hex, imaging, toUnsigned, type Diagnostic } from "../base/index.js";
import { cr0Allowed, cr0Bits, cr4Allowed, cr4Bits, eferBits } from "../isa/index.js";
import type { SegmentName, SegmentState, StartState } from "../program/index.js";
import type { ResolvedCase, StartName, StartRule, Value } from "../resolve/index.js";
import type { GuestSetup } from "./environment/index.js";
import { evaluate, type GuestStart, type Scope } from "./values.js";

/** Start states by guest, as expressions see them while addresses are still open. */
export function guestStarts(setups: readonly GuestSetup[]): ReadonlyMap<string, GuestStart> {
  return new Map(setups.map(({ guest, start }) => [guest.name, { state: start, declared: namedValues(guest.starts) }]));
}

function namedValues(rules: readonly StartRule[]): Map<StartName, Value> {
  const named = new Map<StartName, Value>();
  for (const { target, value } of rules) if (target.kind === "state") named.set(target.name, value);
  return named;
}

/** The setups with their declared start states, now that addresses are known. */
export function declareStarts(
  setups: readonly GuestSetup[],
  input: ResolvedCase,
  scope: Scope,
): { setups: readonly GuestSetup[]; diagnostics: Diagnostic[] } {
  const diagnostics: Diagnostic[] = [];
  const declared = setups.map((setup): GuestSetup => {
    let { start } = setup;
    for (const rule of setup.guest.starts) {
      const value = evaluate(rule.value, { ...scope, open: new Set([rule.value]) });
      // A value without a number has been reported where it stands.
      if (value === undefined) continue;
      const wrong = problem(rule, toUnsigned(value, 64), setup, input);
      if (wrong) diagnostics.push(wrong);
      else start = withValue(start, rule.target, toUnsigned(value, 64));
    }
    return start === setup.start ? setup : { ...setup, start };
  });
  return { setups: declared, diagnostics };
}

/** Bits that make the mode. */
const modeBits = {
  CR0: cr0Bits.PE | cr0Bits.PG,
  CR4: cr4Bits.PAE | cr4Bits.LA57,
  EFER: eferBits.LME | eferBits.LMA,
} as const;

function problem(rule: StartRule, value: bigint, setup: GuestSetup, input: ResolvedCase): Diagnostic | undefined {
  const { target, span } = rule;
  const { cpu, name: platform } = input.platform;
  const name = target.kind === "msr" ? `msr(${hex(target.address)})` : target.name;
  const refuse = (why: string, help: string): Diagnostic =>
    imaging.startNotPossible({ name, value, why, help }, { span });
  if (target.kind !== "state" && setup.guest.under !== undefined) {
    return refuse("another guest starts this one", `set it in ${setup.guest.under}, before it enters this one`);
  }
  if (target.kind === "msr") {
    const model = cpu.msrs.find((msr) => msr.address === target.address);
    if (!model) return refuse(`${platform} has no such MSR`, "leave the platform out, or split by `on`");
    const beyond = (value ^ model.reset) & ~model.writable;
    return beyond === 0n ? undefined : refuse(`${platform} lacks these bits of it`, "clear the bits that it lacks");
  }
  if (target.name !== "CR0" && target.name !== "CR4" && target.name !== "EFER") return undefined;
  const own = { CR0: setup.start.cr0, CR4: setup.start.cr4, EFER: setup.start.efer }[target.name];
  if (((value ^ own) & modeBits[target.name]) !== 0n) {
    return refuse(`its mode is ${setup.guest.mode}`, `begin with what the mode gives: self.${target.name} | BIT`);
  }
  const beyond = value & ~(allowedBits(target.name, cpu.features) | own);
  return beyond === 0n ? undefined : refuse(`${platform} lacks some of its bits`, "clear the bits that it lacks");
}

function allowedBits(target: "CR0" | "CR4" | "EFER", features: readonly string[]): bigint {
  if (target === "CR0") return cr0Allowed;
  if (target === "CR4") return cr4Allowed(features);
  return (features.includes("SYSCALL") ? eferBits.SCE : 0n) | (features.includes("NX") ? eferBits.NXE : 0n);
}

function withValue(start: StartState, target: StartRule["target"], value: bigint): StartState {
  if (target.kind === "msr") return { ...start, msrs: [...start.msrs, { address: target.address, value }] };
  if (target.kind === "register" || target.name === "RSP") {
    return { ...start, registers: { ...start.registers, [target.name]: value } };
  }
  const [register, part] = target.name.split(".") as [string, string | undefined];
  switch (register) {
    case "RIP":
      return { ...start, rip: value };
    case "RFLAGS":
      return { ...start, rflags: value | 2n };
    case "CR0":
      return { ...start, cr0: value };
    case "CR3":
      return { ...start, cr3: value };
    case "CR4":
      return { ...start, cr4: value };
    case "EFER":
      return { ...start, efer: value };
    case "GDTR":
      return { ...start, gdtr: withTablePart(start.gdtr, part, value) };
    case "IDTR":
      return { ...start, idtr: withTablePart(start.idtr, part, value) };
    case "LDTR":
      return { ...start, ldtr: withSegmentPart(start.ldtr, part, value) };
    case "TR":
      return { ...start, tr: withSegmentPart(start.tr, part, value) };
    default:
      return withSegment(start, register as SegmentName, part, value);
  }
}

function withSegment(start: StartState, name: SegmentName, part: string | undefined, value: bigint): StartState {
  return { ...start, segments: { ...start.segments, [name]: withSegmentPart(start.segments[name], part, value) } };
}

function withTablePart(table: StartState["gdtr"], part: string | undefined, value: bigint): StartState["gdtr"] {
  return part === "BASE" ? { ...table, base: value } : { ...table, limitBytes: Number(value & 0xffffn) };
}

const granularity = 0x8000;

/** A limit of so many bytes, with the granularity bit that a descriptor with that limit has. */
function withLimit(segment: SegmentState, limitBytes: number): SegmentState {
  const inPages = limitBytes > 0xf_ffff || ((segment.rights & granularity) !== 0 && (limitBytes & 0xfff) === 0xfff);
  return { ...segment, limitBytes, rights: inPages ? segment.rights | granularity : segment.rights & ~granularity };
}

function withSegmentPart(segment: SegmentState, part: string | undefined, value: bigint): SegmentState {
  switch (part) {
    case "SELECTOR":
      return { ...segment, selector: Number(value & 0xffffn) };
    case "BASE":
      return { ...segment, base: value };
    case "LIMIT":
      return withLimit(segment, Number(value & 0xffff_ffffn));
    default:
      return { ...segment, rights: Number(value & 0xffffn) };
  }
}
