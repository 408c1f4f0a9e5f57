// One file, from its text to its results: parse, resolve, compile, execute, judge. Pure but for the machines it reuses,
// so that files can be given to any thread in any order.

import { hasErrors, imaging, inSourceOrder, positionAt, running, type Diagnostic, type Source } from "../base/index.js";
import { checkEncoding, compile } from "../compiler/index.js";
import { variationTexts, varyPlatform } from "../isa/index.js";
import type { Lowering, Program, RunLog } from "../program/index.js";
import { resolve, type ResolvedCase, type ResolvedFile, type ResolvedTest } from "../resolve/index.js";
import { parse } from "../syntax/index.js";
import {
  compareGolden,
  goldenPath,
  judge,
  renderFailure,
  transcript,
  transcriptRows,
  type CaseName,
  type GoldenCell,
  type JudgeContext,
} from "../verdict/index.js";
import { costOf } from "../vmm/index.js";
import { bootCarried } from "./boot-carried.js";
import { cyclesOf } from "./cycles.js";
import { execute } from "./execute.js";
import { failureRecord } from "./formats/records.js";
import { keepGoldens } from "./goldens.js";
import type { MachinePool } from "./machine-pool.js";
import type { RunOptions } from "./options.js";
import type { CaseResult, FileResult } from "./result.js";

/** What is run of a file. */
export interface FileRequest {
  readonly source: Source;
  /** Only tests that stand on this line (`trapline run nesting.trap:41`). */
  readonly line?: number;
}

/** Parses, resolves and compiles a file without running it: what `trapline check` reports. */
export function checkFile(source: Source, options: PrepareOptions): readonly Diagnostic[] {
  return diagnosticsOf(prepare({ source }, options));
}

/** Runs the cells of a file's tests in source order. A file with an error runs nothing. */
export function runFile(request: FileRequest, options: RunOptions, pool: MachinePool): FileResult {
  const file = request.source.name;
  const prepared = prepare(request, options);
  const diagnostics = diagnosticsOf(prepared);
  if (hasErrors(diagnostics)) return { file, diagnostics, cases: [], goldenChanges: [] };
  const kept = options.goldens.get(goldenPath(file));
  const ran = prepared.cases.map((one) => runCase(one, kept, options, pool));
  const goldens = keepGoldens({
    file,
    kept,
    cells: ran.flatMap(({ golden, result }) => (golden ? { ...golden, failed: result.outcome === "failed" } : [])),
    whole: request.line === undefined && options.platforms === undefined && !prepared.partial,
    update: rewrites(options),
  });
  return {
    file,
    diagnostics: [...diagnostics, ...goldens.diagnostics],
    cases: ran.map((one) => one.result),
    goldenChanges: goldens.changes,
  };
}

export type PrepareOptions = Pick<RunOptions, "modules" | "platforms" | "lowering"> & Partial<Pick<RunOptions, "ci">>;

/** A test with its cells, which are compiled as they are asked for. */
export interface FileTest {
  readonly cells: readonly ResolvedCase[];
  readonly compile: (cell: ResolvedCase) => PreparedCase;
}

/** The tests of a file that was found right. */
export function testsOfFile({ source }: FileRequest, options: PrepareOptions): readonly FileTest[] {
  const platforms = options.platforms && { platforms: options.platforms };
  const { output } = resolve(parse(source).output, options.modules, { ...platforms });
  return output.tests.map(({ cases }) => ({ cells: cases, compile: (cell) => compileCell(cell, options, true) }));
}

/** Programs that are kept from the check of a file to its run; more are made once more, so that memory stays in hand. */
const mostKeptPrograms = 10_000;

/** A cell with its program; a skipped one has none. */
export interface PreparedCase {
  readonly cell: ResolvedCase;
  readonly program?: Program;
  /** Why a cell has no carried image, where one was asked for. */
  readonly bundledOnly?: string;
  readonly diagnostics: readonly Diagnostic[];
}

export interface Prepared {
  readonly cases: readonly PreparedCase[];
  /** `only` leaves tests out. */
  readonly partial: boolean;
  readonly diagnostics: readonly Diagnostic[];
}

/** What is wrong, each thing once: the cells of a matrix mostly repeat each other. */
export function diagnosticsOf({ diagnostics, cases }: Prepared): readonly Diagnostic[] {
  const seen = new Set<string>();
  return inSourceOrder([...diagnostics, ...cases.flatMap((one) => one.diagnostics)]).filter((d) => {
    const key = `${d.code} ${d.span?.source.name ?? ""} ${d.span?.start ?? ""} ${d.span?.end ?? ""} ${d.message}`;
    return !seen.has(key) && seen.add(key);
  });
}

/** Everything that comes before a run. */
export function prepare(request: FileRequest, options: PrepareOptions): Prepared {
  const parsed = parse(request.source);
  const hasSyntaxErrors = hasErrors(parsed.diagnostics);
  const platforms = options.platforms && { platforms: options.platforms };
  const resolved = resolve(parsed.output, options.modules, { hasSyntaxErrors, ...platforms });
  const diagnostics = [...parsed.diagnostics, ...resolved.diagnostics];
  if (hasErrors(diagnostics)) {
    return { cases: [], partial: false, diagnostics: [...diagnostics, ...encodingProblems(resolved.output)] };
  }
  const tests = wantedTests(resolved.output, request.line);
  if (options.ci === true) diagnostics.push(...refusedOnly(resolved.output));
  const cells = tests.flatMap((test) => test.cases);
  const cases = cells.map((cell, i) => compileCell(cell, options, i < mostKeptPrograms));
  return { cases, partial: tests.length < resolved.output.tests.length, diagnostics };
}

