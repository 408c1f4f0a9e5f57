// What system instructions share: privilege, UMIP, the question to a guest's hypervisor, 16-bit operands.

import { cpu, MicroOp, PREFIX_FIRST_MEMORY, PREFIX_SECOND_MEMORY } from "./layout.generated";
import { ABORT, CR4_UMIP, NEXT, registerSized, setRegisterSized } from "./state";
import { raiseProtection } from "./faults";
import { finishWrite, operandForRead, operandForWrite } from "./memory";
import { interceptInstruction } from "./virtualization";
import { RULE_INSTRUCTION_PRIVILEGE, RULE_INSTRUCTION_UMIP } from "./rules.generated";

/** #GP(0) outside ring 0. Real mode runs at CPL 0, virtual-8086 mode at 3. */
// @ts-ignore: decorator
@inline
export function privileged(): bool {
  if (cpu.cpl == 0) return true;
  raiseProtection(RULE_INSTRUCTION_PRIVILEGE);
  return false;
}

/** True when a guest's hypervisor takes the instruction. */
// @ts-ignore: decorator
@inline
export function taken(intercept: u32, operand: u64, op: MicroOp): bool {
  return cpu.guestMode != 0 && interceptInstruction(intercept, operand, op);
}

/** UMIP: SGDT, SIDT, SLDT, SMSW and STR are for ring 0. */
export function mayReveal(): bool {
  if ((cpu.cr4 & CR4_UMIP) == 0 || cpu.cpl == 0) return true;
  raiseProtection(RULE_INSTRUCTION_UMIP);
  return false;
}

/** A 16-bit store to memory; a register takes as much of the value as its size has. */
export function storeWord(op: MicroOp, value: u64): u32 {
  if ((op.prefixes & PREFIX_FIRST_MEMORY) != 0) {
    const at = operandForWrite(op, 2);
    if (at == 0) return ABORT;
    store<u16>(at, <u16>value);
    return finishWrite();
  }
  setRegisterSized(op.first, value, op.operandBytes);
  return NEXT;
}

/** The 16-bit first (or second) operand. */
export function wordOperand(op: MicroOp, second: bool): u64 {
  const inMemory = (op.prefixes & (second ? PREFIX_SECOND_MEMORY : PREFIX_FIRST_MEMORY)) != 0;
  if (!inMemory) return registerSized(second ? op.second : op.first, 2);
  const at = operandForRead(op, 2);
  return at == 0 ? 0 : load<u16>(at);
}
