// Declarations against the memory map: what a test may not take away from itself.

import { encoding, imaging, type Diagnostic, type Span } from "../base/index.js";
import { slotAddress, slotOffsets, slotPartBytes } from "../program/index.js";
import type { PageRule, ResolvedCase, ResolvedGuest } from "../resolve/index.js";
import type { GuestSetup } from "./environment/index.js";
import { defaultVectors, hasExecuteDisable } from "./environment/index.js";
import type { Layout, PlacedSection } from "./layout.js";
import { isMainCode } from "./pieces.js";

/** A part of a guest that declarations must leave alone. `end` is its last address. */
interface Region {
  readonly name: string;
  readonly start: bigint;
  readonly end: bigint;
}

/** Reports sections that are too long, guests that do not fit, and declarations that overlap what tests stand on. */
export function checkPlaces(input: ResolvedCase, setups: readonly GuestSetup[], layout: Layout): Diagnostic[] {
  return [
    ...checkSections(input, setups, layout),
    ...checkSlots(input, setups),
    ...setups.flatMap((setup) => checkMaps(setup, layout)),
    ...checkPolicy(input, setups, layout),
  ];
}

/** A guest without a name of its own is called `guest`. */
function called({ name }: ResolvedGuest): string {
  return name === "guest" ? "the guest" : `guest ${name}`;
}

function checkSections(input: ResolvedCase, setups: readonly GuestSetup[], layout: Layout): Diagnostic[] {
  return layout.sections.flatMap((placed) => {
    const { guest: index, name, at } = placed.section;
    if (at) return checkPlaced(placed, at, input, setups, layout);
    const addresses = setups[index]?.environment.addresses;
    const guest = input.guests[index];
    const room = (name === "code" ? addresses?.codeBytes : addresses?.dataBytes) ?? 0;
    const bytes = placed.end - placed.start;
    if (bytes <= room || !guest) return [];
    return [encoding.sectionOverflow({ section: name, guest: called(guest), bytes, room }, { span: guest.span })];
  });
}

/** A block at an address of the test's choice lies in memory and on nothing else. */
function checkPlaced(
  placed: PlacedSection,
  at: { readonly address: bigint; readonly span: Span },
  input: ResolvedCase,
  setups: readonly GuestSetup[],
  layout: Layout,
): Diagnostic[] {
  const bytes = placed.end - placed.start;
  if (bytes > placed.roomBytes) {
    const facts = { section: placed.section.name, guest: "this block", bytes, room: placed.roomBytes };
    return [encoding.sectionOverflow(facts, { span: at.span })];
  }
  const memory = BigInt(input.platform.memoryBytes);
  const end = at.address + BigInt(Math.max(bytes, 1));
  if (end > memory) return [imaging.placedOutside({ address: at.address, memory }, { span: at.span })];
  const before = layout.sections.slice(0, layout.sections.indexOf(placed));
  const others = before.flatMap((other): Region[] => {
    if (!other.section.at || other.start >= other.end) return [];
    return [{ name: "another block", start: BigInt(other.start), end: BigInt(other.end - 1) }];
  });
  const regions = [...setups.flatMap((setup) => regionsOf(setup, layout)), ...others];
  const what = placed.section.name === "code" ? "at" : "data at";
  return overlaps(what, { start: at.address, end: end - 1n, span: at.span }, regions);
}

function checkSlots(input: ResolvedCase, setups: readonly GuestSetup[]): Diagnostic[] {
  const { memoryBytes, name: platform } = input.platform;
  const found: Diagnostic[] = [];
  let lowGuest: string | undefined;
  setups.forEach(({ guest, environment }, index) => {
    const need = slotAddress(index) + slotOffsets.pageTables + BigInt(slotPartBytes.pageTables);
    if (need > BigInt(memoryBytes)) {
      const facts = { guest: called(guest), platform, need, memory: memoryBytes };
      found.push(imaging.tooLittleMemory(facts, { span: guest.span }));
    }
    if (!environment.row.low) return;
    if (lowGuest !== undefined) {
      found.push(imaging.secondLowGuest({ guest: called(guest), other: lowGuest }, { span: guest.span }));
    }
    lowGuest ??= called(guest);
  });
  return found;
}

