// The parser's rules as EBNF: one canonical text a rule, with single spaces. grammar/trapline.ebnf must say the same.

import type { GrammarNode } from "../../src/syntax/index.js";

/** Each rule of the grammar with its right-hand side. */
export function grammarRules(grammar: readonly GrammarNode[]): ReadonlyMap<string, string> {
  return new Map(grammar.map((rule) => [rule.name ?? "", unwrapped(rule.definition ?? [])]));
}

/** The rules in the text of an EBNF file: comments away, white space made one space. */
export function readRules(text: string): ReadonlyMap<string, string> {
  const plain = text.replace(/\(\*[^]*?\*\)/g, " ");
  const rules = new Map<string, string>();
  for (const [, name = "", body = ""] of plain.matchAll(/(\w+)\s*=((?:[^;"]|"[^"]*")*);/g)) {
    rules.set(name, body.trim().replace(/\s+/g, " "));
  }
  return rules;
}

function sequence(parts: readonly GrammarNode[]): string {
  return parts.map(part).join(" ");
}

function part(node: GrammarNode): string {
  const inner = node.definition ?? [];
  switch (node.type) {
    case "NonTerminal":
      return node.name ?? "";
    case "Terminal":
      return terminalText(node);
    case "Alternation":
      return `( ${alternatives(node)} )`;
    case "Alternative":
      return sequence(inner);
    case "Option":
      return `[ ${unwrapped(inner)} ]`;
    case "Repetition":
      return `{ ${unwrapped(inner)} }`;
    case "RepetitionMandatory":
      return `${sequence(inner)} { ${unwrapped(inner)} }`;
    case "RepetitionMandatoryWithSeparator":
      return `${sequence(inner)} { ${terminalText(node.separator)} ${sequence(inner)} }`;
    default:
      throw new Error(`no EBNF for ${node.type}`);
  }
}

/** Inside brackets an alternation needs no parentheses of its own. */
function unwrapped(parts: readonly GrammarNode[]): string {
  const [only, more] = parts;
  return only?.type === "Alternation" && more === undefined ? alternatives(only) : sequence(parts);
}

function alternatives(node: GrammarNode): string {
  return (node.definition ?? []).map(part).join(" | ");
}

/** A sign or exact word in quotes, a kind of token by its name in capitals. */
export function terminalText(terminal: GrammarNode | undefined): string {
  const { name = "", label = name } = terminal ?? {};
  const exact = /^`(.*)`$/.exec(label)?.[1];
  const isExact = exact !== undefined && name !== "On";
  return isExact ? `"${exact}"` : (capitals[name] ?? name.toUpperCase());
}

const capitals: Readonly<Record<string, string>> = {
  UnaryOperator: "UNARY",
};