/** What cannot be encoded of the rest of a file with mistakes. Cells that share their guests share their problems. */
function encodingProblems(file: ResolvedFile): Diagnostic[] {
  const looked = new Set<ResolvedCase["guests"]>();
  return file.tests.flatMap((test) =>
    test.cases.flatMap((one) => {
      if (looked.has(one.guests)) return [];
      looked.add(one.guests);
      return checkEncoding(one);
    }),
  );
}

/** All tests, or those that are marked `only`, or the one that stands on the line asked for. */
function wantedTests(file: ResolvedFile, line: number | undefined): readonly ResolvedTest[] {
  if (line !== undefined) return testsOnLine(file, line);
  const marked = file.tests.filter((test) => test.only);
  return marked.length > 0 ? marked : file.tests;
}

function refusedOnly(file: ResolvedFile): Diagnostic[] {
  const marked = file.tests.filter((test) => test.only);
  return marked.map((test) => running.onlyInCi({ test: test.name }, { span: test.span }));
}

/** A test reaches from its first line to the line before the next one. */
function testsOnLine(file: ResolvedFile, line: number): readonly ResolvedTest[] {
  const found = file.tests.findLast((test) => positionAt(test.span.source, test.span.start).line <= line);
  return found ? [found] : [];
}

function compileCell(cell: ResolvedCase, options: PrepareOptions, isKept: boolean): PreparedCase {
  const { lowering = "bundled" } = options;
  if (cell.skip !== undefined) return { cell, diagnostics: [] };
  const { output, diagnostics } = compile(cell, { lowering });
  const refused = lowering === "carried" ? diagnostics.filter(isBundledOnly) : [];
  if (refused.length === 0)
    return isKept ? { cell, program: output, diagnostics } : remade(cell, lowering, diagnostics);
  const reasons = refused.map(({ message, span }) => {
    const line = span && positionAt(span.source, span.start).line;
    return line === undefined ? message : `line ${line}: ${message}`;
  });
  return { cell, bundledOnly: reasons.join("; "), diagnostics: diagnostics.filter((found) => !isBundledOnly(found)) };
}

/** A cell whose program is made when it is asked for. */
function remade(cell: ResolvedCase, lowering: Lowering, diagnostics: readonly Diagnostic[]): PreparedCase {
  return {
    cell,
    diagnostics,
    get program() {
      return compile(cell, { lowering }).output;
    },
  };
}

const isBundledOnly = ({ code }: Diagnostic): boolean => code === imaging.bundledOnly.entry.code;

/** A cell's result, and its transcript where a golden file keeps it. */
export interface RanCase {
  readonly result: CaseResult;
  readonly golden?: GoldenCell;
}

/** Runs and judges one cell. */
export function runCase(
  { cell, program, bundledOnly }: PreparedCase,
  kept: string | undefined,
  options: RunOptions,
  pool: MachinePool,
): RanCase {
  const name = nameOf(cell);
  if (program === undefined) return { result: { ...name, outcome: "skipped", detail: bundledOnly ?? cell.skip ?? "" } };
  const platform = varyPlatform(cell.platform, options.variation);
  const isCarried = program.image.lowering === "carried";
  const log = isCarried
    ? bootCarried(program, platform)
    : execute(pool.take(platform), program, cell.vmm, options.fault);
  const costInput = { platform: cell.platform, bundled: cell.vmm.length > 0 };
  // A golden is the bundled lowering's: who only shows an event is another VMM in an image.
  const golden = cell.golden && !isCarried ? { name, transcript: transcript(program.plan, log) } : undefined;
  const compared = golden && !rewrites(options) ? compareGolden(kept, golden, log.events.length) : undefined;
  const context: JudgeContext = {
    lowering: program.image.lowering,
    vendor: cell.platform.cpu.vendor,
    cycles: cyclesOf(log, costInput),
    ...(cell.xfail !== undefined && { xfail: cell.xfail }),
    ...(compared && { golden: compared }),
  };
  const verdict = judge(program.plan, log, context);
  const result: CaseResult = {
    ...name,
    outcome: verdict.outcome,
    detail:
      verdict.outcome === "failed"
        ? renderFailure(name, program.plan, log, verdict, variationTexts(options.variation))
        : "",
    ...(verdict.outcome === "failed" && { failures: verdict.failures.map(failureRecord) }),
    ...(options.transcripts && shownTranscript(program, log, options.transcripts === "all")),
    ...(options.cost === true && { cost: costOf(log.events, log.instructions, costInput) }),
    ...(options.keepLogs === true && { log }),
  };
  return { result, ...(golden && { golden }) };
}

function shownTranscript({ plan }: Program, log: RunLog, all: boolean): Pick<CaseResult, "transcript" | "lines"> {
  const rows = transcriptRows(plan, log, { all });
  return { transcript: rows.map((row) => `${row.text}\n`).join(""), lines: rows };
}

function nameOf({ file, title, platform, vmmText }: ResolvedCase): CaseName {
  return { file, title, platform: platform.name, vmmText };
}

const rewrites = (options: RunOptions): boolean => options.update && !options.ci;
