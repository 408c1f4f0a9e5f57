// Tests: a `test` declaration to its cases. The header is read once; a body is resolved for each cell of the matrix,
// and shared with later platforms on which everything that it asked about the platform has the same answer.

import { resolving, type Span } from "../base/index.js";
import type { SourceFile, Statement } from "../syntax/index.js";
import { bindExpectation } from "./conditions.js";
import { CaseUnit, report, suggestion, type Cell, type Frame, type Reports } from "./frame.js";
import { readGuestHeaders, resolveGuests, type GuestHeader } from "./guests.js";
import { checkTitle, readBudget, readHeader, reasonOf, type Header } from "./header.js";
import { readOn, readRows, readVmms, rowTexts, titleOf, type Row, type WrittenPlatform } from "./matrix.js";
import { declarationFrame, type ModuleSources } from "./modules.js";
import { readConstant } from "./named-values.js";
import { checkPlatformNames, namesOf, isSelectedBlock } from "./on.js";
import type { PlatformTable } from "./platforms.js";
import { noVmm, readPolicy, withPolicy, type WrittenVmm } from "./policy.js";
import type { Item, ResolvedCase, ResolvedExpectation, ResolvedGuest, ResolvedTest, VmmStack } from "./resolved.js";
import { Scope, type Module } from "./scope.js";
import { featureProblem, modeProblem, requirableNames, vmmProblem } from "./support.js";
import { evaluateDeclared } from "./unused.js";

/** What all tests of a file share. */
export interface FileContext {
  readonly file: SourceFile;
  readonly module: Module;
  readonly platforms: PlatformTable;
  readonly reports: Reports;
  readonly library: ModuleSources;
  /** Nothing of the file was left unread. */
  readonly isWhole: boolean;
  /** From where what no test uses is looked at: the outermost guest that was resolved last. */
  readonly view: { guest?: Frame };
  /** Only these platforms, and those of these groups, are wanted; absent means all. */
  readonly wanted?: (platform: WrittenPlatform["platform"]) => boolean;
}

/** Resolves one `test` declaration; undefined when it has no usable name. */
export function resolveTest(statement: Statement, context: FileContext): ResolvedTest | undefined {
  const frame = declarationFrame(context.module, context.reports);
  const header = readHeader(statement, frame);
  if (!header) return undefined;
  const before = context.reports.diagnostics.length;
  const cases = resolveCases(statement, header, context, frame);
  const golden = header.once.has("golden");
  const isSound = context.isWhole && context.reports.diagnostics.length === before;
  if (isSound && !golden && cases.length > 0 && !cases.some((one) => one.skip !== undefined || expectsSomething(one))) {
    report(frame, resolving.noExpectation, { name: header.name }, statement.span);
  }
  const xfail = reasonOf("xfail", header, frame);
  return {
    file: context.file.span.source.name,
    name: header.name,
    ...(statement.doc !== undefined && { doc: statement.doc }),
    span: statement.span,
    golden,
    only: header.once.has("only"),
    ...(xfail !== undefined && { xfail }),
    cases,
  };
}

function resolveCases(statement: Statement, header: Header, context: FileContext, frame: Frame): ResolvedCase[] {
  const listed = readOn(header.once.get("on"), context.platforms, frame);
  const vmmLine = header.once.get("vmm");
  const rows = readRows(header.each, frame);
  checkTitle(header, rows, statement, frame);
  const budgetInstructions = readBudget(header.once.get("budget"), frame);
  if (header.guests.length === 0 && !header.isMisplaced)
    report(frame, resolving.noGuest, { name: header.name }, statement.span);
  const first = rows[0];
  if (!first || header.guests.length === 0) return [];
  const platforms = listed.filter(({ platform, standsIn }) => standsIn ?? context.wanted?.(platform) ?? true);
  const firstRow = { header, context, written: platforms[0] ?? listed[0], listed: [], row: first };
  const stacks = firstRow.written
    ? readVmms(vmmLine, rowFrame({ ...firstRow, written: firstRow.written }, { underVmm: false }))
    : [];
  const all = platforms.filter(
    ({ platform }) => stacks.length === 0 || stacks.some(({ stack }) => vmmProblem(stack, platform) === undefined),
  );
  const cases: ResolvedCase[] = [];
  // What was resolved for earlier platforms, by VMM and row.
  const shared = new Map<string, Body[]>();
  for (const written of platforms) {
    // `vmm` may name values of `each`, so it is read in the frame of a row.
    for (const [rowIndex, row] of rows.entries()) {
      const vmms = readVmms(vmmLine, rowFrame({ header, context, written, listed: all, row }, { underVmm: false }));
      const known: readonly CellInputs["vmm"][] = vmms.length > 0 ? vmms : [{ ...noVmm, standsIn: true }];
      for (const [vmmIndex, vmm] of known.entries()) {
        const key = `${rowIndex} ${vmmIndex}`;
        const cell: CellInputs = { statement, header, context, written, listed: all, vmm, row, budgetInstructions };
        cases.push(resolveCell(cell, shared, key));
      }
    }
  }
  return cases;
}

