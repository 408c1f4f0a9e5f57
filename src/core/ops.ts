// Operation numbers of micro-ops: the run loop handles frequent operations itself, by kind of operation, width and where
// the operands are.

import {
  cpu, KEY_CODE64, KEY_SIZE, KEY_STACK32, MICRO_OP_SIZE, MicroOp, PREFIX_FIRST_MEMORY, PREFIX_LOCK,
  PREFIX_SECOND_IMMEDIATE, PREFIX_SECOND_MEMORY, SEGMENT_FLAT,
} from "./layout.generated"; // prettier-ignore
import {
  DECODE_FORMS, EXEC_ADC, EXEC_ADD, EXEC_AND, EXEC_CALL, EXEC_CMP, EXEC_DEC, EXEC_IMUL2, EXEC_INC, EXEC_JCC, EXEC_JMP,
  EXEC_IRET, EXEC_JMP_INDIRECT, EXEC_JRCXZ, EXEC_LEA, EXEC_LOOPCC, EXEC_MOV, EXEC_MOVSXD, EXEC_MOVZX, EXEC_NOP,
  EXEC_OR, EXEC_POP, EXEC_PUSH, EXEC_RET, EXEC_RET_FAR, EXEC_SAR, EXEC_SBB, EXEC_SHL, EXEC_SHR, EXEC_SUB,
  EXEC_SYSCALL, EXEC_SYSEXIT, EXEC_TEST, EXEC_XOR, FORM_ENDS_BLOCK,
} from "./decode-table.generated"; // prettier-ignore

/** Operation numbers of micro-ops. */
export const enum Op {
  // Two operands: by operation, width and shape as binaryNumber() has it.
  ADD32, ADD32_LOAD, ADD32_STORE, ADD32_QUIET, ADD64, ADD64_LOAD, ADD64_STORE, ADD64_QUIET,
  OR32, OR32_LOAD, OR32_STORE, OR32_QUIET, OR64, OR64_LOAD, OR64_STORE, OR64_QUIET,
  ADC32, ADC32_LOAD, ADC32_STORE, ADC32_QUIET, ADC64, ADC64_LOAD, ADC64_STORE, ADC64_QUIET,
  SBB32, SBB32_LOAD, SBB32_STORE, SBB32_QUIET, SBB64, SBB64_LOAD, SBB64_STORE, SBB64_QUIET,
  AND32, AND32_LOAD, AND32_STORE, AND32_QUIET, AND64, AND64_LOAD, AND64_STORE, AND64_QUIET,
  SUB32, SUB32_LOAD, SUB32_STORE, SUB32_QUIET, SUB64, SUB64_LOAD, SUB64_STORE, SUB64_QUIET,
  XOR32, XOR32_LOAD, XOR32_STORE, XOR32_QUIET, XOR64, XOR64_LOAD, XOR64_STORE, XOR64_QUIET,
  CMP32, CMP32_LOAD, CMP32_STORE, CMP32_QUIET, CMP64, CMP64_LOAD, CMP64_STORE, CMP64_QUIET,
  TEST32, TEST32_LOAD, TEST32_STORE, TEST32_QUIET, TEST64, TEST64_LOAD, TEST64_STORE, TEST64_QUIET,
  MOV32, MOV32_LOAD, MOV32_STORE, MOV32_QUIET, MOV64, MOV64_LOAD, MOV64_STORE, MOV64_QUIET,
  // Zero-extending to 32 or 64 bits, sign-extending to 64.
  MOV8, MOV8_LOAD, MOV8_STORE, MOVZX8, MOVZX8_LOAD, MOVZX16, MOVZX16_LOAD, MOVSXD, MOVSXD_LOAD,
  LEA32, LEA64, INC32, INC64, DEC32, DEC64,
  // Memory behind the base and the limit of a segment, above all of FS and GS.
  MOV32_SEGMENT_LOAD, MOV32_SEGMENT_STORE, MOV64_SEGMENT_LOAD, MOV64_SEGMENT_STORE,
  // Registers by an immediate that is not 0.
  SHL32, SHR32, SAR32, SHL64, SHR64, SAR64,
  SHL32_QUIET, SHR32_QUIET, SAR32_QUIET, SHL64_QUIET, SHR64_QUIET, SAR64_QUIET,
  IMUL32, IMUL64, NOP,
  // The flat stack: registers, near returns.
  PUSH32, PUSH64, PUSH32_IMMEDIATE, PUSH64_IMMEDIATE, POP32, POP64, RET32, RET64,
  // Jumps to where memory says.
  JMP32_LOAD, JMP64_LOAD,
  // Branches that have a link to the trace they lead to. LOOP counts in 32 or 64 bits and has no condition.
  CALL32, CALL64, JMP, LOOP, JRCXZ,
  JO, JNO, JB, JNB, JE, JNE, JBE, JNBE,
  JS, JNS, JP, JNP, JL, JNL, JLE, JNLE,
  /** Stands behind the last instruction of a trace and goes on with the next one. */
  FALL,
  /** Not done by the run loop itself, but by the execute number of the decode table. */
  COLD,
  UNDEFINED, TOO_LONG,
} // prettier-ignore

