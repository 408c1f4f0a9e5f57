// The same words with other spaces between them, mnemonics in another case, and tabs: what a formatter must take back.

import { readTokens } from "../../src/syntax/index.js";
import type { Random } from "../hostcpu/random.js";

/** Spaces, where there were some, become others; indentation and the ends of lines too. */
export function scramble(text: string, random: Random): string {
  const tokens = readTokens({ name: "scrambled.trap", text });
  let result = "";
  let at = 0;
  for (const token of tokens) {
    result += between(text.slice(at, token.start), random) + text.slice(token.start, token.end);
    at = token.end;
  }
  return result + between(text.slice(at), random);
}

/** What stands between two tokens: comments stay, runs of spaces become others. */
function between(text: string, random: Random): string {
  return text
    .split("\n")
    .map((line, i, lines) => {
      const [, before = "", comment = ""] = /^([^;]*)(.*)$/.exec(line) ?? [];
      const isIndentation = i > 0 && i === lines.length - 1;
      const spaces = before.trim() === "" && (before !== "" || isIndentation || comment !== "");
      return (spaces ? space(random, isIndentation || comment !== "" ? 0 : 1) : before) + comment;
    })
    .join("\n");
}

function space(random: Random, least: number): string {
  const length = least + random.below(6);
  return Array.from({ length }, () => (random.below(8) === 0 ? "\t" : " ")).join("");
}
