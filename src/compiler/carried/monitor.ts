// `vmm hardware` in the carried lowering: the image brings a VMM, made of the library's `hv`, that runs the test's guest
// under the declared policy and tells what exits. It is one more guest to the memory map, in the slot behind the test's.

import { imaging, type Diagnostic, type Span } from "../../base/index.js";
import {
  controlWords,
  cr4Allowed,
  cr4Bits,
  exceptionByName,
  exceptions,
  findVmxControl,
  type Platform,
} from "../../isa/index.js";
import type { EventPattern, PlannedLine, Segment, SegmentState } from "../../program/index.js";
import type { ResolvedCase, ResolvedGuest } from "../../resolve/index.js";
import { defaultVectors, environmentOf, tableSegments, type GuestSetup, type ModeRow } from "../environment/index.js";
import type { Encode } from "../encoding.js";
import { startValue, type GuestStart } from "../values.js";
import { monitorBodySource } from "./body-source.js";
import type { Carrier } from "./carry.js";
import { guestSource } from "./guest-source.js";
import { monitorSource } from "./monitor-source.js";
import { askedExceptions, policyProblems, policyText, unansweredExit } from "./policy-text.js";
import { monitorScaffold } from "./scaffold.js";

/** The image's VMM as the source of its names, and as transcripts name it. */
const vmmName = "vmm";

/** Why the image cannot bring the VMM that a case declares. */
export function monitorRefusals(input: ResolvedCase, { guest, environment, start }: GuestSetup): Diagnostic[] {
  const [vmm, outer] = input.vmm;
  const { platform, span } = input;
  const refuse = (what: string, why: string, at: Span = span): Diagnostic =>
    imaging.bundledOnly({ what, why }, { span: at });
  if (!vmm || outer || vmm.kind !== "hardware" || vmm.nested) {
    return [refuse(`\`${input.vmmText}\``, "the VMM of an image is the library's hv, which is `vmm hardware`")];
  }
  if (!platform.cpu.features.includes("LONG_MODE")) {
    return [refuse(`\`${input.vmmText}\``, `the library's hv is 64-bit code, and ${platform.name} has no 64-bit mode`)];
  }
  if (!input.library.has("hv")) return [refuse(`\`${input.vmmText}\``, "the library has no module hv here")];
  const found = policyProblems(vmm.policy, platform, span);
  if (needsTables(environment.row, platform) && !environment.row.protectedMode) {
    const why = `${platform.name} has no unrestricted guest, and the library's hv carries out no code in real mode`;
    found.push(refuse(`a guest in ${guest.mode}`, why, guest.span));
  }
  const partial = guest.starts.find(({ target }) => target.kind === "register" && target.name === "CR8");
  if (partial) found.push(refuse("this `start`", "the library's hv does not set CR8", partial.span));
  return start.rip > 0xffff_ffffn
    ? [...found, refuse("a guest above 4 GiB", "the points of an image lie below")]
    : found;
}

/** Whether a guest starts without paging where the processor runs guests only with it. */
function needsTables(row: ModeRow, platform: Platform): boolean {
  return platform.cpu.vendor === "intel" && row.paging === undefined && !allows("UNRESTRICTED_GUEST", platform);
}

function allows(name: string, { cpu }: Platform): boolean {
  const control = findVmxControl(name);
  if (!control) return false;
  const capability = cpu.msrs.find((msr) => msr.address === controlWords[control.word].msr)?.reset ?? 0n;
  return ((capability >> BigInt(32 + control.bit)) & 1n) === 1n;
}

/** Why the image's VMM does not see an event. */
export function whyUnseen(event: EventPattern): string | undefined {
  switch (event.kind) {
    case "halt":
    case "shutdown":
    case "inject":
      return undefined;
    case "exit":
      if (event.to !== undefined && event.to !== vmmName) return "the image's VMM gives its guest no VMX and no SVM";
      return event.subject === undefined ? undefined : unansweredExit(event.subject);
    case "trap":
      if (event.to === vmmName) return "only software VMMs take exceptions of their guest";
      return event.subject === undefined || exceptionByName(event.subject) ? undefined : "its VMM sees exceptions only";
    default:
      return "the image's VMM does not see it";
  }
}

