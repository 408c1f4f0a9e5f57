// How words are written: mnemonics, registers, prefixes and size words in lower case, all others as they stand. A name
// that the file itself gives to something keeps its case wherever it stands.

import { isMnemonic, registerByName } from "../../isa/index.js";
import { keywordsOf, type SourceToken, type Statement } from "../../syntax/index.js";
import type { Write } from "./spacing.js";

/** Declarations whose arguments are names of the author's. */
const naming: ReadonlySet<string> = new Set([...keywordsOf("file").keys(), "each", "for", "guest"]);

/** A token as it stands in the source. */
export const asWritten: Write = (token) => token.text;

export class Words {
  private readonly own = new Set<string>();

  constructor(statements: readonly Statement[], range: (start: number, end: number) => readonly SourceToken[]) {
    const collect = (statement: Statement): void => {
      for (const label of statement.labels) this.own.add(label.name);
      if (naming.has(statement.head?.text ?? "")) {
        for (const token of range(statement.span.start, statement.span.end)) this.own.add(token.text);
      }
      for (const inner of statement.block?.statements ?? []) collect(inner);
    };
    for (const statement of statements) collect(statement);
  }

  /** How prefixes and the first word are written. */
  headOf(statement: Statement): Write {
    return (token) =>
      token.kind === "Prefix" || this.isInstruction(statement) ? token.text.toLowerCase() : token.text;
  }

  /** How arguments are written. Names in the parentheses of a call are those of fields, in the manuals' case. */
  argumentsOf(statement: Statement): Write {
    const namesRegisters = this.isInstruction(statement) || statement.head?.text === "expect";
    return ({ kind, text }, inCall) => {
      if (kind === "Hint" || kind === "Size") return text.toLowerCase();
      const isRegister = namesRegisters && !inCall && !this.own.has(text) && registerByName(text.toUpperCase());
      return isRegister ? text.toLowerCase() : text;
    };
  }

  private isInstruction({ head }: Statement): boolean {
    return head !== undefined && !this.own.has(head.text) && isMnemonic(head.text.toLowerCase());
  }
}
