// The `vmm` line: which VMMs a test runs under, and the policy that its block declares.

import { resolving, type Span } from "../base/index.js";
import { eventSubjects, exceptions } from "../isa/index.js";
import { type Arg, keywordsOf, type Name, shapeOf, type Statement } from "../syntax/index.js";
import { report, suggestion, type Frame } from "./frame.js";
import { checkPlatformNames, namesOf, isSelectedBlock } from "./on.js";
import { placeTerms } from "./operands.js";
import { bindRange } from "./ranges.js";
import type { DeniedAction, MemoryRule, MsrRule, Policy, PortRule, VmmChoice, VmmStack } from "./resolved.js";
import { misshapen } from "./shape.js";

/** One VMM, or stack of VMMs, as written. */
export interface WrittenVmm {
  /** Innermost first; empty is `none`. */
  readonly stack: readonly Pick<VmmChoice, "kind" | "nested">[];
  /** As messages show it, without the policy. */
  readonly text: string;
  readonly span: Span;
}

export const noVmm: Omit<WrittenVmm, "span"> = { stack: [], text: "vmm none" };

const vmmShape = shapeOf("test", "vmm");

const vmmWords = ["none", "hardware", "trap_and_emulate", "binary_translation", "nested", "under"] as const;

/** Reads one argument of `vmm`: `none`, `hardware nested`, `trap_and_emulate under hardware`. */
export function readVmm(arg: Arg, frame: Frame): WrittenVmm | undefined {
  const words: Name[] = [];
  for (const { term, frame: at } of placeTerms(arg, frame)) {
    if (term.kind !== "single" || term.expr.kind !== "name") {
      report(at, resolving.declarationShape, { shape: vmmShape }, term.span);
      return undefined;
    }
    const name = term.expr.name;
    if (!(vmmWords as readonly string[]).includes(name)) {
      const names = vmmWords.slice(0, 4);
      report(at, resolving.unknownVmm, { name, names, help: suggestion(name, vmmWords) }, term.span);
      return undefined;
    }
    words.push({ text: name, span: term.span });
  }
  const text = `vmm ${words.map((word) => word.text).join(" ")}`;
  if (words.length === 1 && words[0]?.text === "none") return { stack: [], text, span: arg.span };
  const stack: { kind: VmmChoice["kind"]; nested: boolean }[] = [];
  let expectsVmm = true;
  for (const { text: word } of words) {
    const top = stack.at(-1);
    const isVmm = word === "hardware" || word === "trap_and_emulate" || word === "binary_translation";
    if (expectsVmm && isVmm) stack.push({ kind: word, nested: false });
    else if (!expectsVmm && word === "nested" && top?.kind === "hardware" && !top.nested) top.nested = true;
    else if (expectsVmm || word !== "under") {
      report(frame, resolving.declarationShape, { shape: vmmShape }, arg.span);
      return undefined;
    }
    expectsVmm = word === "under";
  }
  return { stack, text, span: arg.span };
}

/** The stack with its policy, which is the innermost VMM's; the others have the baseline policy. */
export function withPolicy(vmm: Pick<WrittenVmm, "stack">, policy: Policy): VmmStack {
  return vmm.stack.map((choice, index) => ({ ...choice, policy: index === 0 ? policy : baseline }));
}

const baseline: Policy = { intercepts: [], memory: [], ports: [], msrs: [] };

interface Draft {
  intercepts: string[];
  interceptNothing: boolean;
  memory: MemoryRule[];
  ports: PortRule[];
  msrs: MsrRule[];
}

type Rule = (statement: Statement, draft: Draft, frame: Frame) => void;

const rules: Readonly<Record<string, Rule>> = {
  intercept: readIntercepts,
  memory: readMemory,
  ports: (statement, draft, frame) => {
    const read = readRule(statement, frame, 0xffffn);
    if (read) draft.ports.push(narrow(read));
  },
  msrs: (statement, draft, frame) => {
    const read = readRule(statement, frame, 0xffff_ffffn);
    if (read) draft.msrs.push(narrow(read));
  },
};

/** Reads the block of a `vmm` line. */
export function readPolicy(statement: Statement, frame: Frame): Policy {
  const draft: Draft = { intercepts: [], interceptNothing: false, memory: [], ports: [], msrs: [] };
  readRules(statement.block?.statements ?? [], draft, frame);
  const { interceptNothing, ...policy } = draft;
  return { ...policy, ...(interceptNothing && { interceptNothing: true as const }) };
}

function readRules(lines: readonly Statement[], draft: Draft, frame: Frame): void {
  for (const [index, line] of lines.entries()) {
    const word = line.head?.text;
    if (word === undefined) continue;
    const rule = Object.hasOwn(rules, word) ? rules[word] : undefined;
    if (rule) rule(line, draft, frame);
    else if (word === "on" && line.block) {
      checkPlatformNames(namesOf(line.args, frame, "platforms and groups"), frame);
      if (isSelectedBlock(lines, index, frame)) readRules(line.block.statements, draft, frame);
    } else {
      const help = suggestion(word, keywordsOf("vmm").keys());
      report(frame, resolving.unknownSetting, { word, of: "a VMM", help }, line.head?.span ?? line.span);
    }
  }
}