// Operations with two operands, as in Op.
export const OPERATION_ADD: u32 = 0;
export const OPERATION_OR: u32 = 1;
export const OPERATION_ADC: u32 = 2;
export const OPERATION_SBB: u32 = 3;
export const OPERATION_AND: u32 = 4;
export const OPERATION_SUB: u32 = 5;
export const OPERATION_XOR: u32 = 6;
export const OPERATION_CMP: u32 = 7;
export const OPERATION_TEST: u32 = 8;
export const OPERATION_MOV: u32 = 9;

/** Register destination, register or immediate source. */
const SHAPE_REGISTER: u32 = 0;
/** Register destination, memory source. */
const SHAPE_LOAD: u32 = 1;
/** Memory destination, register or immediate source. */
const SHAPE_STORE: u32 = 2;
/** As SHAPE_REGISTER, where the rest of the trace replaces the flags before anything reads them. */
const SHAPE_QUIET: u32 = 3;

function binaryNumber(operation: u32, wide: u32, shape: u32): u32 {
  return (operation << 3) + (wide << 2) + shape;
}

/** What the instruction is in the decode table: an EXEC_ number. */
export function executeOf(op: MicroOp): u32 {
  return <u32>load<u16>(DECODE_FORMS + <usize>op.form * 32);
}

/** True when control may not simply go on behind the instruction, or what is decoded there may change. */
export function endsTrace(op: MicroOp): bool {
  const number = <i32>op.op;
  if (number == Op.UNDEFINED || number == Op.TOO_LONG) return true;
  return (load<u32>(DECODE_FORMS + <usize>op.form * 32, 24) & FORM_ENDS_BLOCK) != 0;
}

/** True where the instruction at `rip`, which is done, was a branch and went somewhere. */
export function takesBranch(op: MicroOp, rip: u64): bool {
  if (op.op == <u8>Op.FALL) return false;
  const execute = executeOf(op);
  const conditional = execute == EXEC_JCC || execute == EXEC_LOOPCC || execute == EXEC_JRCXZ;
  if (conditional) return cpu.rip != rip + op.length;
  const near = execute >= EXEC_JCC && execute <= EXEC_RET_FAR;
  return near || execute == EXEC_IRET || (execute >= EXEC_SYSCALL && execute <= EXEC_SYSEXIT);
}

/** The operation number of a decoded form. */
export function specialise(op: MicroOp, execute: u32, flags: u32): u32 {
  if ((op.prefixes & PREFIX_LOCK) == 0) {
    const number = hotOperation(op, execute);
    if (number != Op.COLD) return number;
  }
  return Op.COLD;
}

