// Discovery: which of the files that the shell found are tests, and which goldens belong to them. Pure, on lists.

import { nearNames } from "../base/index.js";

/** A path argument of `trapline run`, taken apart: `nesting.trap:41` names a line. */
export interface Target {
  readonly path: string;
  readonly line?: number;
}

/** Takes `path:line` apart; a drive letter or a colon without digits stays part of the path. */
export function parseTarget(text: string): Target {
  const match = /^(.+\.trap):(\d+)$/.exec(text);
  return match ? { path: match[1] ?? text, line: Number(match[2]) } : { path: text };
}

/** Test files below the targets, each once, in order of their paths; `unmatched` names targets without a test file. */
export function discover(
  targets: readonly Target[],
  files: readonly string[],
): { readonly tests: readonly Target[]; readonly unmatched: readonly { target: string; near: readonly string[] }[] } {
  const traps = files.filter((file) => file.endsWith(".trap")).sort();
  const chosen = new Map<string, Target>();
  const unmatched: { target: string; near: readonly string[] }[] = [];
  for (const target of targets) {
    const below = traps.filter((file) => isAtOrBelow(file, target.path));
    if (below.length === 0) unmatched.push({ target: target.path, near: nearNames(target.path, traps) });
    for (const file of below) chosen.set(file, target.line === undefined ? { path: file } : { ...target, path: file });
  }
  const tests = [...chosen.values()].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  return { tests, unmatched };
}

function isAtOrBelow(file: string, target: string): boolean {
  const folder = target.replace(/\/+$/, "");
  return folder === "." || file === folder || file.startsWith(`${folder}/`);
}
