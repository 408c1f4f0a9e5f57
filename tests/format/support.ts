// What must not change when a file is formatted: its tree, its comments, and the bytes of every cell of its tests.

import { hasErrors, type Source } from "../../src/base/index.js";
import { compile } from "../../src/compiler/index.js";
import { formatSource } from "../../src/editor/index.js";
import { resolve } from "../../src/resolve/index.js";
import { parse, renderTree } from "../../src/syntax/index.js";

/** The formatted text; an error where the file has mistakes, or where formatting once more would change it again. */
export function formatted(text: string): string {
  const { output, diagnostics } = formatSource({ name: "file.trap", text });
  if (diagnostics.length > 0) throw new Error(`${diagnostics[0]?.message} in\n${text}`);
  const again = formatSource({ name: "file.trap", text: output }).output;
  if (again !== output) throw new Error(`formatted twice:\n${again}\nformatted once:\n${output}`);
  return output;
}

/** The tree as text, in one case of letters, and the comments in order. */
export function meaningOf(text: string): { tree: string; comments: readonly string[] } {
  const { output } = parse({ name: "file.trap", text });
  return { tree: renderTree(output).toLowerCase(), comments: output.comments.map((comment) => comment.text) };
}

/** Every byte that a file becomes, with its address, and the codes of what is wrong with it. */
export function bytesOf(text: string, library: ReadonlyMap<string, Source>): string[] {
  const parsed = parse({ name: "file.trap", text });
  const resolved = resolve(parsed.output, library, { hasSyntaxErrors: false });
  const found = resolved.diagnostics.map((diagnostic) => diagnostic.code);
  if (hasErrors(resolved.diagnostics)) return found;
  const seen = new Set<unknown>();
  for (const cell of resolved.output.tests.flatMap((test) => test.cases)) {
    // Cells that differ only in their platform share their guests, and so their bytes.
    if (cell.skip !== undefined || seen.has(cell.guests)) continue;
    seen.add(cell.guests);
    const { output, diagnostics } = compile(cell, { lowering: "bundled" });
    found.push(...diagnostics.map((diagnostic) => diagnostic.code));
    for (const { address, bytes } of output.image.segments) {
      found.push(`${address.toString(16)} ${Buffer.from(bytes).toString("latin1")}`);
    }
  }
  return found;
}
