// Instructions that do something else in real mode than in any mode that can stand in for it: those with segment
// registers, selectors and the flags of the system. Intel SDM vol. 2, the pages of the instructions, "Real-Address Mode".

import type { OperandValue } from "../../../../codec/index.js";
import { flagBits, segmentRegisterNames } from "../../../../isa/index.js";
import { operandBytes, type GuestInstruction } from "../../../emulation/instruction.js";
import { farTarget, readOperand, writeOperand } from "../../../emulation/operands.js";
import type { SegmentRegisterName } from "../../../virtualization.js";
import type { InjectedEvent } from "../../exited-guest.js";
import type { RealGuest } from "./real-guest.js";

/** What became of an instruction: RIP goes on behind it, or is where it should be, or it has faulted. */
export type Outcome = "done" | "jumped" | { readonly fault: InjectedEvent };

/** Carries an instruction out; undefined where this form of it does the same in ring 0 of protected mode. */
type Emulator = (guest: RealGuest, instruction: GuestInstruction) => Outcome | undefined;

const undefinedOpcode: Outcome = { fault: { vector: 6 } };
const protectionFault: Outcome = { fault: { vector: 13 } };
const segmentNames: ReadonlySet<string> = new Set(segmentRegisterNames.map((name) => name.toLowerCase()));

const { CF, PF, AF, ZF, SF, TF, IF, DF, OF, IOPL, NT, RF, AC, ID, VM, VIF, VIP } = flagBits;
const flags16 = CF | PF | AF | ZF | SF | TF | IF | DF | OF | IOPL | NT;
/** Flags that an image of 16 or 32 bits changes; IRET loads RF too, POPF clears it. */
const changeable = { 2: flags16, 4: flags16 | AC | ID } as const;

const nameOf = (operand: OperandValue | undefined): string => (operand?.kind === "register" ? operand.name : "");
const segmentOf = (operand: OperandValue | undefined): SegmentRegisterName | undefined =>
  segmentNames.has(nameOf(operand)) ? (nameOf(operand).toUpperCase() as SegmentRegisterName) : undefined;
const ended = (fault: InjectedEvent | undefined): Outcome => (fault ? { fault } : "done");

function load(guest: RealGuest, name: SegmentRegisterName, selector: bigint): void {
  guest.load(name, Number(selector & 0xffffn));
}

const mov: Emulator = (guest, { decoded }) => {
  const [to, from] = decoded.value.operands;
  const source = segmentOf(from);
  if (source) return ended(writeOperand(guest, to, BigInt(guest.segment(source).selector), 2));
  const target = segmentOf(to);
  if (target === undefined) return undefined;
  if (target === "CS") return undefinedOpcode;
  const read = readOperand(guest, from, 2);
  if ("fault" in read) return read;
  load(guest, target, read.value);
  return "done";
};

const push: Emulator = (guest, instruction) => {
  const name = segmentOf(instruction.decoded.value.operands[0]);
  // Intel's processors leave the upper half of a slot of 32 bits.
  return name && ended(guest.push(BigInt(guest.segment(name).selector), operandBytes(guest, instruction), 2));
};

const pop: Emulator = (guest, instruction) => {
  const name = segmentOf(instruction.decoded.value.operands[0]);
  if (name === undefined) return undefined;
  const bytes = operandBytes(guest, instruction);
  const top = guest.slot(0, bytes);
  if ("fault" in top) return top;
  // The stack pointer moves in the stack that the value came from.
  guest.moveStack(bytes);
  load(guest, name, top.value);
  return "done";
};

/** LDS and the like. */
function loadPointer(name: SegmentRegisterName): Emulator {
  return (guest, instruction) => {
    const [to, from] = instruction.decoded.value.operands;
    const bytes = operandBytes(guest, instruction);
    const read = readOperand(guest, from, bytes + 2);
    if ("fault" in read) return read;
    const bits = bytes * 8;
    load(guest, name, read.value >> BigInt(bits));
    return ended(writeOperand(guest, to, BigInt.asUintN(bits, read.value), bytes));
  };
}

