// Plain code without tests: what `trapline asm` assembles. Macros, constants, data and labels work as in a guest.

import { inSourceOrder, resolving, type Phase, type Span } from "../base/index.js";
import type { CodeBits } from "../codec/index.js";
import type { Platform } from "../isa/index.js";
import type { SourceFile, Statement } from "../syntax/index.js";
import type { GuestBuild } from "./build.js";
import { resolveCode } from "./code.js";
import { CaseUnit, report, Reports, type Cell, type Frame } from "./frame.js";
import { addModuleData, makeGuest } from "./guests.js";
import { collectLabels } from "./labels.js";
import { readModule, type ModuleSources } from "./modules.js";
import { groupNames } from "./on.js";
import type { Item } from "./resolved.js";
import { Scope } from "./scope.js";

/** A piece of code, its data behind it. */
export interface Listing {
  readonly code: readonly Item[];
  readonly data: readonly Item[];
}

/** Where a listing runs, for code that depends on it. */
export interface ListingPlace {
  readonly platform: Platform;
  /** The name under which the listing's own start state is known, and those of guests whose start states it names. */
  readonly name: string;
  readonly guests: readonly string[];
}

/** Declarations of a file that are not code. */
const fileWords: ReadonlySet<string> = new Set(["use", "const", "struct", "macro"]);

/** Resolves a file whose lines are code for the given width. */
export function resolveListing(
  file: SourceFile,
  bits: CodeBits,
  modules: ModuleSources,
  place?: ListingPlace,
): Phase<Listing> {
  const reports = new Reports();
  const isDeclaration = (statement: Statement): boolean => fileWords.has(statement.head?.text ?? "");
  const declarations = { ...file, statements: file.statements.filter(isDeclaration) };
  const statements = file.statements.filter((statement) => !isDeclaration(statement));
  const module = readModule(file.span.source.name, declarations, modules, reports);
  const scope = new Scope();
  const guest = makeGuest(place?.name ?? "", module, scope);
  const unit = new CaseUnit(reports, place && cellOf(place));
  const frame: Frame = { unit, scope, module, bits, guest, expansions: [], labelOwner: "" };
  if (place) unit.guestFrames.set(place.name, frame);
  for (const name of place?.guests ?? []) unit.guestFrames.set(name, { ...frame, scope: new Scope() });
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

function cellOf({ platform }: ListingPlace): Cell {
  const platformNames = new Set([...groupNames, platform.name]);
  return { platform, platformNames, listed: [{ platform, isDirect: true }], underVmm: false };
}

/** Where an item stands that only a guest of a test can have. */
function guestSpan(item: Item): Span | undefined {
  if (item.kind === "ring" || item.kind === "raise" || item.kind === "done") return item.span;
  return item.kind === "expect" ? item.expectation.span : undefined;
}
