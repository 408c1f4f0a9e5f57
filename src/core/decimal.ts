// Decimal adjustment (Intel SDM vol. 2: AAA, AAD, AAM, AAS, DAA, DAS). Undefined flags get what logic gives them.

import { cpu, MicroOp } from "./layout.generated";
import { EXEC_AAA, EXEC_AAD, EXEC_AAM, EXEC_AAS, EXEC_DAA } from "./decode-table.generated";
import { AF, carryFlag, CF, NEXT, readFlags, setRegisterSized, STATUS_FLAGS, writeStatusFlags } from "./state";
import { setLogicFlags } from "./arith";
import { raise, VECTOR_DE } from "./faults";

export function decimal(op: MicroOp, execute: u32): u32 {
  if (execute == EXEC_AAM) return afterMultiply((<u32>op.immediate) & 0xff);
  if (execute == EXEC_AAD) return beforeDivide((<u32>op.immediate) & 0xff);
  if (execute == EXEC_AAA || execute == EXEC_AAS) return unpacked(execute == EXEC_AAA);
  return packed(execute == EXEC_DAA);
}

function afterMultiply(base: u32): u32 {
  if (base == 0) return raise(VECTOR_DE);
  const al = (<u32>cpu.rax) & 0xff;
  const result = al % base;
  setRegisterSized(0, ((al / base) << 8) | result, 2);
  setLogicFlags<u8>(<u8>result);
  return NEXT;
}

function beforeDivide(base: u32): u32 {
  const result = (<u32>cpu.rax + (((<u32>cpu.rax) >> 8) & 0xff) * base) & 0xff;
  setRegisterSized(0, result, 2);
  setLogicFlags<u8>(<u8>result);
  return NEXT;
}

function unpacked(add: bool): u32 {
  const adjusts = ((<u32>cpu.rax) & 0xf) > 9 || (cpu.flagAux & AF) != 0;
  let ax = (<u32>cpu.rax) & 0xffff;
  if (adjusts) ax = add ? ax + 0x106 : ax - 0x106;
  ax &= 0xff0f;
  setRegisterSized(0, ax, 2);
  setLogicFlags<u8>(<u8>ax);
  if (adjusts) writeStatusFlags((readFlags() & STATUS_FLAGS) | AF | CF);
  return NEXT;
}

function packed(add: bool): u32 {
  const old = (<u32>cpu.rax) & 0xff;
  const oldCarry = carryFlag() != 0;
  let al = old;
  let flags: u64 = 0;
  if ((old & 0xf) > 9 || (cpu.flagAux & AF) != 0) {
    al = add ? al + 6 : al - 6;
    flags |= AF;
    // DAS: a borrow out of the low digit's correction is a carry as well.
    if (!add && (oldCarry || old < 6)) flags |= CF;
  }
  if (old > 0x99 || oldCarry) {
    al = add ? al + 0x60 : al - 0x60;
    flags |= CF;
  }
  setRegisterSized(0, al & 0xff, 1);
  setLogicFlags<u8>(<u8>al);
  writeStatusFlags((readFlags() & STATUS_FLAGS) | flags);
  return NEXT;
}
