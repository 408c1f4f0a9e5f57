// The standard library as a value, as the command line hands it to resolve.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Source } from "../../src/base/index.js";
import { projectRoot } from "../support/golden.js";

/** Every module of stdlib/ by its name. */
export function library(): Map<string, Source> {
  const names = readdirSync(join(projectRoot, "stdlib")).filter((name) => name.endsWith(".trap"));
  return new Map(
    names.map((name) => {
      const text = readFileSync(join(projectRoot, "stdlib", name), "utf8");
      return [name.slice(0, -".trap".length), { name: `stdlib/${name}`, text }];
    }),
  );
}
