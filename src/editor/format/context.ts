// What the words of a block are: declarations of its place, code, or data. The same table of declarations serves the
// resolver; here only the layout follows from it.

import { keywordsOf } from "../../syntax/index.js";

export type Context = "file" | "test" | "vmm" | "platform" | "each" | "code" | "data";

const opens: Readonly<Record<string, Readonly<Record<string, Context>>>> = {
  file: { test: "test", platform: "platform", macro: "code", data: "data", struct: "data" },
  test: { guest: "code", vmm: "vmm", each: "each" },
  code: { data: "data" },
};

/** What stands in the block of a statement; a word that opens nothing of its own goes on with what is around it. */
export function contextIn(around: Context, head: string | undefined): Context {
  const found = opens[around]?.[head ?? ""];
  return found ?? (around === "file" ? "code" : around);
}

/** True for a word that has one space behind it where instructions have a column. */
export function isDeclaration(context: "file" | "code", word: string): boolean {
  return keywordsOf("guest").has(word) || (context === "file" && keywordsOf("file").has(word));
}

/** Data words in the column of those above them when they have no label. */
const dataWords: ReadonlySet<string> = new Set(["db", "dw", "dd", "dq", "zero", "embed"]);

export const isDataWord = (word: string): boolean => dataWords.has(word);

/** Declarations of a header that have their arguments in one column. */
const headers: Readonly<Partial<Record<Context, ReadonlySet<string>>>> = {
  test: new Set(["on", "vmm", "each", "requires", "xfail", "bundled", "budget"]),
  vmm: new Set(keywordsOf("vmm").keys()),
  platform: new Set(keywordsOf("platform").keys()),
};

export const isHeader = (context: Context, word: string): boolean => headers[context]?.has(word) ?? false;
