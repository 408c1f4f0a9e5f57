// What a run is asked to do, and what it needs from outside: everything comes in as values and callbacks.

import type { Source } from "../base/index.js";

/** Where the standard library and other modules come from: by the name after `use`. */
export type ModuleLoader = (name: string) => Source | undefined;

/** Golden files by path, as discovery found them beside the tests. */
export type GoldenFiles = ReadonlyMap<string, string>;

export interface RunOptions {
  readonly modules: ModuleLoader;
  readonly goldens: GoldenFiles;
  /** Only cells on these platforms or groups; absent means all. */
  readonly platforms?: readonly string[];
  /** Only tests that stand on this line of their file (`trapline run nesting.trap:41`). */
  readonly line?: number;
  /** Rewrite goldens instead of comparing them. */
  readonly update: boolean;
  /** `only` is refused and goldens are never rewritten. */
  readonly ci: boolean;
  /** Keep transcripts in the results; `all` shows internal and assist exits too. */
  readonly transcripts?: "public" | "all";
  /** Keep each case's log in its result. */
  readonly keepLogs?: boolean;
}