function hotOperation(op: MicroOp, execute: u32): u32 {
  const bytes = <u32>op.operandBytes;
  const memoryFirst = (op.prefixes & PREFIX_FIRST_MEMORY) != 0;
  const memorySecond = (op.prefixes & PREFIX_SECOND_MEMORY) != 0;
  const anyMemory = memoryFirst || memorySecond;
  // Memory at an address of 32 or 64 bits, most of it without a segment's base or checks.
  if (anyMemory && execute != EXEC_LEA && op.addressShift == 48) return Op.COLD;
  const wide: u32 = bytes == 8 ? 1 : 0;
  // An address of 64 bits in the instruction does not fit the displacement.
  if (execute == EXEC_MOV && anyMemory && op.addressShift == 0 && op.immediate != 0 && !isImmediate(op)) {
    if (<i64>op.displacement != op.immediate) return Op.COLD;
  }
  if (execute == EXEC_JMP_INDIRECT && memoryFirst) {
    if (bytes == 8) return Op.JMP64_LOAD;
    return bytes == 4 ? Op.JMP32_LOAD : Op.COLD;
  }
  if (anyMemory && execute != EXEC_LEA && op.segment != SEGMENT_FLAT) {
    if (execute != EXEC_MOV || bytes < 4) return Op.COLD;
    return (wide != 0 ? Op.MOV64_SEGMENT_LOAD : Op.MOV32_SEGMENT_LOAD) + (memoryFirst ? 1 : 0);
  }
  const binary = binaryOperation(execute);
  if (binary != Op.COLD) {
    const shape = memoryFirst ? SHAPE_STORE : memorySecond ? SHAPE_LOAD : SHAPE_REGISTER;
    if (bytes >= 4) return binaryNumber(binary, wide, shape);
    return bytes == 1 && execute == EXEC_MOV ? Op.MOV8 + shape : Op.COLD;
  }
  if (execute == EXEC_JCC) return Op.JO + op.argument;
  if (execute == EXEC_JMP) return Op.JMP;
  if (execute == EXEC_NOP) return Op.NOP;
  if (execute == EXEC_LEA && op.addressShift != 48) return bytes == 8 ? Op.LEA64 : bytes == 4 ? Op.LEA32 : Op.COLD;
  if (execute == EXEC_MOVSXD && bytes == 8) return Op.MOVSXD + (memorySecond ? 1 : 0);
  if (execute == EXEC_MOVZX && bytes >= 4) {
    const narrow = load<u8>(DECODE_FORMS + <usize>op.form * 32, 9) == 1;
    return (narrow ? Op.MOVZX8 : Op.MOVZX16) + (memorySecond ? 1 : 0);
  }
  if (!anyMemory && bytes >= 4) {
    if (execute == EXEC_INC) return Op.INC32 + wide;
    if (execute == EXEC_DEC) return Op.DEC32 + wide;
    if (execute == EXEC_IMUL2) return Op.IMUL32 + wide;
    if (isImmediate(op) && (op.immediate & (bytes == 8 ? 63 : 31)) != 0) {
      const shift = wide != 0 ? Op.SHL64 : Op.SHL32;
      if (execute == EXEC_SHL) return shift;
      if (execute == EXEC_SHR) return shift + 1;
      if (execute == EXEC_SAR) return shift + 2;
    }
  }
  return hotStackOperation(op, execute, anyMemory);
}

