// The privileged instructions: in ring 1 they fault, so every software VMM carries them out. Intel SDM vol. 3A,
// "Privileged Instructions", "I/O Privilege Level"; the instruction pages of vol. 2.

import type { OperandValue } from "../../../codec/index.js";
import { cr0Bits, cr4Bits, flagBits } from "../../../isa/index.js";
import { loadCr0, loadCr3, loadCr4, loadXcr0 } from "../../hardware/control-registers.js";
import { gpr } from "../../hardware/exited-guest.js";
import { deniedMsr, emulateRdmsr, emulateWrmsr } from "../../hardware/msr.js";
import { deniedOutcome } from "./emulation.js";
import { addressBits, operandBytes } from "../../emulation/instruction.js";
import type { EmulatedInstruction, Emulator, Outcome } from "./emulation.js";
import type { GuestInstruction } from "../../emulation/instruction.js";
import { loadTableRegister, loadLdt, loadTask } from "./table-registers.js";
import { portInstruction } from "./ports.js";
import { placeOf, readOperand, readRegister, writeRegister } from "../../emulation/operands.js";
import { farReturn, interruptReturn } from "./returns.js";
import { loadSegment } from "./segment-loads.js";
import type { SoftwareGuest } from "./software-guest.js";
import { systemExit, systemReturn } from "./system-calls.js";

const protectionFault = { fault: { vector: 13, errorCode: 0 } } as const;
const undefinedOpcode = { fault: { vector: 6 } } as const;
const timeStampMsr = 0x10;
const auxMsr = 0xc000_0103;
const segmentNames: ReadonlySet<string> = new Set(["es", "ss", "ds", "fs", "gs"]);

/** An instruction for ring 0 only. */
function kernelOnly(run: Emulator): Emulator {
  return (guest, instruction) => (guest.cpl === 0 ? run(guest, instruction) : undefined);
}

const ok = (done: boolean): Outcome => (done ? "done" : protectionFault);

/** CLI and STI, for rings that IOPL allows them. */
function interruptFlag(value: boolean): Emulator {
  return (guest) => {
    if (BigInt(guest.cpl) > guest.iopl >> 12n) return undefined;
    if (value && !guest.interruptFlag) guest.interruptShadow = true;
    guest.interruptFlag = value;
    return "done";
  };
}

/** STAC and CLAC; elsewhere than in ring 0 and without SMAP they are undefined. */
function accessFlag(value: boolean): Emulator {
  return (guest) => {
    if (!guest.platform.cpu.features.includes("SMAP")) return undefined;
    const flags = guest.register("RFLAGS") & ~flagBits.AC;
    guest.setRegister("RFLAGS", value ? flags | flagBits.AC : flags);
    return "done";
  };
}

const hlt: Emulator = (guest, { rip }) => {
  guest.halted = rip;
  return "done";
};

function registerOperand(operand: OperandValue | undefined): string {
  return operand?.kind === "register" ? operand.name : "";
}

/** MOV to and from control and debug registers, and to SS, whose RPL must be the ring's. */
const mov: Emulator = (guest, instruction) => {
  const [to, from] = instruction.decoded.value.operands;
  const target = registerOperand(to);
  const source = registerOperand(from);
  if (target.startsWith("cr")) return guest.cpl === 0 ? movToCr(guest, target, readRegister(guest, source)) : undefined;
  if (target.startsWith("dr")) return guest.cpl === 0 ? movToDr(guest, target, readRegister(guest, source)) : undefined;
  if (/^[cd]r\d/.test(source)) {
    if (guest.cpl !== 0) return undefined;
    writeRegister(guest, target, guest.register(debugRegister(source)));
    return "done";
  }
  if (!segmentNames.has(target)) return undefined;
  const read = readOperand(guest, from, 2);
  return "fault" in read ? read : toSegment(guest, target, Number(read.value & 0xffffn));
};

