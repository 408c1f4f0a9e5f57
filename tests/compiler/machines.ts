// Machines that boot a carried image: each gives what came over the serial port. QEMU where it is installed.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A machine under test. */
export interface BootMachine {
  readonly name: string;
  boot(image: Uint8Array): BootOutcome;
}

export interface BootOutcome {
  readonly serialText: string;
  readonly timedOut: boolean;
}

const QEMU = "qemu-system-x86_64";
const TIME_LIMIT_MS = 20_000;

const qemu: BootMachine = {
  name: "QEMU",
  boot(bytes) {
    const folder = mkdtempSync(join(tmpdir(), "trapline-"));
    try {
      const kernel = join(folder, "test.elf");
      writeFileSync(kernel, bytes);
      const exit = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"];
      const quiet = ["-display", "none", "-serial", "stdio", "-no-reboot", "-m", "64"];
      const run = spawnSync(QEMU, ["-kernel", kernel, ...exit, ...quiet], { timeout: TIME_LIMIT_MS, encoding: "utf8" });
      return { serialText: run.stdout, timedOut: run.signal !== null };
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

/** Every machine that is there. */
export function bootMachines(): readonly BootMachine[] {
  const hasQemu = spawnSync(QEMU, ["--version"]).status === 0;
  return hasQemu ? [qemu] : [];
}
