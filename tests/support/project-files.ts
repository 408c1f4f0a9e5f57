// The project's own text files as the tidy tests see them: what people wrote, not what is installed or built.

import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "./golden.js";

export interface ProjectFile {
  /** Relative to the project, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
}

const notOurs = new Set([".git", "node_modules", "dist", "package-lock.json"]);
const textual = /\.(?:ts|mjs|js|json|md|trap|golden|ebnf|html|svg|c|asm|txt|yml)$|^\.ci\/|^[^/.]+$/;

let listed: readonly ProjectFile[] | undefined;

/** Every text file of the project, in order of path; read once for each test process. */
export function projectFiles(): readonly ProjectFile[] {
  listed ??= paths("").map((path) => {
    const text = readFileSync(join(projectRoot, path), "utf8");
    return { path, text, lines: text.split("\n") };
  });
  return listed;
}

function paths(directory: string): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(join(projectRoot, directory), { withFileTypes: true })) {
    const path = directory === "" ? entry.name : `${directory}/${entry.name}`;
    if (notOurs.has(path)) continue;
    if (entry.isDirectory()) found.push(...paths(path));
    else if (textual.test(path)) found.push(path);
  }
  return found.sort();
}
