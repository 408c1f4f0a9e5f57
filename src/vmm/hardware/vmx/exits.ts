// What the VMM does at each VM exit of its guest: one handler for each basic exit reason, found by its number.
//
// A handler says of which class the exit is (docs/decisions/0002), does the work and completes the instruction, or
// injects what the guest must see. It gives a stop only where the guest ends.

import { vmxExitReasons } from "../../../isa/index.js";
import type { VmmStop } from "../../bundled.js";
import { virtualizationExits } from "../../baseline-policy.js";
import { emulateCpuid } from "../cpuid.js";
import { loadXcr0 } from "../control-registers.js";
import { gpr } from "../exited-guest.js";
import { crAccess } from "./cr-access.js";
import { eptViolation } from "./ept-violation.js";
import { exceptionOrNmi, externalInterrupt, interruptWindow, nmiWindow } from "./exceptions.js";
import { ioInstruction } from "./io-instruction.js";
import { deniedEnd } from "../denied.js";
import { deniedMsr, emulateRdmsr, emulateWrmsr } from "../msr.js";
import { monitorTrap, stepOver } from "./stepping.js";
import { taskSwitch } from "./task-switch.js";
import type { VmxVcpu } from "./vcpu.js";

/** Handles one exit. */
export type ExitHandler = (vcpu: VmxVcpu) => VmmStop | undefined;

const invalidOpcode = { vector: 6 } as const;
const generalProtection = { vector: 13, errorCode: 0 } as const;

function cpuid(vcpu: VmxVcpu): undefined {
  const { guest } = vcpu;
  guest.classify("public");
  emulateCpuid(guest);
  guest.emulated("CPUID");
  guest.advance();
}

/** The guest waits as a halted processor does: the processor itself knows whether anything can wake it. */
function hlt(vcpu: VmxVcpu): undefined {
  const { guest } = vcpu;
  guest.classify("public");
  const { rip } = guest;
  guest.advance();
  if (!vcpu.hasPendingEvent) vcpu.halt(rip);
}

function rdmsr(vcpu: VmxVcpu): VmmStop | undefined {
  const { guest } = vcpu;
  guest.classify("public");
  const denied = deniedMsr(guest, false);
  if (denied) return deniedEnd(guest, denied, generalProtection);
  finish(vcpu, "RDMSR", emulateRdmsr(guest));
  return undefined;
}

function wrmsr(vcpu: VmxVcpu): VmmStop | undefined {
  const { guest } = vcpu;
  guest.classify("public");
  const denied = deniedMsr(guest, true);
  if (denied) return deniedEnd(guest, denied, generalProtection);
  finish(vcpu, "WRMSR", emulateWrmsr(guest));
  return undefined;
}

function xsetbv(vcpu: VmxVcpu): undefined {
  const { guest } = vcpu;
  guest.classify("public");
  const value = (BigInt(guest.general32(gpr.rdx)) << 32n) | BigInt(guest.general32(gpr.rax));
  finish(vcpu, "XSETBV", loadXcr0(guest, guest.general32(gpr.rcx), value));
}

/** Completes an emulated instruction, or gives the guest #GP(0) where its checks failed. */
function finish(vcpu: VmxVcpu, subject: string, done: boolean): void {
  const { guest } = vcpu;
  if (!done) {
    guest.inject(generalProtection);
    return;
  }
  guest.emulated(subject);
  guest.advance();
}

/** Instructions that a processor without VMX does not have. */
function absentInstruction(vcpu: VmxVcpu): undefined {
  vcpu.guest.classify("public");
  vcpu.guest.inject(invalidOpcode);
}

/** Instructions whose whole work is a wait or a hint, or concerns caches that hold nothing of their own. */
function nothingToDo(subject: string): ExitHandler {
  return ({ guest }) => {
    guest.classify("public");
    guest.emulated(subject);
    guest.advance();
    return undefined;
  };
}

/** Exits that only the declared policy asks for: the guest carries the instruction out itself, exits lifted for it. */
function asked(subject: string): ExitHandler {
  return (vcpu) => {
    vcpu.guest.classify("public");
    stepOver(vcpu, subject);
    return undefined;
  };
}

/** On shadow page tables INVLPG is the VMM's to carry out. */
function invlpg(vcpu: VmxVcpu): undefined {
  const { guest, shadow } = vcpu;
  const isAsked = guest.policy.intercepts.includes("INVLPG");
  guest.classify(isAsked ? "public" : "internal");
  if (shadow) {
    shadow.flush();
    if (isAsked) guest.emulated("INVLPG");
    guest.advance();
  } else stepOver(vcpu, "INVLPG");
}

function tripleFault({ guest }: VmxVcpu): VmmStop {
  guest.classify("public");
  if (guest.events.listening) guest.events.append({ kind: "shutdown", rip: guest.rip });
  return { kind: "shutdown" };
}

/** INIT takes a bootstrap processor to firmware, which this VMM has none of: the run ends as by a shutdown. */
function initSignal({ guest }: VmxVcpu): VmmStop {
  guest.classify("internal");
  if (guest.events.listening) guest.events.append({ kind: "shutdown", rip: guest.rip });
  return { kind: "shutdown", byInit: true };
}

const steppedInstructions = [
  "RDPMC",
  "RDTSC",
  "RDTSCP",
  "MWAIT",
  "MONITOR",
  "MOV_DR",
  "GDTR_IDTR_ACCESS",
  "LDTR_TR_ACCESS",
  "RDRAND",
  "RDSEED",
  "INVPCID",
  "XSAVES",
  "XRSTORS",
] as const;

/** Handlers by the names of the exits. */
const byName = new Map<string, ExitHandler>([
  ["EXCEPTION_NMI", exceptionOrNmi],
  ["EXTERNAL_INTERRUPT", externalInterrupt],
  ["TRIPLE_FAULT", tripleFault],
  ["INIT_SIGNAL", initSignal],
  ["INTERRUPT_WINDOW", interruptWindow],
  ["NMI_WINDOW", nmiWindow],
  ["TASK_SWITCH", taskSwitch],
  ["CPUID", cpuid],
  ["HLT", hlt],
  ["INVD", nothingToDo("INVD")],
  ["WBINVD", nothingToDo("WBINVD")],
  ["PAUSE", nothingToDo("PAUSE")],
  ["INVLPG", invlpg],
  ["CR_ACCESS", crAccess],
  ["IO_INSTRUCTION", ioInstruction],
  ["RDMSR", rdmsr],
  ["WRMSR", wrmsr],
  ["MONITOR_TRAP_FLAG", monitorTrap],
  ["EPT_VIOLATION", eptViolation],
  ["XSETBV", xsetbv],
  ...virtualizationExits.intel.map((name) => [name, absentInstruction] as const),
  ...steppedInstructions.map((name) => [name, asked(name)] as const),
]);

const byNumber: readonly (ExitHandler | undefined)[] = Array.from({ length: 128 }, (_, number) => {
  const reason = vmxExitReasons.find((row) => row.number === number);
  return reason && byName.get(reason.name);
});

/** Handles the exit with this basic reason. */
export function handleExit(vcpu: VmxVcpu, basicReason: number): VmmStop | undefined {
  const handler = byNumber[basicReason];
  if (handler === undefined) throw new Error(`internal error: the VMM did not ask for exits of reason ${basicReason}`);
  return handler(vcpu);
}
