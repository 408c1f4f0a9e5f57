// The formatter as a plugin of prettier, `trapline/prettier`: the same result as `trapline fmt`, whatever the options.
// It brings the parser along and nothing that compiles or runs.

import type { AstPath, Doc, Parser, Plugin, Printer } from "prettier";
import { positionAt } from "../../base/index.js";
import { formatSource } from "./format.js";

/** What prettier takes for a tree: the text, as it will be. */
interface Formatted {
  readonly text: string;
  readonly formatted: string;
}

const language = "trapline";

/** A mistake in the form in which prettier and its users expect one. */
class FormatError extends SyntaxError {
  constructor(
    message: string,
    readonly loc: { readonly start: { readonly line: number; readonly column: number } },
  ) {
    super(message);
  }
}

const parser: Parser<Formatted> = {
  astFormat: language,
  locStart: () => 0,
  locEnd: ({ text }) => text.length,
  parse(text, options) {
    const source = { name: options.filepath ?? "file.trap", text };
    const { output, diagnostics } = formatSource(source);
    const first = diagnostics.find((diagnostic) => diagnostic.severity === "error");
    if (!first) return { text, formatted: output };
    const start = first.span ? positionAt(source, first.span.start) : { line: 1, column: 1 };
    throw new FormatError(`${first.message} [${first.code}]`, { start });
  },
};

/** A line break as prettier's documents have it, so that a text inside another file is indented with it. */
const lineBreak: Doc = [{ type: "line", hard: true }, { type: "break-parent" }];

const printer: Printer<Formatted> = {
  print: ({ node }: AstPath<Formatted>) =>
    node.formatted.split("\n").flatMap((line, i) => (i === 0 ? [line] : [lineBreak, line])),
};

export const languages: Plugin["languages"] = [
  { name: "Trapline", parsers: [language], extensions: [".trap"], aliases: ["trap"], vscodeLanguageIds: [language] },
];
export const parsers: Plugin["parsers"] = { [language]: parser };
export const printers: Plugin["printers"] = { [language]: printer };
