// Machines that boot a carried image: each gives what came over the serial port. QEMU and Bochs where they are installed.

import { toMultiboot } from "../../src/compiler/index.js";
import type { Platform } from "../../src/isa/index.js";
import { boot, loadCore, loadMultiboot } from "../../src/machine/index.js";
import type { EventPlan, Program } from "../../src/program/index.js";
import type { ResolvedCase } from "../../src/resolve/index.js";
import { bootBochs, bootQemu, hasBochs, hasQemu, type Booted } from "../support/emulators.js";

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

const asText = ({ serial, stopped }: Booted): BootOutcome => ({
  serialText: Buffer.from(serial).toString("latin1"),
  ended: stopped ? "stopped" : "timed-out",
});

const qemu: BootMachine = {
  name: "QEMU",
  has: ({ platform, file }) => !platform.cpu.features.includes("VMX") && !file.endsWith("findings.trap"),
  boot: ({ image, plan }) => asText(bootQemu(image, { cpu: "max", timeLimitMs: timeLimit(plan) })),
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
    return asText(bootBochs(image, { cpu: bochsModels[platform.name] ?? "", timeLimitMs: timeLimit(plan) }));
  },
};

/** Every machine that is there. */
export function bootMachines(): readonly BootMachine[] {
  return [bundled, ...(hasQemu() ? [qemu] : []), ...(hasBochs() ? [bochs] : [])];
}
