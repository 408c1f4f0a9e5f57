// The phase: a parsed file and the library's sources in, every case of every test out.

import { inSourceOrder, resolving, type Phase } from "../base/index.js";
import type { Platform } from "../isa/index.js";
import type { SourceFile } from "../syntax/index.js";
import { maxMistakes, report, Reports, suggestion } from "./frame.js";
import { declarationFrame, readModule, type ModuleSources } from "./modules.js";
import { holdsOn } from "./on.js";
import { readPlatforms } from "./platforms.js";
import type { ResolvedFile, ResolvedTest } from "./resolved.js";
import { resolveTest, type FileContext } from "./tests.js";
import { checkUnused } from "./unused.js";

export interface ResolveOptions {
  /** Names of platforms and groups: other cells of a matrix are left out. */
  readonly platforms?: readonly string[];
  /** The parser has told mistakes: what is missing may only be unread, and is not missed. */
  readonly hasSyntaxErrors?: boolean;
  /** The file is a library module: it owes no test. */
  readonly isLibrary?: boolean;
}

/** Gives every name its meaning and expands every test over its matrix. */
export function resolve(file: SourceFile, modules: ModuleSources, options: ResolveOptions = {}): Phase<ResolvedFile> {
  const reports = new Reports();
  const name = file.span.source.name;
  const module = readModule(name, file, modules, reports);
  const frame = declarationFrame(module, reports);
  const platforms = readPlatforms(file, frame);
  const { platforms: filter } = options;
  for (const wanted of filter ?? []) {
    if (platforms.names.has(wanted)) continue;
    const help = suggestion(wanted, platforms.names);
    reports.add(resolving.unknownPlatform({ name: wanted, help }, {}));
  }
  const wanted = filter && ((platform: Platform) => filter.some((one) => holdsOn(one, platform)));
  const isWhole = !options.hasSyntaxErrors;
  const view: FileContext["view"] = {};
  const common = { file, module, platforms, reports, library: modules, isWhole, view };
  const context: FileContext = { ...common, ...(wanted && { wanted }) };
  const tests = new Map<string, ResolvedTest>();
  const all: ResolvedTest[] = [];
  for (const statement of file.statements) {
    if (statement.head?.text !== "test") continue;
    if (reports.isFull) {
      report(frame, resolving.tooManyMistakes, { limit: maxMistakes }, statement.span);
      break;
    }
    const test = resolveTest(statement, context);
    if (!test) continue;
    const first = tests.get(test.name);
    if (first) {
      const secondary = [{ span: first.span, label: "first here" }];
      report(frame, resolving.duplicateName, { what: "test", name: test.name }, test.span, { secondary });
    } else tests.set(test.name, test);
    all.push(test);
  }
  if (view.guest) checkUnused(view.guest);
  const hasTests = file.statements.some((statement) => statement.head?.text === "test");
  if (!hasTests && !options.isLibrary && !options.hasSyntaxErrors)
    reports.add(resolving.noTests({}, { span: { ...file.span, end: file.span.start } }));
  return { output: { name, tests: all }, diagnostics: inSourceOrder(reports.diagnostics) };
}
