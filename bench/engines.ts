// The emulators that are measured: ours, and QEMU (TCG) and Bochs where they are installed.

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { findPlatform } from "../src/isa/index.js";
import { attachPc, loadCore, loadRaw, Machine } from "../src/machine/index.js";
import type { LoopImage } from "./loops.js";
import { processorSeconds, withFolder } from "./processes.js";

export interface Engine {
  readonly name: string;
  /** Rounds that take this engine about a second, so that start-up does not matter. */
  readonly rounds: number;
  /** Seconds of processor time from start to end of the image, start-up included: other load does not count. */
  run(image: LoopImage): number;
}

const memoryBytes = 64 << 20;

const ours: Engine = {
  name: "trapline",
  rounds: 20_000_000,
  run({ sector, entry }) {
    const platform = findPlatform("haswell");
    if (!platform) throw new Error("internal error: no platform haswell");
    const machine = new Machine(loadCore(), { platform: { ...platform, memoryBytes } });
    attachPc(machine, { serial: () => undefined });
    const image = loadRaw(sector, { memoryBytes, load: 0x7c00, entry: { address: entry }, mode: "prot32" });
    if (typeof image === "string") throw new Error(image);
    machine.load(image);
    const start = process.cpuUsage();
    const stop = machine.run(Number.MAX_SAFE_INTEGER);
    const used = process.cpuUsage(start);
    if (stop.kind !== "device") throw new Error(`the loop ended by ${stop.kind}`);
    return (used.user + used.system) / 1e6;
  },
};

const qemu: Engine = {
  name: "QEMU TCG",
  rounds: 400_000_000,
  run: ({ sector }) =>
    timed(sector, (file) => [
      "qemu-system-x86_64",
      ...["-accel", "tcg", "-display", "none", "-no-reboot", "-m", "64"],
      ...["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-drive", `file=${file},format=raw,if=floppy`],
    ]),
};

const bochs: Engine = {
  name: "Bochs",
  rounds: 8_000_000,
  run: ({ sector }) =>
    timed(sector, (file, folder) => {
      const settings = [
        "display_library: term",
        "megs: 64",
        "romimage: file=/usr/share/bochs/BIOS-bochs-legacy",
        "vgaromimage: file=/usr/share/vgabios/vgabios.bin",
        `floppya: 1_44=${file}, status=inserted`,
        "boot: floppy",
        `log: ${join(folder, "log")}`,
        "cpu: count=1, reset_on_triple_fault=0",
      ];
      writeFileSync(join(folder, "bochsrc"), `${settings.join("\n")}\n`);
      // Debian's Bochs has the debugger built in, which waits for a command to go on.
      writeFileSync(join(folder, "commands"), "c\nq\n");
      const command = `bochs -q -f ${join(folder, "bochsrc")} -rc ${join(folder, "commands")}`;
      // Its text display wants a terminal.
      return ["script", "-qec", command, "/dev/null"];
    }),
};

/** Our engine, then those of the others that are installed. */
export function engines(): readonly Engine[] {
  const has = (command: string): boolean => spawnSync("which", [command]).status === 0;
  return [ours, ...(has("qemu-system-x86_64") ? [qemu] : []), ...(has("bochs") && has("script") ? [bochs] : [])];
}

/** Runs a command on a floppy image and gives the seconds of processor time that it took. */
function timed(sector: Uint8Array, command: (file: string, folder: string) => readonly string[]): number {
  return withFolder((folder) => {
    const image = new Uint8Array(1_474_560);
    image.set(sector);
    const file = join(folder, "floppy.img");
    writeFileSync(file, image);
    return processorSeconds(command(file, folder));
  });
}
