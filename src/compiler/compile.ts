// The compiler as one function over its phases: a resolved case in, image and plan out.

import { encoding, hasErrors, type Diagnostic, type Phase } from "../base/index.js";
import { encode as codecEncode } from "../codec/index.js";
import {
  slotAddress,
  slotOffsets,
  slotPartBytes,
  type EventPlan,
  type Lowering,
  type Program,
} from "../program/index.js";
import type { ResolvedCase } from "../resolve/index.js";
import {
  bootAddress,
  carriedGdt,
  carriedProblems,
  carriedRefusals,
  carrierOf,
  carrySections,
  handlerGates,
  handlerSegment,
  hostSetup,
  hostTables,
  hypercallSections,
  monitorCarrier,
  raiseLowSegments,
  pointVector,
  scaffoldSegment,
  stubEntries,
  unseenProblems,
} from "./carried/index.js";
import { checkPlaces } from "./checks.js";
import type { Encode } from "./encoding.js";
import { setUpGuests, type GuestSetup } from "./environment/index.js";
import { makeImage, outermostOf } from "./image.js";
import { layOut, type Layout, type PlacedSection } from "./layout.js";
import { flatten, isMainCode, type Assembly, type Section } from "./pieces.js";
import { handlerEntries, makePlan, type PlanInput } from "./plan.js";
import { declareStarts, guestStarts } from "./starts.js";
import type { Scope } from "./values.js";

export interface CompileOptions {
  /** Bundled: points take no bytes, tables stand ready. Carried: the image brings all it needs, for any machine. */
  readonly lowering: Lowering;
  /** Another encoder than the project's own. */
  readonly encode?: Encode;
}

/** Compiles one cell of a test's matrix. The case must not be one that is skipped. */
export function compile(input: ResolvedCase, options: CompileOptions): Phase<Program> {
  const encode = options.encode ?? codecEncode;
  const assembly = flatten(input);
  const setups = setUpGuests(input);
  const bundled = place(assembly, assembly.sections, setups, encode);
  const checked = [...bundled.diagnostics, ...checkPlaces(input, setups, bundled.layout)];
  const refusals = options.lowering === "carried" ? carriedRefusals(input, outermostOf(bundled.setups)) : [];
  if (options.lowering === "carried" && refusals.length === 0) {
    return input.vmm.length > 0
      ? carryUnder(bundled, setups, encode, checked)
      : carry(bundled, setups, encode, checked);
  }
  const output = bundledProgram(bundled);
  const unseen = refusals.length > 0 ? unseenProblems(assembly, output.plan) : [];
  return { output, diagnostics: [...refusals, ...unseen, ...checked] };
}

function bundledProgram(bundled: PlanInput): Program {
  const plan = makePlan(bundled);
  return { image: makeImage({ ...bundled, lowering: "bundled", lines: plan.lines }), plan };
}

/**
 * What cannot be encoded of a case of a file in which other mistakes were found. What these left out may be why a label
 * has no place, so a value without a number is no news here.
 */
export function checkEncoding(input: ResolvedCase): readonly Diagnostic[] {
  const assembly = flatten(input);
  const { diagnostics } = place(assembly, assembly.sections, setUpGuests(input), codecEncode);
  return diagnostics.filter((found) => found.code !== encoding.valueUnknown.entry.code);
}

/** The plan of a carried program: its addresses, under the names that places have in the bundled one. */
function planWithPlacesOf(bundled: PlanInput, placed: PlanInput): EventPlan {
  return makePlan({ ...placed, places: makePlan(bundled).lines.map((line) => line.place) });
}

/** The carried lowering: the same lines at other addresses, with code in place of points. */
function carry(
  bundled: PlanInput,
  setups: readonly GuestSetup[],
  encode: Encode,
  checked: readonly Diagnostic[],
): Phase<Program> {
  const { assembly } = bundled;
  const outermost = outermostOf(bundled.setups);
  const carrier = carrierOf(outermost, pointVector(assembly.case), encode);
  const sections = carrySections(assembly, carrier);
  const placed = place(assembly, sections, setups, encode);
  const plan = planWithPlacesOf(bundled, placed);
  const own = [...placed.diagnostics, ...checkPlaces(assembly.case, setups, placed.layout)];
  const diagnostics = checked.length > 0 ? checked : [...own, ...carriedProblems(assembly, plan, carrier)];
  // The guests of the guest use the same stubs where their handlers run in code of the same width.
  const entries = placed.entries.map((declared, guest) => {
    const shared = setups[guest]?.environment.row.gates === outermost.environment.row.gates;
    return shared ? new Map([...stubEntries(carrier), ...declared]) : declared;
  });
  const made = makeImage({
    ...placed,
    entries,
    open: new Set([carrier.vector]),
    lowering: "carried",
    lines: plan.lines,
    replaced: [carriedGdt(outermost)],
    boot: bootAddress(carrier),
  });
  // Behind what a slot must have is memory that nothing else uses.
  const free = slotAddress(setups.length - 1) + slotOffsets.pageTables + BigInt(slotPartBytes.pageTables);
  const { segments, low } = raiseLowSegments(made.segments, free, assembly.case.platform.memoryBytes);
  const image = { ...made, segments: [...segments, scaffoldSegment(carrier, plan, placed.layout.sections, low)] };
  return { output: { image, plan }, diagnostics };
}

