// The carried lowering: the image brings what the bundled machine otherwise does for a test.
//
// It needs no machine of ours: a Multiboot loader starts it, the report comes over the serial port (docs/carried.md).

import { assert, imaging, type Diagnostic, type Span } from "../../base/index.js";
import { eferBits, exceptionByName } from "../../isa/index.js";
import { planStamp, slotPartBytes } from "../../program/index.js";
import type { EventKind, EventPattern, EventPlan, Judgement, PlannedLine, Segment } from "../../program/index.js";
import type { ResolvedCase } from "../../resolve/index.js";
import { gdtBytes } from "../environment/descriptors.js";
import { DEFAULT_VECTORS, loadedSegment, type GuestSetup } from "../environment/index.js";
import type { Encode } from "../encoding.js";
import type { PlacedSection } from "../layout.js";
import type { Assembly, Piece } from "../pieces.js";
import { lowTable, type LowSegment } from "./low-memory.js";
import { isOfSvm, monitorRefusals, whyUnseen } from "./monitor.js";
import { records } from "./records.js";
import { savedOffset, scaffoldOf, type Scaffold } from "./scaffold.js";
import { canRead, pointTable, readTables, resumeTable, Table, type ReadPlaces } from "./tables.js";

/** A carried program's scaffold, found before layout: its tables come first, then the marks, whose number is known. */
export interface Carrier {
  readonly scaffold: Scaffold;
  readonly bits: 32 | 64;
  readonly setup: GuestSetup;
  /** Address of the first line's mark. */
  readonly marks: number;
  /** The software interrupt that stands for a point, and where ring 0 calls instead where there may be none. */
  readonly vector: number;
  readonly called: number;
  /** Top of the stack on which ring blocks run. */
  readonly ring3Stack: bigint;
  /** The guest that the image's own VMM runs, by name. */
  readonly served?: string;
}

/** Chooses the scaffold for a case's outermost guest. */
export function carrierOf(setup: GuestSetup, vector: number, encode: Encode): Carrier {
  const { row } = setup.environment;
  const bits = row.gates === "gate64" ? 64 : 32;
  const scaffold = scaffoldOf(bits, setup.index, row, encode);
  const called = labelOf(scaffold, "called");
  const { ring3Stack } = setup.environment.addresses;
  return { scaffold, bits, setup, marks: scaffold.marks, vector, called, ring3Stack };
}

/** Parts of the start state that the boot code sets. */
const carriedState: ReadonlySet<string> = new Set(["RIP", "RSP", "CR0", "CR3", "CR4", "EFER"]);

/** Why a case cannot be carried at all. */
export function carriedRefusals(input: ResolvedCase, setup: GuestSetup): Diagnostic[] {
  if (input.bundled !== undefined) return [problem(input.span, "this test", input.bundled)];
  if (input.vmm.length > 0) return monitorRefusals(input, setup);
  const { row, place } = setup.environment;
  const { guest } = setup;
  const bundled = guest.starts.find(({ target }) => target.kind !== "state" || !carriedState.has(target.name));
  if (bundled) return [problem(bundled.span, "this `start`", "the boot code sets only RIP, RSP and control registers")];
  if (!row.low) return [];
  return [problem(input.span, `a ${place.mode} guest`, "the scaffold runs in flat 32- or 64-bit code")];
}

function problem(span: Span, what: string, why: string): Diagnostic {
  return imaging.bundledOnly({ what, why }, { span });
}

/** What a case's judgements name that the image does not see, and the events that it cannot raise. */
export function unseenProblems(assembly: Assembly, plan: EventPlan): Diagnostic[] {
  const why = assembly.case.vmm.length > 0 ? whyUnseen : (event: EventPattern) => unseenBare(event, assembly.case);
  const found: Diagnostic[] = [];
  for (const line of plan.lines) {
    for (const event of eventsOf(line.judgement)) {
      const cause = why(event);
      if (cause === undefined) continue;
      found.push(problem(line.judgementSpan ?? line.span, `\`${event.text}\``, cause));
      break;
    }
  }
  for (const piece of assembly.sections.flatMap((section) => section.pieces)) {
    if (isUncarriedIo(piece, assembly.case)) {
      found.push(problem(piece.info.span, `\`${piece.info.text}\``, "the library's hv carries out no string I/O"));
    }
    if (piece.kind !== "mark" || piece.mark.kind !== "raise") continue;
    found.push(problem(piece.mark.span, "`raise`", "the image cannot raise events in itself yet"));
  }
  return found;
}