/** Loads a segment register; interrupts are held back after SS. */
export function toSegment(guest: SoftwareGuest, name: string, selector: number): Outcome {
  const fault = loadSegment(guest, name.toUpperCase() as "SS", selector);
  if (fault) return { fault };
  if (name === "ss") guest.interruptShadow = true;
  return "done";
}

function movToCr(guest: SoftwareGuest, name: string, value: bigint): Outcome | undefined {
  switch (name) {
    case "cr0":
      return ok(loadCr0(guest, value));
    case "cr2":
      guest.cr2 = value;
      return "done";
    case "cr3":
      return ok(loadCr3(guest, value));
    case "cr4":
      return ok(loadCr4(guest, value));
    default:
      return undefined;
  }
}

/** DR4 and DR5 are other names of DR6 and DR7 while CR4.DE is 0. */
function debugRegister(name: string): string {
  return name === "dr4" ? "DR6" : name === "dr5" ? "DR7" : name.toUpperCase();
}

function movToDr(guest: SoftwareGuest, name: string, value: bigint): Outcome {
  const isAlias = name === "dr4" || name === "dr5";
  if (isAlias && (guest.cr4 & cr4Bits.DE) !== 0n) return undefinedOpcode;
  const register = debugRegister(name);
  const fixed = register === "DR6" ? 0xffff_0ff0n : register === "DR7" ? 0x400n : 0n;
  guest.setRegister(register, (value & 0xffff_ffffn) | fixed);
  return "done";
}

const pop: Emulator = (guest, instruction) => {
  const [to] = instruction.decoded.value.operands;
  const name = registerOperand(to);
  if (!segmentNames.has(name)) return undefined;
  const bytes = operandBytes(guest, instruction);
  const top = guest.stackOffset(0);
  const read = readOperand(guest, { kind: "memory", segment: "ss", scale: 1, displacement: top }, 2);
  if ("fault" in read) return read;
  // The stack pointer moves in the stack that the value came from.
  const wide = guest.stackIsWide;
  const outcome = toSegment(guest, name, Number(read.value));
  if (outcome === "done") guest.moveStack(bytes, wide);
  return outcome;
};

/** LSS and the like: an offset and a selector from memory. */
const loadFarPointer: Emulator = (guest, instruction) => {
  const { mnemonic, operands } = instruction.decoded.value;
  const [to, from] = operands;
  if (from?.kind !== "memory" || to?.kind !== "register") return undefined;
  const bytes = operandBytes(guest, instruction);
  const read = readOperand(guest, from, bytes + 2);
  if ("fault" in read) return read;
  const outcome = toSegment(guest, mnemonic.slice(1), Number(read.value >> BigInt(bytes * 8)));
  if (outcome === "done") writeRegister(guest, to.name, read.value & ((1n << BigInt(bytes * 8)) - 1n));
  return outcome;
};

const lmsw: Emulator = (guest, { decoded }) => {
  const read = readOperand(guest, decoded.value.operands[0], 2);
  if ("fault" in read) return read;
  const kept = guest.cr0 & ~0xen;
  return ok(loadCr0(guest, kept | (read.value & 0xfn)));
};

const invlpg: Emulator = (guest, { decoded }) => {
  const [operand] = decoded.value.operands;
  if (operand?.kind !== "memory") return undefined;
  placeOf(guest, operand);
  guest.flush();
  return "done";
};

const rdmsr: Emulator = (guest) => {
  const denied = deniedMsr(guest, false);
  return denied ? deniedOutcome(denied) : ok(emulateRdmsr(guest));
};

const wrmsr: Emulator = (guest) => {
  const denied = deniedMsr(guest, true);
  return denied ? deniedOutcome(denied) : ok(emulateWrmsr(guest));
};

