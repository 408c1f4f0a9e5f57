// Platforms that tests name: the built-in ones, and those that a file declares.

import { resolving } from "../base/index.js";
import {
  derivePlatform,
  featureNames,
  findPlatform,
  groupMembers,
  groupNames,
  platformNames,
  type Firmware,
  type Platform,
  type PlatformChanges,
} from "../isa/index.js";
import { type Arg, type Expr, keywordsOf, type SourceFile, type Statement } from "../syntax/index.js";
import { evaluateKnown } from "./expressions.js";
import { report, suggestion, type Frame } from "./frame.js";
import { misshapen } from "./shape.js";

/** Platforms by name, the file's own ones included. */
export interface PlatformTable {
  readonly find: (name: string) => Platform | undefined;
  /** Members of a group, in the order in which tests run on them; only built-in platforms are members. */
  readonly members: (group: string) => readonly string[] | undefined;
  /** Names of all platforms and groups. */
  readonly names: ReadonlySet<string>;
}

/** The platforms that a file can name. */
export function readPlatforms(file: SourceFile, frame: Frame): PlatformTable {
  const own = new Map<string, Platform>();
  const declared = new Set<string>();
  const find = (name: string): Platform | undefined => own.get(name) ?? findPlatform(name);
  for (const statement of file.statements) {
    if (statement.head?.text !== "platform") continue;
    const platform = readPlatform(statement, find, frame);
    // The name of one that is wrong is known all the same: its uses are no mistakes.
    for (const { name } of wordExprs(statement.args[0])?.slice(0, 1) ?? []) declared.add(name);
    if (!platform) continue;
    if (find(platform.name) || groupNames.includes(platform.name)) {
      report(frame, resolving.duplicateName, { what: "platform", name: platform.name }, statement.span);
    } else own.set(platform.name, platform);
  }
  const names = new Set([...declared, ...platformNames, ...groupNames]);
  return { find, members: groupMembers, names };
}

/** Reads `platform NAME from BASE { firmware …, memory …, feature … }`. */
function readPlatform(
  statement: Statement,
  find: (name: string) => Platform | undefined,
  frame: Frame,
): Platform | undefined {
  const words = statement.args.length === 1 ? wordExprs(statement.args[0]) : undefined;
  const [name, from, base] = words ?? [];
  if (!name || from?.name !== "from" || !base || words?.length !== 3 || !statement.block) {
    return misshapen(statement, "file", frame);
  }
  const model = find(base.name);
  if (!model) {
    report(
      frame,
      resolving.unknownPlatform,
      { name: base.name, help: suggestion(base.name, platformNames) },
      base.span,
    );
    return undefined;
  }
  let firmware: Firmware = {};
  let memoryBytes: number | undefined;
  const add: string[] = [];
  const remove: string[] = [];
  for (const line of statement.block.statements) {
    const word = line.head?.text;
    if (word === "firmware") firmware = { ...firmware, ...readFirmware(line, model, frame) };
    else if (word === "memory") memoryBytes = readMemory(line, frame);
    else if (word === "feature") readFeature(line, add, remove, frame);
    else if (word !== undefined) {
      const help = suggestion(word, keywordsOf("platform").keys());
      report(frame, resolving.unknownSetting, { word, of: "a platform", help }, line.head?.span ?? line.span);
    }
  }
  const memory = memoryBytes !== undefined && { memoryBytes };
  return derive(model, { name: name.name, firmware, ...memory, add, remove });
}

/** Models take a while to make, and many files declare the same one. */
const derived = new WeakMap<Platform, Map<string, Platform>>();

function derive(model: Platform, changes: PlatformChanges): Platform {
  const key = JSON.stringify(changes);
  const known = derived.get(model) ?? new Map<string, Platform>();
  derived.set(model, known);
  const made = known.get(key) ?? derivePlatform(model, changes);
  known.set(key, made);
  return made;
}

type NameExpr = Extract<Expr, { kind: "name" }>;

/** The words of an argument that consists of words only. */
function wordExprs(arg: Arg | undefined): NameExpr[] | undefined {
  const words: NameExpr[] = [];
  for (const term of arg?.terms ?? []) {
    if (term.kind !== "single" || term.expr.kind !== "name") return undefined;
    words.push(term.expr);
  }
  return words;
}

const firmwareStates = {
  vmx: ["enabled", "locked_off", "unlocked"],
  svm: ["enabled", "disabled", "disabled_locked"],
} as const;

function readFirmware(line: Statement, model: Platform, frame: Frame): Firmware {
  const [what, state, more] = (line.args.length === 1 && wordExprs(line.args[0])) || [];
  if (!what || !state || more || (what.name !== "vmx" && what.name !== "svm")) {
    misshapen(line, "platform", frame);
    return {};
  }
  const states: readonly string[] = firmwareStates[what.name];
  if (!states.includes(state.name)) {
    const help = suggestion(state.name, states);
    report(
      frame,
      resolving.unknownWordOf,
      { word: state.name, what: `firmware ${what.name}`, words: states, help },
      state.span,
    );
    return {};
  }
  if (!model.cpu.features.includes(what.name.toUpperCase())) {
    report(frame, resolving.platformLacks, { platform: model.name, lacks: what.name.toUpperCase() }, what.span);
    return {};
  }
  return { [what.name]: state.name };
}

/** A guest's slot must fit, and addresses above 4 GiB are the devices' and the VMM's own. */
const memoryBounds = { least: 0x200_0000n, most: 0x8000_0000n };

function readMemory(line: Statement, frame: Frame): number | undefined {
  const [arg, more] = line.args;
  const [term, rest] = arg?.terms ?? [];
  if (!arg || more || rest || term?.kind !== "single") {
    return misshapen(line, "platform", frame);
  }
  const size = evaluateKnown(term.expr, frame, "the size of memory");
  if (size === undefined) return undefined;
  if (size >= memoryBounds.least && size <= memoryBounds.most && size % 0x1000n === 0n) return Number(size);
  report(frame, resolving.badMemory, memoryBounds, arg.span);
  return undefined;
}

/** `feature NX off` and the like: what the manufacturer fused off, or on. */
function readFeature(line: Statement, add: string[], remove: string[], frame: Frame): void {
  const [name, state, more] = (line.args.length === 1 && wordExprs(line.args[0])) || [];
  if (!name || more || (state?.name !== "on" && state?.name !== "off")) {
    return misshapen(line, "platform", frame);
  }
  if (!(featureNames as readonly string[]).includes(name.name)) {
    const help = suggestion(name.name, featureNames);
    return report(frame, resolving.unknownFeature, { name: name.name, help }, name.span);
  }
  (state.name === "on" ? add : remove).push(name.name);
}
