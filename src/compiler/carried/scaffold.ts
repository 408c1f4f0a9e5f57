// The scaffold of a carried image, assembled by the project's own parser, resolver and encoder: once for each width
// and slot. What differs from program to program comes in as values of its variables and as tables.

import { assert, hasErrors } from "../../base/index.js";
import { selectors, slotAddress, slotBytes, slotOffsets } from "../../program/index.js";
import { resolveListing, type Listing, type ListingPlace, type ModuleSources } from "../../resolve/index.js";
import { parse } from "../../syntax/index.js";
import type { Encode } from "../encoding.js";
import { loadedSegment, type ModeRow } from "../environment/index.js";
import { layOut, sectionBytes, type PlacedSection } from "../layout.js";
import { flattenListing } from "../pieces.js";
import type { GuestStart } from "../values.js";
import { bodySource, savedRegisters } from "./body-source.js";
import { bootSource } from "./boot-source.js";
import { constantDeclarations } from "./records.js";

/** The scaffold's own serial port: COM1, where every machine that boots Multiboot images has one. */
const COM1 = 0x3f8;

/** Where the scaffold's parts lie in its part of the slot. The Multiboot header must lie in the file's first 8 KiB. */
interface Parts {
  readonly bootCode: number;
  readonly bootData: number;
  readonly bodyCode: number;
  readonly bodyData: number;
  readonly tables: number;
  /** Tables end here. */
  readonly marks: number;
}

const plainParts: Parts = {
  ...{ bootCode: 0, bootData: 0x0200, bodyCode: 0x0400, bodyData: 0x1800, tables: 0x3000, marks: 0x1_8000 },
};
/** With a VMM, whose maps and tables lie among the body's data. */
const monitorParts: Parts = {
  ...{ bootCode: 0, bootData: 0x0200, bodyCode: 0x0400, bodyData: 0x8000, tables: 0x2_9000, marks: 0x3_1000 },
};

/** Assembled scaffold: bytes by address, and the addresses of its labels. */
export interface Scaffold {
  readonly start: number;
  readonly bytes: Uint8Array;
  /** Addresses of labels, by name. */
  readonly labels: ReadonlyMap<string, number>;
  /** Where the tables of a program begin, and where the marks behind them do. */
  readonly tables: number;
  readonly marks: number;
}

/** The body of an image whose VMM runs the guest: its text, and what the names in it mean. */
export interface MonitorBody {
  readonly text: string;
  readonly library: ModuleSources;
  readonly place: ListingPlace;
  readonly starts: ReadonlyMap<string, GuestStart>;
}

/** Offset of a general register in the scaffold's copy of the guest's registers, by its 64-bit name. */
export function savedOffset(bits: 32 | 64, register: string): number | undefined {
  const index = savedRegisters[bits].findIndex(
    (name) => register === (name.startsWith("r") ? name : `r${name}`).toUpperCase(),
  );
  return index < 0 ? undefined : index * 8;
}

const made = new Map<string, Scaffold>();

/** The scaffold for guests whose handlers run in code of the given width. */
export function scaffoldOf(bits: 32 | 64, slot: number, row: ModeRow, encode: Encode): Scaffold {
  const key = `${bits} ${slot} ${row.code}`;
  let scaffold = made.get(key);
  if (scaffold === undefined) made.set(key, (scaffold = assemble(bits, slot, row, encode)));
  return scaffold;
}

/** Scaffolds with a VMM that were made last: a test's cells on processors of one generation mostly share theirs. */
const monitors = new Map<string, { readonly library: ModuleSources; readonly scaffold: Scaffold }>();
const mostMonitors = 16;

/** The scaffold of an image whose VMM runs the guest. */
export function monitorScaffold(body: MonitorBody, slot: number, row: ModeRow, encode: Encode): Scaffold {
  const { generation, vendor } = body.place.platform.cpu;
  const starts = [...body.starts].map(([name, { state }]) => [name, state]);
  const asText = (_: string, value: unknown): unknown => (typeof value === "bigint" ? `${value}` : value);
  // The library's text asks a platform for its generation and for its VMCS revision, which its code reads itself.
  const key = JSON.stringify([vendor, generation, slot, row.code, body.text, starts], asText);
  const known = monitors.get(key);
  if (known?.library === body.library) return known.scaffold;
  const scaffold = assemble(64, slot, row, encode, body);
  const [oldest] = monitors.keys();
  if (oldest !== undefined && monitors.size >= mostMonitors) monitors.delete(oldest);
  monitors.set(key, { library: body.library, scaffold });
  return scaffold;
}

