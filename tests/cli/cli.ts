// The built command line as a process, in a folder of its own.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { projectRoot } from "../support/golden.js";

export interface Ran {
  readonly status: number | null;
  readonly out: string;
  readonly err: string;
}

/** Builds what changed, once for a test file, and gives a folder whose files are removed afterwards. */
export function useCli() {
  const folder = mkdtempSync(join(tmpdir(), "trapline-cli-"));
  beforeAll(() => {
    const built = spawnSync(process.execPath, [join(projectRoot, "scripts/prepare.mjs")], { encoding: "utf8" });
    if (built.status !== 0) throw new Error(built.stderr);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return {
    path: (path: string): string => join(folder, path),
    write(path: string, content: string | Uint8Array): void {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), content);
    },
    trapline(...args: readonly string[]): Ran {
      const environment = { ...process.env, CI: "" };
      const command = [join(projectRoot, "dist/cli.cjs"), ...args];
      const ran = spawnSync(process.execPath, command, { cwd: folder, encoding: "utf8", env: environment });
      return { status: ran.status, out: ran.stdout, err: ran.stderr };
    },
  };
}
