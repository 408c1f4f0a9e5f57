// The sensitive instructions that do not trap: under translation the VMM carries them out, so that they show what the
// guest's own processor would. Robin and Irvine 2000 list them; the rules are those of Intel SDM vol. 2.

import type { OperandValue } from "../../../codec/index.js";
import { flagBits, segmentRegisterNames } from "../../../isa/index.js";
import { emulateCpuid } from "../../hardware/cpuid.js";
import { eventTypes, type InjectedEvent } from "../../hardware/exited-guest.js";
import type { SegmentRegisterName } from "../../virtualization.js";
import { type EmulatedInstruction, type Emulator, type Outcome } from "../shared/emulation.js";
import { operandBytes, type GuestInstruction } from "../../emulation/instruction.js";
import { callFar, jumpFar } from "../shared/far-transfers.js";
import { farTarget, readOperand, writeOperand, writeSegment } from "../../emulation/operands.js";
import { privilegedInstructions, toSegment } from "../shared/privileged.js";
import { changeableFlags } from "../shared/returns.js";
import { decodeDescriptor, dplOf, isSegment } from "../../emulation/descriptors.js";
import { systemCall, systemEnter } from "../shared/system-calls.js";
import type { SoftwareGuest } from "../shared/software-guest.js";

const rightsCode = 0x08;
const rightsConforming = 0x04;
const rightsWritable = 0x02;
const segmentNames: ReadonlySet<string> = new Set(segmentRegisterNames.map((name) => name.toLowerCase()));
const protectionFault = { fault: { vector: 13, errorCode: 0 } } as const;
const undefinedOpcode = { fault: { vector: 6 } } as const;

const nameOf = (operand: OperandValue | undefined): string => (operand?.kind === "register" ? operand.name : "");

const done = (fault: InjectedEvent | undefined): Outcome => (fault ? { fault } : "done");

/** SGDT and SIDT. */
function storeTable(register: "gdtr" | "idtr"): Emulator {
  return (guest, { decoded }) => {
    const { base, limitBytes } = guest[register];
    return done(writeOperand(guest, decoded.value.operands[0], (base << 16n) | BigInt(limitBytes), 6));
  };
}

/** SLDT, STR, SMSW: 16 bits to memory; a wider register gets zeros, or for SMSW the rest of CR0. */
function storeWord(read: (guest: SoftwareGuest) => bigint): Emulator {
  return (guest, { decoded }) => done(writeOperand(guest, decoded.value.operands[0], read(guest), 2));
}

const pushf: Emulator = (guest, instruction) => {
  const image = guest.register("RFLAGS") & ~(flagBits.RF | flagBits.VM);
  return push(guest, image, operandBytes(guest, instruction));
};

const popf: Emulator = (guest, instruction) => {
  const bytes = operandBytes(guest, instruction);
  const top = readOperand(
    guest,
    { kind: "memory", segment: "ss", scale: 1, displacement: guest.stackOffset(0) },
    bytes,
  );
  if ("fault" in top) return top;
  // POPF clears RF and leaves VIF and VIP as IRET would not.
  const { RF, VIF, VIP } = flagBits;
  const changes = changeableFlags(guest, guest.cpl, bytes) & ~(RF | VIF | VIP);
  const old = guest.register("RFLAGS") & ~RF;
  guest.moveStack(bytes, guest.stackIsWide);
  guest.setRegister("RFLAGS", (old & ~changes) | (top.value & changes));
  return "done";
};

/** Pushes a value of the operand size, or the part of it that is written. */
function push(guest: SoftwareGuest, value: bigint, bytes: 2 | 4, written = bytes): Outcome {
  const fault = writeSegment(guest, "SS", guest.stackOffset(-bytes), value, written);
  if (fault) return { fault };
  guest.moveStack(-bytes, guest.stackIsWide);
  return "done";
}

