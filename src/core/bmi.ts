// BMI1, BMI2 and ADX (Intel SDM vol. 2, the instruction pages).

import {
  DECODE_FORMS, EXEC_ADCX, EXEC_ANDN, EXEC_BEXTR, EXEC_BLSI, EXEC_BLSMSK, EXEC_BLSR, EXEC_BZHI, EXEC_PDEP, EXEC_PEXT,
  EXEC_RORX, EXEC_SARX, EXEC_SHLX, EXEC_SHRX, KIND_RM,
} from "./decode-table.generated"; // prettier-ignore
import {
  ABORT, carryFlag, maskOf, NEXT, overflowFlag, registerSized, setRegisterSized, signExtend, writeCarry,
} from "./state"; // prettier-ignore
import { cpu, MicroOp, PREFIX_SECOND_MEMORY } from "./layout.generated";
import { loadSized, operandForRead } from "./memory";
import { multiplyHigh } from "./arith";

let a: u64 = 0;
let b: u64 = 0;

/** Reads operands 1 and 2 into `a` and `b`; the one of kind rm may be in memory. A missing one reads as the immediate. */
function readSources(op: MicroOp): bool {
  const bytes = <u32>op.operandBytes;
  const form: usize = DECODE_FORMS + <usize>op.form * 32;
  const inMemory = (op.prefixes & PREFIX_SECOND_MEMORY) != 0;
  const firstIsRm = load<u8>(form, 8) == <u8>KIND_RM;
  const count = load<u8>(form, 3);
  let fromMemory: u64 = 0;
  if (inMemory) {
    const at = operandForRead(op, bytes);
    if (at == 0) return false;
    fromMemory = loadSized(at, bytes);
  }
  a = inMemory && firstIsRm ? fromMemory : registerSized(op.second, bytes);
  if (inMemory && !firstIsRm) b = fromMemory;
  else b = count > 2 ? registerSized(op.argument, bytes) : 0;
  return true;
}

/** Logic flags with a carry of its own. */
function setFlags(result: u64, bytes: u32, carry: bool): void {
  cpu.flagResult = signExtend(result, bytes);
  cpu.flagAux = 0;
  const bit: u64 = carry ? 1 : 0;
  cpu.flagCarry = (bit << 63) | (bit << 62);
}

export function bitManipulation(op: MicroOp, execute: u32): u32 {
  if (!readSources(op)) return ABORT;
  const bytes = <u32>op.operandBytes;
  const bits = bytes << 3;
  const mask = maskOf(bytes);
  let result: u64 = 0;
  if (execute == EXEC_ANDN) {
    result = ~a & b & mask;
    setFlags(result, bytes, false);
  } else if (execute == EXEC_BLSI) {
    result = a & (0 - a);
    setFlags(result & mask, bytes, a != 0);
  } else if (execute == EXEC_BLSR) {
    result = a & (a - 1);
    setFlags(result & mask, bytes, a == 0);
  } else if (execute == EXEC_BLSMSK) {
    result = (a ^ (a - 1)) & mask;
    setFlags(result, bytes, a == 0);
  } else if (execute == EXEC_BEXTR) {
    result = extract(a, (<u32>b) & 0xff, (<u32>(b >> 8)) & 0xff, bits);
    setFlags(result, bytes, false);
  } else if (execute == EXEC_BZHI) {
    const index = (<u32>b) & 0xff;
    result = index < bits ? a & (((<u64>1) << index) - 1) : a;
    setFlags(result, bytes, index >= bits);
  } else if (execute == EXEC_SHLX) result = a << (b & (bits - 1));
  else if (execute == EXEC_SHRX) result = a >> (b & (bits - 1));
  else if (execute == EXEC_SARX) result = <u64>((<i64>signExtend(a, bytes)) >> (b & (bits - 1)));
  else if (execute == EXEC_RORX) {
    const count = (<u64>op.immediate) & (bits - 1);
    result = count == 0 ? a : (a >> count) | (a << (bits - count));
  } else if (execute == EXEC_PDEP) result = deposit(a, b, bits);
  else if (execute == EXEC_PEXT) result = gather(a, b, bits);
  else return multiplyExtended(op, bytes);
  setRegisterSized(op.first, result, bytes);
  return NEXT;
}

function extract(value: u64, start: u32, length: u32, bits: u32): u64 {
  if (start >= bits) return 0;
  const shifted = value >> start;
  return length >= 64 ? shifted : shifted & (((<u64>1) << length) - 1);
}

/** PDEP: the low bits of the source go to the places of the mask. */
function deposit(source: u64, mask: u64, bits: u32): u64 {
  let result: u64 = 0;
  let next: u64 = 0;
  for (let i: u64 = 0; i < bits; i++) {
    if (((mask >> i) & 1) == 0) continue;
    result |= ((source >> next) & 1) << i;
    next++;
  }
  return result;
}

/** PEXT: the bits at the places of the mask, together at the low end. */
function gather(source: u64, mask: u64, bits: u32): u64 {
  let result: u64 = 0;
  let next: u64 = 0;
  for (let i: u64 = 0; i < bits; i++) {
    if (((mask >> i) & 1) == 0) continue;
    result |= ((source >> i) & 1) << next;
    next++;
  }
  return result;
}

/** MULX: rDX times the source; low half to operand 1, high half to operand 0, which wins where they are the same. */
function multiplyExtended(op: MicroOp, bytes: u32): u32 {
  const factor = cpu.rdx & maskOf(bytes);
  const low = factor * b;
  const high = bytes == 8 ? multiplyHigh(factor, b) : low >> 32;
  setRegisterSized(op.second, low, bytes);
  setRegisterSized(op.first, high, bytes);
  return NEXT;
}

/** ADCX and ADOX: an addition that knows only CF, or only OF. */
export function addWithFlag(op: MicroOp, execute: u32): u32 {
  const bytes = <u32>op.operandBytes;
  const inMemory = (op.prefixes & PREFIX_SECOND_MEMORY) != 0;
  const at = inMemory ? operandForRead(op, bytes) : <usize>op.source;
  if (at == 0) return ABORT;
  const left = registerSized(op.first, bytes);
  const right = loadSized(at, bytes);
  const isCarry = execute == EXEC_ADCX;
  const result = (left + right + (isCarry ? carryFlag() : overflowFlag())) & maskOf(bytes);
  const carries = (left & right) | ((left | right) & ~result);
  const out = (carries >> ((bytes << 3) - 1)) & 1;
  if (isCarry) writeCarry(out);
  else {
    const carry = carryFlag();
    cpu.flagCarry = (carry << 63) | ((carry ^ out) << 62);
  }
  setRegisterSized(op.first, result, bytes);
  return NEXT;
}
