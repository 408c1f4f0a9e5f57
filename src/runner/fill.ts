// Holes: `=> ?` is replaced by what happened there. Where platforms differ the judgement becomes one clause for each
// answer; where one platform gives several answers nobody but the author can say which is meant.

import { positionAt, type Source } from "../base/index.js";
import { findPlatform } from "../isa/index.js";
import type { PlaceRecord } from "./formats/records.js";
import type { CaseResult } from "./result.js";

export interface Filled {
  readonly text: string;
  readonly filled: number;
  /** Holes that stay, with the reason. */
  readonly left: readonly { readonly line: number; readonly why: string }[];
}

/** What happened at one hole. */
interface Hole {
  readonly place: PlaceRecord;
  /** What happened, by platform; undefined where the line was not reached. */
  readonly answers: Map<string, Set<string | undefined>>;
}

/** The source with its holes filled by what the cases of its tests found there. */
export function fillHoles(source: Source, cases: readonly CaseResult[]): Filled {
  const left: { line: number; why: string }[] = [];
  const edits: { start: number; end: number; newText: string }[] = [];
  for (const { place, answers } of holesOf(source, cases)) {
    const why = reasonToLeave(answers);
    if (why !== undefined) left.push({ line: place.line, why });
    else edits.push(editFor(source, place, clausesOf(answers)));
  }
  edits.sort((a, b) => b.start - a.start);
  let { text } = source;
  for (const { start, end, newText } of edits) text = text.slice(0, start) + newText + text.slice(end);
  return { text, filled: edits.length, left };
}

function holesOf(source: Source, cases: readonly CaseResult[]): Hole[] {
  const holes = new Map<string, Hole>();
  for (const { platform, failures = [] } of cases) {
    for (const { hole, judgement } of failures) {
      if (!hole || judgement?.file !== source.name) continue;
      const key = `${judgement.line}:${judgement.column}`;
      const known = holes.get(key) ?? { place: judgement, answers: new Map<string, Set<string | undefined>>() };
      const answers = known.answers.get(platform) ?? new Set();
      known.answers.set(platform, answers.add(hole.happened));
      holes.set(key, known);
    }
  }
  return [...holes.values()];
}

function reasonToLeave(answers: Hole["answers"]): string | undefined {
  for (const [platform, texts] of answers) {
    const [first, more] = texts;
    if (texts.size > 1)
      return `on ${platform} there are several answers: ${first ?? "not reached"}; ${more ?? "not reached"}`;
    if (first === undefined)
      return `no short answer on ${platform}: the line is not reached there, or each time differs`;
  }
  return undefined;
}

/** What happened, and the platforms and groups on which it did; groups where all of their platforms agree. */
interface Clause {
  readonly text: string;
  readonly names: readonly string[];
}

function clausesOf(answers: Hole["answers"]): Clause[] {
  const byText = new Map<string, string[]>();
  const textsOfGroup = new Map<string, Set<string>>();
  const groupOf = (platform: string): string => findPlatform(platform)?.cpu.generation ?? platform;
  const flat = [...answers].map(([platform, texts]) => ({ platform, text: [...texts][0] ?? "" }));
  for (const { platform, text } of flat) {
    const group = groupOf(platform);
    textsOfGroup.set(group, (textsOfGroup.get(group) ?? new Set()).add(text));
  }
  for (const { platform, text } of flat) {
    const group = groupOf(platform);
    const name = textsOfGroup.get(group)?.size === 1 ? group : platform;
    const names = byText.get(text) ?? [];
    if (!names.includes(name)) names.push(name);
    byText.set(text, names);
  }
  return [...byText].map(([text, names]) => ({ text, names }));
}

function editFor(
  source: Source,
  place: PlaceRecord,
  clauses: readonly Clause[],
): { start: number; end: number; newText: string } {
  const start = offsetOf(source, place.line, place.column);
  const end = offsetOf(source, place.endLine, place.endColumn);
  const [only, more] = clauses;
  if (only && !more) {
    const hole = source.text.lastIndexOf("?", end - 1);
    return { start: hole, end: hole + 1, newText: only.text };
  }
  const lineStart = source.text.lastIndexOf("\n", start - 1) + 1;
  const before = source.text.slice(lineStart, start);
  const isAlone = before.trim() === "";
  const indent = `${/^\s*/.exec(before)?.[0] ?? ""}${isAlone ? "" : "  "}`;
  const lines = clauses.map(({ names, text }) => `${indent}on ${names.join(", ")} => ${text}`);
  const from = isAlone ? lineStart : lineStart + before.trimEnd().length;
  return { start: from, end, newText: `${isAlone ? "" : "\n"}${lines.join("\n")}` };
}

/** The offset of a line and column. */
function offsetOf(source: Source, line: number, column: number): number {
  let low = 0;
  let high = source.text.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const at = positionAt(source, middle);
    if (at.line < line || (at.line === line && at.column < column)) low = middle + 1;
    else high = middle;
  }
  return low;
}