const pushSegment: Emulator = (guest, instruction) => {
  const name = nameOf(instruction.decoded.value.operands[0]);
  if (!segmentNames.has(name)) return undefined;
  const selector = BigInt(guest.segment(name.toUpperCase() as SegmentRegisterName).selector);
  // Intel's processors leave the upper half of a slot of 32 bits, AMD's write zeros there.
  const bytes = operandBytes(guest, instruction);
  return push(guest, selector, bytes, guest.platform.cpu.vendor === "intel" ? 2 : bytes);
};

const movSegment: Emulator = (guest, instruction) => {
  const [to, from] = instruction.decoded.value.operands;
  if (segmentNames.has(nameOf(to))) {
    const read = readOperand(guest, from, 2);
    return "fault" in read ? read : toSegment(guest, nameOf(to), Number(read.value & 0xffffn));
  }
  const source = nameOf(from);
  if (!segmentNames.has(source)) return privilegedInstructions.get("mov")?.run(guest, instruction);
  const { selector } = guest.segment(source.toUpperCase() as SegmentRegisterName);
  return done(writeOperand(guest, to, BigInt(selector), 2));
};

/** LAR, LSL, VERR, VERW: ZF says whether the selector would do. */
function inspect(what: "lar" | "lsl" | "verr" | "verw"): Emulator {
  return (guest, { decoded }) => {
    const { operands } = decoded.value;
    const isTest = what === "verr" || what === "verw";
    const read = readOperand(guest, operands[isTest ? 0 : 1], 2);
    if ("fault" in read) return read;
    const selector = Number(read.value & 0xffffn);
    const found = (selector & 0xfffc) === 0 ? undefined : guest.tables.read(selector);
    const visible = found !== undefined && isVisible(guest, selector, found.rights, what);
    if (visible && what === "lar") writeOperand(guest, operands[0], BigInt(found.high & 0xff_ff00), 4);
    if (visible && what === "lsl") {
      writeOperand(guest, operands[0], BigInt(decodeDescriptor(found.low, found.high).limitBytes), 4);
    }
    const flags = guest.register("RFLAGS");
    guest.setRegister("RFLAGS", visible ? flags | flagBits.ZF : flags & ~flagBits.ZF);
    return "done";
  };
}

/** System descriptors outside IA-32e mode that LSL knows (TSSs and LDTs); LAR knows call and task gates too. */
const systemTypes = { lsl: [1, 2, 3, 9, 11], lar: [1, 2, 3, 4, 5, 9, 11, 12] } as const;

function isVisible(
  guest: SoftwareGuest,
  selector: number,
  rights: number,
  what: "lar" | "lsl" | "verr" | "verw",
): boolean {
  const dpl = dplOf(rights);
  const reach = dpl >= guest.cpl && dpl >= (selector & 3);
  if (!isSegment(rights)) {
    return (
      (what === "lar" || what === "lsl") && (systemTypes[what] as readonly number[]).includes(rights & 0xf) && reach
    );
  }
  const isCode = (rights & rightsCode) !== 0;
  const conforming = isCode && (rights & rightsConforming) !== 0;
  if (what === "verr") return (!isCode || (rights & rightsWritable) !== 0) && (conforming || reach);
  if (what === "verw") return !isCode && (rights & rightsWritable) !== 0 && reach;
  return conforming || reach;
}

/** CALL and JMP that name a segment; the near ones are translated. */
function far(isCall: boolean): Emulator {
  return (guest, instruction) => {
    const [operand] = instruction.decoded.value.operands;
    const bytes = operandBytes(guest, instruction);
    const target = farTarget(guest, operand, bytes);
    if (target === undefined || "fault" in target) return target;
    const transfer = { ...target, bytes, next: instruction.rip + BigInt(instruction.decoded.length) };
    return isCall ? callFar(guest, transfer) : jumpFar(guest, transfer);
  };
}

