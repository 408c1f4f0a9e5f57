// Generated files are committed, and generating them again changes nothing.

import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { projectRoot } from "../support/golden.js";
import { projectFiles } from "../support/project-files.js";

const script = join(projectRoot, "scripts/generate.mjs");
const names = readdirSync(join(projectRoot, "scripts/generators"))
  .filter((name) => name.endsWith(".ts"))
  .map((name) => name.replace(/\.ts$/, ""))
  .sort();

test.each(names)("what the generator %s writes is current (npm run generate)", (name) => {
  const ran = spawnSync(process.execPath, [script, "--check", name], { encoding: "utf8" });
  expect(ran.stdout + ran.stderr).toBe("");
});

test("every generated file has a generator", () => {
  const made = execFileSync(process.execPath, [script, "--list"], { encoding: "utf8" }).split("\n");
  const generated = projectFiles().filter((file) => file.path.endsWith(".generated.ts"));
  expect(generated.map((file) => file.path).filter((path) => !made.includes(path))).toEqual([]);
});
