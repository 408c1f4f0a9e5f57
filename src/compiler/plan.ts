// The event plan of a placed program: lines with their places, points in order of address, expectations.

import type { EventPlan, Expectation, Forbidden, PlannedLine, Point } from "../program/index.js";
import type { ForbiddenEvent, LineInfo, SymbolId, Value } from "../resolve/index.js";
import { handlerPoints, type GuestSetup } from "./environment/index.js";
import { bindExpectation, bindJudgement, bindPattern } from "./expectations.js";
import type { Layout, PlacedSection } from "./layout.js";
import type { Assembly, Mark, Piece, SourceLine } from "./pieces.js";
import { isFromModule, LineNames } from "./places.js";
import { evaluate, type Scope } from "./values.js";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** What a plan is made from. */
export interface PlanInput {
  readonly assembly: Assembly;
  readonly setups: readonly GuestSetup[];
  readonly layout: Layout;
  readonly scope: Scope;
  /** Addresses of the handlers that each guest declares, by vector. */
  readonly entries: readonly ReadonlyMap<number, bigint>[];
  /** Places by line, where they are not those of this layout: transcripts are the same in both lowerings. */
  readonly places?: readonly string[];
}

/** Makes the plan. Where points are code, in the carried lowering, there are no points left to act. */
export function makePlan(input: PlanInput): EventPlan {
  const { assembly } = input;
  const forbidden = new Forbidding(input.scope);
  const lines = planLines(input, forbidden);
  const inCode = assembly.expectations.length - assembly.case.finals.length;
  return {
    lines,
    forbidden: forbidden.list,
    points: input.places ? [] : makePoints(input),
    expectations: bindExpectations(input),
    finals: assembly.case.finals.map((_, i) => inCode + i),
    golden: assembly.case.golden,
    budgetInstructions: assembly.case.budgetInstructions,
  };
}

/** In an expectation `$` is its own place; at the end of a test, where resolve knows no `$`, it is not used. */
function bindExpectations({ assembly, layout, scope }: PlanInput): Expectation[] {
  const places = new Map<number, { readonly at: number; readonly start: number }>();
  for (const placed of layout.sections) {
    placed.section.pieces.forEach((piece, i) => {
      const mark = piece.kind === "mark" ? piece.mark : piece.kind === "instruction" ? piece.point : undefined;
      if (mark?.kind === "probe") places.set(mark.expectation, { at: placed.addresses[i] ?? 0, start: placed.start });
    });
  }
  return assembly.expectations.map((expectation, i) => {
    const place = places.get(i);
    scope.here = place?.at ?? 0;
    scope.sectionStart = place?.start ?? 0;
    return bindExpectation(expectation, scope);
  });
}

/** Numbers the events of `never` blocks as lines name them. */
class Forbidding {
  readonly list: Forbidden[] = [];
  private readonly numbers = new Map<ForbiddenEvent, number>();

  constructor(private readonly scope: Scope) {}

  number(forbidden: ForbiddenEvent): number {
    let index = this.numbers.get(forbidden);
    if (index === undefined) {
      index = this.list.push({ pattern: bindPattern(forbidden.event, this.scope), span: forbidden.span }) - 1;
      this.numbers.set(forbidden, index);
    }
    return index;
  }
}

function planLines(input: PlanInput, forbidden: Forbidding): PlannedLine[] {
  const { assembly, layout, scope, places } = input;
  const lines: PlannedLine[] = [];
  const claimers = claimersOf(assembly);
  for (const placed of layout.sections) {
    const guest = assembly.case.guests[placed.section.guest]?.name ?? "";
    const names = new LineNames(placed, assembly);
    const { pieces } = placed.section;
    for (let i = 0; i < pieces.length; i++) {
      const piece = pieces[i] as Piece;
      const name = names.next(piece, i);
      const index = piece.kind === "instruction" || piece.kind === "bytes" ? piece.line : undefined;
      const source = index === undefined ? undefined : assembly.lines[index];
      if (index === undefined || source === undefined) continue;
      const address = placed.addresses[i] ?? 0;
      scope.here = address;
      scope.sectionStart = placed.start;
      // Lines are many: their optional parts are put in one by one, which costs a fifth of spreading them.
      const { info } = source;
      const place = places?.[index] ?? name;
      const line = { guest, place, text: info.text, span: info.span } as Mutable<PlannedLine>;
      if (info.expansions.length > 0) line.uses = info.expansions;
      if (isFromModule(piece, assembly.case)) line.fromModule = true;
      if (info.judgement) line.judgement = bindJudgement(info.judgement, scope);
      if (info.judgementSpan) line.judgementSpan = info.judgementSpan;
      if (info.judgedOnce) line.judgedOnce = true;
      const claimedBy = info.claimedBy && claimers.get(info.claimedBy);
      if (claimedBy !== undefined) line.claimedBy = claimedBy;
      if (info.never) line.never = info.never.map((event) => forbidden.number(event));
      line.address = BigInt(address);
      if (places) Object.assign(line, visitBefore(placed, i));
      line.lengthBytes = placed.lengths[i] ?? 0;
      line.resume = (info.goto && evaluate(info.goto, scope)) ?? BigInt(nextPlace(placed, i));
      if (info.goto && leavesRing(info.goto, source, assembly)) line.leavesRing = true;
      lines[index] = line;
    }
  }
  return lines;
}

