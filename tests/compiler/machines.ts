// Machines that boot a carried image: each gives what came over the serial port. QEMU and Bochs where they are installed.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CYLINDER_BYTES, toDisk, toMultiboot } from "../../src/compiler/index.js";
import type { Platform } from "../../src/isa/index.js";
import { boot, loadCore, loadMultiboot } from "../../src/machine/index.js";
import type { EventPlan, Program } from "../../src/program/index.js";
import type { ResolvedCase } from "../../src/resolve/index.js";

/** A machine under test. */
export interface BootMachine {
  readonly name: string;
  /** Whether it can stand for the case's platform: QEMU's TCG has no VMX, and its findings; a VMCS revision is a model's own. */
  has(one: ResolvedCase): boolean;
  boot(program: Program, platform: Platform): BootOutcome;
}

export interface BootOutcome {
  readonly serialText: string;
  readonly ended: "stopped" | "halted" | "timed-out";
}

const QEMU = "qemu-system-x86_64";
/** Far more than a test takes on a busy machine; a machine that is to halt says nothing until its time is up. */
const TIME_LIMIT_MS = 90_000;
const HALTING_LIMIT_MS = 8000;

function timeLimit({ lines }: EventPlan): number {
  const rounds = lines.flatMap(({ judgement }) => (judgement?.kind === "rounds" ? judgement.rounds : []));
  const halts = rounds.some((round) => round.events.flat().some((event) => event.kind === "halt"));
  return halts ? HALTING_LIMIT_MS : TIME_LIMIT_MS;
}
const BUDGET_INSTRUCTIONS = 5_000_000;

const bundled: BootMachine = {
  name: "the bundled machine",
  has: () => true,
  boot(program, platform) {
    const image = loadMultiboot(toMultiboot(program.image), {
      memoryBytes: platform.memoryBytes,
      commandLine: "test",
      modules: [],
    });
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
  has: ({ platform, file }) => !platform.cpu.features.includes("VMX") && !file.endsWith("findings.trap"),
  boot({ image, plan }) {
    return inFolder((folder) => {
      const kernel = join(folder, "test.elf");
      writeFileSync(kernel, toMultiboot(image));
      const exit = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"];
      const quiet = ["-display", "none", "-serial", "stdio", "-no-reboot", "-m", "64", "-cpu", "max"];
      const run = spawnSync(QEMU, ["-kernel", kernel, ...exit, ...quiet], {
        timeout: timeLimit(plan),
        encoding: "utf8",
      });
      return { serialText: run.stdout, ended: run.error === undefined ? "stopped" : "timed-out" };
    });
  },
};

/** Bochs' names of the models whose platforms it can stand for. */
const bochsModels: Readonly<Record<string, string>> = {
  yonah: "core_duo_t2400_yonah",
  penryn: "core2_penryn_t9600",
  nehalem: "corei5_lynnfield_750",
  westmere: "corei5_arrandale_m520",
  haswell: "corei7_haswell_4770",
  skylake: "corei7_skylake_x",
  turion: "turion64_tyler",
  phenom: "phenom_8650_toliman",
  bulldozer: "zambezi",
  zen: "ryzen",
};

const bochs: BootMachine = {
  name: "Bochs",
  has: ({ platform, span }) => platform.name in bochsModels && !span.source.text.includes("VMX.REVISION"),
  boot({ image, plan }, platform) {
    return inFolder((folder) => {
      const disk = toDisk(image);
      const file = join(folder, "disk.img");
      writeFileSync(file, disk);
      const geometry = `cylinders=${disk.length / CYLINDER_BYTES}, heads=16, spt=63`;
      const settings = [
        "display_library: term",
        "megs: 64",
        "romimage: file=/usr/share/bochs/BIOS-bochs-latest",
        "vgaromimage: file=/usr/share/vgabios/vgabios.bin",
        `ata0-master: type=disk, path=${file}, mode=flat, ${geometry}`,
        "boot: disk",
        `log: ${join(folder, "log")}`,
        `com1: enabled=1, mode=file, dev=${join(folder, "serial")}`,
        `cpu: model=${bochsModels[platform.name] ?? ""}, count=1, ips=50000000, reset_on_triple_fault=0`,
      ];
      writeFileSync(join(folder, "bochsrc"), `${settings.join("\n")}\n`);
      // Debian's Bochs waits in its debugger for a command to go on, and its text display wants a terminal.
      writeFileSync(join(folder, "commands"), "c\nq\n");
      const command = `bochs -q -f ${join(folder, "bochsrc")} -rc ${join(folder, "commands")}`;
      const environment = { ...process.env, TERM: "xterm" };
      const options = { timeout: timeLimit(plan), env: environment, stdio: "ignore" } as const;
      const run = spawnSync("script", ["-qec", command, "/dev/null"], options);
      const serialText = readFileSync(join(folder, "serial"), "latin1");
      return { serialText, ended: run.error === undefined ? "stopped" : "timed-out" };
    });
  },
};

function inFolder(run: (folder: string) => BootOutcome): BootOutcome {
  const folder = mkdtempSync(join(tmpdir(), "trapline-"));
  try {
    return run(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Every machine that is there. */
export function bootMachines(): readonly BootMachine[] {
  const has = (command: string, option: string): boolean => spawnSync(command, [option]).status === 0;
  return [
    bundled,
    ...(has(QEMU, "--version") ? [qemu] : []),
    ...(has("which", "bochs") && has("which", "script") ? [bochs] : []),
  ];
}