function hotStackOperation(op: MicroOp, execute: u32, anyMemory: bool): u32 {
  const mode = cpu.codeKey & KEY_SIZE;
  const bytes = <u32>op.operandBytes;
  const is64 = mode == KEY_CODE64 && bytes == 8;
  // In 32-bit code a flat 32-bit stack; anything else takes the general way.
  const is32 = mode != KEY_CODE64 && bytes == 4 && (cpu.codeKey & KEY_STACK32) != 0 && isFlatStack();
  if (op.addressShift != 48) {
    if (execute == EXEC_LOOPCC && op.argument == 2) return Op.LOOP;
    if (execute == EXEC_JRCXZ) return Op.JRCXZ;
  }
  if (!is64 && !is32) return Op.COLD;
  if (execute == EXEC_PUSH && !anyMemory) {
    if (!isRegisterPush(op)) return is64 ? Op.PUSH64_IMMEDIATE : Op.PUSH32_IMMEDIATE;
    if (op.source == 0 && op.immediate == 0) return is64 ? Op.PUSH64 : Op.PUSH32;
  }
  if (execute == EXEC_POP && !anyMemory) return is64 ? Op.POP64 : Op.POP32;
  if (execute == EXEC_CALL) return is64 ? Op.CALL64 : Op.CALL32;
  if (execute == EXEC_RET && load<u8>(DECODE_FORMS + <usize>op.form * 32, 3) == 0) return is64 ? Op.RET64 : Op.RET32;
  return Op.COLD;
}

/** First operand is a register: kind reg, rm or opcodeReg, not an immediate. */
function isRegisterPush(op: MicroOp): bool {
  return load<u8>(DECODE_FORMS + <usize>op.form * 32, 21) == 0;
}

function isFlatStack(): bool {
  return (cpu.codeKey & 4) != 0;
}

function isImmediate(op: MicroOp): bool {
  return (op.prefixes & PREFIX_SECOND_IMMEDIATE) != 0;
}

function binaryOperation(execute: u32): u32 {
  if (execute == EXEC_MOV) return OPERATION_MOV;
  if (execute == EXEC_ADD) return OPERATION_ADD;
  if (execute == EXEC_SUB) return OPERATION_SUB;
  if (execute == EXEC_CMP) return OPERATION_CMP;
  if (execute == EXEC_XOR) return OPERATION_XOR;
  if (execute == EXEC_AND) return OPERATION_AND;
  if (execute == EXEC_OR) return OPERATION_OR;
  if (execute == EXEC_TEST) return OPERATION_TEST;
  if (execute == EXEC_ADC) return OPERATION_ADC;
  if (execute == EXEC_SBB) return OPERATION_SBB;
  return Op.COLD;
}

/**
 * Takes the flags out of operations whose flags the rest of the trace replaces before anything reads them or can fault.
 * `first` and `end` are the trace's micro-ops; it must be executed whole.
 */
export function quietFlags(first: usize, end: usize): void {
  let dead = false;
  for (let at = end - MICRO_OP_SIZE; at >= first; at -= MICRO_OP_SIZE) {
    const op = changetype<MicroOp>(at);
    const number = <i32>op.op;
    if (number < Op.MOV8 && (number & 3) == <i32>SHAPE_REGISTER) {
      const operation = <u32>number >> 3;
      if (operation == OPERATION_MOV) continue;
      const reads = operation == OPERATION_ADC || operation == OPERATION_SBB;
      const writes = operation != OPERATION_CMP && operation != OPERATION_TEST;
      if (dead && writes && !reads) op.op = <u8>(<u32>number + SHAPE_QUIET);
      dead = !reads;
    } else if (number >= Op.SHL32 && number <= Op.SAR64) {
      if (dead) op.op = <u8>(number + Op.SHL32_QUIET - Op.SHL32);
      dead = true;
    } else if (number == Op.IMUL32 || number == Op.IMUL64) dead = true;
    else if (!keepsFlags(number)) dead = false;
  }
}

/** Operations that cannot fault, and whose flags do not depend on those before: INC and DEC hand CF on. */
function keepsFlags(number: i32): bool {
  return (
    number == Op.MOV8 || number == Op.MOVZX8 || number == Op.MOVZX16 || number == Op.MOVSXD ||
    (number >= Op.LEA32 && number <= Op.DEC64) || number == Op.NOP
  ); // prettier-ignore
}
