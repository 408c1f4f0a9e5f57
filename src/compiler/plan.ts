// The event plan of a placed program: lines with their places, points in order of address, expectations.

import type { EventPlan, Expectation, Forbidden, PlannedLine, Point } from "../program/index.js";
import type { ForbiddenEvent, SymbolId, Value } from "../resolve/index.js";
import { handlerPoints, type GuestSetup } from "./environment/index.js";
import { bindExpectation, bindJudgement, bindPattern } from "./expectations.js";
import type { Layout, PlacedSection } from "./layout.js";
import type { Assembly, Mark, SourceLine } from "./pieces.js";
import { isFromModule, lineNames } from "./places.js";
import { evaluate, type Scope } from "./values.js";

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

function planLines({ assembly, layout, scope, places }: PlanInput, forbidden: Forbidding): PlannedLine[] {
  const lines: PlannedLine[] = [];
  const numbers = new Map(assembly.lines.map((line, i) => [line.info, i]));
  for (const placed of layout.sections) {
    const guest = assembly.case.guests[placed.section.guest]?.name ?? "";
    const names = lineNames(placed, assembly);
    placed.section.pieces.forEach((piece, i) => {
      if ((piece.kind !== "instruction" && piece.kind !== "bytes") || piece.line === undefined) return;
      const source = assembly.lines[piece.line];
      if (!source) return;
      const address = placed.addresses[i] ?? 0;
      const lengthBytes = placed.lengths[i] ?? 0;
      scope.here = address;
      scope.sectionStart = placed.start;
      const claimedBy = source.info.claimedBy && numbers.get(source.info.claimedBy);
      lines[piece.line] = {
        guest,
        place: places?.[piece.line] ?? names.get(piece.line) ?? guest,
        text: source.info.text,
        span: source.info.span,
        ...(source.info.expansions.length > 0 && { uses: source.info.expansions }),
        ...(isFromModule(piece, assembly.case) && { fromModule: true }),
        ...judgementOf(source, scope),
        ...(claimedBy !== undefined && { claimedBy }),
        ...(source.info.never && { never: source.info.never.map((event) => forbidden.number(event)) }),
        address: BigInt(address),
        lengthBytes,
        ...resumeOf(source, nextPlace(placed, i), assembly, scope),
      };
    });
  }
  return lines;
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

function judgementOf(
  { info }: SourceLine,
  scope: Scope,
): Pick<PlannedLine, "judgement" | "judgementSpan" | "judgedOnce"> {
  return {
    ...(info.judgement && { judgement: bindJudgement(info.judgement, scope) }),
    ...(info.judgementSpan && { judgementSpan: info.judgementSpan }),
    ...(info.judgedOnce && { judgedOnce: true }),
  };
}

function resumeOf(
  { info, ringBlock }: SourceLine,
  next: number,
  assembly: Assembly,
  scope: Scope,
): Pick<PlannedLine, "resume" | "leavesRing"> {
  if (!info.goto) return { resume: BigInt(next) };
  const resume = evaluate(info.goto, scope) ?? BigInt(next);
  const target = symbolOf(info.goto);
  const targetBlock = target === undefined ? ringBlock : (assembly.ringBlockOf.get(target) ?? 0);
  return { resume, ...(ringBlock !== 0 && targetBlock !== ringBlock && { leavesRing: true }) };
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
