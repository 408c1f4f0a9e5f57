// Plain code without tests: what `trapline asm` assembles. Macros, constants, data and labels work as in a guest.

import { inSourceOrder, resolving, type Phase, type Span } from "../base/index.js";
import type { CodeBits } from "../codec/index.js";
import type { SourceFile, Statement } from "../syntax/index.js";
import type { GuestBuild } from "./build.js";
import { resolveCode } from "./code.js";
import { CaseUnit, report, Reports, type Frame } from "./frame.js";
import { addModuleData, makeGuest } from "./guests.js";
import { collectLabels } from "./labels.js";
import { readModule, type ModuleSources } from "./modules.js";
import type { Item } from "./resolved.js";
import { Scope } from "./scope.js";

/** A piece of code, its data behind it. */
export interface Listing {
  readonly code: readonly Item[];
  readonly data: readonly Item[];
}

/** Declarations of a file that are not code. */
const fileWords: ReadonlySet<string> = new Set(["use", "const", "struct", "macro"]);

/** Resolves a file whose lines are code for the given width. */
export function resolveListing(file: SourceFile, bits: CodeBits, modules: ModuleSources): Phase<Listing> {
  const reports = new Reports();
  const isDeclaration = (statement: Statement): boolean => fileWords.has(statement.head?.text ?? "");
  const declarations = { ...file, statements: file.statements.filter(isDeclaration) };
  const statements = file.statements.filter((statement) => !isDeclaration(statement));
  const module = readModule(file.span.source.name, declarations, modules, reports);
  const scope = new Scope();
  const guest = makeGuest("", module, scope);
  const frame: Frame = { unit: new CaseUnit(reports), scope, module, bits, guest, expansions: [], labelOwner: "" };
  const build: GuestBuild = { data: [], placed: [], maps: [], starts: [], handlers: [] };
  const code: Item[] = [];
  collectLabels(statements, frame);
  resolveCode(statements, frame, { resolve: resolveCode, items: code, guest: build, ring: 0, isData: false });
  addModuleData(frame, build);
  const ofGuest = [...build.maps, ...build.handlers, ...build.starts, ...build.placed];
  const spans = [...ofGuest.map(({ span }) => span), ...code.flatMap((item) => guestSpan(item) ?? [])];
  for (const span of spans) report(frame, resolving.onlyInGuest, {}, span);
  const plain = code.filter((item) => guestSpan(item) === undefined);
  return { output: { code: plain, data: build.data }, diagnostics: inSourceOrder(reports.diagnostics) };
}

/** Where an item stands that only a guest of a test can have. */
function guestSpan(item: Item): Span | undefined {
  if (item.kind === "ring" || item.kind === "raise" || item.kind === "done") return item.span;
  return item.kind === "expect" ? item.expectation.span : undefined;
}
