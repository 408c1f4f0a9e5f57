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
import type { Assembly } from "../pieces.js";
import { records } from "./records.js";
import { savedOffset, scaffoldOf, type Scaffold } from "./scaffold.js";
import { canRead, clearTable, pointTable, readTables, resumeTable, type ReadPlaces, type Table } from "./tables.js";

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
}

/** Bytes of the scaffold's part that marks take at most; tables have the rest. */
const MARKS_OFFSET = 0x1_8000;

/** Chooses the scaffold for a case's outermost guest. */
export function carrierOf(setup: GuestSetup, vector: number, encode: Encode): Carrier {
  const { row } = setup.environment;
  const bits = row.gates === "gate64" ? 64 : 32;
  const scaffold = scaffoldOf(bits, setup.index, row, encode);
  const called = labelOf(scaffold, "called");
  return { scaffold, bits, setup, marks: scaffold.start + MARKS_OFFSET, vector, called };
}

/** Parts of the start state that the boot code sets. */
const carriedState: ReadonlySet<string> = new Set(["RIP", "RSP", "CR0", "CR3", "CR4", "EFER"]);

/** Why a case cannot be carried at all. */
export function carriedRefusal(input: ResolvedCase, { guest, environment }: GuestSetup): Diagnostic | undefined {
  const { row, place } = environment;
  if (input.vmm.length > 0) {
    return problem(
      input.span,
      `\`${input.vmmText}\``,
      "in an image the VMM is the test's own, such as hv.serve of the library",
    );
  }
  const bundled = guest.starts.find(({ target }) => target.kind !== "state" || !carriedState.has(target.name));
  if (bundled) return problem(bundled.span, "this `start`", "the boot code sets only RIP, RSP and control registers");
  if (!row.low) return undefined;
  return problem(input.span, `a ${place.mode} guest`, "the scaffold runs in flat 32- or 64-bit code");
}

function problem(span: Span, what: string, why: string): Diagnostic {
  return imaging.bundledOnly({ what, why }, { span });
}

/** What a case asks for that the image's own code cannot do. */
export function carriedProblems(assembly: Assembly, plan: EventPlan, carrier: Carrier): Diagnostic[] {
  const { span } = assembly.case;
  const places = placesOf(carrier);
  const found: Diagnostic[] = [];
  for (const line of plan.lines) {
    const unseen = eventsOf(line.judgement).find((event) => !isSeen(event, assembly.case));
    if (unseen)
      found.push(problem(line.judgementSpan ?? line.span, `\`${unseen.text}\``, "the image's code cannot observe it"));
  }
  for (const expectation of plan.expectations) {
    const unread = expectation.reads.find((read) => !canRead(read, places));
    if (unread) found.push(problem(expectation.span, `\`${expectation.text}\``, "the image's code cannot read it"));
  }
  const raise = assembly.sections.flatMap((s) => s.pieces).find((p) => p.kind === "mark" && p.mark.kind === "raise");
  if (raise) found.push(problem(span, "`raise`", "the image cannot raise events in itself yet"));
  return found.length > 0 || marksFit(plan)
    ? found
    : [problem(span, "a test this long", "its marks have no room in the image")];
}

/** Kinds of events that the scaffold sees, or that the reader concludes from where a report breaks off. */
const seenKinds: ReadonlySet<EventKind> = new Set(["fail", "enter", "exit", "reject", "halt", "shutdown"]);

/** Exceptions are seen where they arrive at the scaffold's own stubs. */
function isSeen(event: EventPattern, input: ResolvedCase): boolean {
  if (event.kind !== "trap") return seenKinds.has(event.kind);
  if (event.subject === undefined) return true;
  const exception = exceptionByName(event.subject);
  if (!exception) return false;
  return !input.guests.some((guest) => guest.handlers.some((handler) => handler.vector === exception.vector));
}

function marksFit(plan: EventPlan): boolean {
  return MARKS_OFFSET + plan.lines.length * records.MARK.BYTES <= slotPartBytes.scaffold;
}

/** The scaffold with its tables and variables for one program. */
export function scaffoldSegment(carrier: Carrier, plan: EventPlan, sections: readonly PlacedSection[]): Segment {
  const { scaffold, setup } = carrier;
  const resume = resumeTable(plan.lines, (line) => vectorsOf(line, plan));
  const points = pointTable(sections, plan.lines);
  const cleared = clearTable(sections);
  const first = readTables(plan.expectations, 0, placesOf(carrier));
  const readsAt =
    scaffold.tables + [cleared, resume, points, first.lists].reduce((sum, table) => sum + table.bytes().length, 0);
  const { lists, reads } = readTables(plan.expectations, readsAt, placesOf(carrier));
  const bytes = new Uint8Array(MARKS_OFFSET);
  bytes.set(scaffold.bytes);
  let at = scaffold.tables;
  const put = (table: Table): number => {
    const here = at;
    bytes.set(table.bytes(), here - scaffold.start);
    at += table.bytes().length;
    return here;
  };
  const tables = {
    clear_table: put(cleared),
    resume_table: put(resume),
    point_table: put(points),
    read_lists: put(lists),
  };
  put(reads);
  const view = new DataView(bytes.buffer);
  const { start, environment } = setup;
  const set = (values: Readonly<Record<string, number>>): void => {
    for (const [name, value] of Object.entries(values))
      view.setUint32(label(carrier, name) - scaffold.start, value, true);
  };
  set(tables);
  set({ clear_count: cleared.count, resume_count: resume.count, point_count: points.count });
  set({ marks: carrier.marks, mark_count: plan.lines.length });
  set({ finals_first: plan.expectations.length - plan.finals.length, finals_end: plan.expectations.length });
  set({ point_vector: carrier.vector, stamp: planStamp(plan), ring3_stack: Number(environment.addresses.ring3Stack) });
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
  return {
    name: "scaffold",
    address: BigInt(scaffold.start),
    bytes: bytes.subarray(0, at - scaffold.start),
    role: "scaffold",
  };
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
