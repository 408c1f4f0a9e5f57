// Other programs as they are measured: mostly by the processor time that they take, so that other load counts less.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Does something with a folder that is gone afterwards. */
export function withFolder<T>(work: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "trapline-bench-"));
  try {
    return work(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a command and gives the seconds of processor time that it and its children took. */
export function processorSeconds(command: readonly string[]): number {
  return withFolder((folder) => {
    const times = join(folder, "times");
    const environment = { ...process.env, TERM: "xterm", times };
    spawnSync("sh", ["-c", '"$@"; times > "$times"', "sh", ...command], {
      timeout: 120_000,
      env: environment,
      stdio: "ignore",
    });
    return secondsOfChildren(readFileSync(times, "utf8"));
  });
}

/** Runs a command and gives the seconds until it ended. */
export function elapsedSeconds(command: readonly string[]): number {
  const [program = "", ...args] = command;
  const start = performance.now();
  const { status } = spawnSync(program, args, { timeout: 120_000, stdio: "ignore" });
  if (status !== 0) throw new Error(`${command.join(" ")} ends with ${status}`);
  return (performance.now() - start) / 1000;
}

/** The second line of the shell's `times`: user and system time of its children, as 1m2.345s. */
function secondsOfChildren(times: string): number {
  const parts = [...(times.split("\n")[1] ?? "").matchAll(/(\d+)m([\d.]+)s/g)];
  return parts.reduce((sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds), 0);
}
