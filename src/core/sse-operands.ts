// Operands of vector instructions. An instruction of SSE reads its destination as the left operand; encoded with VEX it
// names a third register for that, leaves the upper part of its destination 0 and does not ask for alignment.

import { cpu, MicroOp, PREFIX_FIRST_MEMORY, PREFIX_SECOND_MEMORY } from "./layout.generated";
import { CR0_TS, CR4_OSXMMEXCPT, CR4_OSXSAVE } from "./state";
import { raise, raiseProtection, raiseUndefined, VECTOR_NM, VECTOR_XM } from "./faults";
import { operandForRead, operandLinear } from "./memory";
import * as F from "./fpu-state";
import * as T from "./decode-table.generated";

const RECORD: usize = 32;

// @ts-ignore: decorator
@inline
function record(op: MicroOp): usize {
  return T.DECODE_FORMS + <usize>op.form * RECORD;
}

export function kindOf(op: MicroOp, position: u32): u32 {
  return load<u8>(record(op) + 4 + (position << 2));
}

/** The argument of the instruction's row; `op.argument` may be a register of VEX. */
export function argumentOf(op: MicroOp): u32 {
  return load<u8>(record(op), 2);
}

export function isVex(op: MicroOp): bool {
  return (load<u32>(record(op), 24) & T.FORM_VEX) != 0;
}

export function isXmm(kind: u32): bool {
  return kind == T.KIND_XMM || kind == T.KIND_XMM_RM || kind == T.KIND_XMM_RM_REG || kind == T.KIND_XMM_VEX;
}

export function isMmx(kind: u32): bool {
  return kind == T.KIND_MM || kind == T.KIND_MM_RM || kind == T.KIND_MM_RM_REG;
}

/** True where one of the first two operands is an XMM or YMM register. */
export function usesXmm(op: MicroOp): bool {
  return isXmm(kindOf(op, 0)) || isXmm(kindOf(op, 1));
}

/** Number of lanes of 128 bits: 2 where an operand is a YMM register. */
export function lanesOf(op: MicroOp): u32 {
  return isYmm(op, 0) || isYmm(op, 1) ? 2 : 1;
}

/** The argument of an operand: 1 for YMM registers. */
export function operandArgument(op: MicroOp, position: u32): u32 {
  return load<u8>(record(op) + 4 + (position << 2), 2);
}

function isYmm(op: MicroOp, position: u32): bool {
  return isXmm(kindOf(op, position)) && operandArgument(op, position) != 0;
}

/** True where a register in VEX.vvvv stands between destination and source. */
export function hasThreeRegisters(op: MicroOp): bool {
  return kindOf(op, 1) == T.KIND_XMM_VEX;
}

// What guards them ----------------------------------------------------------------------------------------------------

/** The rules of the instruction's encoding: SSE, or AVX, which the operating system enables in XCR0. */
export function mayExecuteVector(op: MicroOp): bool {
  if (!isVex(op)) return F.mayExecuteSse();
  if ((cpu.cr4 & CR4_OSXSAVE) == 0 || (cpu.xcr0 & 6) != 6) return refuse();
  if ((cpu.cr0 & CR0_TS) == 0) return true;
  raise(VECTOR_NM);
  return false;
}

function refuse(): bool {
  raiseUndefined();
  return false;
}

/** #GP(0) where a 128-bit operand of SSE in memory is not aligned. */
export function isAligned(op: MicroOp): bool {
  if (isVex(op) || (op.prefixes & (PREFIX_FIRST_MEMORY | PREFIX_SECOND_MEMORY)) == 0) return true;
  return isAlignedTo(op, 16);
}

export function isAlignedTo(op: MicroOp, bytes: u64): bool {
  if ((operandLinear(op) & (bytes - 1)) == 0) return true;
  raiseProtection();
  return false;
}

/** Ends an instruction that found an exception which MXCSR does not mask. */
export function raiseSimd(): u32 {
  return (cpu.cr4 & CR4_OSXMMEXCPT) != 0 ? raise(VECTOR_XM) : raiseUndefined();
}

// Values --------------------------------------------------------------------------------------------------------------

const AT_LEFT: usize = memory.data(32, 16);
const AT_RIGHT: usize = memory.data(32, 16);
const AT_RESULT: usize = memory.data(32, 16);

/** The left operand, 32 bytes. */
// @ts-ignore: decorator
@inline
export function left(): usize {
  return AT_LEFT;
}

/** The right operand, 32 bytes; what a narrower one does not fill is 0. */
// @ts-ignore: decorator
@inline
export function right(): usize {
  return AT_RIGHT;
}

// @ts-ignore: decorator
@inline
export function result(): usize {
  return AT_RESULT;
}

function readRegister(to: usize, number: u32): void {
  v128.store(to, v128.load(F.xmmRegister(number)));
  v128.store(to, v128.load(F.ymmUpper(number)), 16);
}

/** The left operand: the destination, or the register in VEX.vvvv. */
export function readLeft(op: MicroOp): void {
  readRegister(AT_LEFT, hasThreeRegisters(op) ? op.second : op.first);
}

/** The right operand: `bytes` of memory, or a register; false with something pending. */
export function readRight(op: MicroOp, bytes: u32): bool {
  if ((op.prefixes & PREFIX_SECOND_MEMORY) == 0) {
    readRegister(AT_RIGHT, hasThreeRegisters(op) ? op.argument : op.second);
    return true;
  }
  const at = operandForRead(op, bytes);
  if (at == 0) return false;
  memory.fill(AT_RIGHT, 0, 32);
  memory.copy(AT_RIGHT, at, bytes);
  return true;
}

/** The first `lanes` lanes of the result go to the destination; VEX clears what is above. */
export function writeResult(op: MicroOp, lanes: u32): void {
  writeRegister(op, op.first, lanes);
}

export function writeRegister(op: MicroOp, number: u32, lanes: u32): void {
  v128.store(F.xmmRegister(number), v128.load(AT_RESULT));
  if (lanes == 2) v128.store(F.ymmUpper(number), v128.load(AT_RESULT, 16));
  else if (isVex(op)) v128.store(F.ymmUpper(number), i64x2.splat(0));
}
