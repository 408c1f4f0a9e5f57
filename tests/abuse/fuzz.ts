// The long form of the abuse (`npm run fuzz:abuse`): mutated files through every command.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "../support/golden.js";
import { projectFiles } from "../support/project-files.js";
import { Random } from "../hostcpu/random.js";
import { faultsOf, type Library } from "./commands.js";
import { mutate } from "./mutate.js";

/** Processor time that one text of at most 20 000 characters may take, all commands together, in milliseconds. */
const longest = 10_000;

/** Files to begin from: all that are small, right or wrong. */
export const seeds: readonly string[] = projectFiles()
  .filter(({ path, text }) => path.endsWith(".trap") && text.length < 8000 && !/E3103|E3104|E3011/.test(path))
  .map(({ text }) => text);

export function library(): Library {
  const names = projectFiles().flatMap(({ path }) =>
    path.startsWith("stdlib/") && path.endsWith(".trap") ? [path] : [],
  );
  return new Map(
    names.map((path) => [path.slice(7, -5), { name: path, text: readFileSync(join(projectRoot, path), "utf8") }]),
  );
}

/** One text from a seed, and what is wrong with how it is taken. */
export function tryOne(seed: bigint, modules: Library): { readonly text: string; readonly faults: readonly string[] } {
  const random = new Random(seed);
  const text = mutate(random.pick(seeds), random);
  const before = process.cpuUsage();
  const faults = faultsOf(text, modules);
  const { user, system } = process.cpuUsage(before);
  const milliseconds = (user + system) / 1000;
  return { text, faults: milliseconds > longest ? [...faults, `it takes ${Math.round(milliseconds)} ms`] : faults };
}

/** Tries `count` texts from a seed on; 1 where one is taken wrongly. */
export function main({ seed: first, count }: { readonly seed: number; readonly count: number }): number {
  const modules = library();
  let wrong = 0;
  for (let seed = first; seed < first + count; seed++) {
    const { text, faults } = tryOne(BigInt(seed), modules);
    if (faults.length === 0) continue;
    wrong++;
    console.log(`seed ${seed}\n${text}\n--- ${faults.join("\n--- ")}\n`);
  }
  console.log(`seed ${first}: ${count} texts, ${wrong} with faults`);
  return wrong === 0 ? 0 : 1;
}
