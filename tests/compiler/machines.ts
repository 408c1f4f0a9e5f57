// Machines that boot a carried image: each gives what came over the serial port. QEMU where it is installed.

import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Platform } from "../../src/isa/index.js";
import { boot, loadCore, loadMultiboot } from "../../src/machine/index.js";

/** A machine under test. */
export interface BootMachine {
  readonly name: string;
  /** Whether it can stand for the platform: QEMU's TCG has no VMX. */
  has(platform: Platform): boolean;
  boot(image: Uint8Array, platform: Platform): BootOutcome;
}

export interface BootOutcome {
  readonly serialText: string;
  readonly ended: "stopped" | "halted" | "timed-out";
}

const QEMU = "qemu-system-x86_64";
/** A halted machine says nothing until its time is up; a test takes milliseconds. */
const TIME_LIMIT_MS = 4000;
const BUDGET_INSTRUCTIONS = 5_000_000;

const bundled: BootMachine = {
  name: "the bundled machine",
  has: () => true,
  boot(bytes, platform) {
    const image = loadMultiboot(bytes, { memoryBytes: platform.memoryBytes, commandLine: "test", modules: [] });
    if (typeof image === "string") throw new Error(image);
    let serialText = "";
    const serial = (byte: number): void => void (serialText += String.fromCharCode(byte));
    const { end } = boot(loadCore(), image, { platform, serial, budgetInstructions: BUDGET_INSTRUCTIONS });
    const ended = end.kind === "budget-spent" ? "timed-out" : end.kind === "halted" ? "halted" : "stopped";
    return { serialText, ended };
  },
};

const qemu: BootMachine = {
  name: "QEMU",
  has: ({ cpu }) => !cpu.features.includes("VMX"),
  boot(bytes) {
    const folder = mkdtempSync(join(tmpdir(), "trapline-"));
    try {
      const kernel = join(folder, "test.elf");
      writeFileSync(kernel, bytes);
      const exit = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"];
      const quiet = ["-display", "none", "-serial", "stdio", "-no-reboot", "-m", "64", "-cpu", "max"];
      const run = spawnSync(QEMU, ["-kernel", kernel, ...exit, ...quiet], { timeout: TIME_LIMIT_MS, encoding: "utf8" });
      return { serialText: run.stdout, ended: run.error === undefined ? "stopped" : "timed-out" };
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};

/** Every machine that is there. */
export function bootMachines(): readonly BootMachine[] {
  const hasQemu = spawnSync(QEMU, ["--version"]).status === 0;
  return hasQemu ? [bundled, qemu] : [bundled];
}