/** The guest whose code the image's VMM is, as far as the memory map goes. */
export function hostSetup(input: ResolvedCase, slot: number): GuestSetup {
  const environment = environmentOf({ mode: "long64", platform: input.platform, slot });
  const nothing = { code: [], data: [], placed: [], maps: [], starts: [], handlers: [] };
  const guest: ResolvedGuest = { name: vmmName, mode: "long64", bits: 64, ...nothing, span: input.span };
  const { tables, start } = environment;
  return { guest, index: slot, environment, start, ...(tables && { tables }) };
}

/** What the image's VMM needs to know of its guest: the default handlers are hypercalls, so far one from the other. */
export interface GuestHandlers {
  readonly address: bigint;
  readonly step: number;
  readonly count: number;
}

/** VMCALL and IRET, four bytes, take the place of each stop of the bundled lowering. */
export function handlersOf({ environment }: GuestSetup): GuestHandlers {
  const { defaultHandlers, handlerStep } = environment.addresses;
  const count = defaultVectors(environment.row);
  return { address: defaultHandlers, step: Math.max(handlerStep, 4), count };
}

/** Bytes of the default handlers. */
export function handlerSegment(setup: GuestSetup, vendor: Platform["cpu"]["vendor"]): Segment {
  const { address, step, count } = handlersOf(setup);
  const call = vendor === "intel" ? [0x0f, 0x01, 0xc1] : [0x0f, 0x01, 0xd9];
  const iret = setup.environment.row.longMode ? [0x48, 0xcf] : [0xcf];
  const bytes = new Uint8Array(count * step);
  for (let vector = 0; vector < count; vector++) bytes.set([...call, ...iret].slice(0, step), vector * step);
  return { name: "default handlers", address, bytes, role: "scaffold" };
}

/** Where the guest's gates lead that it does not declare itself. */
export function handlerGates(setup: GuestSetup): Map<number, bigint> {
  const { address, step, count } = handlersOf(setup);
  return new Map(Array.from({ length: count }, (_, vector) => [vector, address + BigInt(vector * step)]));
}

/** Whether a statement is an instruction of SVM, which its guest does not have. */
export function isOfSvm({ text }: Pick<PlannedLine, "text">): boolean {
  return /^(?:vmrun|vmload|vmsave|stgi|clgi|skinit|invlpga)\b/i.test(text);
}

/** Exceptions that the test handles itself: the VMM watches them, and passes them on. */
function watchedExceptions(guest: ResolvedGuest): number {
  const isException = (vector: number): boolean =>
    exceptions.some((e) => e.vector === vector && e.name.startsWith("#"));
  return guest.handlers.reduce((bits, { vector }) => (isException(vector) ? (bits | (1 << vector)) >>> 0 : bits), 0);
}