/** What one cell is resolved from. */
interface CellInputs {
  readonly statement: Statement;
  readonly header: Header;
  readonly context: FileContext;
  readonly written: WrittenPlatform;
  /** The platforms of the test that have what its VMMs need. */
  readonly listed: readonly WrittenPlatform[];
  /** One that stands in for what is not known may be any. */
  readonly vmm: Omit<WrittenVmm, "span"> & { readonly standsIn?: true };
  readonly row: Row;
  readonly budgetInstructions: number;
}

/** The part of a case that may be the same on several platforms. */
interface Body {
  readonly headers: readonly GuestHeader[];
  readonly vmm: VmmStack;
  readonly guests: readonly ResolvedGuest[];
  readonly finals: readonly ResolvedExpectation[];
  readonly unit: CaseUnit;
}

/** The frame of a cell at test level: the values of `each` and the test's constants. */
function rowFrame(
  { row, header, context, written, listed }: Pick<CellInputs, "row" | "header" | "context" | "written" | "listed">,
  { underVmm, isAnyPlatform }: Pick<Cell, "underVmm" | "isAnyPlatform">,
): Frame {
  const { platform } = written;
  const names = context.platforms.names;
  const unit = new CaseUnit(context.reports, { platform, platformNames: names, listed, underVmm, isAnyPlatform });
  const { module } = context;
  const outer: Frame = { unit, scope: new Scope(), module, bits: 64, expansions: [], labelOwner: "" };
  const frame: Frame = { ...outer, scope: new Scope(outer.scope) };
  for (const { name, arg } of row) frame.scope.declare(name, { kind: "argument", arg, frame: outer });
  for (const line of header.constants) {
    const declaration = readConstant(line, frame);
    if (!declaration) continue;
    frame.scope.declare(declaration.name.text, { kind: "constant", declaration, frame });
    unit.declared.push({ declaration, frame });
  }
  return frame;
}

function resolveCell(inputs: CellInputs, shared: Map<string, Body[]>, key: string): ResolvedCase {
  const { statement, header, context, written, vmm, row, budgetInstructions } = inputs;
  const { platform } = written;
  const standsIn = written.standsIn === true || vmm.standsIn === true;
  const underVmm = standsIn || vmm.stack.length > 0;
  const frame = rowFrame(inputs, { underVmm, isAnyPlatform: standsIn });
  const bindings = rowTexts(row);
  const known = standsIn ? undefined : shared.get(key)?.find((body) => body.unit.answersAlike(platform));
  const headers = known?.headers ?? readGuestHeaders(header.guests, frame);
  const lacks =
    vmmProblem(vmm.stack, platform) ?? requirement(header, platform, frame) ?? firstModeProblem(headers, platform);
  const problem = standsIn ? undefined : lacks;
  const skip = written.isDirect ? undefined : problem;
  const isRefused = problem !== undefined && skip === undefined;
  if (isRefused) report(frame, resolving.cannotRun, { platform: platform.name, why: problem }, placeOf(inputs));
  // The mistakes in the body of what is refused are told all the same, but for what only follows from the platform.
  const at = isRefused ? rowFrame(inputs, { underVmm: true, isAnyPlatform: true }) : frame;
  const body = known ?? (skip === undefined ? resolveBody(inputs, headers, at) : undefined);
  if (body && !known && !standsIn && !isRefused) shared.set(key, [...(shared.get(key) ?? []), body]);
  const xfail = reasonOf("xfail", header, frame);
  const bundled = reasonOf("bundled", header, frame);
  return {
    file: context.file.span.source.name,
    test: header.name,
    title: titleOf(header.name, bindings),
    platform,
    vmm: body?.vmm ?? [],
    vmmText: vmm.text,
    bindings,
    ...(skip !== undefined && { skip }),
    guests: skip === undefined ? (body?.guests ?? []) : [],
    finals: skip === undefined ? (body?.finals ?? []) : [],
    golden: header.once.has("golden"),
    ...(xfail !== undefined && { xfail }),
    ...(bundled !== undefined && { bundled }),
    budgetInstructions,
    span: statement.span,
    library: context.library,
  };
}