/** INS and OUTS exit to the image's VMM, unless the test opens ports to the machine. */
function isUncarriedIo(piece: Piece, { vmm }: ResolvedCase): piece is Extract<Piece, { kind: "instruction" }> {
  if (piece.kind !== "instruction" || vmm.length === 0) return false;
  const isOpen = vmm.some(({ policy }) => policy.ports.some(({ rights }) => rights.read && rights.write));
  return !isOpen && /^(?:ins|outs)[bwd]$/.test(piece.instruction.mnemonic);
}

/** What a case asks for that the image's own code cannot do. */
export function carriedProblems(assembly: Assembly, plan: EventPlan, carrier: Carrier): Diagnostic[] {
  const { span } = assembly.case;
  const places = placesOf(carrier);
  const found = unseenProblems(assembly, plan);
  for (const expectation of plan.expectations) {
    const unread = expectation.reads.find((read) => !canRead(read, places));
    if (unread) found.push(problem(expectation.span, `\`${expectation.text}\``, "the image's code cannot read it"));
  }
  return found.length > 0 || marksFit(plan, carrier)
    ? found
    : [problem(span, "a test this long", "its marks have no room in the image")];
}

/** Kinds of events that the scaffold sees, or that the reader concludes from where a report breaks off. */
const seenKinds: ReadonlySet<EventKind> = new Set(["fail", "enter", "exit", "reject", "halt", "shutdown"]);

/** Why the image's code does not observe an event. Exceptions are seen where they arrive at the scaffold's own stubs. */
function unseenBare(event: EventPattern, input: ResolvedCase): string | undefined {
  const unseen = "the image's code cannot observe it";
  if (event.kind !== "trap") return seenKinds.has(event.kind) ? undefined : unseen;
  if (event.subject === undefined) return undefined;
  const exception = exceptionByName(event.subject);
  if (!exception) return unseen;
  const isHandled = input.guests.some((guest) => guest.handlers.some(({ vector }) => vector === exception.vector));
  return isHandled ? unseen : undefined;
}

function marksFit(plan: EventPlan, { marks, scaffold }: Carrier): boolean {
  return marks - scaffold.start + plan.lines.length * records.MARK.BYTES <= slotPartBytes.scaffold;
}

/** The scaffold with its tables and variables for one program. `low` is what boot code copies to low memory. */
export function scaffoldSegment(
  carrier: Carrier,
  plan: EventPlan,
  sections: readonly PlacedSection[],
  low: readonly LowSegment[],
): Segment {
  const { scaffold, setup } = carrier;
  const { bytes, end, variables } = withTables(carrier, plan, sections, low);
  const view = new DataView(bytes.buffer);
  const { start, environment } = setup;
  const set = (values: Readonly<Record<string, number>>): void => {
    for (const [name, value] of Object.entries(values))
      view.setUint32(label(carrier, name) - scaffold.start, value, true);
  };
  set(variables);
  set({ marks: carrier.marks, mark_count: plan.lines.length });
  set({ finals_first: plan.expectations.length - plan.finals.length, finals_end: plan.expectations.length });
  set({ point_vector: carrier.vector, stamp: planStamp(plan), ring3_stack: Number(carrier.ring3Stack) });
  set({ start_address: Number(start.rip), start_stack: Number(start.registers["RSP"] ?? 0n) });
  const efer = start.efer & ~eferBits.LMA;
  set({
    start_cr0: Number(start.cr0),
    start_cr3: Number(start.cr3),
    start_cr4: Number(start.cr4),
    start_efer: Number(efer),
  });
  set({ body: label(carrier, "start") });
  view.setUint16(label(carrier, "body") + 4 - scaffold.start, loadedSegment(bodySegment(carrier)).selector, true);
  const guestCode = loadedSegment(environment.row.code).selector;
  view.setUint16(label(carrier, "start_address") + 4 - scaffold.start, guestCode, true);
  setPointer(view, label(carrier, "gdt_pointer") - scaffold.start, start.gdtr);
  setPointer(view, label(carrier, "idt_pointer") - scaffold.start, start.idtr);
  return { name: "scaffold", address: BigInt(scaffold.start), bytes: bytes.subarray(0, end), role: "scaffold" };
}

