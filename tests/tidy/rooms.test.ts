// Rooms, doors and import directions hold as ARCHITECTURE.md's room table says; that table is read, not repeated.

import { dirname, posix } from "node:path";
import { expect, test } from "vitest";
import { projectFiles, type ProjectFile } from "../support/project-files.js";

const table = roomTable();
const sources = projectFiles().filter((file) => /^src\/.*\.ts$/.test(file.path));
const present = [...new Set(sources.map((file) => roomOf(file.path)))];

/** Node's modules by which a program reaches the world outside, and the files that may. */
const worldly = /^node:(?:fs|child_process|net|http|https|dgram|os|worker_threads|process|readline)(?:\/|$)/;
const mayReachTheWorld =
  /^src\/(?:cli|targets|editor\/lsp|editor\/dap)\/|^src\/machine\/core-module\.ts$|^src\/runner\/worker/;

test("every room is in ARCHITECTURE.md's table", () => {
  expect(present.filter((room) => !table.has(room))).toEqual([]);
});

test("every room has a door whose first line says the room's purpose", () => {
  const wrong = present
    .filter((room) => room !== "cli" && room !== "core" && room !== "targets")
    .filter((room) => {
      const door = sources.find((file) => file.path === `src/${room}/index.ts`);
      return door === undefined || !door.text.startsWith(`// ${room}: `);
    });
  expect(wrong).toEqual([]);
});

test("imports go only in the directions of the room table, and only through doors", () => {
  expect(sources.flatMap(wrongImports)).toEqual([]);
});

test("only the command line, targets and editor servers reach the world outside", () => {
  const wrong = sources
    .filter((file) => !mayReachTheWorld.test(file.path))
    .flatMap((file) =>
      imports(file)
        .filter((name) => worldly.test(name))
        .map((name) => `${file.path}: ${name}`),
    );
  expect(wrong).toEqual([]);
});

function wrongImports(file: ProjectFile): string[] {
  const room = roomOf(file.path);
  const allowed = table.get(room) ?? [];
  const wrong: string[] = [];
  for (const name of imports(file)) {
    if (!name.startsWith(".") || name.endsWith("/package.json")) continue;
    const target = posix.join(dirname(file.path), name);
    const other = roomOf(target);
    if (other === room) continue;
    if (room === "core") wrong.push(`${file.path}: the core imports only its own files, not ${name}`);
    else if (!allowed.includes("anything") && !allowed.includes(other))
      wrong.push(`${file.path}: ${room} may not import ${other}`);
    else if (target !== `src/${other}/index.js`) wrong.push(`${file.path}: ${name} goes past the door of ${other}`);
  }
  return wrong;
}

/** The module names of a file's imports and re-exports, dynamic ones included. */
function imports(file: ProjectFile): string[] {
  const pattern = /(?:\bfrom\s+|\bimport\s*\(\s*|^import\s+)"([^"]+)"/gm;
  return [...file.text.matchAll(pattern)].map((match) => match[1] ?? "");
}

function roomOf(path: string): string {
  return path.split("/")[1] ?? "";
}

/** Room -> rooms that it may import, from the rows "| `room/` | purpose | may import |". */
function roomTable(): Map<string, string[]> {
  const page = projectFiles().find((file) => file.path === "ARCHITECTURE.md");
  const rows = (page?.lines ?? []).map((line) => /^\| `(\w+)\/` \|.*\| ([^|]+) \|$/.exec(line));
  return new Map(rows.flatMap((row) => (row ? [[row[1] ?? "", (row[2] ?? "").trim().split(/, /)]] : [])));
}