/** The lines that answer for others, with their numbers. */
function claimersOf({ lines }: Assembly): ReadonlyMap<LineInfo, number> {
  const claiming = new Set<LineInfo>();
  for (const { info } of lines) if (info.claimedBy) claiming.add(info.claimedBy);
  const numbers = new Map<LineInfo, number>();
  if (claiming.size > 0) lines.forEach(({ info }, i) => claiming.has(info) && numbers.set(info, i));
  return numbers;
}

/** Where the code of a line's visit begins, directly before the line. */
function visitBefore({ section, addresses }: PlacedSection, index: number): Pick<PlannedLine, "visitAddress"> {
  let first = index;
  for (; ; first--) {
    const piece = section.pieces[first - 1];
    if (piece?.kind !== "instruction" || piece.line !== undefined || (piece.point && piece.point.kind !== "visit"))
      break;
  }
  return first === index ? {} : { visitAddress: BigInt(addresses[first] ?? 0) };
}

/** Where execution goes on behind a piece; what looks at an instruction's result is not met after a trap. */
function nextPlace(placed: PlacedSection, index: number): number {
  let next = index + 1;
  for (; ; next++) {
    const piece = placed.section.pieces[next];
    if (piece?.kind !== "instruction" || !piece.point?.kind.endsWith("-result")) break;
  }
  return placed.addresses[next] ?? placed.end;
}

/** Whether the place of `goto` lies outside the ring block of its line. */
function leavesRing(goto: Value, { ringBlock }: SourceLine, assembly: Assembly): boolean {
  const target = symbolOf(goto);
  const targetBlock = target === undefined ? ringBlock : (assembly.ringBlockOf.get(target) ?? 0);
  return ringBlock !== 0 && targetBlock !== ringBlock;
}

function symbolOf(value: Value): SymbolId | undefined {
  return value.kind === "symbol" ? value.symbol : undefined;
}

function makePoints(input: PlanInput): Point[] {
  const { layout, setups, entries } = input;
  const points = setups.flatMap((setup, i) => handlerPoints(setup, entries[i] ?? new Map<number, bigint>()));
  for (const placed of layout.sections) {
    const setup = setups[placed.section.guest];
    if (!setup) continue;
    placed.section.pieces.forEach((piece, i) => {
      if (piece.kind !== "mark") return;
      points.push(pointOf(piece.mark, BigInt(placed.addresses[i] ?? 0), setup, input.scope));
    });
  }
  // Array sort is stable: points at one address keep the order in which they act.
  return points.sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
}

function pointOf(
  mark: Mark,
  address: bigint,
  { guest: { name: guest }, environment }: GuestSetup,
  scope: Scope,
): Point {
  // One literal a kind: this runs for every point of every test.
  switch (mark.kind) {
    case "visit":
      return { kind: "visit", address, guest, line: mark.line };
    case "probe":
      return { kind: "probe", address, guest, expectation: mark.expectation };
    case "ring-enter": {
      const { cs, ss } = environment.ring3;
      return { kind: "ring-enter", address, guest, ring: 3, stack: environment.addresses.ring3Stack, cs, ss };
    }
    case "ring-leave":
      return { kind: "ring-leave", address, guest };
    case "raise": {
      const { event, line } = mark;
      const vector = mark.vector && evaluate(mark.vector, scope);
      return { kind: "raise", address, guest, event, line, ...(vector !== undefined && { vector: Number(vector) }) };
    }
    case "done":
      return { kind: "done", address, guest };
  }
}

/** Where the handlers that a guest declares begin, by vector. */
export function handlerEntries(placed: PlacedSection): Map<number, bigint> {
  const entries = new Map<number, bigint>();
  placed.section.pieces.forEach((piece, i) => {
    if (piece.kind === "entry") entries.set(piece.vector, BigInt(placed.addresses[i] ?? 0));
  });
  return entries;
}
