// What a run is asked to do, and what it needs from outside: everything comes in as values.

import type { Variation } from "../isa/index.js";
import type { Lowering } from "../program/index.js";
import type { ModuleSources } from "../resolve/index.js";
import type { Fault } from "../vmm/index.js";

/** Golden files by path, as discovery found them beside the tests. */
export type GoldenFiles = ReadonlyMap<string, string>;

export interface RunOptions {
  /** The standard library and other modules, by the name after `use`. */
  readonly modules: ModuleSources;
  readonly goldens: GoldenFiles;
  /** Only cells on these platforms or groups; absent means all. */
  readonly platforms?: readonly string[];
  /** Freedoms of the manuals that the processors take otherwise than by default. */
  readonly variation?: Variation;
  /** Makes the bundled VMMs wrong on purpose. */
  readonly fault?: Fault;
  /** `carried`: each test as an image that is booted; what has none is skipped with the reason. Bundled when absent. */
  readonly lowering?: Lowering;
  /** Rewrite goldens instead of comparing them; never in CI. */
  readonly update: boolean;
  /** `only` is refused and goldens are never rewritten. */
  readonly ci: boolean;
  /** Keep transcripts in the results; `all` shows internal and assist exits too. */
  readonly transcripts?: "public" | "all";
  /** Keep each case's cost in its result. */
  readonly cost?: boolean;
  /** Keep each case's log in its result. */
  readonly keepLogs?: boolean;
}