function assemble(bits: 32 | 64, slot: number, row: ModeRow, encode: Encode, monitor?: MonitorBody): Scaffold {
  const parts = monitor ? monitorParts : plainParts;
  const start = Number(slotAddress(slot) + slotOffsets.scaffold);
  const constants = constantDeclarations({
    COM1,
    OUTER_START: Number(slotAddress(slot)),
    OUTER_END: Number(slotAddress(slot) + slotBytes),
    // Bits 14:13 of a field's encoding are its width (Intel SDM vol. 3, "VMCS Component Encoding").
    VMCS_WIDTH: 0x6000,
    VMCS_WIDTH_64: 0x2000,
    VMCS_FIELDS_END: 0xffff_ffff,
    CODE_SELECTOR: loadedSegment(row.code).selector,
    STACK_SELECTOR: loadedSegment(row.stack).selector,
    DATA_SELECTOR: loadedSegment(row.data).selector,
    TSS_SELECTOR: selectors.TSS,
    RING3_CODE_SELECTOR: loadedSegment(row.ring3Code).selector,
    RING3_STACK_SELECTOR: loadedSegment(row.ring3Stack).selector,
  });
  const boot = listing("carried/boot", constants + bootSource, 32);
  const text = monitor ? `use hv, vmx, svm\n${constants}${monitor.text}` : constants + bodySource(bits);
  const body = listing("carried/body", text, bits, monitor);
  const roomBytes = parts.tables;
  const placed = [
    ...place(boot, { codeStart: start + parts.bootCode, dataStart: start + parts.bootData, roomBytes, encode }),
    ...place(body, {
      ...{ codeStart: start + parts.bodyCode, dataStart: start + parts.bodyData, roomBytes, encode },
      ...(monitor && { starts: monitor.starts }),
    }),
  ];
  const bytes = new Uint8Array(parts.tables);
  const ends = [parts.bootData, parts.bodyCode, parts.bodyData, parts.tables];
  const labels = new Map<string, number>();
  placed.forEach((section, i) => {
    assert(section.end - start <= (ends[i] ?? 0), "the scaffold's parts have room");
    bytes.set(sectionBytes(section), section.start - start);
    section.section.pieces.forEach((piece, at) => {
      if (piece.kind === "label") labels.set(piece.name, section.addresses[at] ?? 0);
    });
  });
  return { start, bytes, labels, tables: start + parts.tables, marks: start + parts.marks };
}

function listing(name: string, text: string, bits: 32 | 64, monitor?: MonitorBody): Listing {
  const parsed = parse({ name, text });
  const resolved = resolveListing(parsed.output, bits, monitor?.library ?? new Map(), monitor?.place);
  const wrong = [...parsed.diagnostics, ...resolved.diagnostics];
  assert(!hasErrors(wrong), `the scaffold is right: ${wrong[0]?.message ?? ""}`);
  return resolved.output;
}

interface PlaceInput {
  readonly codeStart: number;
  readonly dataStart: number;
  readonly roomBytes: number;
  readonly encode: Encode;
  readonly starts?: ReadonlyMap<string, GuestStart>;
}

function place(
  source: Listing,
  { codeStart, dataStart, roomBytes, encode, starts }: PlaceInput,
): readonly PlacedSection[] {
  const { code, data } = flattenListing(source.code, source.data);
  const sections = [
    { section: code, start: codeStart, roomBytes },
    { section: data, start: dataStart, roomBytes },
  ];
  const layout = layOut({ sections, starts: starts ?? new Map(), encode });
  assert(!hasErrors(layout.diagnostics), `the scaffold can be encoded: ${layout.diagnostics[0]?.message ?? ""}`);
  return layout.sections;
}