/** The scaffold of an image with a VMM, once the guest's own state is known. */
export function monitorCarrier(
  input: ResolvedCase,
  guest: GuestSetup,
  host: GuestSetup,
  lines: readonly PlannedLine[],
  encode: Encode,
): Carrier {
  const { platform, library } = input;
  const policy = input.vmm[0]?.policy ?? { intercepts: [], memory: [], ports: [], msrs: [] };
  const { address, step, count } = handlersOf(guest);
  const { cs, ss } = guest.environment.ring3;
  const asked = askedExceptions(policy);
  const watched = watchedExceptions(guest.guest);
  const isIntel = platform.cpu.vendor === "intel";
  const generalProtection = 1 << (exceptionByName("#GP")?.vector ?? 0);
  const exits = (asked | watched | (!isIntel && lines.some(isOfSvm) ? generalProtection : 0)) >>> 0;
  const segmentText = isIntel ? vmxSegment : svmSegment;
  const constants = {
    HANDLERS: address,
    HANDLER_BYTES: step * count,
    HANDLER_STEP: step,
    ERROR_VECTORS: exceptions.reduce((bits, e) => (e.hasErrorCode ? (bits | (1 << e.vector)) >>> 0 : bits), 0),
    ASKED_EXCEPTIONS: asked,
    WATCHED_EXCEPTIONS: watched,
  };
  const text = Object.entries(constants).map(([name, value]) => `const ${name} = ${value}\n`);
  const policyLines = policyText(policy, platform, exits) + startText(guest, platform);
  const body = monitorBodySource(
    monitorSource(guest.guest.name, policyLines) + guestSource({ code: segmentText(cs), stack: segmentText(ss) }),
  );
  const starts = new Map<string, GuestStart>([
    [vmmName, { state: host.start, declared: new Map() }],
    [guest.guest.name, { state: guest.start, declared: new Map() }],
  ]);
  const place = { platform, name: vmmName, guests: [guest.guest.name] };
  const { index, environment } = host;
  const scaffold = monitorScaffold(
    { text: text.join("") + body, library, place, starts },
    index,
    environment.row,
    encode,
  );
  const { ring3Stack } = guest.environment.addresses;
  return {
    scaffold,
    bits: 64,
    setup: host,
    marks: scaffold.marks,
    vector: 0,
    called: 0,
    ring3Stack,
    served: guest.guest.name,
  };
}

/** A segment register as `dq` and the like: selector, base, limit and rights for the VMCS, packed for the VMCB. */
function vmxSegment({ selector, base, limitBytes, rights }: SegmentState): string {
  return `dq ${selector}, ${base}, ${limitBytes}, ${rights}`;
}

function svmSegment({ selector, base, limitBytes, rights }: SegmentState): string {
  const packed = BigInt(selector) | (BigInt((rights & 0xff) | ((rights >> 4) & 0xf00)) << 16n);
  return `dq ${packed | (BigInt(limitBytes) << 32n)}, ${base}, 0, 0`;
}

/** The start state beyond what `hv.guest` sets: general registers, CR2, MSRs, and the pointers of PAE paging. */
function startText({ start, environment }: GuestSetup, platform: Platform): string {
  const { cpu } = platform;
  const isIntel = cpu.vendor === "intel";
  const lines: string[] = [];
  for (const [name, value] of Object.entries(start.registers)) {
    if (name === "RSP") continue;
    lines.push(`mov rax, ${value}`);
    const own = isIntel ? `vmx.guest_${name.toLowerCase()}` : `svm.guest_${name.toLowerCase()}`;
    if (name === "CR2") lines.push(isIntel ? "mov cr2, rax" : "mov [svm.vmcb + VMCB.CR2], rax");
    else lines.push(`mov [${name === "RAX" && !isIntel ? "svm.vmcb + VMCB.RAX" : own}], rax`);
  }
  for (const { address, value } of start.msrs) lines.push(`mov ecx, ${address}`, `mov rdx, ${value}`, "hv.write_msr");
  if (isIntel) lines.push(`hv.cr4_bits ${cr4Allowed(cpu.features) & ~(cr4Bits.VMXE | cr4Bits.SMXE)}`);
  if (needsTables(environment.row, platform)) lines.push("hv.lend_tables");
  const isPae = environment.place.mode === "pae32";
  if (isPae && cpu.generation === "vtx2") lines.push(`hv.load_pointers ${startValue(start, "CR3")}`);
  return lines.map((line) => `  ${line}\n`).join("");
}

/** Tables of the VMM's own environment, whose handlers are the scaffold's. */
export function hostTables(host: GuestSetup, stubs: ReadonlyMap<number, bigint>, gdt: Segment): Segment[] {
  return tableSegments(host, stubs).map((segment) => (segment.address === gdt.address ? gdt : segment));
}
