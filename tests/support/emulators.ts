// QEMU, Bochs and KVM as processes that boot an image: each gives the bytes that came over the serial port.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CYLINDER_BYTES, toDisk, toMultiboot } from "../../src/compiler/index.js";
import type { Image } from "../../src/program/index.js";

const QEMU = "qemu-system-x86_64";

export interface Booted {
  readonly serial: Uint8Array;
  /** False where the time was up. */
  readonly stopped: boolean;
}

export interface EmulatorOptions {
  /** The emulator's name of the processor model. */
  readonly cpu: string;
  readonly timeLimitMs: number;
  /** Ends the run when nothing came for so long after the first byte; without it only the time limit does. */
  readonly quietLimitMs?: number;
}

/** Runs "$@" and ends it when the file $1 has grown and then not grown for $2 quarters of a second. */
const watchdog = `
file=$1 limit=$2; shift 2
"$@" & pid=$!
trap 'kill $pid' TERM
last=0 quiet=0
while kill -0 $pid 2>/dev/null; do
  sleep 0.25
  size=$(stat -c %s "$file")
  if [ "$size" -gt 0 ] && [ "$size" = "$last" ]; then quiet=$((quiet + 1)); else quiet=0; last=$size; fi
  if [ $quiet -ge $limit ]; then kill $pid; exit 124; fi
done
`;

/** True where the process ended by itself. */
function runWatched(command: string, args: readonly string[], serial: string, options: EmulatorOptions): boolean {
  const { timeLimitMs, quietLimitMs } = options;
  const common = { timeout: timeLimitMs, env: { ...process.env, TERM: "xterm" }, stdio: "ignore" } as const;
  if (quietLimitMs === undefined) return spawnSync(command, args, common).error === undefined;
  const quarters = String(Math.ceil(quietLimitMs / 250));
  const run = spawnSync("bash", ["-c", watchdog, "watchdog", serial, quarters, command, ...args], common);
  return run.error === undefined && run.status !== 124;
}

const has = (command: string, option: string): boolean => spawnSync(command, [option]).status === 0;

export const hasQemu = (): boolean => has(QEMU, "--version");

/** Bochs' text display wants a terminal, which `script` gives it. */
export const hasBochs = (): boolean => has("which", "bochs") && has("which", "script");

/** Whether guests run on the processor itself here. */
export function hasKvm(): boolean {
  if (!hasQemu()) return false;
  const idle = ["-enable-kvm", "-S", "-display", "none", "-serial", "none", "-monitor", "stdio"];
  return spawnSync(QEMU, idle, { input: "quit\n", timeout: 20_000 }).status === 0;
}

/** Boots on QEMU: its own translator, or KVM. */
export function bootQemu(image: Image, options: EmulatorOptions, accelerator: "tcg" | "kvm" = "tcg"): Booted {
  return inFolder((folder) => {
    const kernel = join(folder, "test.elf");
    const serial = join(folder, "serial");
    writeFileSync(kernel, toMultiboot(image));
    writeFileSync(serial, "");
    const exit = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"];
    const quiet = ["-display", "none", "-monitor", "none", "-serial", `file:${serial}`, "-no-reboot", "-m", "64"];
    const args = ["-kernel", kernel, "-accel", accelerator, "-cpu", options.cpu, ...exit, ...quiet];
    const stopped = runWatched(QEMU, args, serial, options);
    return { serial: new Uint8Array(readFileSync(serial)), stopped };
  });
}

/** Boots on Bochs from a disk. */
export function bootBochs(image: Image, options: EmulatorOptions): Booted {
  return inFolder((folder) => {
    const disk = toDisk(image);
    const file = join(folder, "disk.img");
    const serial = join(folder, "serial");
    writeFileSync(file, disk);
    writeFileSync(serial, "");
    const geometry = `cylinders=${disk.length / CYLINDER_BYTES}, heads=16, spt=63`;
    const settings = [
      "display_library: term",
      "megs: 64",
      "romimage: file=/usr/share/bochs/BIOS-bochs-latest",
      "vgaromimage: file=/usr/share/vgabios/vgabios.bin",
      `ata0-master: type=disk, path=${file}, mode=flat, ${geometry}`,
      "boot: disk",
      `log: ${join(folder, "log")}`,
      `com1: enabled=1, mode=file, dev=${serial}`,
      `cpu: model=${options.cpu}, count=1, ips=50000000, reset_on_triple_fault=0`,
    ];
    writeFileSync(join(folder, "bochsrc"), `${settings.join("\n")}\n`);
    // Debian's Bochs waits in its debugger for a command to go on, and its text display wants a terminal.
    writeFileSync(join(folder, "commands"), "c\nq\n");
    const command = `bochs -q -f ${join(folder, "bochsrc")} -rc ${join(folder, "commands")}`;
    const stopped = runWatched("script", ["-qec", command, "/dev/null"], serial, options);
    return { serial: new Uint8Array(readFileSync(serial)), stopped };
  });
}

function inFolder(run: (folder: string) => Booted): Booted {
  const folder = mkdtempSync(join(tmpdir(), "trapline-"));
  try {
    return run(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