function checkMaps(setup: GuestSetup, layout: Layout): Diagnostic[] {
  const { guest } = setup;
  if (guest.maps.length === 0) return [];
  const regions = regionsOf(setup, layout);
  const found: Diagnostic[] = [];
  guest.maps.forEach((rule, i) => {
    const wrong = mapProblem(setup, rule);
    if (wrong) found.push(wrong);
    const twice = guest.maps.slice(0, i).find((other) => rule.start <= other.end && other.start <= rule.end);
    if (twice) {
      const secondary = [{ span: twice.span, label: "mapped here first" }];
      found.push(imaging.mapsOverlap({ start: rule.start, end: rule.end }, { span: rule.span, secondary }));
    }
    found.push(...overlaps("map", rule, regions));
  });
  if (setup.tables?.overflow === true) {
    const span = guest.maps[0]?.span ?? guest.span;
    found.push(imaging.pageTablesFull({ bytes: slotPartBytes.pageTables }, { span }));
  }
  return found;
}

function mapProblem(setup: GuestSetup, rule: PageRule): Diagnostic | undefined {
  const { row, place } = setup.environment;
  const site = { span: rule.span };
  const range = { start: rule.start, end: rule.end };
  if (row.paging === undefined) return imaging.mapWithoutPaging({ mode: place.mode }, site);
  if (((rule.start | (rule.end + 1n) | (rule.to ?? 0n)) & 0xfffn) !== 0n || rule.end < rule.start) {
    return imaging.mapNotAligned({ ...range, ...(rule.to !== undefined && { to: rule.to }) }, site);
  }
  const bits = row.paging.linearBits;
  if (!reaches(rule.start, bits) || !reaches(rule.end, bits)) {
    return imaging.mapOutOfReach({ ...range, mode: place.mode, bits }, site);
  }
  if (rule.raw !== undefined && rule.end - rule.start >= 0x1000n) return imaging.rawEntryOfPages(range, site);
  if (!rule.executable && !hasExecuteDisable(row, place.platform.cpu)) {
    return imaging.noExecuteDisable({ mode: place.mode, platform: place.platform.name }, site);
  }
  return undefined;
}

/** Whether a linear address can be translated: below 4 GiB, or canonical. */
function reaches(linear: bigint, bits: number): boolean {
  if (bits === 32) return linear >= 0n && linear < 1n << 32n;
  return BigInt.asUintN(64, BigInt.asIntN(bits, linear)) === BigInt.asUintN(64, linear);
}

function checkPolicy(input: ResolvedCase, setups: readonly GuestSetup[], layout: Layout): Diagnostic[] {
  const rules = input.vmm.flatMap((vmm) => vmm.policy.memory);
  if (rules.length === 0) return [];
  const regions = setups.flatMap((setup) => regionsOf(setup, layout));
  return rules.flatMap((rule) => overlaps("memory", rule, regions));
}

function overlaps(
  declaration: string,
  rule: { readonly start: bigint; readonly end: bigint; readonly span: Span },
  regions: readonly Region[],
): Diagnostic[] {
  const covered = regions.find((region) => rule.start <= region.end && region.start <= rule.end);
  if (!covered) return [];
  const { start, end, span } = rule;
  const facts = { declaration, start, end, part: covered.name, partStart: covered.start, partEnd: covered.end };
  return [imaging.rangeOverlaps(facts, { span })];
}

function regionsOf(setup: GuestSetup, layout: Layout): Region[] {
  const { addresses, segments, row } = setup.environment;
  const who = called(setup.guest);
  const part = (name: string, start: bigint, bytes: number): Region => {
    return { name: `${name} of ${who}`, start, end: start + BigInt(bytes) - 1n };
  };
  const code = layout.sections.find((s) => isMainCode(s.section, setup.index));
  return [
    part("the code", addresses.code, Math.max(1, (code?.end ?? 0) - (code?.start ?? 0))),
    part("the ring-0 stack", addresses.ring0Stack - BigInt(addresses.stackBytes), addresses.stackBytes),
    part("the ring-3 stack", addresses.ring3Stack - BigInt(addresses.stackBytes), addresses.stackBytes),
    part("the stack of the TSS", addresses.tssStack - BigInt(addresses.stackBytes), addresses.stackBytes),
    part("the GDT", addresses.gdt, segments.gdt.bytes.length),
    part(row.protectedMode ? "the IDT" : "the interrupt vectors", addresses.idt, setup.start.idtr.limitBytes + 1),
    part("the TSS", addresses.tss, segments.tss.bytes.length),
    part("the default handlers", addresses.defaultHandlers, addresses.handlerStep * defaultVectors(row)),
    ...(setup.tables ? [part("the page tables", addresses.pageTables, slotPartBytes.pageTables)] : []),
  ];
}
