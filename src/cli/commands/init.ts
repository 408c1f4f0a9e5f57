// `trapline init [DIR]`: a project with a first test, its golden transcript, settings for editors, and a CI file.

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { exitStatus } from "../exit-status.js";
import { libraryModules, replaceFile } from "../files.js";
import { projectFiles } from "../project-template.js";
import manifest from "../../../package.json" with { type: "json" };
import { print } from "../output.js";

export function register(program: Command): void {
  program
    .command("init")
    .description("Begin a project: a first test with its golden transcript, editor settings, a CI file")
    .argument("[folder]", "where; the current directory when absent", ".")
    .addHelpText("after", "\nFiles that are there already are left as they are.\n")
    .action(async (folder: string) => {
      process.exitCode = await init(folder);
    });
}

async function init(folder: string): Promise<number> {
  const files = new Map(Object.entries(projectFiles(manifest.version)));
  for (const [path, text] of await goldensOf(files)) files.set(path, text);
  const lines: string[] = [];
  for (const [path, text] of files) {
    const target = join(folder, path);
    const isThere = existsSync(target);
    if (!isThere) replaceFile(target, text);
    lines.push(`${isThere ? "kept   " : "written"}  ${path}`);
  }
  print(`${lines.join("\n")}\n\nnpm install, then npm test runs the tests.\n`);
  return exitStatus.success;
}

/** The golden files that the tests of the project give when they run. */
async function goldensOf(files: ReadonlyMap<string, string>): Promise<[string, string][]> {
  const { runFiles } = await import("./run-rooms.js");
  const tests = [...files].filter(([path]) => path.endsWith(".trap"));
  const suite = runFiles(
    tests.map(([name, text]) => ({ source: { name, text } })),
    { modules: libraryModules(), goldens: new Map(), update: true, ci: false },
  );
  return suite.files.flatMap((file) => file.goldenChanges.map(({ path, text = "" }): [string, string] => [path, text]));
}
