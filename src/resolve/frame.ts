// Frames: the circumstances in which a piece of source is resolved. One case has one `CaseUnit`; every guest, macro
// use and argument has a frame of it.

import {
  didYouMean,
  nearNames,
  resolving,
  spanText,
  type Diagnostic,
  type Reporter,
  type Site,
  type Span,
} from "../base/index.js";
import type { CodeBits } from "../codec/index.js";
import type { Platform, Vendor } from "../isa/index.js";
import type { JudgementClause, Statement } from "../syntax/index.js";
import type { GuestMode, SymbolId, Value } from "./resolved.js";
import type { ConstantDeclaration, MacroDeclaration, Module, Scope } from "./scope.js";

/** Mistakes of one file that are told, as many as the parser tells. */
export const maxMistakes = 100;

/** Collects diagnostics; what is found once more in another cell of the matrix counts once. */
export class Reports {
  readonly diagnostics: Diagnostic[] = [];
  /** The declarations of files that some line has asked for. */
  readonly asked = new Set<ConstantDeclaration | MacroDeclaration>();
  private readonly seen = new Set<string>();

  /** Whether so much is wrong that nothing more needs to be looked for. */
  get isFull(): boolean {
    return this.diagnostics.length >= maxMistakes;
  }

  /** What comes behind the last place is one diagnostic: that there is more. */
  add(found: Diagnostic): void {
    const { span } = found;
    if (this.isFull) {
      if (this.diagnostics.length > maxMistakes || !span) return;
      const isLast = found.code === resolving.tooManyMistakes.entry.code;
      this.diagnostics.push(isLast ? found : resolving.tooManyMistakes({ limit: maxMistakes }, { span }));
      return;
    }
    const key = `${found.code} ${span?.source.name} ${span?.start} ${span?.end} ${found.message}`;
    if (this.seen.has(key)) return;
    this.seen.add(key);
    this.diagnostics.push(found);
  }
}

/** Uses of macros inside one another; deeper is taken for a recursion. */
export const maxExpansionDepth = 64;

/** Statements that one case may expand to. */
const maxCaseStatements = 200_000;

/** Parts of expressions that one case may evaluate: arguments that use arguments twice double them at every step. */
export const maxCaseEvaluations = 2_000_000;

/** Constants that lead to one another. */
export const maxConstantDepth = 256;

/** A platform of a test, and whether the test names it and no group of it. */
export interface ListedPlatform {
  readonly platform: Platform;
  readonly isDirect: boolean;
}

/** The circumstances of one cell of a test's matrix. */
export interface Cell {
  readonly platform: Platform;
  /** The platform only stands in for one that is not known: nothing that others do otherwise is a mistake. */
  readonly isAnyPlatform?: boolean | undefined;
  /** Names of every platform and group that `on` can list. */
  readonly platformNames: ReadonlySet<string>;
  /** The platforms on which the test can run. */
  readonly listed: readonly ListedPlatform[];
  /** Whether a bundled VMM runs the outermost guest. */
  readonly underVmm: boolean;
}

/** `busy` marks a constant whose value is being computed, `poison` one that has none. */
export type ConstantMemory = Map<ConstantDeclaration, Value | "busy" | "poison">;

/** What all frames of one case share. */
export class CaseUnit {
  /** Values of constants, which may depend on the platform and on the width of the code. */
  private readonly constants = new Map<CodeBits, ConstantMemory>();
  readonly guestNames: string[] = [];
  /** The guest that runs under no other one. */
  outermost = "";
  readonly guestFrames = new Map<string, Frame>();
  /** What was asked about the platform: a body is the same on every platform that answers the same. */
  private readonly questions = new Map<
    string,
    { readonly ask: (platform: Platform) => unknown; readonly answer: unknown }
  >();
  /** The constants that the test and its code declare, each where its value is read. */
  readonly declared: { readonly declaration: ConstantDeclaration; readonly frame: Frame }[] = [];
  statements = 0;
  isOverfull = false;
  evaluations = 0;
  constantDepth = 0;
  private readonly guestsOfSymbols: string[] = [];

  constructor(
    readonly reports: Reports,
    private readonly cell?: Cell,
  ) {}

  /** The memory of constants for code of a width. */
  constantsFor(bits: CodeBits): ConstantMemory {
    const known = this.constants.get(bits) ?? new Map<ConstantDeclaration, Value | "busy" | "poison">();
    this.constants.set(bits, known);
    return known;
  }

  /** A new symbol, an address in the memory of a guest. */
  newSymbol(guest: string): SymbolId {
    return this.guestsOfSymbols.push(guest) - 1;
  }