/** `intercept nothing`, or `intercept RDTSC, #UD`: names of exits and of exceptions. */
function readIntercepts(statement: Statement, draft: Draft, frame: Frame): void {
  for (const arg of statement.args) {
    const [placed, more] = placeTerms(arg, frame);
    const expr = placed?.term.kind === "single" && !more ? placed.term.expr : undefined;
    if (expr?.kind !== "name" && expr?.kind !== "exception") {
      misshapen(statement, "vmm", frame, arg.span);
      continue;
    }
    if (expr.kind === "name" && expr.name === "nothing") {
      draft.interceptNothing = true;
      continue;
    }
    const name = expr.kind === "exception" ? `#${expr.name}` : expr.name;
    const { vendor } = frame.unit;
    const subject = eventSubjects("exit").find((s) => s.name === name);
    if (exceptions.some((e) => e.name === name) || (subject && (!vendor || subject.vendors.includes(vendor)))) {
      draft.intercepts.push(name);
    } else if (subject) {
      const facts = {
        name,
        platform: frame.unit.platformName,
        vendor: subject.vendors[0] ?? "intel",
        isBlock: true,
      } as const;
      report(frame, resolving.otherVendor, facts, arg.span);
    } else {
      const names = [...eventSubjects("exit", vendor).map((s) => s.name), ...exceptions.map((e) => e.name)];
      report(
        frame,
        resolving.unknownSubject,
        { kind: "exit", what: "exit", name, help: suggestion(name, names) },
        arg.span,
      );
    }
  }
}

interface ReadRule {
  readonly start: bigint;
  readonly end: bigint;
  readonly rights: { readonly read: boolean; readonly write: boolean; readonly execute: boolean };
  readonly denied: DeniedAction;
  readonly span: Span;
}

function readMemory(statement: Statement, draft: Draft, frame: Frame): void {
  const read = readRule(statement, frame, 0xffff_ffff_ffffn);
  if (!read) return;
  if ((read.start & 0xfffn) !== 0n || (read.end & 0xfffn) !== 0xfffn) {
    return report(frame, resolving.notPages, { start: read.start, end: read.end }, read.span);
  }
  draft.memory.push(read);
}

function narrow({ start, end, rights, denied, span }: ReadRule): PortRule {
  const { read, write } = rights;
  return { start: Number(start), end: Number(end), rights: { read, write }, denied, span };
}

const actions: readonly string[] = ["skip", "fault", "stop"] satisfies DeniedAction[];

/** `START..END RIGHTS [denied ACTION]`; a single number stands for a range of one. */
function readRule(statement: Statement, frame: Frame, max: bigint): ReadRule | undefined {
  const { args, span } = statement;
  const [range, ...rest] = args.length === 1 && args[0] ? placeTerms(args[0], frame) : [];
  const bounds =
    range?.term.kind === "pair" && range.term.joiner === ".."
      ? bindRange(range.term.left, range.term.right, range.frame)
      : range?.term.kind === "single"
        ? bindRange(range.term.expr, range.term.expr, range.frame)
        : misshapen(statement, "vmm", frame);
  if (!bounds) return undefined;
  if (bounds.end > max) {
    report(frame, resolving.beyond, { value: bounds.end, max }, range?.term.span ?? span);
    return undefined;
  }
  const words = rest.map(({ term }) => (term.kind === "single" && term.expr.kind === "name" ? term.expr.name : ""));
  const [rightsWord, denied, action, more] = words;
  const rights = rightsWord === undefined ? undefined : rightsOf(rightsWord);
  if (!rights) {
    const at = rest[0]?.term.span ?? span;
    if (rightsWord === undefined || rightsWord === "" || rightsWord === "denied")
      return misshapen(statement, "vmm", frame, at);
    report(frame, resolving.unknownRights, { name: rightsWord, names: ["none", "r", "rw", "rx", "rwx"] }, at);
    return undefined;
  }
  if (denied === undefined) return { ...bounds, rights, denied: "skip", span };
  if (denied !== "denied" || action === undefined || more !== undefined) return misshapen(statement, "vmm", frame);
  if (!isAction(action)) {
    const help = suggestion(action, actions);
    const facts = { word: action, what: "denied", words: actions, help };
    report(frame, resolving.unknownWordOf, facts, rest[2]?.term.span ?? span);
    return undefined;
  }
  return { ...bounds, rights, denied: action, span };
}

/** `none`, or letters of `r`, `w` and `x` in this order. */
function rightsOf(word: string): ReadRule["rights"] | undefined {
  if (word !== "none" && !/^(?=.)r?w?x?$/.test(word)) return undefined;
  const has = (letter: string): boolean => word !== "none" && word.includes(letter);
  return { read: has("r"), write: has("w"), execute: has("x") };
}

function isAction(word: string): word is DeniedAction {
  return actions.includes(word);
}
