// Columns that the neighbours in a block share: labels before data, words of a header. A run of neighbours ends with a
// blank line, a comment on a line of its own, or a statement that has no such column.

import type { Statement } from "../../syntax/index.js";
import { isDataWord, isDeclaration, isHeader, type Context } from "./context.js";
import type { Column, Row } from "./rows.js";

/** Mnemonics stand in a column of this width. */
const mnemonicColumn: Column = { at: 6 };

export class Runs {
  private labels: Column | undefined;
  private heads: Column | undefined;

  constructor(private readonly context: Context) {}

  /** What comes next has no column in common with what was before. */
  end(): void {
    this.labels = undefined;
    this.heads = undefined;
  }

  /** The columns of a statement whose head and label are written so. */
  of(statement: Statement, label: string, head: string): Pick<Row, "labels" | "heads"> {
    const labels = this.labelColumn(statement, label);
    const heads = this.headColumn(statement, head);
    return { ...(labels && { labels }), ...(heads && { heads }) };
  }

  private labelColumn({ head, block }: Statement, label: string): Column | undefined {
    if (head === undefined || block !== undefined) this.labels = undefined;
    else if (label !== "") {
      this.labels ??= { at: 0 };
      this.labels.at = Math.max(this.labels.at, label.length + 1);
    } else if (this.context !== "data" || !isDataWord(head.text)) this.labels = undefined;
    return this.labels;
  }

  private headColumn({ head, args, block }: Statement, text: string): Column | undefined {
    if (head === undefined) return undefined;
    if (this.context === "code" || this.context === "file") {
      return isDeclaration(this.context, head.text) ? undefined : mnemonicColumn;
    }
    const isBlockOn = head.text === "on" && block !== undefined;
    if (!isHeader(this.context, head.text) || isBlockOn) {
      // A word without arguments, such as `golden`, stands among the others and needs no column.
      if (args.length > 0 || block !== undefined) this.heads = undefined;
      return undefined;
    }
    this.heads ??= { at: 0 };
    this.heads.at = Math.max(this.heads.at, text.length + 1);
    return this.heads;
  }
}