const rdtsc: Emulator = (guest, { decoded }) => {
  const value = guest.readMsr(timeStampMsr);
  guest.setGeneral32(gpr.rax, Number(value & 0xffff_ffffn));
  guest.setGeneral32(gpr.rdx, Number(value >> 32n));
  const aux = guest.readMsr(auxMsr) & 0xffff_ffffn;
  if (decoded.value.mnemonic === "rdtscp") guest.setGeneral32(gpr.rcx, Number(aux));
  return "done";
};

const xsetbv: Emulator = (guest) => {
  const value = (BigInt(guest.general32(gpr.rdx)) << 32n) | BigInt(guest.general32(gpr.rax));
  return ok(loadXcr0(guest, guest.general32(gpr.rcx), value));
};

const iret: Emulator = (guest, instruction) => {
  if ((guest.register("RFLAGS") & flagBits.NT) !== 0n) {
    guest.refusal = "this VMM does not switch tasks";
    return "again";
  }
  const fault = interruptReturn(guest, operandBytes(guest, instruction));
  if (fault) return { fault };
  guest.onInterruptReturn();
  return "jumped";
};

const retf: Emulator = (guest, instruction) => {
  const [released] = instruction.decoded.value.operands;
  const bytes = released?.kind === "immediate" ? Number(released.value) : 0;
  const fault = farReturn(guest, operandBytes(guest, instruction), bytes);
  return fault ? { fault } : "jumped";
};

const nothing: Emulator = () => "done";

const clts: Emulator = (guest) => {
  guest.setRegister("CR0", guest.cr0 & ~cr0Bits.TS);
  return "done";
};

function port(input: boolean, string: boolean): Emulator {
  return (guest, instruction: GuestInstruction) =>
    portInstruction(guest, instruction, { input, string, addressBits: addressBits(guest, instruction) });
}

const rows: readonly (readonly [mnemonics: string, subject: string, run: Emulator])[] = [
  ["cli", "CLI", interruptFlag(false)],
  ["sti", "STI", interruptFlag(true)],
  ["hlt", "HLT", kernelOnly(hlt)],
  ["mov", "MOV", mov],
  ["pop", "POP", pop],
  ["lss", "LSS", loadFarPointer],
  ["lmsw", "LMSW", kernelOnly(lmsw)],
  ["clts", "CLTS", kernelOnly(clts)],
  ["invlpg", "INVLPG", kernelOnly(invlpg)],
  ["invd", "INVD", kernelOnly(nothing)],
  ["wbinvd", "WBINVD", kernelOnly(nothing)],
  ["rdmsr", "RDMSR", kernelOnly(rdmsr)],
  ["wrmsr", "WRMSR", kernelOnly(wrmsr)],
  ["rdtsc rdtscp", "RDTSC", kernelOnly(rdtsc)],
  ["stac", "STAC", kernelOnly(accessFlag(true))],
  ["clac", "CLAC", kernelOnly(accessFlag(false))],
  ["xsetbv", "XSETBV", kernelOnly(xsetbv)],
  ["lgdt", "LGDT", kernelOnly(loadTableRegister("gdtr"))],
  ["lidt", "LIDT", kernelOnly(loadTableRegister("idtr"))],
  ["lldt", "LLDT", kernelOnly(loadLdt)],
  ["ltr", "LTR", kernelOnly(loadTask)],
  ["iret iretd iretw", "IRET", kernelOnly(iret)],
  ["retf", "RETF", kernelOnly(retf)],
  ["in", "IN", port(true, false)],
  ["out", "OUT", port(false, false)],
  ["insb insw insd", "INS", port(true, true)],
  ["outsb outsw outsd", "OUTS", port(false, true)],
  ["sysexit", "SYSEXIT", kernelOnly(systemExit)],
  ["sysret sysretd", "SYSRET", kernelOnly(systemReturn)],
];

/** By lower-case mnemonic, as the decoder names it. */
export const privilegedInstructions: ReadonlyMap<string, EmulatedInstruction> = new Map(
  rows.flatMap(([mnemonics, subject, run]) => mnemonics.split(" ").map((name) => [name, { subject, run }] as const)),
);
