// Accesses to control registers that exit on SVM: those of a guest on shadow page tables, and those asked for.
//
// Without decode assists the exit does not tell the operand, so the VMM decodes the instruction itself.
// AMD APM vol. 2, "Control-Register Access Intercepts".

import { cr0Bits } from "../../../isa/index.js";
import type { InstructionValue, OperandValue } from "../../../codec/index.js";
import type { VmmStop } from "../../bundled.js";
import { loadCr0, loadCr3, loadCr4 } from "../control-registers.js";
import { readOperand, writeOperand, type OperandGuest } from "../../emulation/operands.js";
import type { InjectedEvent } from "../exited-guest.js";
import { decodeAtRip } from "../instruction-length.js";
import { operandGuest } from "../operand-guest.js";
import type { SvmGuest } from "./svm-guest.js";
import type { SvmVcpu } from "./vcpu.js";

/** LMSW changes PE (which it can only set), MP, EM and TS. */
const lmswBits = 0xfn;
const protectionFault = { vector: 13, errorCode: 0 } as const;

/** CR0_READ, CR3_WRITE and the like; `name` is the exit's. */
export function crAccess(vcpu: SvmVcpu, name: string): VmmStop | undefined {
  const { guest } = vcpu;
  const isAsked = guest.policy.intercepts.includes(name);
  guest.classify(isAsked ? "public" : "internal");
  const decoded = decodeAtRip(guest);
  if (decoded === undefined) return vcpu.refuse("an access to a control register cannot be decoded");
  const fault = carryOut(guest, operandGuest(guest, vcpu.processor), decoded.value);
  if (fault) {
    guest.inject(fault);
    return undefined;
  }
  if (isAsked) guest.emulated(name);
  guest.advance(decoded.length);
  return undefined;
}

/** Carries the access out; gives the fault. */
function carryOut(
  guest: SvmGuest,
  operands: OperandGuest,
  { mnemonic, operands: [first, second] }: InstructionValue,
): InjectedEvent | undefined {
  const cr0 = guest.register("CR0");
  const checked = (done: boolean): InjectedEvent | undefined => (done ? undefined : protectionFault);
  if (mnemonic === "clts") return checked(loadCr0(guest, cr0 & ~cr0Bits.TS));
  if (mnemonic === "smsw") return writeOperand(operands, first, cr0, 2);
  if (mnemonic === "lmsw") {
    const status = readOperand(operands, first, 2);
    if ("fault" in status) return status.fault;
    return checked(loadCr0(guest, (cr0 & ~lmswBits) | (status.value & lmswBits) | (cr0 & cr0Bits.PE)));
  }
  const from = nameOf(second);
  if (from.startsWith("CR")) return writeOperand(operands, first, guest.register(from), 8);
  const value = readOperand(operands, second, 8);
  return "fault" in value ? value.fault : checked(load(guest, nameOf(first), value.value));
}

const nameOf = (operand: OperandValue | undefined): string =>
  operand?.kind === "register" ? operand.name.toUpperCase() : "";

function load(guest: SvmGuest, register: string, value: bigint): boolean {
  if (register === "CR0") return loadCr0(guest, value);
  if (register === "CR4") return loadCr4(guest, value);
  return loadCr3(guest, value);
}