/** The carried lowering under `vmm hardware`: hypercalls in place of points, and the VMM behind the last guest. */
function carryUnder(
  bundled: PlanInput,
  setups: readonly GuestSetup[],
  encode: Encode,
  checked: readonly Diagnostic[],
): Phase<Program> {
  const { assembly } = bundled;
  const input = assembly.case;
  const { vendor } = input.platform.cpu;
  const halts = input.vmm[0]?.policy.interceptNothing === true;
  const sections = hypercallSections(assembly, vendor === "intel" ? "vmcall" : "vmmcall", halts);
  const placed = place(assembly, sections, setups, encode);
  const plan = planWithPlacesOf(bundled, placed);
  const outermost = outermostOf(placed.setups);
  const host = hostSetup(input, setups.length);
  const own = [...placed.diagnostics, ...checkPlaces(input, [...setups, host], placed.layout)];
  const wrong = [...checked, ...own].slice(0, checked.length > 0 ? checked.length : undefined);
  if (hasErrors(wrong)) return { output: bundledProgram(bundled), diagnostics: wrong };
  const carrier = monitorCarrier(input, outermost, host, plan.lines, encode);
  const entries = placed.entries.map((declared, guest) =>
    guest === outermost.index ? new Map([...handlerGates(outermost), ...declared]) : declared,
  );
  const added = [handlerSegment(outermost, vendor), ...hostTables(host, stubEntries(carrier), carriedGdt(host))];
  const made = makeImage({
    ...placed,
    entries,
    lowering: "carried",
    lines: plan.lines,
    added,
    boot: bootAddress(carrier),
  });
  const { segments, low } = raiseLowSegments(
    made.segments,
    host.environment.addresses.code,
    input.platform.memoryBytes,
  );
  const scaffold = scaffoldSegment(carrier, plan, placed.layout.sections, low);
  const image = { ...made, segments: [...segments, scaffold] };
  return { output: { image, plan }, diagnostics: [...wrong, ...carriedProblems(assembly, plan, carrier)] };
}

/** Gives everything its address. */
function place(
  assembly: Assembly,
  sections: readonly Section[],
  setups: readonly GuestSetup[],
  encode: Encode,
): PlanInput & { readonly diagnostics: readonly Diagnostic[] } {
  const starts = guestStarts(setups);
  const layout = layOut({ sections: sections.map((section) => withRoom(section, setups)), starts, encode });
  const scope: Scope = { addresses: [...layout.addresses], starts, here: 0, sectionStart: 0 };
  const declared = declareStarts(setups, assembly.case, scope);
  const diagnostics = [...layout.diagnostics, ...declared.diagnostics];
  return { assembly, setups: declared.setups, layout, scope, entries: handlersOf(setups, layout), diagnostics };
}

function withRoom(section: Section, setups: readonly GuestSetup[]) {
  const addresses = setups[section.guest]?.environment.addresses;
  if (!addresses) throw new Error("internal error: a section belongs to a guest");
  if (section.at) return { section, start: Number(section.at.address), roomBytes: slotPartBytes.code };
  return section.name === "code"
    ? { section, start: Number(addresses.code), roomBytes: addresses.codeBytes }
    : { section, start: Number(addresses.data), roomBytes: addresses.dataBytes };
}

function handlersOf(setups: readonly GuestSetup[], { sections }: Layout): Map<number, bigint>[] {
  return setups.map((setup) => {
    const isCode = ({ section }: PlacedSection): boolean => isMainCode(section, setup.index);
    const code = sections.find(isCode);
    return code ? handlerEntries(code) : new Map<number, bigint>();
  });
}
