// Writes every generated file of the repository (`npm run generate`); `--check` compares, and fails on a difference.
//
// Each file in scripts/generators/ exports `outputs(): readonly { path: string; text: string }[]`, paths relative to
// the project; `--list` names them. Arguments choose generators by name; none means all. tests/tidy.test.ts proves that nothing would change.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { filesBelow, importTypeScript, root } from "./bundle.mjs";

const check = process.argv.includes("--check");
const list = process.argv.includes("--list");
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith("-"));
let stale = 0;

for (const path of filesBelow("scripts/generators", (file) => file.endsWith(".ts"))) {
  if (wanted.length > 0 && !wanted.includes(basename(path, ".ts"))) continue;
  const generator = await importTypeScript(path);
  for (const output of generator.outputs()) {
    if (list) console.log(output.path);
    const file = join(root, output.path);
    if (existsSync(file) && readFileSync(file, "utf8") === output.text) continue;
    stale++;
    if (!list) console.log(`${check ? "stale" : "wrote"} ${output.path}`);
    if (check || list) continue;
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, output.text);
  }
}
if (check && stale > 0) {
  console.error("generated files are stale: run npm run generate");
  process.exitCode = 1;
}