function placeOf({ statement, header }: CellInputs): Span {
  return (header.once.get("on") ?? statement).span;
}

function resolveBody(inputs: CellInputs, headers: readonly GuestHeader[], frame: Frame): Body {
  const vmmLine = inputs.header.once.get("vmm");
  const policy = vmmLine ? readPolicy(vmmLine, frame) : { intercepts: [], memory: [], ports: [], msrs: [] };
  const guests = resolveGuests(headers, frame);
  const finals = resolveFinals(inputs.header.finals, frame);
  evaluateDeclared(frame.unit);
  const outermost = frame.unit.guestFrames.get(frame.unit.guestNames[0] ?? "");
  if (outermost) inputs.context.view.guest = outermost;
  return { headers, vmm: withPolicy(inputs.vmm, policy), guests, finals, unit: frame.unit };
}

/** At the end of a test the names of the only guest, or of the outermost one, need no prefix. */
function resolveFinals(statements: readonly Statement[], frame: Frame): ResolvedExpectation[] {
  const finals: ResolvedExpectation[] = [];
  const outermost = frame.unit.guestFrames.get(frame.unit.guestNames[0] ?? "") ?? frame;
  const here: Frame = { ...outermost, expansions: [], labelOwner: "" };
  const add = (list: readonly Statement[]): void => {
    for (const [index, statement] of list.entries()) {
      if (statement.head?.text === "on" && statement.block) {
        checkPlatformNames(namesOf(statement.args, here, "platforms and groups"), here);
        if (isSelectedBlock(list, index, here)) add(statement.block.statements);
      } else if (statement.head?.text === "expect") {
        const expectation = bindExpectation(statement, here);
        if (expectation) finals.push(expectation);
      } else if (statement.head) {
        report(here, resolving.notInTest, { word: statement.head.text }, statement.head.span);
      }
    }
  };
  add(statements);
  return finals;
}

function firstModeProblem(headers: readonly GuestHeader[], platform: WrittenPlatform["platform"]): string | undefined {
  for (const { mode } of headers) {
    const problem = modeProblem(mode.mode, platform);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function requirement(header: Header, platform: WrittenPlatform["platform"], frame: Frame): string | undefined {
  for (const line of header.requires) {
    for (const { text, span } of namesOf(line.args, frame, "features")) {
      const names = requirableNames();
      if (!names.includes(text)) {
        report(frame, resolving.unknownFeature, { name: text, help: suggestion(text, names) }, span);
        continue;
      }
      const problem = featureProblem(text, platform);
      if (problem !== undefined) return problem;
    }
  }
  return undefined;
}

/** Whether anything at all is compared in a case. */
function expectsSomething(one: ResolvedCase): boolean {
  return one.finals.length > 0 || one.guests.some((guest) => codeOf(guest).some(anyExpects));
}

/** Every run of code of a guest: its main code, its handlers, its blocks at addresses. */
function codeOf({ code, handlers, placed }: ResolvedGuest): (readonly Item[])[] {
  return [code, ...handlers.map((handler) => handler.code), ...placed.map((block) => block.items)];
}

function anyExpects(items: readonly Item[]): boolean {
  for (let i = 0; i < items.length; i++) if (expects(items[i] as Item)) return true;
  return false;
}

function expects(item: Item): boolean {
  if (item.kind === "expect") return true;
  if (item.kind === "ring") return anyExpects(item.body);
  if (item.kind !== "instruction" && item.kind !== "bytes") return false;
  const { never, judgement } = item.line;
  return never !== undefined || (judgement !== undefined && judgement.kind !== "any");
}
