// Generates docs/stdlib.md: the modules of the standard library with their documented macros, constants and data.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { spanText } from "../../src/base/index.js";
import { parse, type SourceFile, type Statement } from "../../src/syntax/index.js";

/** Generators run in the project's directory. */
const folder = join(process.cwd(), "stdlib");

/** Doc comments are lines of running text. */
const flow = (doc: string): string =>
  doc
    .split(/\n\s*\n/)
    .map((paragraph) => paragraph.replace(/\s+/g, " ").trim())
    .join("\n\n");

function read(name: string): SourceFile {
  return parse({ name: `stdlib/${name}.trap`, text: readFileSync(join(folder, `${name}.trap`), "utf8") }).output;
}

const wordOf = (statement: Statement): string => statement.head?.text ?? "";

/** How a macro is used: its name and its parameters, those with a default in brackets. */
function usage(module: string, statement: Statement): string {
  const [term] = statement.args[0]?.terms ?? [];
  const expr = term?.kind === "single" ? term.expr : undefined;
  if (expr?.kind !== "call") return expr?.kind === "name" ? `${module}.${expr.name}` : module;
  const parameters = expr.args.map((arg) => {
    const text = spanText(arg.span).replace(/\s+/g, " ");
    return text.includes("=") ? `[${text}]` : text;
  });
  return `${module}.${expr.name.text} ${parameters.join(", ")}`;
}

/** Names of a `data` block that begin a line of it. */
function dataNames(module: string, statement: Statement): string[] {
  return (statement.block?.statements ?? []).flatMap((line) => line.labels.map((label) => `${module}.${label.name}`));
}

function constantNames(file: SourceFile, module: string): string[] {
  return file.statements
    .filter((statement) => wordOf(statement) === "const")
    .flatMap((statement) => {
      const [term] = statement.args[0]?.terms ?? [];
      if (term?.kind !== "pair" || term.left.kind !== "name") return [];
      const { name } = term.left;
      return [name.includes(".") ? name : `${module}.${name}`];
    });
}

const listed = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(", ");

function section(name: string): string {
  const file = read(name);
  const macros = file.statements.filter((statement) => wordOf(statement) === "macro" && statement.doc !== undefined);
  const data = file.statements.filter((statement) => wordOf(statement) === "data");
  const constants = constantNames(file, name);
  const names = data.flatMap((statement) => dataNames(name, statement));
  return [
    `## ${name}`,
    ...(file.doc === undefined ? [] : [flow(file.doc)]),
    ...macros.flatMap((macro) => [`### \`${usage(name, macro)}\``, flow(macro.doc ?? "")]),
    ...(constants.length > 0 ? ["### Constants", listed(constants)] : []),
    ...(names.length > 0
      ? ["### Data", ...data.flatMap((d) => (d.doc === undefined ? [] : [flow(d.doc)])), listed(names)]
      : []),
  ].join("\n\n");
}

export function outputs(): readonly { readonly path: string; readonly text: string }[] {
  const modules = readdirSync(folder)
    .filter((file) => file.endsWith(".trap"))
    .map((file) => file.slice(0, -".trap".length))
    .sort();
  const text = `<!-- Generated from the doc comments of stdlib/*.trap by npm run generate; do not edit. -->

# The standard library

Modules are written in the language itself. \`use NAME\` makes one known; its macros are then used like instructions,
and its data exist once in every guest that names them. A parameter in brackets may be left out.

${modules.map(section).join("\n\n")}
`;
  return [{ path: "docs/stdlib.md", text }];
}
