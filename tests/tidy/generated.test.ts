// Generated files are committed, and generating them again changes nothing.

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { projectRoot } from "../support/golden.js";
import { projectFiles } from "../support/project-files.js";

interface Generator {
  outputs(): readonly { readonly path: string; readonly text: string }[];
}

const folder = join(projectRoot, "scripts/generators");
const names = readdirSync(folder)
  .filter((name) => name.endsWith(".ts"))
  .sort();
const made = new Set<string>();

test.each(names)("what %s writes is current (npm run generate)", async (name) => {
  const generator = (await import(pathToFileURL(join(folder, name)).href)) as Generator;
  const outputs = generator.outputs();
  expect(outputs.length).toBeGreaterThan(0);
  for (const output of outputs) made.add(output.path);
  const stale = outputs.filter(
    (output) => projectFiles().find((file) => file.path === output.path)?.text !== output.text,
  );
  expect(stale.map((output) => output.path)).toEqual([]);
});

test("every generated file has a generator", () => {
  const orphans = projectFiles().filter((file) => file.path.endsWith(".generated.ts") && !made.has(file.path));
  expect(orphans.map((file) => file.path)).toEqual([]);
});
