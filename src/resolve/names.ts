// Lookup: from a name as written to what it stands for, in the order in which names hide one another: labels,
// arguments and `each` values; the file's constants and data; modules; other guests; the library's constants.

import { resolving, type Span } from "../base/index.js";
import { isMnemonic } from "../isa/index.js";
import type { Arg, Expr } from "../syntax/index.js";
import { libraryConstant, libraryConstantNames, platformConstant } from "./constants.js";
import { caseFix, report, suggestion, type Frame } from "./frame.js";
import type { StartName, Value } from "./resolved.js";
import { Scope, type Meaning, type Module } from "./scope.js";

/** A name's meaning, or the value of a name that the library or the environment gives. */
export type Found = Meaning | { readonly kind: "value"; readonly value: Value };

/** What a name stands for in a frame; undefined when nothing does (nothing is reported). */
export function findName(name: string, frame: Frame, span: Span): Found | undefined {
  const full = name.startsWith(".") ? frame.labelOwner + name : name;
  return (
    frame.scope.find(full) ??
    inModule(full, frame.module, frame) ??
    inUsedModules(full, frame) ??
    ofGuest(full, frame, span) ??
    ofLibrary(full, frame, span)
  );
}

/** Reports that a name means nothing here. */
export function reportUnknown(name: string, frame: Frame, span: Span): void {
  if (isOfMissingModule(name, frame)) return;
  const names = [...visibleNames(frame)];
  const isPointer = /^[er]?ip$/i.test(name);
  const near = isPointer ? "write `[rel LABEL]` for what lies at a distance from RIP" : suggestion(name, names);
  const help = near ?? (isMnemonic(name.toLowerCase()) ? `${name} is an instruction: a line holds one` : undefined);
  report(frame, resolving.unknownName, { name, help }, span, caseFix(name, names, span));
}

/** Whether a name begins with a module that could not be had, which has been reported. */
export function isOfMissingModule(name: string, frame: Frame): boolean {
  const [first] = name.split(".", 1);
  return first !== undefined && frame.module.missing.has(first);
}

/** A frame at file level: no label, no argument is seen from it. */
export function moduleFrame(module: Module, from: Frame): Frame {
  const { unit, bits, guest, expansions } = from;
  return { unit, module, bits, expansions, scope: new Scope(), labelOwner: "", ...(guest && { guest }) };
}

function inModule(name: string, module: Module, frame: Frame): Found | undefined {
  const declaration = module.constants.get(name);
  if (declaration) return { kind: "constant", declaration, frame: moduleFrame(module, frame) };
  if (module.data.length === 0 || !frame.guest) return undefined;
  return frame.guest.dataOf(module, frame).scope.own(name);
}

/** `hv.reason` is the name `reason` of the module `hv`; a constant with a dot in its own name is seen as it is. */
function inUsedModules(name: string, frame: Frame): Found | undefined {
  const dot = name.indexOf(".");
  if (dot < 0) return undefined;
  const named = frame.module.uses.get(name.slice(0, dot));
  const inNamed = named && inModule(name.slice(dot + 1), named, frame);
  if (inNamed) return inNamed;
  for (const module of frame.module.uses.values()) {
    const declaration = module.constants.get(name);
    if (declaration) return { kind: "constant", declaration, frame: moduleFrame(module, frame) };
  }
  return undefined;
}

/**
 * `l2.label` is a label of the guest `l2`, `l2.CR3` a part of the state in which it starts. The guest can be `self`, or
 * the argument of a macro.
 */
function ofGuest(name: string, frame: Frame, span: Span): Found | undefined {
  const dot = name.indexOf(".");
  if (dot < 0) return undefined;
  const first = name.slice(0, dot);
  const rest = name.slice(dot + 1);
  const argument = frame.scope.find(first);
  const written = argument?.kind === "argument" ? onlyExpr(argument.arg) : undefined;
  if (argument?.kind === "argument" && written?.kind === "name") {
    return findName(`${written.name}.${rest}`, argument.frame, span);
  }
  const guest = first === "self" ? (frame.guest?.name ?? first) : first;
  const other = frame.unit.guestFrames.get(guest);
  if (!other) return undefined;
  if (isStartName(rest)) return { kind: "value", value: { kind: "start", guest, what: rest, span } };
  return other.scope.own(rest) ?? inModule(rest, other.module, other) ?? inUsedModules(rest, other);
}

const ownTables: Readonly<Record<string, StartName>> = {
  "GDT.BASE": "GDTR.BASE",
  "GDT.LIMIT": "GDTR.LIMIT",
  "IDT.BASE": "IDTR.BASE",
  "IDT.LIMIT": "IDTR.LIMIT",
  "TSS.BASE": "TR.BASE",
  "TSS.LIMIT": "TR.LIMIT",
};

function ofLibrary(name: string, frame: Frame, span: Span): Found | undefined {
  if (name === "BITS") return { kind: "value", value: { kind: "constant", value: BigInt(frame.bits) } };
  const what = ownTables[name];
  if (what !== undefined && frame.guest) {
    return { kind: "value", value: { kind: "start", guest: frame.guest.name, what, span } };
  }
  const known = libraryConstant(name);
  if (known !== undefined) return { kind: "value", value: { kind: "constant", value: known } };
  const ofPlatform = platformConstant(name, frame.unit);
  return ofPlatform === undefined ? undefined : { kind: "value", value: { kind: "constant", value: ofPlatform } };
}

/** The expression of an argument that is nothing else. */
export function onlyExpr(arg: Arg): Expr | undefined {
  const [term, more] = arg.terms;
  return term?.kind === "single" && more === undefined ? term.expr : undefined;
}

/** Every part of a guest's start state that has a name. */
export const startNames: ReadonlySet<string> = new Set([
  ...["RIP", "RSP", "RFLAGS", "CR0", "CR3", "CR4", "EFER"],
  ...["GDTR", "IDTR"].flatMap((table) => [`${table}.BASE`, `${table}.LIMIT`]),
  ...["ES", "CS", "SS", "DS", "FS", "GS", "LDTR", "TR"].flatMap((segment) =>
    ["SELECTOR", "BASE", "LIMIT", "RIGHTS"].map((part) => `${segment}.${part}`),
  ),
]);

/** Whether a name is a part of a guest's start state. */
export function isStartName(name: string): name is StartName {
  return startNames.has(name);
}

/** Every name that means something in a frame, for suggestions. */
function* visibleNames(frame: Frame): Iterable<string> {
  yield* frame.scope.visible();
  yield* frame.module.constants.keys();
  for (const [name, module] of frame.module.uses) {
    for (const constant of module.constants.keys()) yield constant.includes(".") ? constant : `${name}.${constant}`;
  }
  yield* ["BITS", ...Object.keys(ownTables)];
  yield* libraryConstantNames();
}
