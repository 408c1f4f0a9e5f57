// Operation numbers of micro-ops. Below OP_COLD the run loop handles the operation itself, by kind of operation, width
// and where the operands are; all other forms get OP_COLD plus the execute number of the decode table.

import {
  cpu, KEY_CODE64, KEY_SIZE, KEY_STACK32, MICRO_OP_SIZE, MicroOp, PREFIX_FIRST_MEMORY, PREFIX_LOCK,
  PREFIX_SECOND_IMMEDIATE, PREFIX_SECOND_MEMORY,
} from "./layout.generated"; // prettier-ignore
import {
  DECODE_FORMS, EXEC_ADC, EXEC_ADD, EXEC_AND, EXEC_CALL, EXEC_CMP, EXEC_DEC, EXEC_IMUL2, EXEC_INC, EXEC_JCC, EXEC_JMP,
  EXEC_LEA, EXEC_LOOPCC, EXEC_MOV, EXEC_MOVSXD, EXEC_MOVZX, EXEC_NOP, EXEC_OR, EXEC_PAUSE, EXEC_POP, EXEC_PUSH,
  EXEC_RDMSR, EXEC_RDTSC, EXEC_RDTSCP, EXEC_RET, EXEC_SAR, EXEC_SBB, EXEC_SHL, EXEC_SHR, EXEC_SUB, EXEC_TEST,
  EXEC_WRMSR, EXEC_XOR, FORM_ENDS_BLOCK,
} from "./decode-table.generated"; // prettier-ignore

// Binary operations: OP_BINARY + operation * 8 + (64-bit ? 4 : 0) + shape.
export const OP_BINARY: u32 = 0;
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
export const SHAPE_REGISTER: u32 = 0;
/** Register destination, memory source. */
export const SHAPE_LOAD: u32 = 1;
/** Memory destination, register or immediate source. */
export const SHAPE_STORE: u32 = 2;

export const OP_MOV8: u32 = 80; // + shape
export const OP_MOVZX8: u32 = 84; // + 1 where the source is memory; destination 32 or 64 bits
export const OP_MOVZX16: u32 = 86;
export const OP_MOVSXD: u32 = 88; // + 1 where the source is memory
export const OP_LEA32: u32 = 90;
export const OP_LEA64: u32 = 91;
export const OP_INC32: u32 = 92;
export const OP_INC64: u32 = 93;
export const OP_DEC32: u32 = 94;
export const OP_DEC64: u32 = 95;
export const OP_JCC: u32 = 96; // + condition
export const OP_JMP: u32 = 112;
export const OP_CALL64: u32 = 113;
export const OP_RET64: u32 = 114;
export const OP_PUSH64: u32 = 115; // register
export const OP_POP64: u32 = 116; // register
export const OP_NOP: u32 = 117;
export const OP_SHIFT32: u32 = 118; // + 0 SHL, 1 SHR, 2 SAR; register by immediate not 0
export const OP_SHIFT64: u32 = 121;
export const OP_IMUL32: u32 = 124;
export const OP_IMUL64: u32 = 125;
export const OP_CALL32: u32 = 126;
export const OP_RET32: u32 = 127;
export const OP_PUSH32: u32 = 128;
export const OP_POP32: u32 = 129;
export const OP_LOOP: u32 = 130; // counter of 32 or 64 bits, no condition

/** Register shapes of ADD, OR, AND, SUB, XOR without flags: + operation * 2 + (64-bit ? 1 : 0). */
export const OP_QUIET: u32 = 132;

export const OP_UNDEFINED: u32 = 200;
export const OP_TOO_LONG: u32 = 201;
export const OP_COLD: u32 = 256;

/** True when control may not simply go on behind the instruction, or what is decoded there may change. */
export function endsTrace(op: MicroOp): bool {
  const number = <u32>op.op;
  if (number == OP_UNDEFINED || number == OP_TOO_LONG) return true;
  return (load<u32>(DECODE_FORMS + <usize>op.form * 32, 24) & FORM_ENDS_BLOCK) != 0;
}

/** True where the instruction reads the virtual time, which is exact at the start of a trace only. */
export function readsTime(op: MicroOp): bool {
  const execute = <u32>op.op - OP_COLD;
  return (
    execute == EXEC_RDTSC ||
    execute == EXEC_RDTSCP ||
    execute == EXEC_RDMSR ||
    execute == EXEC_WRMSR ||
    execute == EXEC_PAUSE
  );
}

/** The operation number of a decoded form. */
export function specialise(op: MicroOp, execute: u32, flags: u32): u32 {
  if ((op.prefixes & PREFIX_LOCK) == 0) {
    const number = hotOperation(op, execute);
    if (number != OP_COLD) return number;
  }
  return OP_COLD + execute;
}

