// From path arguments to what the runner takes: test files with their texts, and the golden files beside them.

import { didYouMean, type Source } from "../base/index.js";
import type { FileRequest } from "../runner/index.js";
import { UsageError } from "./exit-status.js";
import { filesAt, isFile, libraryModules, readSource, shownPath } from "./files.js";

export interface TestFiles {
  readonly requests: readonly FileRequest[];
  /** Golden files at or below the paths, by shown path. */
  readonly goldens: ReadonlyMap<string, string>;
  /** The standard library, by the name after `use`. */
  readonly modules: ReadonlyMap<string, Source>;
}

/** Finds and reads test files; no path means the current directory. */
export async function readTests(paths: readonly string[]): Promise<TestFiles> {
  const { discover, parseTarget } = await import("../runner/index.js");
  const { goldenPath } = await import("../verdict/index.js");
  const targets = (paths.length === 0 ? ["."] : paths)
    .map(parseTarget)
    .map((target) => ({ ...target, path: shownPath(target.path) }));
  const files = [...new Set(targets.flatMap((target) => filesAt(target.path)))];
  const { tests, unmatched } = discover(targets, files);
  const [first] = unmatched;
  if (first) {
    const help = didYouMean(first.near);
    throw new UsageError(`no test file (*.trap) at ${first.target}${help === undefined ? "" : `: ${help}`}`);
  }
  const requests = tests.map(({ path, line }) => ({ source: readSource(path), ...(line !== undefined && { line }) }));
  // A test file that was named alone still has its golden file beside it.
  const beside = requests.map(({ source }) => goldenPath(source.name)).filter(isFile);
  const goldens = new Set([...files.filter((file) => file.endsWith(".golden")), ...beside]);
  return {
    requests,
    goldens: new Map([...goldens].map((path) => [path, readSource(path).text])),
    modules: libraryModules(),
  };
}
