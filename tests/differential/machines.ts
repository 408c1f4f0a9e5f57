// The machines that run a batch of cases: ours and those that are installed.

import { toMultiboot } from "../../src/compiler/index.js";
import { findPlatform, type Platform } from "../../src/isa/index.js";
import { boot, loadCore, loadMultiboot, type BootEnd } from "../../src/machine/index.js";
import type { Image } from "../../src/program/index.js";
import { bootBochs, bootQemu, hasBochs, hasKvm, hasQemu } from "../support/emulators.js";
import { decodeOutcomes, endedWithout, type Case, type Outcome } from "./case.js";
import type { Known } from "./compare.js";
import { imageOf } from "./kernel.js";

export interface DifferentialMachine extends Known {
  readonly name: string;
  /** The bytes of the serial port, and how the run ended where it did not come to the image's own end. */
  run(image: Image): { readonly serial: Uint8Array; readonly end: Outcome["end"] };
}

/** A processor that ours and the others have a model of. */
export interface Processor {
  readonly platform: string;
  readonly qemu: string;
  readonly bochs: string;
  readonly kvm?: string;
}

export const processors: Readonly<Record<string, Processor>> = {
  zen: { platform: "zen", qemu: "EPYC", bochs: "ryzen", kvm: "EPYC" },
  skylake: { platform: "skylake", qemu: "Skylake-Server", bochs: "corei7_skylake_x" },
  icelake: { platform: "icelake", qemu: "Icelake-Server,phys-bits=52", bochs: "corei7_icelake_u" },
  haswell: { platform: "haswell", qemu: "Haswell", bochs: "corei7_haswell_4770" },
};

/** QEMU's translator never saves RF as 1, and reads what it updates before it asks whether it may write. */
const resumeFlag = 0x1_0000n;
const [present, write, reserved, key] = [1n, 2n, 8n, 0x20n];
/** AC lifts SMAP from accesses that the processor makes itself, in ring 0 (QEMU) or always (Bochs). */
const allowsImplicit = ({ access, cr4, rflags }: Case): boolean =>
  access?.implicit === true && (cr4 & 0x20_0000) !== 0 && (rflags & 0x4_0000n) !== 0n;
const knownOfQemu: Known = {
  ignoredFlags: resumeFlag,
  marksPdptes: true,
  isWrong: (one) => allowsImplicit(one) && (one.cs & 3) === 0,
  ignoredError: (one, error) =>
    ((error & reserved) === 0n ? 0n : present) | (one.access?.updates === true ? write | key : 0n),
};
const knownOfBochs: Known = { isWrong: allowsImplicit };
const budgetPerCase = 30_000;
const budgetBase = 3_000_000;
const timePerCaseMs = 60;
const startMs = 12_000;
const quietLimitMs = 5000;

/** Ours; a case that never ends spends the budget. */
export function ourMachine(platformName: string): DifferentialMachine {
  const found = findPlatform(platformName);
  if (found === undefined) throw new Error(`no platform ${platformName}`);
  const platform: Platform = { ...found, memoryBytes: 64 << 20 };
  const ends: Partial<Record<BootEnd["kind"], Outcome["end"]>> = { shutdown: "shutdown", unsupported: "unsupported" };
  return {
    name: "ours",
    run(image) {
      const kernel = loadMultiboot(toMultiboot(image), {
        memoryBytes: platform.memoryBytes,
        commandLine: "",
        modules: [],
      });
      if (typeof kernel === "string") throw new Error(kernel);
      const serial: number[] = [];
      const budgetInstructions = budgetBase + budgetPerCase * ((image.segments[0]?.bytes.length ?? 0) / 1024);
      const options = { platform, budgetInstructions, serial: (byte: number) => void serial.push(byte) };
      const { end } = boot(loadCore(), kernel, options);
      return { serial: Uint8Array.from(serial), end: ends[end.kind] ?? "silent" };
    },
  };
}

/** Those that are installed here. */
export function otherMachines(processor: Processor, only?: string): DifferentialMachine[] {
  const limit = (image: Image): number => startMs + timePerCaseMs * ((image.segments[0]?.bytes.length ?? 0) / 1024);
  const end = (stopped: boolean): Outcome["end"] => (stopped ? "shutdown" : "silent");
  const machines: DifferentialMachine[] = [];
  const { qemu, bochs, kvm } = processor;
  if (hasQemu()) {
    machines.push({
      name: "QEMU",
      ...knownOfQemu,
      run(image) {
        const { serial, stopped } = bootQemu(image, { cpu: qemu, timeLimitMs: limit(image), quietLimitMs });
        return { serial, end: end(stopped) };
      },
    });
  }
  if (hasBochs()) {
    machines.push({
      name: "Bochs",
      ...knownOfBochs,
      run(image) {
        const { serial, stopped } = bootBochs(image, { cpu: bochs, timeLimitMs: limit(image), quietLimitMs });
        return { serial, end: end(stopped) };
      },
    });
  }
  if (kvm !== undefined && hasKvm()) {
    machines.push({
      name: "KVM",
      run(image) {
        const { serial, stopped } = bootQemu(image, { cpu: kvm, timeLimitMs: limit(image), quietLimitMs }, "kvm");
        return { serial, end: end(stopped) };
      },
    });
  }
  return only === undefined ? machines : machines.filter(({ name }) => only.split(",").includes(name));
}

/** Every case's outcome. Where a case ends the run, the next image begins behind it. */
export function runCases(machine: DifferentialMachine, cases: readonly Case[]): Outcome[] {
  const outcomes: Outcome[] = [];
  while (outcomes.length < cases.length) {
    const rest = cases.slice(outcomes.length);
    const { serial, end } = machine.run(imageOf(rest));
    const found = decodeOutcomes(serial);
    for (let i = 0; i < rest.length; i++) {
      const outcome = found.get(i);
      outcomes.push(outcome ?? endedWithout(end));
      if (outcome === undefined) break;
    }
  }
  return outcomes;
}