function hotOperation(op: MicroOp, execute: u32): u32 {
  const bytes = <u32>op.operandBytes;
  const memoryFirst = (op.prefixes & PREFIX_FIRST_MEMORY) != 0;
  const memorySecond = (op.prefixes & PREFIX_SECOND_MEMORY) != 0;
  const anyMemory = memoryFirst || memorySecond;
  const wide: u32 = bytes == 8 ? 1 : 0;
  const binary = binaryOperation(execute);
  if (binary != OP_COLD) {
    // An address of 64 bits in the instruction does not fit the displacement.
    if (execute == EXEC_MOV && anyMemory && op.addressShift == 0 && op.immediate != 0 && !isImmediate(op)) {
      if (<i64>op.displacement != op.immediate) return OP_COLD;
    }
    const shape = memoryFirst ? SHAPE_STORE : memorySecond ? SHAPE_LOAD : SHAPE_REGISTER;
    if (bytes >= 4) return (binary << 3) + (wide << 2) + shape;
    return bytes == 1 && execute == EXEC_MOV ? OP_MOV8 + shape : OP_COLD;
  }
  if (execute == EXEC_JCC) return OP_JCC + op.argument;
  if (execute == EXEC_JMP) return OP_JMP;
  if (execute == EXEC_NOP) return OP_NOP;
  if (execute == EXEC_LEA) return bytes == 8 ? OP_LEA64 : bytes == 4 ? OP_LEA32 : OP_COLD;
  if (execute == EXEC_MOVSXD && bytes == 8) return OP_MOVSXD + (memorySecond ? 1 : 0);
  if (execute == EXEC_MOVZX && bytes >= 4) {
    const narrow = load<u8>(DECODE_FORMS + <usize>op.form * 32, 9) == 1;
    return (narrow ? OP_MOVZX8 : OP_MOVZX16) + (memorySecond ? 1 : 0);
  }
  if (!anyMemory && bytes >= 4) {
    if (execute == EXEC_INC) return OP_INC32 + wide;
    if (execute == EXEC_DEC) return OP_DEC32 + wide;
    if (execute == EXEC_IMUL2) return OP_IMUL32 + wide;
    if (isImmediate(op) && (op.immediate & (bytes == 8 ? 63 : 31)) != 0) {
      const shift = wide != 0 ? OP_SHIFT64 : OP_SHIFT32;
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
  if (execute == EXEC_LOOPCC && op.argument == 2 && op.addressShift != 48) return OP_LOOP;
  if (!is64 && !is32) return OP_COLD;
  if (execute == EXEC_PUSH && !anyMemory && op.source == 0 && op.immediate == 0 && isRegisterPush(op)) {
    return is64 ? OP_PUSH64 : OP_PUSH32;
  }
  if (execute == EXEC_POP && !anyMemory) return is64 ? OP_POP64 : OP_POP32;
  if (execute == EXEC_CALL) return is64 ? OP_CALL64 : OP_CALL32;
  if (execute == EXEC_RET && load<u8>(DECODE_FORMS + <usize>op.form * 32, 3) == 0) return is64 ? OP_RET64 : OP_RET32;
  return OP_COLD;
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
  return OP_COLD;
}

/**
 * Takes the flags out of operations whose flags the rest of the trace replaces before anything reads them or can fault.
 * `first` and `end` are the trace's micro-ops; it must be executed whole.
 */
export function quietFlags(first: usize, end: usize): void {
  let dead = false;
  for (let at = end - MICRO_OP_SIZE; at >= first; at -= MICRO_OP_SIZE) {
    const op = changetype<MicroOp>(at);
    const number = <u32>op.op;
    if (number < OP_MOV8 && (number & 3) == SHAPE_REGISTER) {
      const operation = number >> 3;
      if (operation == OPERATION_MOV) continue;
      const reads = operation == OPERATION_ADC || operation == OPERATION_SBB;
      const writes = operation != OPERATION_CMP && operation != OPERATION_TEST;
      if (dead && writes && !reads) op.op = <u16>(OP_QUIET + (operation << 1) + ((number >> 2) & 1));
      dead = !reads;
    } else if (!keepsFlags(number)) dead = false;
  }
}

/** Operations that neither read nor write flags and cannot fault. */
function keepsFlags(number: u32): bool {
  return (
    number == OP_MOV8 || number == OP_MOVZX8 || number == OP_MOVZX16 || number == OP_MOVSXD || number == OP_LEA32 ||
    number == OP_LEA64 || number == OP_NOP
  ); // prettier-ignore
}
