// Modules: what a file declares for others and itself, and the library modules that it uses.
//
// Sources come in as values. What a module declares does not depend on who uses it, so it is read once for each source
// and kept with it: a thousand test files read the library once.

import { resolving, type Diagnostic, type Source, type Span } from "../base/index.js";
import { isMnemonic } from "../isa/index.js";
import { keywordsOf, parse, type SourceFile, type Statement } from "../syntax/index.js";
import { dataUnits } from "./data.js";
import { adviceFor } from "./foreign.js";
import { CaseUnit, Reports, report, suggestion, type Frame } from "./frame.js";
import { readMacro } from "./macros.js";
import { readConstant } from "./named-values.js";
import { namesOf } from "./on.js";
import { Scope, type ConstantDeclaration, type MacroDeclaration, type Module } from "./scope.js";
import { readStructure } from "./structures.js";

/** The library modules that `use` can name. */
export type ModuleSources = ReadonlyMap<string, Source>;

interface Loaded {
  readonly module: Module;
  readonly diagnostics: readonly Diagnostic[];
}

/** What a module source gave, for each set of modules that it was read among. */
const loadedOf = new WeakMap<ModuleSources, Map<string, Loaded | "busy">>();

/** Statements at file level that are not a module's business: tests and platforms. */
const fileDeclarations: ReadonlySet<string> = new Set(["test", "platform"]);

/** A frame in which nothing is known but the module itself, for reading declarations. */
export function declarationFrame(module: Module, reports: Reports): Frame {
  return { unit: new CaseUnit(reports), scope: new Scope(), module, bits: 64, expansions: [], labelOwner: "" };
}

/** Reads the declarations of a file. Tests and platforms are left to the caller; anything else is reported. */
export function readModule(name: string, file: SourceFile, sources: ModuleSources, reports: Reports): Module {
  const constants = new Map<string, ConstantDeclaration>();
  const macros = new Map<string, MacroDeclaration>();
  const uses = new Map<string, Module>();
  const data: Statement[] = [];
  const structures: Statement[] = [];
  const missing = new Set<string>();
  const module: Module = { name, constants, macros, data, uses, missing };
  const frame = declarationFrame(module, reports);
  const names = new Map<string, Span>();
  /** False when the name is taken, which is reported. */
  const isNew = (what: string, declared: { readonly text: string; readonly span: Span }): boolean => {
    const first = names.get(declared.text);
    if (first) {
      const secondary = [{ span: first, label: "first here" }];
      report(frame, resolving.duplicateName, { what, name: declared.text }, declared.span, { secondary });
    } else names.set(declared.text, declared.span);
    return first === undefined;
  };
  let codeBefore = false;
  for (const statement of file.statements) {
    if (reports.isFull) break;
    const word = statement.head?.text;
    if (word === "use") {
      for (const used of namesOf(statement.args, frame, "modules")) {
        const found = loadModule(used.text, used.span, sources, frame);
        if (found) uses.set(used.text, found);
        else missing.add(used.text);
      }
    } else if (word === "const") {
      const declaration = readConstant(statement, frame);
      if (declaration && isNew("constant", declaration.name)) constants.set(declaration.name.text, declaration);
    } else if (word === "macro") {
      const declaration = readMacro(statement, frame);
      if (declaration && isNew("macro", declaration.name)) macros.set(declaration.name.text, declaration);
    } else if (word === "struct") structures.push(statement);
    else if (word === "data" && statement.block) data.push(statement);
    else if (word === undefined || !fileDeclarations.has(word)) {
      // Code without a test around it is one mistake, however long it is.
      const isCodeHere = isCode(statement);
      if (!(isCodeHere && codeBefore)) reportMisplaced(statement, frame);
      codeBefore = isCodeHere;
      continue;
    }
    codeBefore = false;
  }
  // Sizes of fields may name constants, so all of these are read first.
  for (const constant of structures.flatMap((statement) => readStructure(statement, frame))) {
    if (isNew("constant", constant.name)) constants.set(constant.name.text, constant);
  }
  return module;
}

function reportMisplaced(statement: Statement, frame: Frame): void {
  const word = statement.head?.text ?? statement.labels[0]?.name ?? "";
  const advice = adviceFor(statement, "file");
  const help = advice?.help ?? (isCode(statement) ? undefined : suggestion(word, keywordsOf("file").keys()));
  const fix = advice?.fix && { fix: advice.fix };
  report(frame, resolving.notAtFileLevel, { word, help }, statement.head?.span ?? statement.span, { ...fix });
}

/** Labels, instructions and data: what stands in the code of a guest. */
function isCode({ head }: Statement): boolean {
  return head === undefined || isMnemonic(head.text.toLowerCase()) || dataUnits.has(head.text);
}

function loadModule(name: string, span: Span, sources: ModuleSources, frame: Frame): Module | undefined {
  let loaded = loadedOf.get(sources);
  if (!loaded) loadedOf.set(sources, (loaded = new Map()));
  const known = loaded.get(name);
  if (known === "busy") {
    report(frame, resolving.moduleCycle, { name }, span);
    return undefined;
  }
  if (known) return adopt(known, frame);
  const source = sources.get(name);
  if (!source) {
    const help = suggestion(name.replace(/\.trap$/, ""), sources.keys());
    report(frame, resolving.unknownModule, { name, help }, span);
    return undefined;
  }
  loaded.set(name, "busy");
  const reports = new Reports();
  const parsed = parse(source);
  for (const found of parsed.diagnostics) reports.add(found);
  const module = readModule(name, parsed.output, sources, reports);
  const made = { module, diagnostics: reports.diagnostics };
  loaded.set(name, made);
  return adopt(made, frame);
}

/** Whoever uses a module gets its diagnostics too. */
function adopt({ module, diagnostics }: Loaded, frame: Frame): Module {
  for (const found of diagnostics) frame.unit.reports.add(found);
  return module;
}