/** The scaffold's bytes with a program's tables behind them, up to `end`, and the variables that say where they are. */
function withTables(
  carrier: Carrier,
  plan: EventPlan,
  sections: readonly PlacedSection[],
  low: readonly LowSegment[],
): { readonly bytes: Uint8Array; readonly end: number; readonly variables: Readonly<Record<string, number>> } {
  const { scaffold } = carrier;
  const bytes = new Uint8Array(scaffold.marks - scaffold.start);
  bytes.set(scaffold.bytes);
  let at = scaffold.tables;
  const variables: Record<string, number> = {};
  const put = (table: Table, place: string, count?: string): void => {
    variables[place] = at;
    if (count !== undefined) variables[count] = table.count;
    bytes.set(table.bytes(), at - scaffold.start);
    at += table.bytes().length;
  };
  put(lowTable(low), "low_table", "low_count");
  put(
    resumeTable(plan.lines, (line) => vectorsOf(line, plan)),
    "resume_table",
    "resume_count",
  );
  put(pointTable(sections, plan.lines), "point_table", "point_count");
  const lengths = lengthTable(carrier, plan);
  if (lengths) put(lengths, "instructions", "instruction_count");
  // The reads lie behind the lists, which hold their addresses.
  const { lists: sized } = readTables(plan.expectations, 0, placesOf(carrier));
  const { lists, reads } = readTables(plan.expectations, at + sized.bytes().length, placesOf(carrier));
  put(lists, "read_lists");
  bytes.set(reads.bytes(), at - scaffold.start);
  return { bytes, end: at + reads.bytes().length - scaffold.start, variables };
}

/** Where the image's VMM looks up how long the guest's statements are. */
function lengthTable({ served }: Carrier, plan: EventPlan): Table | undefined {
  if (served === undefined) return undefined;
  const table = new Table(records.LENGTH.BYTES);
  for (const line of plan.lines) {
    const { guest, address, lengthBytes } = line;
    if (guest !== served) continue;
    table.add(
      new Map([
        [records.LENGTH.ADDRESS, Number(address)],
        [records.LENGTH.LENGTH, lengthBytes | (isOfSvm(line) ? records.LENGTH.OF_SVM : 0)],
      ]),
    );
  }
  return table;
}

/** The GDT as code finds it that is still to load the task register. */
export function carriedGdt(setup: GuestSetup): Segment {
  return { ...setup.environment.segments.gdt, bytes: gdtBytes(setup.environment.addresses.tss, false) };
}

/** Addresses of the scaffold's stubs, by vector: where the gates lead that the test does not declare. */
export function stubEntries(carrier: Carrier): Map<number, bigint> {
  const stubs = Array.from({ length: DEFAULT_VECTORS }, (_, vector) => {
    return [vector, BigInt(label(carrier, `stub_${vector}`))] as const;
  });
  return new Map(stubs);
}

/** Where a loader starts the image. */
export function bootAddress(carrier: Carrier): bigint {
  return BigInt(label(carrier, "boot"));
}

function bodySegment(carrier: Carrier): "CODE32" | "CODE64" {
  return carrier.bits === 64 ? "CODE64" : "CODE32";
}

function setPointer(
  view: DataView,
  offset: number,
  table: { readonly base: bigint; readonly limitBytes: number },
): void {
  view.setUint16(offset, table.limitBytes, true);
  view.setUint32(offset + 2, Number(table.base), true);
}

function label(carrier: Carrier, name: string): number {
  return labelOf(carrier.scaffold, name);
}

function labelOf(scaffold: Scaffold, name: string): number {
  const address = scaffold.labels.get(name);
  assert(address !== undefined, `the scaffold has a label ${name}`);
  return address;
}

function placesOf(carrier: Carrier): ReadPlaces {
  return {
    variable: (name) => label(carrier, name),
    savedOffset: (register) => savedOffset(carrier.bits, register),
  };
}

function eventsOf(judgement: Judgement | undefined): readonly EventPattern[] {
  if (judgement?.kind !== "rounds") return [];
  return judgement.rounds.flatMap((round) => round.events.flat());
}

/** The vectors after which a line may go on, as bits: those that its judgement names, in whatever round. */
function vectorsOf(line: PlannedLine, plan: EventPlan): number {
  const claiming = line.claimedBy === undefined ? undefined : plan.lines[line.claimedBy];
  const judgement = line.judgement ?? claiming?.judgement;
  if (judgement === undefined) return 0;
  if (judgement.kind !== "rounds") return 0xffff_ffff;
  let vectors = 0;
  for (const event of eventsOf(judgement)) {
    if (event.kind !== "trap") continue;
    const vector = event.subject === undefined ? undefined : exceptionByName(event.subject)?.vector;
    vectors |= vector === undefined ? 0xffff_ffff : 1 << vector;
  }
  return vectors >>> 0;
}