  guestOfSymbol(symbol: SymbolId): string {
    return this.guestsOfSymbols[symbol] ?? "";
  }

  /** Asks about the platform of the case; undefined where plain code is assembled. The key names the question. */
  ask<T>(key: string, question: (platform: Platform) => T): T | undefined {
    if (!this.cell) return undefined;
    const answer = question(this.cell.platform);
    this.questions.set(key, { ask: question, answer });
    return answer;
  }

  /** Whether the case stands for every platform: plain code, or a test whose platforms are not known. */
  get isAnyPlatform(): boolean {
    return !this.cell || this.cell.isAnyPlatform === true;
  }

  /** The vendor whose names hold; undefined where both vendors' do. */
  get vendor(): Vendor | undefined {
    return this.isAnyPlatform ? undefined : this.ask("vendor", (platform) => platform.cpu.vendor);
  }

  /** Whether another platform gives every answer that was given so far. */
  answersAlike(platform: Platform): boolean {
    for (const { ask, answer } of this.questions.values()) if (ask(platform) !== answer) return false;
    return true;
  }

  /** The platform's name, for messages. */
  get platformName(): string {
    return this.cell?.platform.name ?? "";
  }

  get platformNames(): ReadonlySet<string> {
    return this.cell?.platformNames ?? new Set();
  }

  /** The platforms on which the test can run; none where plain code is assembled. */
  get listed(): readonly ListedPlatform[] {
    return this.cell?.listed ?? [];
  }

  /** Whether a bundled VMM runs the outermost guest; plain code could run under any. */
  get underVmm(): boolean {
    return this.cell?.underVmm ?? true;
  }
}

/** A guest as names see it. */
export interface GuestParts {
  readonly name: string;
  /** The mode in which it starts; absent where plain code is assembled. */
  readonly mode?: GuestMode;
  /** The file in which the guest is declared. */
  readonly module: Module;
  /** The guest's own labels, and around them the test's names. */
  readonly scope: Scope;
  /** The guest's copies of modules' data, in the order of first use. */
  readonly dataFrames: ReadonlyMap<Module, Frame>;
  /** The frame of the guest's copy of a module's data, which it has from the first time it is asked for. */
  readonly dataOf: (module: Module, from: Frame) => Frame;
}

/** Where a piece of source stands. */
export interface Frame {
  readonly unit: CaseUnit;
  readonly scope: Scope;
  /** The file whose constants, macros and modules are seen. */
  readonly module: Module;
  readonly bits: CodeBits;
  readonly guest?: GuestParts;
  /** The macro uses that led here, outermost first. */
  readonly expansions: readonly Span[];
  /** The label to which `.local` ones belong now. */
  labelOwner: string;
  /** Where `$` is, in the value of a constant that code declares; elsewhere it is the line itself. */
  readonly here?: SymbolId;
  /** Whether the `on` blocks around are there on a platform; absent outside of any. */
  readonly isThere?: (platform: Platform) => boolean;
  /** The judgement whose events are read. */
  readonly judged?: { readonly statement: Statement; readonly clause: JudgementClause };
}

/** Reports a diagnostic from a frame: inside a macro the chain of uses is shown too. */
export function report<F>(frame: Frame, reporter: Reporter<F>, facts: F, span: Span, rest: Site = {}): void {
  const chain = [...frame.expansions].reverse().map((use) => ({ span: use, label: "expanded from here" }));
  const secondary = [...(rest.secondary ?? []), ...chain];
  frame.unit.reports.add(reporter(facts, { ...rest, span, ...(secondary.length > 0 && { secondary }) }));
}

/** Counts a statement of the case; false when there are too many, which is reported once. */
export function countStatement(statement: Statement, frame: Frame): boolean {
  const { unit } = frame;
  if (unit.reports.isFull) return false;
  if (++unit.statements <= maxCaseStatements) return true;
  if (!unit.isOverfull) report(frame, resolving.tooManyStatements, { limit: maxCaseStatements }, statement.span);
  unit.isOverfull = true;
  return false;
}

/** The fix of a name that differs from the one that is meant only in the case of its letters. */
export function caseFix(name: string, candidates: Iterable<string>, span: Span): Pick<Site, "fix"> {
  if (spanText(span) !== name) return {};
  const meant = [...new Set(candidates)].filter((other) => other.toLowerCase() === name.toLowerCase());
  const [newText, more] = meant;
  if (newText === undefined || more !== undefined) return {};
  return { fix: { title: `write ${newText}`, edits: [{ span, newText }] } };
}

/** The help text `did you mean …?`, where something is near. */
export function suggestion(name: string, candidates: Iterable<string>): string | undefined {
  return didYouMean(nearNames(name, new Set(candidates)));
}