/** INT n, INT3 and INTO: they retire, and their event follows. */
function softwareInterrupt(vector: number | undefined): Emulator {
  return (guest, { decoded }) => {
    if (vector === 4 && (guest.register("RFLAGS") & flagBits.OF) === 0n) return "done";
    const [operand] = decoded.value.operands;
    const named = operand?.kind === "immediate" ? Number(operand.value & 0xffn) : 0;
    const type = vector === undefined ? eventTypes.softwareInterrupt : eventTypes.softwareException;
    guest.raised = { vector: vector ?? named, type };
    return "done";
  };
}

const cpuid: Emulator = (guest) => {
  emulateCpuid(guest);
  return "done";
};

const sysenter: Emulator = (guest) => {
  const fault = systemEnter(guest);
  return fault ? { fault } : "jumped";
};

const syscall: Emulator = (guest, { rip, decoded }) => {
  const { vendor } = guest.platform.cpu;
  if (vendor === "intel" || (guest.efer & 1n) === 0n) return undefinedOpcode;
  systemCall(guest, rip + BigInt(decoded.length));
  return "jumped";
};

/** CLAC and STAC: #UD without SMAP. */
function alignmentFlag(value: boolean): Emulator {
  return (guest) => {
    if (!guest.platform.cpu.features.includes("SMAP")) return undefinedOpcode;
    const flags = guest.register("RFLAGS");
    guest.setRegister("RFLAGS", value ? flags | flagBits.AC : flags & ~flagBits.AC);
    return "done";
  };
}

const rdpmc: Emulator = () => protectionFault;

const rows: readonly (readonly [mnemonics: string, subject: string, run: Emulator])[] = [
  ["sgdt", "SGDT", storeTable("gdtr")],
  ["sidt", "SIDT", storeTable("idtr")],
  ["sldt", "SLDT", storeWord((guest) => BigInt(guest.ldtr.selector))],
  ["str", "STR", storeWord((guest) => BigInt(guest.tr.selector))],
  ["smsw", "SMSW", storeWord((guest) => guest.cr0)],
  ["pushf pushfd pushfw", "PUSHF", pushf],
  ["popf popfd popfw", "POPF", popf],
  ["push", "PUSH", pushSegment],
  ["mov", "MOV", movSegment],
  ["lar", "LAR", inspect("lar")],
  ["lsl", "LSL", inspect("lsl")],
  ["verr", "VERR", inspect("verr")],
  ["verw", "VERW", inspect("verw")],
  ["call", "CALL", far(true)],
  ["jmp", "JMP", far(false)],
  ["int", "INT", softwareInterrupt(undefined)],
  ["int3", "INT", softwareInterrupt(3)],
  ["into", "INT", softwareInterrupt(4)],
  ["cpuid", "CPUID", cpuid],
  ["sysenter", "SYSENTER", sysenter],
  ["syscall", "SYSCALL", syscall],
  ["stac", "STAC", alignmentFlag(true)],
  ["clac", "CLAC", alignmentFlag(false)],
  ["rdpmc", "RDPMC", rdpmc],
];

/** Everything that translated code leaves to the VMM: what faults in ring 1, and what would go wrong there. */
export const sensitiveInstructions: ReadonlyMap<string, EmulatedInstruction> = new Map([
  ...privilegedInstructions,
  ...rows.flatMap(([mnemonics, subject, run]) => mnemonics.split(" ").map((name) => [name, { subject, run }] as const)),
]);

/** Instructions of which only some forms are sensitive: those that name a segment, a control or a debug register. */
const mixed: ReadonlySet<string> = new Set(["mov", "push", "pop", "call", "jmp"]);

/** Whether code of the kernel may not have this instruction as it is; `table` is what the VMM carries out. */
export function isSensitive({ decoded }: GuestInstruction, table: ReadonlyMap<string, EmulatedInstruction>): boolean {
  const { mnemonic, operands } = decoded.value;
  if (!table.has(mnemonic)) return false;
  if (!mixed.has(mnemonic)) return true;
  return operands.some(
    (operand) =>
      operand.kind === "far" ||
      (operand.kind === "memory" && operand.far === true) ||
      (operand.kind === "register" && (segmentNames.has(operand.name) || /^[cd]r\d/.test(operand.name))),
  );
}
