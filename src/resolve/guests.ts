// Guests: from a `guest` declaration to its code, data, page rules and handlers.

import { resolving } from "../base/index.js";
import type { Statement } from "../syntax/index.js";
import type { GuestBuild } from "./build.js";
import { resolveCode } from "./code.js";
import { resolveDataBlock } from "./data-block.js";
import { report, suggestion, type Frame, type GuestParts } from "./frame.js";
import { collectLabels } from "./labels.js";
import { guestModes, type ModeInfo } from "./modes.js";
import { moduleFrame } from "./names.js";
import { placeTerms } from "./operands.js";
import type { GuestMode, Item, ResolvedGuest } from "./resolved.js";
import { Scope, type Module } from "./scope.js";
import { misshapen } from "./shape.js";

/** A `guest` line, read; its code is not resolved yet. */
export interface GuestHeader {
  readonly statement: Statement;
  readonly mode: ModeInfo;
  readonly name: string;
  readonly under?: string;
}

/** The name of a guest that has none of its own. */
const defaultName = "guest";

/** Reads the `guest` lines of a test in a cell's frame: a mode may be a value of `each`. */
export function readGuestHeaders(statements: readonly Statement[], frame: Frame): GuestHeader[] {
  const headers: GuestHeader[] = [];
  for (const statement of statements) {
    const header = readHeader(statement, frame);
    if (!header) continue;
    if (header.name === "vmm" || headers.some((other) => other.name === header.name)) {
      report(frame, resolving.duplicateName, { what: "guest", name: header.name }, statement.span);
    } else headers.push(header);
  }
  for (const header of headers) if (!checkOuter(header, headers, frame)) break;
  return headers;
}

function readHeader(statement: Statement, frame: Frame): GuestHeader | undefined {
  const placed = statement.args.length === 1 && statement.args[0] ? placeTerms(statement.args[0], frame) : [];
  const words = placed.map(({ term }) => (term.kind === "single" && term.expr.kind === "name" ? term.expr : undefined));
  const [modeWord, ...rest] = words;
  const isShaped = modeWord && statement.block && rest.every((word) => word !== undefined);
  const named = rest[0]?.name === "under" ? undefined : rest.shift();
  const [under, outer, more] = rest;
  if (!isShaped || more || (under && (under.name !== "under" || !outer))) {
    return misshapen(statement, "test", frame);
  }
  const mode = guestModes.get(modeWord.name);
  if (!mode) {
    const facts = { name: modeWord.name, names: [...guestModes.keys()] };
    report(frame, resolving.unknownMode, { ...facts, help: suggestion(modeWord.name, facts.names) }, modeWord.span);
    return undefined;
  }
  return { statement, mode, name: named?.name ?? defaultName, ...(outer && { under: outer.name }) };
}

/** One guest is the outermost; every other one runs under a guest that leads to it. */
function checkOuter(header: GuestHeader, headers: readonly GuestHeader[], frame: Frame): boolean {
  const { statement, under } = header;
  if (under === undefined) {
    const first = headers.find((other) => other.under === undefined);
    if (first === header) return true;
    report(frame, resolving.twoOutermost, { name: header.name }, statement.span);
    return false;
  }
  let outer = headers.find((other) => other.name === under);
  if (!outer) {
    const help = suggestion(
      under,
      headers.map((other) => other.name),
    );
    report(frame, resolving.unknownParty, { name: under, help }, statement.span);
    return false;
  }
  for (let steps = 0; outer?.under !== undefined; steps++) {
    if (steps > headers.length) {
      report(frame, resolving.guestCycle, { name: header.name }, statement.span);
      return false;
    }
    const next: string = outer.under;
    outer = headers.find((other) => other.name === next);
  }
  return true;
}

/** Resolves all guests of a case: first every label, then every statement, so that guests can name each other's. */
export function resolveGuests(headers: readonly GuestHeader[], testFrame: Frame): ResolvedGuest[] {
  const { unit, module } = testFrame;
  unit.guestNames.push(...headers.map((header) => header.name));
  unit.outermost = headers.find((header) => header.under === undefined)?.name ?? "";
  const frames = headers.map((header): Frame => {
    const scope = new Scope(testFrame.scope);
    const guest = makeGuest(header.name, module, scope, header.mode.mode);
    const frame: Frame = { unit, scope, module, bits: header.mode.bits, guest, expansions: [], labelOwner: "" };
    unit.guestFrames.set(header.name, frame);
    collectLabels(header.statement.block?.statements ?? [], frame);
    return frame;
  });
  return headers.map((header, index) => resolveGuest(header, frames[index] ?? testFrame));
}

function resolveGuest(header: GuestHeader, frame: Frame): ResolvedGuest {
  const code: Item[] = [];
  const guest: GuestBuild = { data: [], placed: [], maps: [], starts: [], handlers: [] };
  const { statement, mode, name, under } = header;
  const statements = statement.block?.statements ?? [];
  resolveCode(statements, frame, { resolve: resolveCode, items: code, guest, ring: 0, isData: false });
  addModuleData(frame, guest);
  const outer = under !== undefined && { under };
  return { name, mode: mode.mode, bits: mode.bits, ...outer, code, ...guest, span: statement.span };
}

/** A guest as names see it. */
export function makeGuest(name: string, module: Module, scope: Scope, mode?: GuestMode): GuestParts {
  const dataFrames = new Map<Module, Frame>();
  const dataOf = (used: Module, from: Frame): Frame => {
    let made = dataFrames.get(used);
    if (made === undefined) {
      made = moduleFrame(used, { ...from, expansions: [] });
      dataFrames.set(used, made);
      for (const statement of used.data) if (statement.block) collectLabels(statement.block.statements, made);
    }
    return made;
  };
  return { name, module, scope, dataFrames, dataOf, ...(mode && { mode }) };
}

/** Adds the guest's copies of the data of modules that it used; resolving one may bring in another. */
export function addModuleData(frame: Frame, guest: GuestBuild): void {
  for (const [module, dataFrame] of frame.guest?.dataFrames ?? []) {
    for (const statement of module.data) {
      if (!statement.block) continue;
      resolveDataBlock(statement.block.statements, dataFrame, {
        resolve: resolveCode,
        items: [],
        guest,
        ring: 0,
        isData: true,
      });
    }
  }
}