/** Far JMP and CALL; the near ones are undefined here. */
function far(isCall: boolean): Emulator {
  return (guest, instruction) => {
    const [operand] = instruction.decoded.value.operands;
    const bytes = operandBytes(guest, instruction);
    const target = farTarget(guest, operand, bytes);
    if (target === undefined || "fault" in target) return target;
    if (!guest.holdsCode(target.offset)) return protectionFault;
    const rsp = guest.register("RSP");
    const next = guest.rip + BigInt(instruction.decoded.length);
    const fault = isCall
      ? (guest.push(BigInt(guest.segment("CS").selector), bytes) ?? guest.push(next, bytes))
      : undefined;
    if (fault) {
      guest.setRegister("RSP", rsp);
      return { fault };
    }
    guest.jump(target.selector, target.offset);
    return "jumped";
  };
}

const retf: Emulator = (guest, instruction) => {
  const [released] = instruction.decoded.value.operands;
  const bytes = operandBytes(guest, instruction);
  const offset = guest.slot(0, bytes);
  if ("fault" in offset) return offset;
  const selector = guest.slot(1, bytes);
  if ("fault" in selector) return selector;
  if (!guest.holdsCode(offset.value)) return protectionFault;
  guest.moveStack(2 * bytes + (released?.kind === "immediate" ? Number(released.value) : 0));
  guest.jump(Number(selector.value & 0xffffn), offset.value);
  return "jumped";
};

const iret: Emulator = (guest, instruction) => {
  const bytes = operandBytes(guest, instruction);
  const values: bigint[] = [];
  for (let index = 0; index < 3; index++) {
    const slot = guest.slot(index, bytes);
    if ("fault" in slot) return slot;
    values.push(slot.value);
  }
  const [offset = 0n, selector = 0n, image = 0n] = values;
  if (!guest.holdsCode(offset)) return protectionFault;
  guest.moveStack(3 * bytes);
  guest.jump(Number(selector & 0xffffn), offset);
  const mask = changeable[bytes] | (bytes === 4 ? RF : 0n);
  guest.setRegister("RFLAGS", (guest.flags & ~(mask | RF)) | (image & mask));
  guest.blockNmi(false);
  return "jumped";
};

const pushf: Emulator = (guest, instruction) =>
  ended(guest.push(guest.flags & ~(RF | VM), operandBytes(guest, instruction)));

const popf: Emulator = (guest, instruction) => {
  const bytes = operandBytes(guest, instruction);
  const image = guest.slot(0, bytes);
  if ("fault" in image) return image;
  guest.moveStack(bytes);
  const mask = changeable[bytes];
  const cleared = bytes === 4 ? RF | VIF | VIP : RF;
  guest.setRegister("RFLAGS", (guest.flags & ~(mask | cleared)) | (image.value & mask));
  return "done";
};

/** Instructions of protected mode only. */
const absent: Emulator = () => undefinedOpcode;

const rows: readonly (readonly [mnemonics: string, run: Emulator])[] = [
  ["mov", mov],
  ["push", push],
  ["pop", pop],
  ["lds", loadPointer("DS")],
  ["les", loadPointer("ES")],
  ["lss", loadPointer("SS")],
  ["lfs", loadPointer("FS")],
  ["lgs", loadPointer("GS")],
  ["jmp", far(false)],
  ["call", far(true)],
  ["retf", retf],
  ["iret iretd iretw", iret],
  ["pushf pushfd pushfw", pushf],
  ["popf popfd popfw", popf],
  ["lldt ltr sldt str lar lsl verr verw arpl syscall sysret", absent],
  ["sysenter sysexit", () => protectionFault],
];

export const realModeInstructions: ReadonlyMap<string, Emulator> = new Map(
  rows.flatMap(([mnemonics, run]) => mnemonics.split(" ").map((name) => [name, run] as const)),
);

/** The vector of INT n; INT3, INTO and INT1 are exceptions and exit as such. */
export function interruptVector({ decoded }: GuestInstruction): number | undefined {
  const { mnemonic, operands } = decoded.value;
  const [operand] = operands;
  return mnemonic === "int" && operand?.kind === "immediate" ? Number(operand.value & 0xffn) : undefined;
}

/** Whether an instruction holds interrupts back until the next one is done. */
export function castsShadow({ decoded }: GuestInstruction): boolean {
  const { mnemonic, operands } = decoded.value;
  return (mnemonic === "mov" || mnemonic === "pop") && segmentOf(operands[0]) === "SS";
}
