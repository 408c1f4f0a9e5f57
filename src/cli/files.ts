// Files for the rooms that do not read any: sources, the standard library, golden files, images.

import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { didYouMean, nearNames, type Source } from "../base/index.js";
import { UsageError } from "./exit-status.js";

/** Folders that never hold tests of one's own. */
const notSearched = new Set(["node_modules", ".git", "dist"]);

/** A path as messages and goldens show it: relative to the current directory, with forward slashes. */
export function shownPath(path: string): string {
  const shown = relative(".", path).split(sep).join("/");
  return shown === "" ? "." : shown;
}

/** All files at or below a path, as shown paths in order of name; an error that names what was meant if it is absent. */
export function filesAt(path: string): string[] {
  if (!existsSync(path)) throw new UsageError(`${path}: no such file or directory${nearPaths(path)}`);
  if (!statSync(path).isDirectory()) return [shownPath(path)];
  const found: string[] = [];
  const visit = (folder: string): void => {
    const entries = readdirSync(folder, { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))) {
      const file = join(folder, entry.name);
      if (entry.isDirectory()) {
        if (!notSearched.has(entry.name)) visit(file);
      } else found.push(shownPath(file));
    }
  };
  visit(path);
  return found;
}

/** The source files at or below paths, each once; the current directory when no path is given. */
export function sourcePaths(paths: readonly string[]): string[] {
  const found = (paths.length === 0 ? ["."] : paths).map((path) => {
    const files = filesAt(path);
    // A file that is named is taken whatever its name; a folder's are those of the language.
    const sources = files.length === 1 && isFile(path) ? files : files.filter((file) => file.endsWith(".trap"));
    if (sources.length === 0) throw new UsageError(`no test file (*.trap) at ${shownPath(path)}`);
    return sources;
  });
  return [...new Set(found.flat())];
}

/** A text file as a source, with the files that it embeds. */
export function readSource(path: string): Source {
  const text = readFile(path).toString("utf8");
  const embeds = embeddedFiles(text, dirname(path));
  return { name: shownPath(path), text, ...(embeds.size > 0 && { embeds }) };
}

/** Files named by `embed` lines, found by their words: whether the lines are right is the resolver's to say. */
function embeddedFiles(text: string, folder: string): ReadonlyMap<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  for (const [, , path = ""] of text.matchAll(/\bembed\s+(["'])([^"'\n]+)\1/g)) {
    const file = join(folder, path);
    if (!found.has(path) && isFile(file)) found.set(path, readFile(file));
  }
  return found;
}

/** A file's bytes, or an error that says why not. */
export function readFile(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") throw new UsageError(`${path}: no such file${nearPaths(path)}`);
    if (code === "EISDIR") throw new UsageError(`${path} is a directory, not a file`);
    throw new UsageError(`${path}: cannot be read (${code ?? "unknown reason"})`);
  }
}

/** Writes a file and the folders above it; `undefined` removes the file. */
export function replaceFile(path: string, text: string | undefined): void {
  if (text === undefined) {
    rmSync(path, { force: true });
    return;
  }
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** True for a path at which there is a file. */
export function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile();
}

/** The standard library, by the name after `use`. */
export function libraryModules(): ReadonlyMap<string, Source> {
  const folder = libraryFolder();
  const names = readdirSync(folder).filter((name) => name.endsWith(".trap"));
  return new Map(
    names.map((name) => [
      name.replace(/\.trap$/, ""),
      { name: `stdlib/${name}`, text: readFileSync(join(folder, name), "utf8") },
    ]),
  );
}

/** `stdlib/` lies at the package's root: above the bundle in dist/, its chunks, and the sources alike. */
function libraryFolder(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  const folder = [join(here, ".."), join(here, "../..")]
    .map((up) => join(up, "stdlib"))
    .find((path) => existsSync(path));
  if (folder === undefined) throw new Error("the standard library is missing from this installation");
  return folder;
}

function nearPaths(path: string): string {
  const parent = dirname(path);
  if (!existsSync(parent) || !statSync(parent).isDirectory()) return "";
  const siblings = readdirSync(parent).map((name) => (parent === "." ? name : `${parent}/${name}`));
  const help = didYouMean(nearNames(path, siblings));
  return help === undefined ? "" : ` (${help})`;
}
